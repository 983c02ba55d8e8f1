//! The scripts of the Debian package, run again after an interruption at each of their steps.
//!
//! **Not** dpkg: the paths of the host are those of a folder, and systemctl is one that always fails.
//!
//! **Invariants**: no absolute path of a script is left as it is.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const POSTINST: &str = include_str!("../packaging/deb/postinst");
const PRERM: &str = include_str!("../packaging/deb/prerm");
const POSTRM: &str = include_str!("../packaging/deb/postrm");

/// Where the scripts work.
const TREES: [&str; 4] = ["/etc/", "/opt/", "/run/", "/var/"];

struct Host(PathBuf);

impl Host {
    /// A host that has the releases `old` and `new`; with systemd running or without.
    fn new(name: &str, has_systemd: bool) -> Self {
        let folder = std::env::temp_dir().join(format!("corelane-deb-{name}-{}", std::process::id()));
        for release in ["old", "new"] {
            fs::create_dir_all(folder.join("opt/corelane/releases").join(release)).unwrap();
        }
        fs::create_dir_all(folder.join("bin")).unwrap();
        fs::create_dir_all(folder.join("etc/corelane")).unwrap();
        if has_systemd {
            fs::create_dir_all(folder.join("run/systemd/system")).unwrap();
        }
        let systemctl = folder.join("bin/systemctl");
        fs::write(&systemctl, "#!/bin/sh\nexit 1\n").unwrap();
        fs::set_permissions(&systemctl, Permissions::from_mode(0o755)).unwrap();
        for program in ["ln", "ls", "mv", "rm", "rmdir", "readlink"] {
            let path = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(program));
            symlink(path.iter().find(|path| path.exists()).unwrap(), folder.join("bin").join(program)).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn run(&self, script: &str, argument: &str) -> bool {
        self.said(script, argument).is_some()
    }

    /// What a script that succeeds writes to standard error.
    fn said(&self, script: &str, argument: &str) -> Option<String> {
        // In two steps: the folder's own path may have such a tree in it.
        let marked = |script: String, tree: usize| script.replace(TREES[tree], &format!("\u{1}{tree}"));
        let named = |script: String, tree: usize| {
            script.replace(&format!("\u{1}{tree}"), &format!("{}{}", self.0.display(), TREES[tree]))
        };
        let script = (0..TREES.len()).fold(script.replace("@DIGEST@", "new"), marked);
        let script = (0..TREES.len()).fold(script, named);
        let output =
            Command::new("/bin/sh").args(["-c", &script, "script", argument]).env("PATH", self.path("bin")).output();
        let output = output.unwrap();
        output.status.success().then(|| String::from_utf8(output.stderr).unwrap())
    }

    /// Makes a file and its folders.
    fn write(&self, name: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), "").unwrap();
    }

    /// What there is below a folder, sorted.
    fn left(&self, folder: &str) -> Vec<String> {
        let mut left = Vec::new();
        for entry in fs::read_dir(self.path(folder)).into_iter().flatten() {
            let name = format!("{folder}/{}", entry.unwrap().file_name().display());
            left.extend(self.left(&name));
            left.push(name);
        }
        left.sort();
        left
    }

    fn current(&self) -> Option<PathBuf> {
        fs::read_link(self.path("opt/corelane/current")).ok()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_interrupted_configuration_is_made_up_for_by_the_next() {
    // What an interruption left: nothing, a link to a release that is there, one to a release that is gone.
    for (name, left) in [("none", None), ("there", Some("releases/old")), ("gone", Some("releases/gone"))] {
        let host = Host::new(name, false);
        symlink("releases/old", host.path("opt/corelane/current")).unwrap();
        if let Some(left) = left {
            symlink(left, host.path("opt/corelane/current.dpkg")).unwrap();
        }
        for _ in 0..2 {
            assert!(host.run(POSTINST, "configure"), "{name}");
            assert_eq!(host.current().unwrap(), Path::new("releases/new"), "{name}");
        }
        assert_eq!(
            fs::read_dir(host.path("opt/corelane/releases/old")).unwrap().count(),
            0,
            "{name}: nothing is made in a release"
        );
        assert!(fs::symlink_metadata(host.path("opt/corelane/current.dpkg")).is_err(), "{name}");
    }
}

#[test]
fn a_package_whose_units_are_not_there_can_be_removed() {
    let host = Host::new("remove", true);
    symlink("releases/new", host.path("opt/corelane/current.dpkg")).unwrap();
    assert!(host.run(PRERM, "remove"));
    for argument in ["remove", "purge", "purge"] {
        assert!(host.run(POSTRM, argument), "{argument}");
        assert!(fs::symlink_metadata(host.path("opt/corelane/current.dpkg")).is_err());
    }
}

#[test]
fn removing_takes_the_link_only_where_it_leads_to_this_package() {
    for (target, is_left) in [("releases/new", false), ("releases/old", true)] {
        let host = Host::new(&target.replace('/', "-"), false);
        symlink(target, host.path("opt/corelane/current")).unwrap();
        for _ in 0..2 {
            assert!(host.run(POSTRM, "remove"));
            assert_eq!(host.current().is_some(), is_left, "{target}");
        }
    }
}

#[test]
fn units_that_were_enabled_follow_the_package() {
    let host = Host::new("units", false);
    fs::create_dir_all(host.path("etc/systemd/system/multi-user.target.wants")).unwrap();
    let old = host.path("opt/corelane/releases/old/lib/systemd/system/corelane.service");
    let links = ["etc/systemd/system/corelane.service", "etc/systemd/system/multi-user.target.wants/corelane.service"]
        .map(|name| host.path(name));
    links.iter().for_each(|link| symlink(&old, link).unwrap());
    let other = host.path("etc/systemd/system/ssh.service");
    symlink("/lib/systemd/system/ssh.service", &other).unwrap();
    assert!(host.run(POSTINST, "configure"));
    for link in links {
        assert_eq!(fs::read_link(link).unwrap(), host.path("opt/corelane/current/lib/systemd/system/corelane.service"));
    }
    assert_eq!(fs::read_link(other).unwrap(), Path::new("/lib/systemd/system/ssh.service"));
}

/// Files that programs of the package make.
const MADE: [&str; 8] = [
    "etc/corelane/corelane.toml",
    "opt/corelane/.lock",
    "opt/corelane/configuration/new/corelane.toml",
    "opt/corelane/history",
    "opt/corelane/releases/new/manifest.json.minisig",
    "var/lib/corelane/tune/journal",
    "var/log/corelane/access.log",
    "var/log/shardstored/access.log",
];

#[test]
fn a_purge_leaves_nothing_that_the_programs_made_and_all_that_the_operator_did() {
    let host = Host::new("purge", false);
    fs::remove_dir(host.path("opt/corelane/releases/old")).unwrap();
    for name in MADE {
        host.write(name);
    }
    host.write("etc/corelane/topology.toml");
    for argument in ["remove", "purge", "purge"] {
        assert_eq!(host.said(POSTRM, argument).as_deref(), Some(""), "{argument}");
    }
    assert_eq!(host.left("opt"), Vec::<String>::new());
    assert_eq!(host.left("var"), ["var/lib", "var/log"]);
    assert_eq!(host.left("etc"), ["etc/corelane", "etc/corelane/topology.toml"]);
}

#[test]
fn a_purge_leaves_other_releases_with_what_belongs_to_them() {
    let host = Host::new("purge-other", false);
    fs::rename(host.path("opt/corelane/releases/old"), host.path("opt/corelane/releases/0ld")).unwrap();
    symlink("releases/0ld", host.path("opt/corelane/current")).unwrap();
    MADE.iter().for_each(|name| host.write(name));
    host.write("opt/corelane/configuration/0ld/corelane.toml");
    for argument in ["remove", "purge"] {
        assert!(host.run(POSTRM, argument), "{argument}");
    }
    assert_eq!(
        host.left("opt/corelane"),
        [
            ".lock",
            "configuration",
            "configuration/0ld",
            "configuration/0ld/corelane.toml",
            "current",
            "history",
            "releases",
            "releases/0ld"
        ]
        .map(|name| format!("opt/corelane/{name}"))
    );
}

#[test]
fn a_purge_leaves_the_way_back_of_a_host_that_is_still_tuned() {
    for state in ["confirmed.json", "pending.json"] {
        let host = Host::new(state, false);
        host.write(&format!("var/lib/corelane/tune/{state}"));
        let said = host.said(POSTRM, "remove").unwrap();
        assert!(said.contains("still tuned") && said.contains("corectl tune rollback"), "{said}");
        assert!(host.run(POSTRM, "purge"));
        assert_eq!(host.left("var/lib/corelane/tune"), [format!("var/lib/corelane/tune/{state}")]);
    }
}
