//! `corectl release` as an operator and a playbook use it: words and exit statuses.
//!
//! **Not** every way in which a release can be wrong, which the tests of corelane-release go through.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use corelane_release::manifest::FileMode;
use corelane_release::pack::{ReleaseFiles, ReleaseIdentity, pack};
use corelane_release::path::ReleasePath;
use minisign::KeyPair;

/// A folder with a maker's releases and a host's.
struct MakerAndHost {
    folder: PathBuf,
    pair: KeyPair,
}

impl MakerAndHost {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("corectl-release-{name}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        fs::write(folder.join("maker.pub"), pair.pk.to_box().unwrap().to_string()).unwrap();
        Self { folder, pair }
    }

    /// Makes and signs a release; returns its archive.
    fn release(&self, version: &str) -> PathBuf {
        let path = ReleasePath::new("bin/corelane").unwrap();
        let files = ReleaseFiles::from([(path, (FileMode::Program, version.as_bytes().to_vec()))]);
        let identity = ReleaseIdentity {
            version: version.parse().unwrap(),
            commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            commit_time: 1,
            target: format!("{}-unknown-linux-gnu", std::env::consts::ARCH),
        };
        let (manifest, archive) = pack(&identity, &files).unwrap();
        let manifest = manifest.to_json().unwrap();
        let signature = minisign::sign(None, &self.pair.sk, manifest.as_bytes(), None, None).unwrap();
        let stem = self.folder.join(identity.stem()).display().to_string();
        fs::write(format!("{stem}.json"), manifest).unwrap();
        fs::write(format!("{stem}.json.minisig"), signature.to_string()).unwrap();
        fs::write(format!("{stem}.tar.zst"), archive).unwrap();
        format!("{stem}.tar.zst").into()
    }

    /// Exit status, and what is printed.
    fn corectl(&self, arguments: &[&str]) -> (i32, String) {
        self.corectl_with("022", arguments)
    }

    fn corectl_with(&self, umask: &str, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new("sh");
        command.args(["-c", "umask $0 && exec \"$@\"", umask, env!("CARGO_BIN_EXE_corectl")]);
        command.arg("release").args(arguments).arg("--root").arg(self.folder.join("opt"));
        command.arg("--configuration").arg(self.folder.join("etc"));
        if ["verify", "install"].contains(&arguments[0]) && !arguments.contains(&"--key") {
            command.arg("--key").arg(self.folder.join("maker.pub"));
        }
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }

    fn install(&self, version: &str) -> (i32, String) {
        let archive = self.release(version);
        self.corectl(&["install", archive.to_str().unwrap()])
    }
}

impl Drop for MakerAndHost {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn installed_listed_verified_and_gone_back_from() {
    let both = MakerAndHost::new("life");
    for version in ["1.0.0", "1.1.0"] {
        let (status, said) = both.install(version);
        assert!(status == 0 && said.contains(version) && said.contains("systemctl daemon-reload"), "{said}");
    }
    let (_, listed) = both.corectl(&["list"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("* ") && lines[0].contains("1.1.0"), "{listed}");
    assert_eq!(both.corectl(&["verify", "current"]).0, 0);
    let (status, said) = both.corectl(&["rollback"]);
    assert!(status == 0 && said.contains("1.0.0"), "{said}");
    assert_eq!(fs::read_to_string(both.folder.join("opt/current/bin/corelane")).unwrap(), "1.0.0");
    let (_, json) = both.corectl(&["list", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json[0]["version"], &json[0]["current"]), (&"1.0.0".into(), &true.into()));
}

#[test]
fn no_umask_keeps_services_out_or_lets_others_in() {
    let facts = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for umask in ["077", "000"] {
        let both = MakerAndHost::new(umask);
        let archive = both.release("1.0.0");
        let (status, said) = both.corectl_with(umask, &["install", text(&archive)]);
        assert_eq!(status, 0, "{said}");
        let (current, root) = (both.folder.join("opt/current"), both.folder.join("opt"));
        for folder in [&root, &root.join("releases"), &current, &current.join("bin")] {
            assert_eq!(facts(folder), 0o755, "umask {umask}: {}", folder.display());
        }
        assert_eq!(facts(&current.join("bin/corelane")), 0o755);
        for file in [current.join("manifest.json"), current.join("manifest.json.minisig"), root.join("history")] {
            assert_eq!(facts(&file), 0o644, "umask {umask}: {}", file.display());
        }
        assert_eq!(facts(&root.join(".lock")), 0o600);
        let (status, said) = both.corectl(&["verify", "current"]);
        assert_eq!(status, 0, "{said}");
    }
}

#[test]
fn what_is_damaged_is_listed_with_a_remedy_that_helps() {
    let both = MakerAndHost::new("damaged");
    assert_eq!(both.install("1.0.0").0, 0);
    assert_eq!(both.install("1.1.0").0, 0);
    fs::write(both.folder.join("opt/current/manifest.json"), "{").unwrap();
    let (status, listed) = both.corectl(&["list"]);
    assert!(status == 0 && listed.contains("1.0.0") && listed.contains("install that release again"), "{listed}");
    let (_, json) = both.corectl(&["list", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json[0]["damaged"].is_string() && json[1]["damaged"].is_null(), "{json}");
    let (status, said) = both.corectl(&["verify", "current"]);
    assert!(status == 1 && said.contains("install the same one again"), "{said}");
    let (status, said) = both.install("1.1.0");
    assert!(status == 0 && said.contains("made good: "), "{said}");
    assert_eq!(both.corectl(&["verify", "current"]).0, 0);

    fs::remove_file(both.folder.join("opt/current")).unwrap();
    std::os::unix::fs::symlink("nowhere", both.folder.join("opt/current")).unwrap();
    let (status, listed) = both.corectl(&["list"]);
    assert!(status == 0 && listed.contains("it leads to nowhere") && listed.contains("1.1.0"), "{listed}");
    assert_eq!(both.install("1.1.0").0, 0);
}

#[test]
fn what_is_wrong_is_refused_with_words_and_status_1() {
    let both = MakerAndHost::new("refused");
    assert_eq!(both.install("1.1.0").0, 0);
    let archive = both.release("1.0.0");
    let (status, said) = both.corectl(&["install", text(&archive)]);
    assert!(status == 1 && said.starts_with("refused: ") && said.contains("--allow-downgrade"), "{said}");
    let (status, said) = both.corectl(&["install", text(&archive), "--allow-downgrade"]);
    assert!(status == 0, "{said}");

    let archive = both.release("1.2.0");
    let mut bytes = fs::read(&archive).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&archive, bytes).unwrap();
    let (status, said) = both.corectl(&["verify", text(&archive)]);
    assert!(status == 1 && said.contains("tar.zst: changed: sha256"), "{said}");

    let archive = both.release("1.3.0");
    fs::remove_file(text(&archive).replace(".tar.zst", ".json.minisig")).unwrap();
    let (status, said) = both.corectl(&["install", text(&archive)]);
    assert!(status == 1 && said.contains(".json: not signed"), "{said}");

    let other = MakerAndHost::new("other-maker");
    let archive = both.release("1.4.0");
    let (status, said) = both.corectl(&["install", text(&archive), "--key", text(&other.folder.join("maker.pub"))]);
    assert!(status == 1 && said.contains("not among the trusted keys"), "{said}");
}

#[test]
fn what_cannot_be_done_is_status_2_with_what_to_do() {
    let both = MakerAndHost::new("hindered");
    let (missing, key) = (both.folder.join("missing.tar.zst"), both.folder.join("other.pub"));
    let (missing, key) = (text(&missing), text(&key));
    let nothing_yet =
        format!("{}: nothing is installed there; corectl release install FILE", text(&both.folder.join("opt")));
    for (arguments, expected) in [
        (&["rollback"][..], nothing_yet.as_str()),
        (&["verify", missing], "missing.tar.zst: no such file, and no installed release has a digest that begins so"),
        (&["verify", "ffff"], "ffff: no such file, and no installed release"),
        (&["verify", "current"], "current: nothing is installed"),
        (
            &["verify", missing, "--key", key],
            "other.pub: no such file; copy the public key of the releases' maker there",
        ),
        (&["install", missing, "--key", key], "other.pub: no such file; copy the public key"),
    ] {
        let (status, said) = both.corectl(arguments);
        assert_eq!(status, 2, "{arguments:?}: {said}");
        let lines: Vec<&str> = said.lines().collect();
        assert!(
            lines.len() == 1 && lines[0].starts_with("error: ") && said.contains(expected),
            "{arguments:?}: {said}"
        );
    }
    let (status, said) = both.corectl(&["install", missing]);
    assert_eq!((status, said.matches("No such file").count()), (2, 1), "a reason is given once: {said}");
    assert_eq!(
        both.corectl(&["list"]).1,
        format!("nothing is installed in {}\n", text(&both.folder.join("opt/releases")))
    );

    assert_eq!(both.install("1.0.0").0, 0);
    fs::remove_file(both.folder.join("opt/current/bin/corelane")).unwrap();
    let (status, said) = both.corectl(&["verify", "current"]);
    assert!(status == 2 && said.contains("install the same one again"), "{said}");
}
