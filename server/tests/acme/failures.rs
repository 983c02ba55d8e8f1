//! Authorities that fail, and processes that end in the middle.

use acme_directory::{AcmeStep, Trouble};

use super::rig::{DOMAIN, Rig};
use crate::support::client::Client;
use crate::support::server::Waiting;

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn an_authority_that_refuses_is_told_of_everywhere_and_asked_again_after_a_reload() {
    let rig = Rig::new("");
    rig.directory.script(AcmeStep::NewOrder, Trouble::Problem(403, "userActionRequired", None), 1);
    let edge = rig.start();
    let line = edge.await_event("acme_failed");
    assert!(line.contains("certificate=default") && line.contains("cause=refused"), "{line}");
    let wait: u64 = line.split("next_try_in_s=").nth(1).unwrap().split(' ').next().unwrap().trim().parse().unwrap();
    assert!((200..=600).contains(&wait), "the wait grows from five minutes: {line}");
    assert_eq!(edge.metric("corelane_acme_failures_total{cause=\"refused\"}"), 1);
    assert_eq!(edge.metric("corelane_acme_certificates_failing"), 1);
    assert_eq!(edge.metric("corelane_acme_certificates_missing"), 1);
    let ready = edge.page("/readyz");
    assert!(ready.contains("certificate default is ordered and not there yet") && ready.contains("refused"), "{ready}");
    let orders = edge.orders();
    let failure = &orders["certificates"][0]["failure"];
    assert_eq!(failure["cause"], "refused", "{orders}");
    assert!(failure["next_try_s"].as_u64().unwrap() > 1_700_000_000, "{orders}");
    assert_eq!(rig.trusted(DOMAIN), None, "what stands for it is trusted by nobody");

    edge.signal("HUP");
    edge.await_event("acme_stored");
    rig.await_trusted(DOMAIN);
    assert_eq!(edge.metric("corelane_acme_certificates_failing"), 0);
    assert_eq!(edge.orders()["certificates"][0]["failure"], serde_json::Value::Null);
    assert!(!edge.page("/readyz").contains("certificate default"));
}

#[test]
fn a_domain_that_leads_elsewhere_is_not_proved() {
    let rig = Rig::new("");
    rig.directory.book.lock().unwrap().token = Some("another");
    let edge = rig.start();
    let line = edge.await_event("acme_failed");
    assert!(line.contains("cause=not_proved") && line.contains(DOMAIN), "{line}");
    assert_eq!(edge.metric("corelane_acme_challenges"), 0, "they are withdrawn");
}

#[test]
fn an_authority_that_hangs_holds_nothing_up() {
    let rig = Rig::new("");
    rig.directory.script(AcmeStep::NewOrder, Trouble::Silence, 1);
    let edge = rig.start();
    let waiting = Waiting::begin();
    while rig.directory.count(AcmeStep::NewOrder) == 0 {
        waiting.go_on(|| "nothing is ordered".to_owned());
    }
    // Clients are served, operators are answered, and settings are read.
    assert_eq!(Client::connect(rig.addresses.listen).ask(GET).status, 200);
    assert!(edge.page("/readyz").contains("certificate default is ordered and not there yet"));
    edge.signal("HUP");
    edge.await_event("config_unchanged");
    // Its end does not wait for the authority.
    assert_eq!(edge.stop(), Some(0));
}

#[test]
fn a_process_that_is_killed_within_an_order_is_followed_by_one_that_goes_on() {
    let rig = Rig::new("challenge = \"tls-alpn-01\"\n");
    rig.directory.script(AcmeStep::Finalize, Trouble::Silence, usize::MAX);
    let edge = rig.start();
    let waiting = Waiting::begin();
    while rig.directory.count(AcmeStep::Finalize) == 0 {
        waiting.go_on(|| "nothing is finalized".to_owned());
    }
    edge.kill();
    rig.directory.book.lock().unwrap().script.clear();
    let edge = rig.start();
    edge.await_event("acme_stored");
    rig.await_trusted(DOMAIN);
    assert_eq!(rig.directory.book.lock().unwrap().account_count(), 1);

    // The next start serves what the folder holds, from its first handshake on, and orders nothing.
    let leaf = rig.await_trusted(DOMAIN);
    edge.kill();
    let ordered = rig.directory.count(AcmeStep::NewOrder);
    let edge = rig.start();
    assert_eq!(rig.trusted(DOMAIN), Some(leaf));
    assert_eq!(edge.metric("corelane_acme_certificates_missing"), 0);
    assert!(!edge.page("/readyz").contains("certificate default"));
    assert_eq!(edge.stop(), Some(0));
    assert_eq!(rig.directory.count(AcmeStep::NewOrder), ordered);
}

#[test]
fn a_pair_that_is_damaged_while_nobody_served_it_is_ordered_anew() {
    let rig = Rig::new("");
    let edge = rig.start();
    edge.await_event("acme_stored");
    rig.await_trusted(DOMAIN);
    edge.kill();
    std::fs::write(rig.stored("chain.pem"), "damaged").unwrap();
    let edge = rig.start();
    edge.await_event("acme_stored");
    rig.await_trusted(DOMAIN);
    assert_eq!(rig.directory.count(AcmeStep::NewOrder), 2);
    assert_eq!(edge.stop(), Some(0));
}
