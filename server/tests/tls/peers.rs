//! Certificates of clients: none, optional, required; revoked ones, and a stranger's.

use super::pki::{Leaf, NAME, Pki};
use super::s_client::ask;
use crate::support::server::Server;

fn settings(pki: &Pki, choice: &str, more: &str) -> String {
    format!("[tls]\nclient_auth = {choice:?}\nclient_ca = {:?}\n{more}", pki.ca())
}

/// Whether a client with this certificate, or with none, is served; all that s_client says, too.
fn is_served(server: &Server, version: &str, client: Option<&Leaf>) -> (bool, String) {
    let mut arguments = vec![version, "-servername", NAME];
    let files = client.map(|leaf| [&leaf.chain, &leaf.key].map(|file| file.to_str().unwrap()));
    if let Some([chain, key]) = files {
        arguments.extend(["-cert", chain, "-key", key]);
    }
    let text = ask(server.tls_address, &arguments);
    (text.contains("HTTP/1.1 404 Not Found"), text)
}

/// Whether each of these is served by both versions; a refusal is an alert.
fn assert_served(server: &Server, expected: &[(&str, Option<&Leaf>, bool)]) {
    for version in ["-tls1_2", "-tls1_3"] {
        for &(who, client, is_welcome) in expected {
            let (served, text) = is_served(server, version, client);
            assert_eq!(served, is_welcome, "{who}, {version}: {text}");
            assert!(is_welcome || text.contains("alert"), "{who}, {version}, is told why: {text}");
        }
    }
}

#[test]
fn who_is_required_to_have_a_certificate_has_one_of_the_authority_that_is_not_revoked() {
    let pki = Pki::new();
    let [friend, revoked] = ["friend", "revoked"].map(|name| pki.client(name));
    let strangers = Pki::new();
    let stranger = strangers.client("stranger");
    let server_of_ours = pki.server("no-client", &["x.test"]);
    let crl = format!("client_crl = {:?}\n", pki.revoke(&revoked));
    let server = pki.serve(&settings(&pki, "required", &crl));
    assert_served(
        &server,
        &[
            ("friend", Some(&friend), true),
            ("nobody", None, false),
            ("revoked", Some(&revoked), false),
            ("stranger", Some(&stranger), false),
            ("a server", Some(&server_of_ours), false),
        ],
    );
    for fault in
        ["certificate_missing", "certificate_revoked", "certificate_unknown_issuer", "certificate_wrong_purpose"]
    {
        server.await_metric(&format!("corelane_tls_handshake_faults_total{{core=\"0\",fault=\"{fault}\"}}"), 2);
    }
}

#[test]
fn who_may_have_a_certificate_has_none_or_a_good_one() {
    let pki = Pki::new();
    let friend = pki.client("friend");
    let strangers = Pki::new();
    let stranger = strangers.client("stranger");
    let server = pki.serve(&settings(&pki, "optional", ""));
    let expected = [("friend", Some(&friend), true), ("nobody", None, true), ("stranger", Some(&stranger), false)];
    assert_served(&server, &expected);
}

#[test]
fn who_is_not_asked_is_not_judged() {
    let pki = Pki::new();
    let strangers = Pki::new();
    let stranger = strangers.client("stranger");
    let server = pki.serve("");
    assert_served(&server, &[("nobody", None, true), ("stranger", Some(&stranger), true)]);
    let text = ask(server.tls_address, &["-servername", NAME]);
    assert!(text.contains("No client certificate CA names sent"), "{text}");
}
