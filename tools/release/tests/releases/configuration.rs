//! What becomes of the configuration when releases change.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use corelane_release::store::Downgrade;

use super::support::{Maker, ReleaseHost};
use super::{install, open, runs};

#[test]
fn the_configuration_goes_back_with_its_release_and_the_topology_does_not() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    let config = |name: &str| host.path("etc").join(name);
    fs::create_dir_all(config("conf.d")).unwrap();
    install(&host, &maker, "1.0.0", 1).unwrap();
    fs::write(config("corelane.toml"), "memory = \"1GiB\"\n").unwrap();
    fs::set_permissions(config("corelane.toml"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(config("topology.toml"), "epoch = 1\n").unwrap();
    fs::write(config("cores.toml"), "# before\n").unwrap();
    install(&host, &maker, "1.1.0", 2).unwrap();
    fs::write(config("corelane.toml"), "memory = \"2GiB\"\n").unwrap();
    fs::write(config("conf.d/new.toml"), "new_key = true\n").unwrap();
    fs::write(config("key.pem"), "secret").unwrap();
    fs::write(config("topology.toml"), "epoch = 2\n").unwrap();
    fs::write(config("cores.toml"), "# tuned\n").unwrap();

    let back = host.store().rollback(None).unwrap();
    assert_eq!(back.configuration, [config("corelane.toml"), config("conf.d/new.toml")]);
    assert_eq!(fs::read_to_string(config("corelane.toml")).unwrap(), "memory = \"1GiB\"\n");
    assert_eq!(fs::metadata(config("corelane.toml")).unwrap().permissions().mode() & 0o7777, 0o640);
    assert!(!config("conf.d/new.toml").exists() && config("key.pem").exists());
    assert_eq!(fs::read_to_string(config("topology.toml")).unwrap(), "epoch = 2\n");
    assert_eq!(fs::read_to_string(config("cores.toml")).unwrap(), "# tuned\n");

    host.store().rollback(None).unwrap();
    assert_eq!(runs(&host), "program 1.1.0");
    assert_eq!(fs::read_to_string(config("corelane.toml")).unwrap(), "memory = \"2GiB\"\n");
    assert!(config("conf.d/new.toml").exists());
    let saved = fs::metadata(host.path("opt/configuration")).unwrap().permissions().mode();
    assert_eq!(saved & 0o7777, 0o700, "a configuration may hold secrets");
}

#[test]
fn a_release_that_returns_by_an_installation_has_its_own_configuration_again() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    let config = |name: &str| host.path("etc").join(name);
    let text = || fs::read_to_string(config("corelane.toml")).unwrap();
    fs::create_dir_all(config("")).unwrap();
    install(&host, &maker, "1.0.0", 1).unwrap();
    fs::write(config("corelane.toml"), "# of 1.0.0\n").unwrap();
    install(&host, &maker, "1.1.0", 2).unwrap();
    assert_eq!(text(), "# of 1.0.0\n", "a release that was never here takes what there is");
    fs::write(config("corelane.toml"), "# of 1.1.0\n").unwrap();

    let made = maker.release(&host, "1.0.0", 1);
    let again = || host.store().install(&mut open(&host, &maker, &made.archive).unwrap(), Downgrade::Allowed).unwrap();
    assert_eq!(again().configuration, [config("corelane.toml")]);
    assert_eq!(text(), "# of 1.0.0\n");
    fs::write(config("corelane.toml"), "# edited\n").unwrap();
    assert!(again().configuration.is_empty(), "it is current, and so is its configuration");
    assert_eq!(text(), "# edited\n");
    host.store().rollback(None).unwrap();
    assert_eq!((runs(&host), text()), ("program 1.1.0".to_owned(), "# of 1.1.0\n".to_owned()));
    assert!(!host.path("opt/.returning").exists());
}

#[test]
fn going_back_to_what_is_current_leaves_the_configuration_alone() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    let path = host.path("etc/corelane.toml");
    fs::create_dir_all(host.path("etc")).unwrap();
    fs::write(&path, "# saved\n").unwrap();
    install(&host, &maker, "1.0.0", 1).unwrap();
    install(&host, &maker, "1.1.0", 2).unwrap();
    host.store().rollback(None).unwrap();
    fs::write(&path, "# edited\n").unwrap();
    let current = host.store().current().unwrap().unwrap().to_string();
    host.store().rollback(Some(&current)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "# edited\n");
}

#[test]
fn what_the_host_is_tuned_by_stays() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    fs::create_dir_all(host.path("etc")).unwrap();
    install(&host, &maker, "1.0.0", 1).unwrap();
    install(&host, &maker, "1.1.0", 2).unwrap();
    for name in ["tune.toml", "cores.toml", "topology.toml"] {
        fs::write(host.path("etc").join(name), "# the host's\n").unwrap();
    }
    assert!(host.store().rollback(None).unwrap().configuration.is_empty());
    for name in ["tune.toml", "cores.toml", "topology.toml"] {
        assert!(host.path("etc").join(name).exists(), "{name}");
    }
}

#[test]
fn a_folder_of_the_configuration_keeps_its_mode() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    let folder = host.path("etc/conf.d");
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o750)).unwrap();
    fs::write(folder.join("secret.toml"), "").unwrap();
    install(&host, &maker, "1.0.0", 1).unwrap();
    install(&host, &maker, "1.1.0", 2).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    host.store().rollback(None).unwrap();
    assert!(folder.join("secret.toml").exists());
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o7777, 0o750);
}
