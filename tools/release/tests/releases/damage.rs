//! Installed releases that somebody changed: found, named, mended, and no obstacle to the others.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use corelane_release::ReleaseError;
use corelane_release::keys::TrustedKeys;
use corelane_release::store::Downgrade;

use super::support::{Maker, ReleaseHost, edit};
use super::{install, open, runs, versions};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_others_could_change_is_not_as_it_was_signed() {
    const NOBODY: u32 = 65_534;
    type Change = fn(&ReleaseHost, &Path);
    let mut cases: Vec<(&str, Change)> = vec![
        ("bin: not a folder any more", |host, folder| {
            fs::rename(folder.join("bin"), host.path("elsewhere")).unwrap();
            symlink(host.path("elsewhere"), folder.join("bin")).unwrap();
        }),
        ("bin: mode 0777: others than its owner can change it", |_, folder| set_mode(&folder.join("bin"), 0o777)),
        ("bin: mode 0700, and not 0755", |_, folder| set_mode(&folder.join("bin"), 0o700)),
        ("manifest.json: mode 0666: others", |_, folder| set_mode(&folder.join("manifest.json"), 0o666)),
        ("releases: mode 0775: others", |host, _| set_mode(&host.path("opt/releases"), 0o775)),
        ("opt: mode 0757: others", |host, _| set_mode(&host.path("opt"), 0o757)),
        ("opt: mode 0700: services cannot reach", |host, _| set_mode(&host.path("opt"), 0o700)),
    ];
    // Only root can give files away.
    if rustix::process::geteuid().is_root() {
        cases.push(("bin/corelane: owned by user 65534, not by root", |_, folder| {
            chown(folder.join("bin/corelane"), Some(NOBODY), None).unwrap();
        }));
        cases.push(("etc: owned by user 65534", |_, folder| chown(folder.join("etc"), Some(NOBODY), None).unwrap()));
    }
    let maker = Maker::new();
    for (expected, change) in cases {
        let host = ReleaseHost::new();
        let keys = TrustedKeys::read(&[maker.public(&host)]).unwrap();
        install(&host, &maker, "1.0.0", 1).unwrap();
        let digest = host.store().current().unwrap().unwrap().to_string();
        install(&host, &maker, "1.1.0", 2).unwrap();
        host.store().verify(&digest, &keys).unwrap();
        change(&host, &host.path("opt/releases").join(&digest));
        for outcome in [host.store().verify(&digest, &keys).map(drop), host.store().rollback(None).map(drop)] {
            let error = outcome.expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
        let made = maker.release(&host, "1.0.0", 1);
        let mut release = open(&host, &maker, &made.archive).unwrap();
        host.store().install(&mut release, Downgrade::Allowed).unwrap();
        // The folder of the store itself may be the operator's choice.
        set_mode(&host.path("opt"), 0o755);
        host.store().verify("current", &keys).expect("installing it again made it good");
    }
}

#[test]
fn nobody_else_can_hold_the_lock() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    install(&host, &maker, "1.0.0", 1).unwrap();
    let lock = host.path("opt/.lock");
    assert_eq!(mode(&lock), 0o600);
    set_mode(&lock, 0o644);
    install(&host, &maker, "1.1.0", 2).unwrap();
    assert_eq!(mode(&lock), 0o600, "of an earlier version");
}

#[test]
fn installing_the_same_release_again_makes_a_damaged_one_good() {
    type Change = fn(&Path);
    let cases: [(&str, Change); 4] = [
        ("bin/corelane: changed: sha256", |folder| edit(&folder.join("bin/corelane"), |bytes| bytes.push(b'x'))),
        ("manifest.json: changed: sha256", |folder| fs::write(folder.join("manifest.json"), "{").unwrap()),
        ("manifest.json: cannot be read", |folder| fs::remove_file(folder.join("manifest.json")).unwrap()),
        ("not a folder any more", |folder| {
            fs::remove_dir_all(folder).unwrap();
            fs::write(folder, "x").unwrap();
        }),
    ];
    let maker = Maker::new();
    for (expected, change) in cases {
        let host = ReleaseHost::new();
        install(&host, &maker, "1.0.0", 1).unwrap();
        change(&fs::canonicalize(host.path("opt/current")).unwrap());
        let made = maker.release(&host, "1.0.0", 1);
        let mut release = open(&host, &maker, &made.archive).unwrap();
        let done = host.store().install(&mut release, Downgrade::Refused).unwrap();
        assert!(done.repaired.as_ref().is_some_and(|fault| fault.contains(expected)), "{:?}", done.repaired);
        let keys = TrustedKeys::read(&[maker.public(&host)]).unwrap();
        host.store().verify("current", &keys).unwrap();
        assert_eq!(fs::read_dir(host.path("opt/releases")).unwrap().count(), 1, "nothing is left of it");
    }
}

#[test]
fn a_damaged_manifest_hides_no_other_release() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    for (version, time) in [("1.0.0", 1), ("1.1.0", 2), ("1.2.0", 3)] {
        install(&host, &maker, version, time).unwrap();
    }
    let store = host.store();
    edit(&host.path("opt/current/manifest.json"), |bytes| bytes.truncate(9));
    let listed = store.list().unwrap();
    let fault = listed.releases[0].manifest.as_ref().expect_err("it is damaged");
    assert!(fault.contains("manifest.json: not a manifest") && fault.contains("install that release again"), "{fault}");
    assert!(listed.releases[0].is_current && listed.releases[1..].iter().all(|release| release.manifest.is_ok()));
    let damaged = listed.releases[0].digest.to_string();
    store.rollback(None).unwrap();
    assert_eq!(runs(&host), "program 1.1.0");
    assert!(store.rollback(Some(&damaged)).is_err(), "but not to it");
    install(&host, &maker, "1.3.0", 4).unwrap();
    assert_eq!(runs(&host), "program 1.3.0");
}

#[test]
fn wherever_current_leads_the_host_can_be_brought_back() {
    let digest = "0".repeat(64);
    let absent = format!("releases/{digest}");
    let elsewhere = format!("/tmp/{digest}");
    for target in ["nowhere", &elsewhere, &absent] {
        for way in ["rollback", "install"] {
            let host = ReleaseHost::new();
            let maker = Maker::new();
            install(&host, &maker, "1.0.0", 1).unwrap();
            install(&host, &maker, "1.1.0", 2).unwrap();
            fs::remove_file(host.path("opt/current")).unwrap();
            symlink(target, host.path("opt/current")).unwrap();
            let listed = host.store().list().unwrap();
            assert_eq!(listed.fault.is_none(), target == absent, "{:?}", listed.fault);
            assert_eq!(listed.releases.iter().filter(|release| release.manifest.is_ok()).count(), 2);
            if way == "rollback" {
                host.store().rollback(Some(&listed.releases.last().unwrap().digest.to_string())).unwrap();
            } else {
                install(&host, &maker, "1.2.0", 3).unwrap();
            }
            assert!(versions(&host.store())[0].ends_with('*'), "{target}: {way}");
        }
    }
}

#[test]
fn a_way_back_to_a_damaged_release_is_finished_by_installing_it() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    install(&host, &maker, "1.0.0", 1).unwrap();
    let target = host.store().current().unwrap().unwrap();
    install(&host, &maker, "1.1.0", 2).unwrap();
    fs::write(host.path("opt/.returning"), format!("{target}\n")).unwrap();
    edit(&host.path("opt/releases").join(target.to_string()).join("bin/corelane"), |bytes| bytes.push(b'x'));
    assert!(matches!(host.store().rollback(None), Err(ReleaseError::Changed { .. })));
    let made = maker.release(&host, "1.0.0", 1);
    let mut release = open(&host, &maker, &made.archive).unwrap();
    host.store().install(&mut release, Downgrade::Allowed).unwrap();
    assert_eq!(runs(&host), "program 1.0.0");
    assert!(!host.path("opt/.returning").exists());
}
