//! `corectl pki` as operators, timers and playbooks use it: what is made, renewed, revoked, refused, and what a kill leaves.
//!
//! **Not** certificates themselves: the tests of corelane-pki show them to rustls and OpenSSL.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use corectl::pki::{
    InitOptions, IssueOptions, KeyFiles, LeafName, PkiFault, PkiFolder, PkiPicture, RenewOptions, RenewOutcome,
    RevokeTarget, RotationStep, RowState, TicketKeyChange, change_ticket_keys, init,
};
use corelane_pki::{CertificateRecord, RevocationRecord, SubjectNames};
use corelane_tls::store::{NamedFile, TicketKeys};
use rustls::pki_types::UnixTime;

/// 2026-01-01, in seconds since 1970.
const NOW: u64 = 1_767_225_600;

const DAY: u64 = 86_400;

/// A folder of one test, with the authority in `pki`.
struct Cluster {
    folder: PathBuf,
}

impl Cluster {
    fn empty(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("corectl-pki-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        Self { folder }
    }

    /// With an authority whose key is in the folder, and certificates of 90 days.
    fn with(name: &str, leaves: &[&str]) -> Self {
        let cluster = Self::empty(name);
        cluster.init(None).unwrap();
        for leaf in leaves {
            cluster.issue(leaf, NOW).unwrap();
        }
        cluster
    }

    fn init(&self, ca_key: Option<PathBuf>) -> Result<CertificateRecord, PkiFault> {
        let lifetime = Duration::from_secs(3650 * DAY);
        init(&self.pki(), &InitOptions { cluster: "blue".to_owned(), lifetime, ca_key, now: NOW })
    }

    fn pki(&self) -> PathBuf {
        self.folder.join("pki")
    }

    fn open(&self, now: u64) -> PkiFolder {
        PkiFolder::open(&self.pki(), KeyFiles::default(), now).unwrap()
    }

    fn issue(&self, name: &str, now: u64) -> Result<CertificateRecord, PkiFault> {
        self.open(now).issue(&request(name))
    }

    /// The first word of what became of each certificate.
    fn renew(&self, options: &RenewOptions, now: u64) -> Vec<(String, &'static str)> {
        let report = self.open(now).renew(options).unwrap();
        assert!(report.lists_fault.is_none(), "{report:?}");
        let word = |outcome: &RenewOutcome| match outcome {
            RenewOutcome::Renewed(_) => "renewed",
            RenewOutcome::NotDue { .. } => "not due",
            RenewOutcome::Revoked => "revoked",
            RenewOutcome::Failed(_) => "failed",
        };
        report.leaves.iter().map(|leaf| (leaf.name.to_string(), word(&leaf.outcome))).collect()
    }

    fn revoke(&self, target: RevokeTarget, now: u64) -> Result<usize, PkiFault> {
        self.open(now).revoke(&[target]).map(|revoked| revoked.len())
    }

    fn rotate(&self, step: &RotationStep, now: u64) -> Result<CertificateRecord, PkiFault> {
        self.open(now).rotate(step)
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.pki().join(file)).unwrap()
    }

    fn record(&self, name: &str) -> CertificateRecord {
        CertificateRecord::parse(&self.text(&format!("{name}.pem"))).unwrap()
    }

    fn states(&self, now: u64) -> Vec<RowState> {
        PkiPicture::of(&self.pki(), now).unwrap().rows.iter().map(|row| row.state).collect()
    }

    /// Certificate and key belong together.
    fn assert_pair(&self, name: &str) {
        assert!(self.record(name).is_pair_with(&self.text(&format!("{name}.key"))).unwrap(), "{name}");
    }

    /// Exit status, and what is printed.
    fn corectl(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.command(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_corectl"));
        command.arg("pki").args(arguments).current_dir(&self.folder);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn name(text: &str) -> LeafName {
    text.parse().unwrap()
}

fn request(leaf: &str) -> IssueOptions {
    let names = SubjectNames::new(&["host.example"], &["10.0.0.1".parse().unwrap()]).unwrap();
    IssueOptions { name: name(leaf), names, lifetime: Duration::from_secs(90 * DAY), replace: false }
}

fn begin() -> RotationStep {
    RotationStep::Begin { lifetime: Duration::from_secs(3650 * DAY), new_ca_key: None }
}

fn authorities(bundle: &str) -> usize {
    CertificateRecord::parse_all(bundle).unwrap().len()
}

#[test]
fn an_operator_makes_a_cluster() {
    let cluster = Cluster::empty("operator");
    for (arguments, status, words) in [
        (&["show"][..], 2, "corectl pki init"),
        (&["init", "--cluster", "blue"], 0, "for every host: pki/ca.pem and pki/crl.pem"),
        (&["init", "--cluster", "blue"], 2, "rotate-ca"),
        (&["issue", "node", "1", "--name", "n1.example", "--ip", "10.0.0.1"], 0, "pki/node-1.pem and pki/node-1.key"),
        (&["issue", "node", "1"], 2, "pki/node-1.pem: it is there already"),
        (&["issue", "node", "one"], 2, "1 to 65535"),
        (&["issue", "server", "www"], 2, "at least one DNS name"),
        (&["issue", "edge", "a", "--name", "no name"], 2, "not a DNS name"),
        (&["issue", "edge", "a", "--lifetime", "1s"], 2, "1h to 20 years"),
        (&["show"], 0, "n1.example 10.0.0.1"),
        (&["renew"], 0, "not due: node-1, "),
        (&["renew", "--force"], 2, "--all"),
        (&["renew", "node-1", "--force"], 0, "renewed: node-1, holds for 90 d"),
        (&["renew", "node-2"], 2, "pki/node-2.pem: no such certificate"),
        (&["revoke", "node-1"], 0, "revoked: node-1"),
        (&["show"], 0, "revoked: 2;"),
        (&["revoke", "node-1"], 0, "revoked already"),
        (&["renew"], 0, "revoked: node-1 is not renewed"),
        (&["renew", "node-1"], 1, "unless it is named with --force"),
        (&["revoke", "edge-a"], 2, "no certificate that was issued here"),
        (&["rotate-ca", "switch"], 2, "begin"),
        (&["ticket-keys"], 0, "pki/ticket.keys, 2 keys"),
        (&["ticket-keys"], 2, "--rotate"),
    ] {
        let (found, text) = cluster.corectl(arguments);
        assert!(found == status && text.contains(words), "{arguments:?}: {found}, {text}");
        assert!(!text.contains("PRIVATE"), "{text}");
    }
    let (_, text) = cluster.corectl(&["show", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["rows"][1]["name"], "node-1");
    assert_eq!(shown["rows"][1]["state"], "revoked");
    assert_eq!(shown["rows"][1]["serial"], cluster.record("node-1").serial.to_string());
    cluster.assert_pair("node-1");
}

/// What docs/tls.md tells operators to call is understood.
#[test]
fn the_documented_commands_are_commands() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tls.md")).unwrap();
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let commands: Vec<&str> = lines.filter(|line| line.starts_with("corectl pki ")).collect();
    assert!(commands.len() > 10);
    for command in commands {
        let parsed = corectl::command::command_line().try_get_matches_from(command.split_whitespace());
        assert!(parsed.is_ok(), "{command}: {}", parsed.unwrap_err());
    }
}

#[test]
fn keys_are_for_their_owner() {
    let cluster = Cluster::with("modes", &["edge-a"]);
    let outside = cluster.folder.join("outside.key");
    fs::remove_dir_all(cluster.pki()).unwrap();
    let id = cluster.init(Some(outside.clone())).unwrap().key_id.short();
    change_ticket_keys(&cluster.pki().join("ticket.keys"), TicketKeyChange::Make, NOW).unwrap();
    let keys = KeyFiles(vec![outside.clone()]);
    PkiFolder::open(&cluster.pki(), keys, NOW).unwrap().issue(&request("edge-a")).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for file in ["edge-a.key", "ticket.keys", "state.json"] {
        assert_eq!(mode(&cluster.pki().join(file)), 0o600, "{file}");
    }
    assert_eq!((mode(&outside), mode(&cluster.pki()), mode(&cluster.pki().join("ca"))), (0o600, 0o700, 0o700));
    assert!(!cluster.pki().join("ca").join(format!("{id}.key")).exists());
    // Without the key nothing is issued, and the message says where it was looked for.
    let refused = cluster.issue("edge-b", NOW).unwrap_err();
    assert!(matches!(refused, PkiFault::NoAuthorityKey { .. }) && refused.to_string().contains("--ca-key"));
    let wrong = KeyFiles(vec![cluster.pki().join("edge-a.key")]);
    let refused = PkiFolder::open(&cluster.pki(), wrong, NOW).unwrap().issue(&request("edge-b"));
    assert!(matches!(refused, Err(PkiFault::NoAuthorityKey { .. })));
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let cluster = Cluster::with("overwrite", &["node-1"]);
    let before = cluster.text("node-1.pem");
    assert!(matches!(cluster.issue("node-1", NOW), Err(PkiFault::Exists { .. })));
    assert!(matches!(cluster.init(None), Err(PkiFault::Exists { .. })));
    assert_eq!(cluster.text("node-1.pem"), before);
    // A key alone is somebody's, too.
    fs::rename(cluster.pki().join("node-1.key"), cluster.pki().join("node-2.key")).unwrap();
    assert!(matches!(cluster.issue("node-2", NOW), Err(PkiFault::Exists { .. })));
    let full = Cluster::empty("full");
    fs::create_dir(full.pki()).unwrap();
    assert!(full.init(None).is_ok());
    fs::remove_dir_all(full.pki()).unwrap();
    fs::create_dir(full.pki()).unwrap();
    fs::write(full.pki().join("notes"), "mine").unwrap();
    assert!(matches!(full.init(None), Err(PkiFault::Exists { .. })));
    let key = full.folder.join("ca.key");
    fs::write(&key, "mine").unwrap();
    fs::remove_file(full.pki().join("notes")).unwrap();
    assert!(matches!(full.init(Some(key.clone())), Err(PkiFault::Exists { .. })));
    assert_eq!(fs::read_to_string(key).unwrap(), "mine");
}

#[test]
fn a_certificate_is_renewed_when_a_third_is_left_and_keeps_its_names() {
    let cluster = Cluster::with("due", &["node-1", "edge-a"]);
    let first = cluster.record("node-1");
    let third = first.validity.until - (first.validity.until - first.validity.from) / 3;
    let all = RenewOptions::default();
    assert_eq!(cluster.states(third - 1), [RowState::Good; 3]);
    assert_eq!(cluster.renew(&all, third - 1)[1].1, "not due");
    assert_eq!(cluster.states(third), [RowState::Good, RowState::Due, RowState::Due]);
    let one = RenewOptions { names: vec![name("node-1")], ..RenewOptions::default() };
    assert_eq!(cluster.renew(&one, third), [("node-1".to_owned(), "renewed")]);
    let second = cluster.record("node-1");
    assert_eq!((&second.names, &second.identity), (&first.names, &first.identity));
    assert_eq!(second.validity.until, third + 90 * DAY);
    assert_ne!(second.serial, first.serial);
    cluster.assert_pair("node-1");
    assert_eq!(cluster.renew(&all, third), [("edge-a".to_owned(), "renewed"), ("node-1".to_owned(), "not due")]);
    // It has ended: it is renewed all the same.
    assert_eq!(cluster.states(NOW + 400 * DAY), [RowState::Good, RowState::Ended, RowState::Ended]);
    assert_eq!(cluster.renew(&one, NOW + 400 * DAY), [("node-1".to_owned(), "renewed")]);
}

#[test]
fn one_that_cannot_be_read_keeps_no_other_from_being_renewed() {
    let cluster = Cluster::with("damaged", &["node-1", "node-2"]);
    fs::write(cluster.pki().join("node-1.pem"), "garbage").unwrap();
    assert_eq!(cluster.states(NOW), [RowState::Good, RowState::Damaged, RowState::Good]);
    let later = NOW + 80 * DAY;
    let outcome = cluster.renew(&RenewOptions::default(), later);
    assert_eq!(outcome, [("node-1".to_owned(), "failed"), ("node-2".to_owned(), "renewed")]);
    fs::copy(cluster.pki().join("node-2.pem"), cluster.pki().join("node-3.pem")).unwrap();
    fs::copy(cluster.pki().join("ca.pem"), cluster.pki().join("node-3.key")).unwrap();
    assert_eq!(*cluster.states(later).last().unwrap(), RowState::Damaged);
}

#[test]
fn a_name_that_is_revoked_takes_all_its_keys_with_it() {
    let cluster = Cluster::with("revoke", &["node-1", "node-2"]);
    let force = RenewOptions { names: vec![name("node-1")], force: true, lifetime: None };
    let first = cluster.record("node-1").serial;
    cluster.renew(&force, NOW);
    let second = cluster.record("node-1").serial;
    assert_eq!(cluster.revoke(RevokeTarget::Name(name("node-1")), NOW + 1).unwrap(), 2);
    let list = || RevocationRecord::parse_all(&cluster.text("crl.pem")).unwrap().remove(0);
    let serials: Vec<_> = list().revoked.into_iter().map(|entry| entry.serial).collect();
    assert_eq!((serials, list().number), (vec![first, second], 2));
    assert_eq!(cluster.states(NOW), [RowState::Good, RowState::Revoked, RowState::Good]);
    // By a number, once more, and too short a one.
    let serial = cluster.record("node-2").serial.to_string();
    assert!(matches!(cluster.revoke(RevokeTarget::Serial(serial[..7].to_owned()), NOW), Err(PkiFault::Refused(_))));
    assert_eq!(cluster.revoke(RevokeTarget::Serial(serial[..8].to_uppercase()), NOW).unwrap(), 1);
    assert_eq!(cluster.revoke(RevokeTarget::Name(name("node-2")), NOW).unwrap(), 0);
    assert_eq!((list().revoked.len(), list().number), (3, 3));
    // A new key for the same node is not revoked.
    assert_eq!(cluster.renew(&RenewOptions::default(), NOW + 80 * DAY)[0].1, "revoked");
    assert_eq!(cluster.renew(&force, NOW), [("node-1".to_owned(), "renewed")]);
    assert_eq!(cluster.states(NOW)[1], RowState::Good);
}

#[test]
fn revocation_lists_are_renewed_before_they_end() {
    let cluster = Cluster::with("lists", &["node-1"]);
    cluster.revoke(RevokeTarget::Name(name("node-1")), NOW).unwrap();
    let list = || RevocationRecord::parse_all(&cluster.text("crl.pem")).unwrap().remove(0);
    let before = list();
    cluster.renew(&RenewOptions::default(), NOW + 50 * DAY);
    assert_eq!(list(), before);
    cluster.renew(&RenewOptions::default(), NOW + 80 * DAY);
    assert_eq!((list().number, &list().revoked), (before.number + 1, &before.revoked));
    assert_eq!(list().validity.until, NOW + 170 * DAY);
}

#[test]
fn an_authority_is_replaced_step_by_step() {
    let cluster = Cluster::with("rotate", &["node-1", "edge-a", "edge-b"]);
    let old = cluster.record("node-1").issuer_key_id;
    cluster.revoke(RevokeTarget::Name(name("edge-b")), NOW).unwrap();
    let finish = RotationStep::Finish { force: false };
    for early in [RotationStep::Switch, finish.clone(), RotationStep::Abort] {
        assert!(matches!(cluster.rotate(&early, NOW), Err(PkiFault::Refused(_))), "{early:?}");
    }
    let new = cluster.rotate(&begin(), NOW).unwrap().key_id;
    assert!(matches!(cluster.rotate(&begin(), NOW), Err(PkiFault::Refused(_))));
    assert_eq!((authorities(&cluster.text("ca.pem")), cluster.text("crl.pem").matches("BEGIN").count()), (2, 2));
    // The old one still issues, and nothing is due.
    assert_eq!(cluster.issue("node-2", NOW).unwrap().issuer_key_id, old);
    assert_eq!(cluster.renew(&RenewOptions::default(), NOW)[0].1, "not due");
    assert!(matches!(cluster.rotate(&finish, NOW), Err(PkiFault::Refused(_))));
    assert_eq!(cluster.rotate(&RotationStep::Switch, NOW).unwrap().key_id, new);
    assert_eq!(authorities(&cluster.text("ca.pem")), 2);
    let refused = cluster.rotate(&finish, NOW).unwrap_err().to_string();
    assert!(refused.contains("edge-a, node-1, node-2 still") && !refused.contains("edge-b"), "{refused}");
    let renewed = cluster.renew(&RenewOptions::default(), NOW);
    assert_eq!(renewed.iter().filter(|(_, outcome)| *outcome == "renewed").count(), 3);
    assert_eq!(cluster.record("node-1").issuer_key_id, new);
    assert_eq!(cluster.rotate(&finish, NOW).unwrap().key_id, old);
    assert_eq!((authorities(&cluster.text("ca.pem")), cluster.text("crl.pem").matches("BEGIN").count()), (1, 1));
    let left = fs::read_dir(cluster.pki().join("ca")).unwrap().count();
    assert_eq!(left, 2);
    // What only the old authority knew is no longer to be revoked.
    assert!(matches!(cluster.revoke(RevokeTarget::Name(name("edge-b")), NOW), Err(PkiFault::Refused(_))));
}

#[test]
fn a_rotation_is_taken_back_before_the_switch() {
    let cluster = Cluster::with("abort", &["node-1"]);
    let (bundle, lists) = (cluster.text("ca.pem"), cluster.text("crl.pem"));
    cluster.rotate(&begin(), NOW).unwrap();
    cluster.rotate(&RotationStep::Abort, NOW).unwrap();
    assert_eq!((cluster.text("ca.pem"), cluster.text("crl.pem")), (bundle, lists));
    assert_eq!(cluster.renew(&RenewOptions::default(), NOW)[0].1, "not due");
}

#[test]
fn two_do_not_change_a_folder_at_once() {
    let cluster = Cluster::with("lock", &["node-1"]);
    let held = cluster.open(NOW);
    let (status, text) = cluster.corectl(&["renew"]);
    assert!(status == 2 && text.contains("another corectl"), "{status}: {text}");
    // Whoever only looks does not wait; the certificate has ended.
    assert_eq!(cluster.corectl(&["show"]).0, 1);
    drop(held);
    assert_eq!(cluster.corectl(&["renew"]).0, 0);
}

#[test]
fn a_kill_leaves_certificates_with_their_keys() {
    let leaves: Vec<String> = (1..=12).map(|id| format!("node-{id}")).collect();
    let cluster = Cluster::with("kill", &leaves.iter().map(String::as_str).collect::<Vec<_>>());
    let serials = || leaves.iter().map(|leaf| cluster.record(leaf).serial).collect::<Vec<_>>();
    let mut were_mixed = false;
    for victim in &leaves {
        let before = serials();
        let mut child = cluster.command(&["renew", "--all", "--force"]).stdout(Stdio::null()).spawn().unwrap();
        // It is killed when it comes to this certificate, wherever it is then; or it has ended.
        let at = leaves.iter().position(|leaf| leaf == victim).unwrap();
        while cluster.record(victim).serial == before[at] && child.try_wait().unwrap().is_none() {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        drop(cluster.open(NOW));
        let changed = serials().iter().zip(&before).filter(|(now, before)| now != before).count();
        were_mixed |= changed > 0 && changed < leaves.len();
        for leaf in &leaves {
            cluster.assert_pair(leaf);
        }
        assert!(!fs::read_dir(cluster.pki()).unwrap().any(|entry| {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            name.contains(".tmp") || name.contains(".next")
        }));
    }
    assert!(were_mixed, "no process was killed between two certificates");
}

#[test]
fn ticket_keys_move_from_the_front_to_the_end() {
    let cluster = Cluster::empty("tickets");
    let path = cluster.pki().join("ticket.keys");
    let keys = || -> Vec<String> {
        let text = fs::read_to_string(&path).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    assert!(matches!(change_ticket_keys(&path, TicketKeyChange::Rotate, NOW), Err(PkiFault::Refused(_))));
    assert_eq!(change_ticket_keys(&path, TicketKeyChange::Make, NOW).unwrap(), 2);
    assert!(matches!(change_ticket_keys(&path, TicketKeyChange::Make, NOW), Err(PkiFault::Exists { .. })));
    let first = keys();
    assert!(first.iter().all(|key| key.len() == 64) && first[0] != first[1]);
    assert_eq!(change_ticket_keys(&path, TicketKeyChange::Rotate, NOW + 1).unwrap(), 3);
    let second = keys();
    assert_eq!(second[1..], first);
    assert_eq!(change_ticket_keys(&path, TicketKeyChange::Rotate, NOW + 2).unwrap(), 3);
    assert_eq!(keys()[1..], second[..2]);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("# made 2026-01-01T00:00:02Z\n"), "{text}");
    assert!(is_taken_by_servers(&text));
    for broken in ["", "# none\n", "00\n", &format!("{0}\n{0}\n", second[0]), &format!("{}g\n", &second[0][1..])] {
        fs::write(&path, broken).unwrap();
        let refused = change_ticket_keys(&path, TicketKeyChange::Rotate, NOW);
        assert!(matches!(refused, Err(PkiFault::Refused(_))), "{broken:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), broken);
        assert!(!is_taken_by_servers(broken), "{broken:?}");
    }
}

/// Whether a server takes a file of ticket keys.
fn is_taken_by_servers(text: &str) -> bool {
    let file = NamedFile { setting: "tls.ticket_keys", path: "ticket.keys", bytes: text.as_bytes() };
    TicketKeys::read(&file, None, UnixTime::since_unix_epoch(Duration::from_secs(NOW))).is_ok()
}
