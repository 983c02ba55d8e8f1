//! The units as systemd reads them: without a word that it does not know, and exposed as little as docs/operations.md says.
//!
//! **Not** how services behave under them.
//!
//! **Source**: systemd-analyze(1); it needs no running systemd.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SERVICES: [&str; 2] = ["corelane", "shardstored"];

/// The exposure above which `systemd-analyze security` fails, times ten.
const EXPOSURE_MAX: &str = "--threshold=20";

/// Units in a folder of their own, with a program that exists on this host.
struct Units(PathBuf);

impl Units {
    fn new(name: &str, change: impl Fn(&str) -> String) -> Self {
        let folder = std::env::temp_dir().join(format!("corelane-units-{name}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
        fs::copy(packaging.join("corelane.slice"), folder.join("corelane.slice")).unwrap();
        for service in SERVICES {
            let unit = fs::read_to_string(packaging.join(format!("{service}.service"))).unwrap();
            let installed = format!("/opt/corelane/current/bin/{service} ");
            assert!(unit.contains(&installed), "{service}");
            fs::write(folder.join(format!("{service}.service")), change(&unit.replace(&installed, "/bin/true ")))
                .unwrap();
        }
        Self(folder)
    }

    /// Exit status, and what is printed.
    fn analyze(&self, service: &str, arguments: &[&str]) -> (bool, String) {
        let unit = self.0.join(format!("{service}.service"));
        let output = Command::new("systemd-analyze").args(arguments).arg(unit).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    fn verify(&self, service: &str) -> (bool, String) {
        self.analyze(service, &["verify", "--recursive-errors=yes", "--man=no"])
    }
}

impl Drop for Units {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn systemd_knows_every_word_of_the_units() {
    let units = Units::new("known", str::to_owned);
    for service in SERVICES {
        let (passed, text) = units.verify(service);
        assert!(passed && text.is_empty(), "{service}: {text}");
    }
}

/// The number that a unit has for a key, in seconds where it is a time.
fn number(unit: &str, key: &str) -> u64 {
    let value = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {key}")).parse().unwrap()
}

/// Time for which a start that ends at once is tried again; how long a program may live to be left alone when it dies again and again.
fn restarts(unit: &str) -> (u64, u64) {
    let (pause, burst) = (number(unit, "RestartSec"), number(unit, "StartLimitBurst"));
    let each = number(unit, "StartLimitIntervalSec") / burst;
    (pause * burst, each.saturating_sub(pause))
}

#[test]
fn what_may_be_there_later_is_waited_for_and_a_crash_loop_ends() {
    for service in SERVICES {
        let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
        let unit = fs::read_to_string(packaging.join(format!("{service}.service"))).unwrap();
        let (tried, lives) = restarts(&unit);
        assert!(tried >= 300, "{service}: a start that ends with 75 is tried for {tried} s");
        assert!(lives >= 15, "{service}: a program that dies after {lives} s is started for ever");
        // Whoever is behind a balancer or a topology is missed for so long after a crash.
        assert!(number(&unit, "RestartSec") <= 3, "{service}");
    }
}

#[test]
fn a_word_that_systemd_does_not_know_is_found() {
    let units = Units::new("unknown", |unit| unit.replace("LockPersonality=", "LockPersonalty="));
    let (passed, text) = units.verify("corelane");
    assert!(!passed && text.contains("LockPersonalty"), "{text}");
}

#[test]
fn services_are_exposed_as_little_as_the_documentation_says() {
    let units = Units::new("exposed", str::to_owned);
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md")).unwrap();
    for service in SERVICES {
        let (passed, text) = units.analyze(service, &["security", "--offline=true", EXPOSURE_MAX, "--no-pager"]);
        assert!(passed, "{text}");
        let level = text.split("Overall exposure level for ").nth(1).unwrap();
        let level = level.split(": ").nth(1).unwrap().split(' ').next().unwrap();
        assert!(page.contains(&format!("`systemd-analyze security {service}` reports {level}")), "{level}");
    }
}

#[test]
fn a_service_without_its_hardening_is_found() {
    let units = Units::new("soft", |unit| {
        unit.replace("ProtectSystem=strict\n", "")
            .replace("NoNewPrivileges=yes\n", "")
            .replace("SystemCallFilter=@system-service\n", "")
    });
    let (passed, text) = units.analyze("corelane", &["security", "--offline=true", EXPOSURE_MAX, "--no-pager"]);
    assert!(!passed, "{text}");
}
