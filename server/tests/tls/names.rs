//! Which certificate a client gets: by the name that it asks for, and by the keys whose signatures it can check.

use super::pki::{Pki, serve};
use super::s_client::{ask, told};
use crate::support::server::Server;

/// The subject of the certificate that s_client gets.
fn subject(server: &Server, arguments: &[&str]) -> String {
    let text = ask(server.tls_address, arguments);
    told(&text, "subject=").to_owned()
}

#[test]
fn a_name_has_its_certificate_a_wildcard_the_rest_and_the_default_all_others() {
    let pki = Pki::new();
    let leaves = [
        ("a", pki.server("of-a", &["a.test"])),
        ("b", pki.server("of-b", &["b.test", "other.test"])),
        ("wild", pki.server("of-wild", &["*.wild.test"])),
        ("exact", pki.server("of-exact", &["exact.wild.test"])),
        ("default", pki.server("of-default", &["default.test"])),
    ];
    let server = serve(&leaves.map(|(name, leaf)| leaf.table(name)).concat());
    for (name, holder) in [
        ("a.test", "of-a"),
        ("A.Test", "of-a"),
        ("b.test", "of-b"),
        ("other.test", "of-b"),
        ("x.wild.test", "of-wild"),
        ("exact.wild.test", "of-exact"),
        ("x.y.wild.test", "of-default"),
        ("wild.test", "of-default"),
        ("nobody.test", "of-default"),
    ] {
        for version in ["-tls1_2", "-tls1_3"] {
            let subject = subject(&server, &[version, "-servername", name]);
            assert!(subject.ends_with(&format!("CN = {holder}")), "{name}: {subject}");
        }
    }
    let without = subject(&server, &["-noservername"]);
    assert!(without.ends_with("CN = of-default"), "{without}");
}

#[test]
fn without_a_default_unknown_names_are_refused() {
    let pki = Pki::new();
    let server = serve(&pki.server("of-a", &["a.test"]).table("a"));
    assert!(subject(&server, &["-servername", "a.test"]).ends_with("CN = of-a"));
    for arguments in [&["-servername", "b.test"][..], &["-noservername"]] {
        let text = ask(server.tls_address, arguments);
        assert!(text.contains("Cipher is (NONE)") && text.contains("alert"), "{arguments:?}: {text}");
    }
    server.await_metric("corelane_tls_handshake_faults_total{core=\"0\",fault=\"unknown_name\"}", 2);
}

#[test]
fn one_name_has_a_key_of_each_kind() {
    let pki = Pki::new();
    let rsa = pki.rsa_server("rsa", "a.test");
    let server = serve(&(pki.server("of-a", &["a.test"]).table("ecdsa") + &rsa.table("rsa")));
    let name: &[&str] = &["-servername", "a.test"];
    for (arguments, holder) in [
        (&["-tls1_3"][..], "of-a"),
        (&["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"], "rsa"),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "of-a"),
        (&["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], "rsa"),
        (&["-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"], "rsa"),
    ] {
        let subject = subject(&server, &[name, arguments].concat());
        assert!(subject.ends_with(&format!("CN = {holder}")), "{arguments:?}: {subject}");
    }
}
