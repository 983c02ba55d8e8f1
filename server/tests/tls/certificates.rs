//! What operators are told of certificates: `/readyz`, metrics, status.

use std::time::Duration;

use corelane_pki::{CertificateRecord, HolderRole};

use super::pki::{MONTH, NAME, Pki};
use super::s_client::await_certificate;
use crate::support::client::Client;
use crate::support::server::Server;

const END: &str = "corelane_tls_certificate_expiry_timestamp_seconds{name=\"default\"}";

fn page(server: &Server, path: &str) -> String {
    let answer = Client::connect(server.admin).ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_eq!(answer.status, 200, "a certificate that ends is a warning, and no reason to be left");
    String::from_utf8(answer.body).unwrap()
}

#[test]
fn an_end_that_is_near_is_warned_of_until_the_certificate_is_renewed() {
    let pki = Pki::new();
    let short = |lifetime| pki.leaf("web", pki.issue(HolderRole::Server, "web", &[NAME], lifetime));
    let leaf = short(Duration::from_secs(2 * 86_400 + 3_600));
    let server = super::pki::serve(&leaf.table("default"));
    let end = || CertificateRecord::parse(&std::fs::read_to_string(&leaf.chain).unwrap()).unwrap().validity.until;
    assert_eq!(server.metric(END), end());
    assert!(page(&server, "/readyz").contains("certificate default ends in 2 days; renew it"));

    let status: serde_json::Value = serde_json::from_str(&page(&server, "/v1/status")).unwrap();
    let listed = &status["tls"]["certificates"][0];
    assert_eq!((&listed["name"], &listed["not_after_s"]), (&"default".into(), &end().into()), "{listed}");
    assert_eq!((&listed["dns_names"][0], &listed["key"]), (&NAME.into(), &"P-256".into()), "{listed}");
    assert_eq!(listed["serial"].as_str().unwrap().replace(':', "").to_uppercase(), leaf.serial(), "{listed}");

    let renewed = short(MONTH - Duration::from_secs(1));
    await_certificate(&server, &renewed);
    assert_eq!(server.metric(END), end());
    assert!(!page(&server, "/readyz").contains("renew it"), "{}", page(&server, "/readyz"));
}

#[test]
fn a_certificate_that_ends_while_it_is_served_is_told_of_and_kept() {
    let pki = Pki::new();
    let lifetime = Duration::from_secs(6);
    let leaf = pki.leaf("web", pki.issue(HolderRole::Server, "web", &[NAME], lifetime));
    let server = super::pki::serve(&leaf.table("default"));
    let waiting = crate::support::server::Waiting::begin();
    while !page(&server, "/readyz").contains("certificate default has ended, and peers refuse it; renew it") {
        waiting.go_on(|| page(&server, "/readyz"));
    }
    // Who checks refuses it; who does not is served: half of a service is more than none.
    await_certificate(&server, &leaf);
}
