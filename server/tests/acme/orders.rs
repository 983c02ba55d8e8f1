//! From nothing to a certificate, and on to the next.

use acme_directory::{AcmeStep, Trouble, first_of, identifier, said_after_proof};

use crate::support::client::Client;
use crate::support::server::Waiting;

use super::rig::{DOMAIN, Rig};

const STORED: &str = "corelane_acme_certificates_stored_total";
const MISSING: &str = "corelane_acme_certificates_missing";

/// Serves with a certificate that clients refuse, and says so, until the authority has issued one.
fn from_nothing_to_a_certificate(challenge: &str) {
    let rig = Rig::new(&format!("challenge = \"{challenge}\"\n"));
    let edge = rig.start();
    let line = edge.await_event("acme_stored");
    assert!(line.contains("certificate=default"), "{line}");
    edge.await_event("certificates_in_force");
    assert!(rig.trusted(DOMAIN).is_some());
    assert_eq!((edge.metric(STORED), edge.metric(MISSING)), (1, 0));
    let ready = edge.page("/readyz");
    assert!(!ready.contains("certificate default"), "{ready}");
    let orders = edge.orders();
    assert_eq!(orders["certificates"][0]["missing"], false, "{orders}");
    assert_eq!(orders["certificates"][0]["challenge"], challenge, "{orders}");
    assert_eq!(rig.directory.book.lock().unwrap().violations, Vec::<String>::new());
    // What was answered is answered no more.
    let path = "/.well-known/acme-challenge/token-0-0_";
    let answer = Client::connect(rig.addresses.listen).ask(&format!("GET {path} HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n"));
    assert_eq!(answer.status, 404);
    assert_eq!(identifier(rig.tls, DOMAIN), None);
    assert_eq!(edge.metric("corelane_acme_challenges"), 0);
    assert_eq!(edge.stop(), Some(0));
}

#[test]
fn http_01_leads_to_a_certificate_that_clients_trust() {
    from_nothing_to_a_certificate("http-01");
}

#[test]
fn tls_alpn_01_leads_to_a_certificate_that_clients_trust() {
    from_nothing_to_a_certificate("tls-alpn-01");
}

#[test]
fn a_certificate_that_is_about_to_end_is_renewed_and_swapped_while_it_is_served() {
    let rig = Rig::new("");
    rig.directory.book.lock().unwrap().validity = vec![(61, 29), (1, 89)];
    let edge = rig.start();
    for _ in 0..2 {
        edge.await_event("acme_stored");
        edge.await_event("certificates_in_force");
    }
    let served = rig.await_trusted(DOMAIN);
    assert_eq!(served, leaf_of(&rig), "the one that was stored last");
    assert_eq!(edge.metric(STORED), 2);
}

/// The certificate in the folder, in DER.
fn leaf_of(rig: &Rig) -> Vec<u8> {
    first_of(&std::fs::read_to_string(rig.stored("chain.pem")).unwrap())
}

#[test]
fn names_are_added_by_a_reload_and_orders_end_with_the_setting() {
    let mut rig = Rig::new("");
    let edge = rig.start();
    edge.await_event("acme_stored");
    rig.await_trusted(DOMAIN);
    assert_eq!(rig.trusted("www.shop.example"), None);
    rig.config = rig.config.replace("[\"shop.example\"]", "[\"shop.example\", \"www.shop.example\"]");
    std::fs::write(rig.file(), &rig.config).unwrap();
    edge.signal("HUP");
    edge.await_event("acme_stored");
    rig.await_trusted("www.shop.example");
    // As files, without an order.
    let [chain, key] = ["chain.pem", "key.pem"].map(|file| rig.stored(file));
    let acme = "acme = [\"shop.example\", \"www.shop.example\"]";
    let files = format!("chain = {chain:?}\nkey = {key:?}");
    std::fs::write(rig.file(), rig.config.replace(acme, &files)).unwrap();
    edge.signal("HUP");
    edge.await_event("config_changed");
    assert!(rig.trusted(DOMAIN).is_some());
    assert_eq!(edge.orders(), serde_json::Value::Null);
    assert_eq!(edge.stop(), Some(0));
}

/// The authority looks at whatever core takes its connection, and by HEAD or GET.
#[test]
fn challenges_are_answered_by_every_core_until_the_authority_has_looked() {
    let mut rig = Rig::new("");
    rig.cores = "0,1";
    rig.directory.script(AcmeStep::Challenge, Trouble::Silence, 1);
    let edge = rig.start();
    await_look(&rig);
    assert_eq!(edge.metric("corelane_acme_challenges"), 1);
    let ask =
        |line: &str| Client::connect(rig.addresses.listen).ask(&format!("{line} HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n"));
    let path = "/.well-known/acme-challenge/token-0-0_";
    // So many connections that each core has some.
    for _ in 0..32 {
        let answer = ask(&format!("GET {path}"));
        let text = String::from_utf8(answer.body.clone()).unwrap();
        assert_eq!((answer.status, text.split('.').next()), (200, Some("token-0-0_")), "{text}");
        assert_eq!(text.len(), "token-0-0_.".len() + 43, "the thumbprint of the account's key: {text}");
        assert_eq!(answer.field("content-type"), Some("application/octet-stream"));
    }
    let answer = ask(&format!("GET http://{DOMAIN}{path}?query"));
    assert_eq!(answer.status, 200);
    for other in [
        "/.well-known/acme-challenge/token-0-0",
        "/.well-known/acme-challenge/token-0-0_/",
        "/.well-known/acme-challenge/%74oken-0-0_",
    ] {
        assert_eq!(ask(&format!("GET {other}")).status, 404, "{other}");
    }
    assert_eq!(ask(&format!("DELETE {path}")).status, 404);
}

/// What another tool brought is served until the ordered one is there.
#[test]
fn a_certificate_of_files_gives_way_to_an_ordered_one_by_a_reload() {
    let first = Rig::new("");
    first.start().await_event("acme_stored");
    let mut rig = Rig::new("");
    let ordered = rig.config.clone();
    let [chain, key] = ["chain.pem", "key.pem"].map(|file| first.stored(file));
    rig.config = ordered.replace("acme = [\"shop.example\"]", &format!("chain = {chain:?}\nkey = {key:?}"));
    rig.directory.script(AcmeStep::NewOrder, Trouble::Problem(500, "serverInternal", None), 1);
    let edge = rig.start();
    let trusted = || acme_directory::trusted(rig.tls, DOMAIN, &first.directory.root);
    let before = trusted().expect("that of the files");
    std::fs::write(rig.file(), &ordered).unwrap();
    edge.signal("HUP");
    edge.await_event("acme_failed");
    assert_eq!(trusted(), Some(before));
    assert_eq!(edge.metric(MISSING), 0);
    let ready = edge.page("/readyz");
    assert!(ready.contains("certificate default could not be renewed"), "{ready}");
    edge.signal("HUP");
    edge.await_event("acme_stored");
    rig.await_trusted(DOMAIN);
    assert_eq!(trusted(), None, "that of the files is gone");
}

/// A handshake is all that an authority gets, and clients are served beside it.
#[test]
fn a_handshake_for_a_challenge_is_all_there_is_to_it() {
    let mut rig = Rig::new("challenge = \"tls-alpn-01\"\n");
    rig.cores = "0,1";
    rig.directory.script(AcmeStep::Challenge, Trouble::Silence, 1);
    let _edge = rig.start();
    await_look(&rig);
    for _ in 0..16 {
        assert!(identifier(rig.tls, DOMAIN).is_some());
    }
    assert_eq!(identifier(rig.tls, "www.shop.example"), None);
    let said = said_after_proof(rig.tls, DOMAIN, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(said, Some(Vec::new()), "nothing is served on such a connection");
}

/// Whoever takes the orders out of the settings is not left with answers to them.
#[test]
fn orders_that_are_taken_back_end_with_their_challenges() {
    let mut rig = Rig::new("");
    rig.directory.script(AcmeStep::Challenge, Trouble::Silence, usize::MAX);
    let edge = rig.start();
    await_look(&rig);
    let (settings, _) = rig.config.split_once("[acme]").unwrap();
    let first = Rig::new("");
    first.start().await_event("acme_stored");
    let [chain, key] = ["chain.pem", "key.pem"].map(|file| first.stored(file));
    rig.config = format!("{settings}[certificate.default]\nchain = {chain:?}\nkey = {key:?}\n");
    std::fs::write(rig.file(), &rig.config).unwrap();
    edge.signal("HUP");
    edge.await_event("certificates_in_force");
    let waiting = Waiting::begin();
    while edge.metric("corelane_acme_challenges") > 0 {
        waiting.go_on(|| "challenges are answered still".to_owned());
    }
    let path = "/.well-known/acme-challenge/token-0-0_";
    let ask = || Client::connect(rig.addresses.listen).ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).status;
    while ask() != 404 {
        waiting.go_on(|| "the challenge is answered still".to_owned());
    }
    assert!(acme_directory::trusted(rig.tls, DOMAIN, &first.directory.root).is_some());
}

/// Waits until the authority has been told to look.
fn await_look(rig: &Rig) {
    let waiting = Waiting::begin();
    while rig.directory.count(AcmeStep::Challenge) == 0 {
        waiting.go_on(|| "the authority is not told to look".to_owned());
    }
}
