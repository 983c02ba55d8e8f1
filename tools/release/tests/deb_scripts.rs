//! The scripts of the Debian package, run again after an interruption at each of their steps.
//!
//! **Not** dpkg: the paths of the host are those of a folder, and systemctl is one that always fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const POSTINST: &str = include_str!("../packaging/deb/postinst");
const PRERM: &str = include_str!("../packaging/deb/prerm");
const POSTRM: &str = include_str!("../packaging/deb/postrm");

struct Host(PathBuf);

impl Host {
    /// A host that has the releases `old` and `new`; with systemd running or without.
    fn new(name: &str, has_systemd: bool) -> Self {
        let folder = std::env::temp_dir().join(format!("corelane-deb-{name}-{}", std::process::id()));
        for release in ["old", "new"] {
            fs::create_dir_all(folder.join("opt/releases").join(release)).unwrap();
        }
        fs::create_dir_all(folder.join("bin")).unwrap();
        fs::create_dir_all(folder.join("etc")).unwrap();
        if has_systemd {
            fs::create_dir_all(folder.join("run")).unwrap();
        }
        let systemctl = folder.join("bin/systemctl");
        fs::write(&systemctl, "#!/bin/sh\nexit 1\n").unwrap();
        fs::set_permissions(&systemctl, Permissions::from_mode(0o755)).unwrap();
        for program in ["ln", "mv", "rm", "rmdir", "readlink"] {
            let path = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(program));
            symlink(path.iter().find(|path| path.exists()).unwrap(), folder.join("bin").join(program)).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn run(&self, script: &str, argument: &str) -> bool {
        let path = |name: &str| self.path(name).display().to_string();
        let script = script
            .replace("@DIGEST@", "new")
            .replace("/opt/corelane", &path("opt"))
            .replace("/etc/corelane", &path("etc"))
            .replace("/etc/systemd/system", &path("units"))
            .replace("/run/systemd/system", &path("run"));
        let status =
            Command::new("/bin/sh").args(["-c", &script, "script", argument]).env("PATH", self.path("bin")).status();
        status.unwrap().success()
    }

    fn current(&self) -> Option<PathBuf> {
        fs::read_link(self.path("opt/current")).ok()
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
        symlink("releases/old", host.path("opt/current")).unwrap();
        if let Some(left) = left {
            symlink(left, host.path("opt/current.dpkg")).unwrap();
        }
        for _ in 0..2 {
            assert!(host.run(POSTINST, "configure"), "{name}");
            assert_eq!(host.current().unwrap(), Path::new("releases/new"), "{name}");
        }
        assert_eq!(
            fs::read_dir(host.path("opt/releases/old")).unwrap().count(),
            0,
            "{name}: nothing is made in a release"
        );
        assert!(fs::symlink_metadata(host.path("opt/current.dpkg")).is_err(), "{name}");
    }
}

#[test]
fn a_package_whose_units_are_not_there_can_be_removed() {
    let host = Host::new("remove", true);
    symlink("releases/new", host.path("opt/current.dpkg")).unwrap();
    assert!(host.run(PRERM, "remove"));
    for argument in ["remove", "purge", "purge"] {
        assert!(host.run(POSTRM, argument), "{argument}");
        assert!(fs::symlink_metadata(host.path("opt/current.dpkg")).is_err());
    }
}

#[test]
fn removing_takes_the_link_only_where_it_leads_to_this_package() {
    for (target, is_left) in [("releases/new", false), ("releases/old", true)] {
        let host = Host::new(&target.replace('/', "-"), false);
        symlink(target, host.path("opt/current")).unwrap();
        for _ in 0..2 {
            assert!(host.run(POSTRM, "remove"));
            assert_eq!(host.current().is_some(), is_left, "{target}");
        }
    }
}

#[test]
fn units_that_were_enabled_follow_the_package() {
    let host = Host::new("units", false);
    fs::create_dir_all(host.path("units/multi-user.target.wants")).unwrap();
    let old = host.path("opt/releases/old/lib/systemd/system/corelane.service");
    let links =
        ["units/corelane.service", "units/multi-user.target.wants/corelane.service"].map(|name| host.path(name));
    links.iter().for_each(|link| symlink(&old, link).unwrap());
    let other = host.path("units/ssh.service");
    symlink("/lib/systemd/system/ssh.service", &other).unwrap();
    assert!(host.run(POSTINST, "configure"));
    for link in links {
        assert_eq!(fs::read_link(link).unwrap(), host.path("opt/current/lib/systemd/system/corelane.service"));
    }
    assert_eq!(fs::read_link(other).unwrap(), Path::new("/lib/systemd/system/ssh.service"));
}
