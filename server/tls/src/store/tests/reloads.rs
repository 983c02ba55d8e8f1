//! Files that are read again: what is refused keeps what was there.

use super::issuer::{Authority, DAY, Pair, START, Wish, clock, file, parts, server_files};
use crate::store::{
    CertificateFiles, ClientAuth, ClientSettings, ClientSnapshot, ClusterFiles, ExpectedPeer, PeerRole, ServerFiles,
    ServerReload, ServerSettings, ServerSnapshot, TicketPolicy, reload_client, reload_server,
};

fn http() -> ServerSettings {
    ServerSettings::public(vec![b"http/1.1".to_vec()])
}

fn load(certificates: &[CertificateFiles<'_>]) -> ServerSnapshot {
    ServerSnapshot::load(&parts(&clock()), http(), &server_files(certificates)).unwrap()
}

fn reload(old: &ServerSnapshot, certificates: &[CertificateFiles<'_>]) -> ServerReload {
    reload_server(old, http(), &server_files(certificates))
}

fn fingerprints(snapshot: &ServerSnapshot) -> Vec<(String, String)> {
    snapshot.certificates().map(|facts| (facts.name.clone(), facts.fingerprint.clone())).collect()
}

fn faults(reload: &ServerReload) -> Vec<(&str, &'static str)> {
    reload.errors.iter().map(|error| (&*error.setting, error.fault.name())).collect()
}

#[test]
fn nothing_new_is_no_snapshot() {
    let root = Authority::new("root");
    let pair = root.issue(&Wish::names(&["a.example"]));
    let old = load(&[pair.files("a")]);
    assert_eq!(old.generation(), 1);
    let again = reload(&old, &[pair.files("a")]);
    assert!(again.snapshot.is_none() && again.errors.is_empty());
    let settings = ServerSettings { alpn: vec![], ..http() };
    let changed = reload_server(&old, settings, &server_files(&[pair.files("a")]));
    assert_eq!(changed.snapshot.unwrap().generation(), 2);
}

#[test]
fn a_bad_pair_keeps_its_old_one_and_no_other() {
    let root = Authority::new("root");
    let issue = |name: &str| root.issue(&Wish::names(&[name]));
    let (a, b, c) = (issue("a.example"), issue("b.example"), issue("c.example"));
    let old = load(&[a.files("a"), b.files("b"), c.files("c")]);
    // One is renewed, one half replaced, one gone, and one new and bad.
    let (new_a, new_b) = (issue("a.example"), issue("b.example"));
    let half = Pair { chain: new_b.chain.clone(), key: b.key.clone() };
    let bad = Pair { chain: String::new(), key: c.key.clone() };
    let next = reload(&old, &[new_a.files("a"), half.files("b"), bad.files("d")]);
    assert_eq!(faults(&next), [("chain", "key_of_another"), ("chain", "empty")]);
    assert!(next.errors[0].may_be_half_replaced());
    let next = next.snapshot.unwrap();
    let (before, after) = (fingerprints(&old), fingerprints(&next));
    assert_eq!(after.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_ne!(after[0].1, before[0].1);
    assert_eq!(after[1], before[1]);
    // The other half comes.
    let whole = reload(&next, &[new_a.files("a"), new_b.files("b")]);
    assert!(whole.errors.is_empty());
    let whole = whole.snapshot.unwrap();
    assert_ne!(fingerprints(&whole)[1], after[1]);
    assert_eq!(whole.generation(), 3);
}

#[test]
fn names_that_contradict_each_other_keep_all() {
    let root = Authority::new("root");
    let issue = || root.issue(&Wish::names(&["a.example"]));
    let (a, new_a, b) = (issue(), issue(), issue());
    let old = load(&[a.files("a")]);
    let next = reload(&old, &[new_a.files("a"), b.files("b")]);
    assert_eq!(faults(&next), [("chain", "same_name")]);
    assert!(next.snapshot.is_none());
}

#[test]
fn what_has_expired_is_served_until_it_is_replaced() {
    let root = Authority::new("root");
    let a = root.issue(&Wish { valid: (START - DAY, START + DAY), ..Wish::names(&["a.example"]) });
    let (b, new_b) = (root.issue(&Wish::names(&["b.example"])), root.issue(&Wish::names(&["b.example"])));
    let clock = clock();
    let files = [a.files("a"), b.files("b")];
    let old = ServerSnapshot::load(&parts(&clock), http(), &server_files(&files)).unwrap();
    clock.advance(2 * DAY);
    let next = reload(&old, &[a.files("a"), new_b.files("b")]);
    assert!(next.errors.is_empty());
    assert_eq!(fingerprints(&next.snapshot.unwrap())[0], fingerprints(&old)[0]);
    let fresh = ServerSnapshot::load(&parts(&clock), http(), &server_files(&files)).unwrap_err();
    assert_eq!(fresh[0].fault.name(), "expired");
}

#[test]
fn a_link_whose_own_certificate_has_expired_still_takes_lists() {
    let ca = Authority::new("blue");
    let wish = Wish { valid: (START - DAY, START + DAY), ..Wish::uris(&["spiffe://blue/edge/e1"]) };
    let (pair, bundle, list) = (ca.issue(&wish), ca.pem(), ca.revoke(&[66]));
    let settings =
        || ClientSettings { own: ExpectedPeer { cluster: "blue".into(), roles: vec![PeerRole::Edge], id: None } };
    let files = ClusterFiles { certificate: pair.files("cluster"), ca: file("cluster.ca", &bundle), crl: None };
    let clock = clock();
    let old = ClientSnapshot::load(&parts(&clock), settings(), &files).unwrap();
    clock.advance(2 * DAY);
    let next = reload_client(&old, settings(), &ClusterFiles { crl: Some(file("cluster.crl", &list)), ..files });
    assert!(next.errors.is_empty(), "{:?}", next.errors);
    assert_eq!(next.snapshot.unwrap().authorities().lists()[0].revoked, 1);
}

#[test]
fn sessions_for_early_data_outlive_a_reload() {
    let root = Authority::new("root");
    let (pair, renewed) = (root.issue(&Wish::names(&["a.example"])), root.issue(&Wish::names(&["a.example"])));
    let settings = |sessions| ServerSettings { resumption: TicketPolicy::EarlyData { sessions }, ..http() };
    let old = ServerSnapshot::load(&parts(&clock()), settings(8), &server_files(&[pair.files("a")])).unwrap();
    let next =
        |sessions| reload_server(&old, settings(sessions), &server_files(&[renewed.files("a")])).snapshot.unwrap();
    let is_kept = |next: ServerSnapshot| std::sync::Arc::ptr_eq(next.sessions().unwrap(), old.sessions().unwrap());
    assert!(is_kept(next(8)));
    assert!(!is_kept(next(9)));
}

#[test]
fn bad_keys_and_bundles_keep_the_old_ones() {
    let root = Authority::new("root");
    let pair = root.issue(&Wish::names(&["a.example"]));
    let certificates = [pair.files("a")];
    let (bundle, key) = (root.pem(), "ab".repeat(31) + "01");
    let files = |keys, ca| ServerFiles {
        ticket_keys: Some(file("tls.ticket_keys", keys)),
        client_ca: Some(file("tls.client_ca", ca)),
        ..server_files(&certificates)
    };
    let settings = ServerSettings { client_auth: ClientAuth::Required, ..http() };
    let old = ServerSnapshot::load(&parts(&clock()), settings.clone(), &files(&key, &bundle)).unwrap();
    let next = reload_server(&old, settings.clone(), &files("zz", "x"));
    assert_eq!(faults(&next), [("tls.client_ca", "not_pem"), ("tls.ticket_keys", "bad_ticket_key")]);
    assert!(next.snapshot.is_none());
    let newer = "cd".repeat(31) + "01";
    let next = reload_server(&old, settings, &files(&format!("{newer}\n{key}\n"), &bundle)).snapshot.unwrap();
    let (before, after) = (old.ticket_keys(), next.ticket_keys());
    assert_eq!(after.len(), 2);
    assert_eq!(after[1], before[0], "the current key stays, with its age");
}

#[test]
fn links_keep_what_peers_would_take() {
    let (ca, other) = (Authority::new("blue"), Authority::new("blue"));
    let issue = |from: &Authority| from.issue(&Wish::uris(&["spiffe://blue/edge/e1"]));
    let (pair, renewed, foreign) = (issue(&ca), issue(&ca), issue(&other));
    let bundle = ca.pem();
    let both = bundle.clone() + &other.pem();
    let settings =
        || ClientSettings { own: ExpectedPeer { cluster: "blue".into(), roles: vec![PeerRole::Edge], id: None } };
    fn files<'a>(pair: &'a Pair, ca: &'a str) -> ClusterFiles<'a> {
        ClusterFiles { certificate: pair.files("cluster"), ca: file("cluster.ca", ca), crl: None }
    }
    let old = ClientSnapshot::load(&parts(&clock()), settings(), &files(&pair, &bundle)).unwrap();
    let same = reload_client(&old, settings(), &files(&pair, &bundle));
    assert!(same.snapshot.is_none() && same.errors.is_empty());
    let next = reload_client(&old, settings(), &files(&renewed, &bundle)).snapshot.unwrap();
    assert_eq!(next.generation(), 2);
    assert_ne!(next.certificate().fingerprint, old.certificate().fingerprint);
    // A certificate of an authority that is not in the bundle yet.
    let early = reload_client(&next, settings(), &files(&foreign, &bundle));
    assert!(early.snapshot.is_none());
    assert_eq!(early.errors[0].fault.name(), "not_of_authority");
    assert!(early.errors[0].may_be_half_replaced());
    // The authority is rotated: first the bundle, then the certificate.
    let wider = reload_client(&next, settings(), &files(&renewed, &both)).snapshot.unwrap();
    let moved = reload_client(&wider, settings(), &files(&foreign, &both));
    assert!(moved.errors.is_empty());
    assert_eq!(moved.snapshot.unwrap().generation(), 4);
}
