//! Releases made, signed, changed and installed, as a maker, a host and somebody in between would.
//!
//! **Invariants**: keys are made here, for one test each.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[path = "releases/configuration.rs"]
mod configuration;
#[path = "releases/damage.rs"]
mod damage;
mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use corelane_release::ReleaseError;
use corelane_release::bundle::VerifiedRelease;
use corelane_release::keys::TrustedKeys;
use corelane_release::manifest::ReleaseManifest;
use corelane_release::store::{Downgrade, InstalledRelease, KEPT, ListedRelease, ReleaseStore};

use support::{Maker, ReleaseHost, edit, entry, tar_zst};

fn open(host: &ReleaseHost, maker: &Maker, path: &Path) -> Result<VerifiedRelease, ReleaseError> {
    VerifiedRelease::open(path, &TrustedKeys::read(&[maker.public(host)])?)
}

#[test]
fn a_signed_release_is_verified_by_its_manifest_or_its_archive() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    let made = maker.release(&host, "1.0.0", 1);
    for path in [&made.manifest, &made.archive] {
        let mut release = open(&host, &maker, path).unwrap();
        release.check_contents().unwrap();
        assert_eq!(release.manifest.version.to_string(), "1.0.0");
    }
}

#[test]
fn the_same_files_make_the_same_bytes() {
    let (one, other) = (ReleaseHost::new(), ReleaseHost::new());
    let maker = Maker::new();
    let (a, b) = (maker.release(&one, "1.0.0", 1), maker.release(&other, "1.0.0", 1));
    assert_eq!(fs::read(&a.archive).unwrap(), fs::read(&b.archive).unwrap());
    assert_eq!(fs::read(&a.manifest).unwrap(), fs::read(&b.manifest).unwrap());
}

#[test]
fn whatever_was_changed_after_signing_is_refused_by_name() {
    let maker = Maker::new();
    type Change = fn(&ReleaseHost, &support::Made);
    let cases: [(&str, Change); 6] = [
        ("corelane-1.0.0-x86_64-unknown-linux-gnu.tar.zst: changed: sha256", |_, made| {
            edit(&made.archive, |bytes| *bytes.last_mut().unwrap() ^= 1);
        }),
        ("tar.zst: changed: size", |_, made| edit(&made.archive, |bytes| bytes.push(0))),
        (".json: changed after it was signed", |_, made| {
            edit(&made.manifest, |bytes| *bytes.iter_mut().find(|byte| **byte == b'7').unwrap() = b'8');
        }),
        (".json.minisig: not a minisign signature", |_, made| {
            fs::write(&made.signature, "untrusted comment: x\nAAAA\n").unwrap();
        }),
        (".json: not signed: ", |_, made| fs::remove_file(&made.signature).unwrap()),
        ("signed with a key that is not among the trusted keys", |_, made| Maker::new().sign(&made.manifest)),
    ];
    for (expected, change) in cases {
        let host = ReleaseHost::new();
        let made = maker.release(&host, "1.0.0", 1);
        change(&host, &made);
        let error = open(&host, &maker, &made.archive).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn every_single_changed_byte_of_a_manifest_is_refused() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    let made = maker.release(&host, "1.0.0", 1);
    let bytes = fs::read(&made.manifest).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&made.manifest, changed).unwrap();
        let error = open(&host, &maker, &made.manifest).expect_err("it was changed");
        assert!(matches!(error, ReleaseError::SignatureWrong { .. }), "{at}: {error}");
    }
}

/// Archives that a maker signed and that should never have been made: the last line of defence.
#[test]
fn hostile_archives_write_nothing_outside_and_leave_nothing_inside() {
    let root = "corelane-1.0.0-x86_64-unknown-linux-gnu";
    let file = |name: &str, content: &str| entry(&format!("{root}/{name}"), tar::EntryType::Regular, content);
    let whole = [file("bin/corelane", "program 1.0.0"), file("etc/corelane.toml", "# 1.0.0\n")];
    let with = |more| [whole.to_vec(), vec![more]].concat();
    let cases = [
        ("leads out of the folder", with(file("../../outside", "x"))),
        ("begins at the root", with(entry("/outside", tar::EntryType::Regular, "x"))),
        ("neither a file nor a folder", with(entry(&format!("{root}/link"), tar::EntryType::Symlink, ""))),
        ("neither a file nor a folder", with(entry(&format!("{root}/link"), tar::EntryType::Link, ""))),
        ("more: in the archive, and not in the manifest", with(file("more", "x"))),
        ("bin/corelane: twice in the archive", with(file("bin/corelane", "program 1.0.0"))),
        ("etc/corelane.toml: in the manifest, and not in the archive", whole[..1].to_vec()),
        ("bin/corelane: changed: sha256", vec![file("bin/corelane", "program 6.6.6"), whole[1].clone()]),
        ("bin/corelane: changed: size", vec![file("bin/corelane", "x"), whole[1].clone()]),
    ];
    for (expected, entries) in cases {
        let host = ReleaseHost::new();
        let maker = Maker::new();
        let made = maker.release(&host, "1.0.0", 1);
        maker.replace_archive(&made, &tar_zst(&entries));
        let error = open(&host, &maker, &made.archive).unwrap().check_contents().expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
        let store = host.store();
        let mut release = open(&host, &maker, &made.archive).unwrap();
        let error = store.install(&mut release, Downgrade::Refused).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(store.list().unwrap().releases, []);
        assert_eq!(fs::read_dir(host.path("opt/releases")).unwrap().count(), 0, "{expected}");
        assert!(!host.path("outside").exists() && !Path::new("/outside").exists(), "{expected}");
    }
}

#[test]
fn what_is_no_archive_is_refused() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    let made = maker.release(&host, "1.0.0", 1);
    for bytes in [&b"not zstd"[..], &[], &fs::read(&made.archive).unwrap()[..40]] {
        maker.replace_archive(&made, bytes);
        let error = open(&host, &maker, &made.archive).unwrap().check_contents().expect_err("no archive").to_string();
        assert!(
            error.contains("tar.zst: not an archive")
                || error.contains("not in the archive")
                || error.contains("unpacking"),
            "{error}"
        );
    }
}

fn install(host: &ReleaseHost, maker: &Maker, version: &str, time: u64) -> Result<(), ReleaseError> {
    let made = maker.release(host, version, time);
    host.store().install(&mut open(host, maker, &made.archive)?, Downgrade::Refused).map(drop)
}

fn versions(store: &ReleaseStore) -> Vec<String> {
    let text = |release: &InstalledRelease| {
        format!("{}{}", release.manifest.version, if release.is_current { "*" } else { "" })
    };
    let known = |listed: ListedRelease| InstalledRelease {
        digest: listed.digest,
        manifest: listed.manifest.unwrap(),
        is_current: listed.is_current,
    };
    store.list().unwrap().releases.into_iter().map(|listed| text(&known(listed))).collect()
}

fn runs(host: &ReleaseHost) -> String {
    fs::read_to_string(host.path("opt/current/bin/corelane")).unwrap()
}

#[test]
fn installing_switches_keeps_three_and_going_back_goes_further_back() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    let store = host.store();
    for (version, time) in [("1.0.0", 1), ("1.1.0", 2), ("1.2.0", 3), ("1.3.0", 4)] {
        install(&host, &maker, version, time).unwrap();
        assert_eq!(runs(&host), format!("program {version}"));
    }
    assert_eq!(versions(&store), ["1.3.0*", "1.2.0", "1.1.0"]);
    assert_eq!(store.list().unwrap().releases.len(), KEPT);
    let mode = fs::metadata(host.path("opt/current/bin/corelane")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);

    store.rollback(None).unwrap();
    assert_eq!(versions(&store), ["1.2.0*", "1.1.0", "1.3.0"]);
    store.rollback(None).unwrap();
    assert_eq!(
        (versions(&store), runs(&host)),
        (["1.1.0*", "1.3.0", "1.2.0"].map(String::from).to_vec(), "program 1.1.0".to_owned())
    );
    let latest = store.list().unwrap().releases[1].digest.to_string();
    store.rollback(Some(&latest[..12])).unwrap();
    assert_eq!(versions(&store), ["1.3.0*", "1.2.0", "1.1.0"]);
    for (wanted, expected) in [("", "more than one"), ("zz", "no installed release")] {
        assert!(store.rollback(Some(wanted)).expect_err(wanted).to_string().contains(expected));
    }
}

#[test]
fn a_release_that_was_gone_back_from_is_the_first_to_go() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    for (version, time) in [("1.0.0", 1), ("1.1.0", 2), ("1.2.0", 3)] {
        install(&host, &maker, version, time).unwrap();
    }
    host.store().rollback(None).unwrap();
    install(&host, &maker, "1.3.0", 4).unwrap();
    assert_eq!(versions(&host.store()), ["1.3.0*", "1.1.0", "1.0.0"]);
}

#[test]
fn a_downgrade_needs_to_be_allowed() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    install(&host, &maker, "1.1.0", 5).unwrap();
    for (version, time) in [("1.0.0", 9), ("1.1.0", 4)] {
        let error = install(&host, &maker, version, time).expect_err("it is older").to_string();
        assert!(error.contains("--allow-downgrade") && error.contains("is older than 1.1.0"), "{error}");
        assert_eq!(versions(&host.store()), ["1.1.0*"]);
    }
    let made = maker.release(&host, "1.0.0", 9);
    let mut release = open(&host, &maker, &made.archive).unwrap();
    host.store().install(&mut release, Downgrade::Allowed).unwrap();
    assert_eq!(versions(&host.store()), ["1.0.0*", "1.1.0"]);
}

#[test]
fn a_release_for_another_kind_of_machine_is_refused() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    let made = maker.release_for(&host, "1.0.0", 1, "sparc64-unknown-linux-gnu");
    let mut release = open(&host, &maker, &made.archive).unwrap();
    let error = host.store().install(&mut release, Downgrade::Allowed).expect_err("not this host").to_string();
    assert!(error.contains("made for sparc64-unknown-linux-gnu, this host is "), "{error}");
}

#[test]
fn an_installed_release_that_was_changed_is_neither_verified_nor_gone_back_to() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    let keys = TrustedKeys::read(&[maker.public(&host)]).unwrap();
    type Change = fn(&Path);
    let cases: [(&str, Change); 6] = [
        ("bin/corelane: changed: sha256", |folder| edit(&folder.join("bin/corelane"), |bytes| bytes[0] ^= 1)),
        ("bin/corelane: changed: mode", |folder| {
            fs::set_permissions(folder.join("bin/corelane"), fs::Permissions::from_mode(0o4755)).unwrap();
        }),
        ("etc/corelane.toml: cannot be read", |folder| fs::remove_file(folder.join("etc/corelane.toml")).unwrap()),
        ("bin/more: in the folder, and not in the manifest", |folder| fs::write(folder.join("bin/more"), "x").unwrap()),
        ("bin/corelane: not a file any more", |folder| {
            fs::remove_file(folder.join("bin/corelane")).unwrap();
            symlink("/bin/true", folder.join("bin/corelane")).unwrap();
        }),
        ("manifest.json: changed", |folder| edit(&folder.join("manifest.json"), |bytes| bytes.push(b'\n'))),
    ];
    for (expected, change) in cases {
        let host = ReleaseHost::new();
        install(&host, &maker, "1.0.0", 1).unwrap();
        install(&host, &maker, "1.1.0", 2).unwrap();
        let store = host.store();
        let old = store.list().unwrap().releases[1].digest.to_string();
        store.verify(&old, &keys).unwrap();
        change(&host.path("opt/releases").join(&old));
        let error = store.verify(&old, &keys).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
        store.rollback(None).expect_err(expected);
        assert_eq!(runs(&host), "program 1.1.0");
        store.verify("current", &keys).unwrap();
    }
}

#[test]
fn what_an_interruption_left_is_cleared_or_finished() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    install(&host, &maker, "1.0.0", 1).unwrap();
    install(&host, &maker, "1.1.0", 2).unwrap();
    let store = host.store();

    // Killed while it unpacked: the folder is not a release, and goes with the next installation.
    fs::create_dir(host.path("opt/releases/.incoming-x")).unwrap();
    assert_eq!(versions(&store), ["1.1.0*", "1.0.0"]);
    install(&host, &maker, "1.1.1", 3).unwrap();
    assert!(!host.path("opt/releases/.incoming-x").exists());

    // Killed between the link and the history.
    fs::write(host.path("opt/history"), "").unwrap();
    install(&host, &maker, "1.1.2", 4).unwrap();
    assert_eq!(versions(&store)[..2], ["1.1.2*", "1.1.1"]);

    // Killed in a rollback, when the configuration was put back: the next one finishes it, and an installation says so.
    let target = store.list().unwrap().releases[1].digest.to_string();
    fs::write(host.path("opt/.returning"), format!("{target}\n")).unwrap();
    let error = install(&host, &maker, "1.2.0", 5).expect_err("a rollback is under way").to_string();
    assert!(error.contains(&format!("the way back to {target} was interrupted")), "{error}");
    store.rollback(None).unwrap();
    assert_eq!(versions(&store)[0], "1.1.1*");
    install(&host, &maker, "1.2.0", 5).unwrap();
}

#[test]
fn two_at_once_are_told_apart() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    install(&host, &maker, "1.0.0", 1).unwrap();
    let lock = fs::File::open(host.path("opt/.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    for outcome in [install(&host, &maker, "1.1.0", 2), host.store().rollback(None).map(drop)] {
        assert!(outcome.expect_err("it is locked").to_string().contains("another process"));
    }
}

#[test]
fn a_manifest_in_a_release_is_what_was_signed() {
    let host = ReleaseHost::new();
    let maker = Maker::new();
    install(&host, &maker, "1.0.0", 1).unwrap();
    let folder = host.path("opt/current");
    let bytes = fs::read(folder.join("manifest.json")).unwrap();
    assert_eq!(ReleaseManifest::parse(&bytes, Path::new("m")).unwrap().files.len(), 2);
    let keys = TrustedKeys::read(&[maker.public(&host)]).unwrap();
    keys.check(&folder.join("manifest.json"), &bytes, &folder.join("manifest.json.minisig")).unwrap();
}

#[test]
fn a_release_that_is_signed_anew_has_its_new_signature() {
    let (host, maker, next) = (ReleaseHost::new(), Maker::new(), Maker::new());
    let (store, made) = (host.store(), maker.release(&host, "1.0.0", 1));
    store.install(&mut open(&host, &maker, &made.manifest).unwrap(), Downgrade::Refused).unwrap();
    next.sign(&made.manifest);
    let keys = TrustedKeys::read(&[next.public(&host)]).unwrap();
    assert!(store.verify("current", &keys).is_err());
    store.install(&mut open(&host, &next, &made.manifest).unwrap(), Downgrade::Refused).unwrap();
    store.verify("current", &keys).unwrap();
}

#[test]
fn units_that_were_enabled_follow_the_current_release() {
    let (host, maker) = (ReleaseHost::new(), Maker::new());
    let links = host.path("system");
    fs::create_dir_all(links.join("multi-user.target.wants")).unwrap();
    let store = host.store().with_unit_links(&links);
    let install = |version: &str, time| {
        let made = maker.release(&host, version, time);
        store.install(&mut open(&host, &maker, &made.manifest).unwrap(), Downgrade::Refused).unwrap().current.digest
    };
    let first = install("1.0.0", 1);
    // As systemctl enable leaves them, and one that is nobody's business here.
    let root = host.path("opt");
    let unit = root.join("releases").join(first.to_string()).join("lib/corelane.service");
    let (link, wanted) = (links.join("corelane.service"), links.join("multi-user.target.wants/corelane.service"));
    symlink(&unit, &link).unwrap();
    symlink(&unit, &wanted).unwrap();
    symlink("/lib/systemd/system/ssh.service", links.join("ssh.service")).unwrap();
    install("1.1.0", 2);
    for link in [link, wanted] {
        assert_eq!(fs::read_link(link).unwrap(), root.join("current/lib/corelane.service"));
    }
    assert_eq!(fs::read_link(links.join("ssh.service")).unwrap(), Path::new("/lib/systemd/system/ssh.service"));
}
