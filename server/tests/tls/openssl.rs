//! OpenSSL's s_client: versions, resumption, updates of keys, ends.

use super::pki::{NAME, Pki, serve, serve_on};
use super::s_client::{GET, SClient, ask, told};
use crate::support::client::Client;
use crate::support::server::{Server, Waiting};

/// Connections in which both cores come up: with two cores, 2^-63 of runs do not see both.
const CONNECTIONS_MAX: usize = 64;

/// Stores a line.
fn store(server: &Server, body: &str) {
    let length = body.len() + 1;
    let put = format!("PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}\n");
    assert!(matches!(Client::connect(server.address).ask(&put).status, 201 | 204));
}

fn handshakes(server: &Server, core: usize, kind: &str) -> u64 {
    server.metric(&format!("corelane_tls_handshakes_total{{core=\"{core}\",kind=\"{kind}\"}}"))
}

#[test]
fn both_versions_with_what_is_negotiated() {
    let pki = Pki::new();
    let server = pki.serve("");
    store(&server, "the value");
    let ca = pki.ca();
    let trust: &[&str] =
        &["-CAfile", ca.to_str().unwrap(), "-servername", NAME, "-verify_hostname", NAME, "-verify_return_error"];
    for (flag, version, groups) in [("-tls1_2", "TLSv1.2", "P-256"), ("-tls1_3", "TLSv1.3", "X25519:P-256")] {
        let text = ask(server.tls_address, &[trust, &[flag, "-alpn", "http/1.1", "-groups", groups]].concat());
        assert!(text.contains("the value") && text.contains("HTTP/1.1 200 OK"), "{text}");
        assert!(text.contains(&format!("New, {version}")) && text.contains("Verify return code: 0 (ok)"), "{text}");
        assert_eq!(told(&text, "ALPN protocol:"), "http/1.1");
        assert!(text.contains("Secure Renegotiation IS supported") || flag == "-tls1_3", "{text}");
    }
    let without = ask(server.tls_address, &[trust, &["-tls1_3"]].concat());
    assert!(without.contains("No ALPN negotiated") && without.contains("the value"), "{without}");
}

#[test]
fn what_is_too_old_is_refused_with_an_alert() {
    let pki = Pki::new();
    let server = pki.serve("");
    for version in ["-tls1", "-tls1_1"] {
        let text = ask(server.tls_address, &[version, "-cipher", "DEFAULT:@SECLEVEL=0"]);
        assert!(text.contains("alert protocol version") && text.contains("Cipher is (NONE)"), "{text}");
    }
    // Neither ECDHE nor AEAD.
    for ciphers in ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"] {
        let text = ask(server.tls_address, &["-tls1_2", "-cipher", ciphers]);
        assert!(text.contains("handshake failure") && text.contains("Cipher is (NONE)"), "{ciphers}: {text}");
    }
    server.await_metric("corelane_tls_handshake_faults_total{core=\"0\",fault=\"no_common_version\"}", 2);
    // What is missing is a suite, and not a certificate for the name.
    server.await_metric("corelane_tls_handshakes_total{core=\"0\",kind=\"failed\"}", 5);
    assert_eq!(server.metric("fault=\"unknown_name\"}"), 0);

    let server = pki.serve("[tls]\nmin_version = \"1.3\"\n");
    let text = ask(server.tls_address, &["-tls1_2"]);
    assert!(text.contains("alert protocol version") && text.contains("Cipher is (NONE)"), "{text}");
}

/// Resumes a session until both cores have done so; how many connections it took.
fn resume_on_both_cores(server: &Server, pki: &Pki, version: &str) {
    let session = pki.folder.join(format!("session{version}"));
    let session = session.to_str().unwrap();
    let before = [0, 1].map(|core| handshakes(server, core, "full"));
    let name: &[&str] = &["-servername", NAME, version];
    let first = ask(server.tls_address, &[name, &["-sess_out", session]].concat());
    assert!(first.contains("New, TLSv1."), "{first}");
    let waiting = Waiting::begin();
    let full = || [0, 1].map(|core| handshakes(server, core, "full") - before[core]);
    while full() == [0, 0] {
        waiting.go_on(|| "no core has counted the first handshake".to_owned());
    }
    // The core that did not make the session knows it from its ticket alone.
    let other = usize::from(full()[0] == 1);
    for _ in 0..CONNECTIONS_MAX {
        let next = ask(server.tls_address, &[name, &["-sess_in", session]].concat());
        assert!(next.contains("Reused, TLSv1.") && next.contains("the value"), "{next}");
        if handshakes(server, other, "resumed") > 0 && handshakes(server, 1 - other, "resumed") > 0 {
            return;
        }
    }
    panic!("core {other} has never resumed a session of the other in {CONNECTIONS_MAX} connections");
}

#[test]
fn a_session_is_resumed_on_a_core_that_did_not_make_it() {
    let pki = Pki::new();
    for version in ["-tls1_3", "-tls1_2"] {
        let server = serve_on(&pki.server("web", &[NAME]).table("default"), "0,1");
        store(&server, "the value");
        resume_on_both_cores(&server, &pki, version);
    }
}

#[test]
fn without_tickets_nothing_is_resumed() {
    let pki = Pki::new();
    let server = pki.serve("[tls]\ntickets = false\n");
    let session = pki.folder.join("session");
    let session = session.to_str().unwrap();
    for version in ["-tls1_3", "-tls1_2"] {
        ask(server.tls_address, &[version, "-sess_out", session]);
        let text = ask(server.tls_address, &[version, "-sess_in", session]);
        // Without a ticket there may be no session to give back: then the file is not written, and s_client does not connect.
        assert!(!text.contains("Reused"), "{text}");
    }
    assert_eq!(server.metric("corelane_tls_handshakes_total{core=\"0\",kind=\"resumed\"}"), 0);
}

#[test]
fn keys_are_updated_by_the_client_as_often_as_it_asks_beside_requests() {
    let pki = Pki::new();
    let server = pki.serve("");
    store(&server, "the value");
    let mut client = SClient::start(server.tls_address, &["-tls1_3", "-servername", NAME]);
    client.expect("Verify return code");
    // `K` asks the server for an update of its own, `k` does not.
    for command in ["K", "k", "K", "K", "k"].repeat(10) {
        client.say(&format!("{command}\n"));
        client.expect("KEYUPDATE");
        client.say(GET);
        client.expect("the value");
    }
}

#[test]
fn a_client_may_go_at_any_time() {
    let pki = Pki::new();
    let server = pki.serve("");
    store(&server, &"x".repeat(1 << 20));
    for version in ["-tls1_2", "-tls1_3"] {
        // With close_notify, in the middle of an answer that it does not read to its end.
        let mut client = SClient::start(server.tls_address, &[version]);
        client.expect("Verify return code");
        client.say(GET);
        client.expect("HTTP/1.1 200 OK");
        client.try_say("Q\n");
        drop(client);
        // Without a word.
        let mut client = SClient::start(server.tls_address, &[version, "-nocommands", "-quiet"]);
        client.say(&GET[..20]);
        drop(client);
    }
    store(&server, "the value");
    server.await_metric("corelane_http_connections{", 0);
    let text = ask(server.tls_address, &[]);
    assert!(text.contains("the value"), "{text}");
}

#[test]
fn the_response_of_an_authority_is_stapled_from_its_file() {
    let pki = Pki::new();
    let leaf = pki.server("web", &[NAME]);
    let [index, response] = ["index.txt", "web.ocsp"].map(|file| pki.folder.join(file));
    std::fs::write(&index, format!("V\t350101000000Z\t\t{}\tunknown\t/CN=web\n", leaf.serial())).unwrap();
    let (ca, ca_key) = (pki.ca(), pki.folder.join("ca.key"));
    let files: &[(&str, &std::path::Path)] = &[
        ("-index", &index),
        ("-CA", &ca),
        ("-rsigner", &ca),
        ("-rkey", &ca_key),
        ("-issuer", &ca),
        ("-cert", &leaf.chain),
        ("-respout", &response),
    ];
    super::pki::openssl(&["ocsp", "-ndays", "7"], files);
    let server = serve(&format!("{}ocsp = {response:?}\n", leaf.table("default")));
    for version in ["-tls1_2", "-tls1_3"] {
        let text = ask(server.tls_address, &[version, "-status", "-servername", NAME]);
        assert!(text.contains("OCSP Response Status: successful (0x0)"), "{text}");
        assert!(text.contains("Cert Status: good"), "{text}");
    }
    let text = ask(server.tls_address, &["-servername", NAME]);
    assert!(!text.contains("OCSP Response Status"), "nobody asked for it: {text}");
}
