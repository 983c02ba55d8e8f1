//! Settings that cannot be: what is said, where, and what to do.

use std::fs;

use crate::support::server::{Addresses, own_folder, program};

/// An order that can be, but for the text that is put in the place of `from`.
const GOOD: &str = r#"memory = "64MiB"
listen_tls = ["127.0.0.1:8443"]
[acme]
agree_terms = true
folder = "/var/lib/corelane/acme"
[certificate.shop]
acme = ["shop.example"]
challenge = "http-01"
"#;

/// What `--check` says of these settings, and whether it lets them pass.
fn check(settings: &str) -> (bool, String) {
    let folder = own_folder();
    let file = folder.join("corelane.toml");
    fs::write(&file, settings).unwrap();
    let mut command = program(env!("CARGO_BIN_EXE_corelane"));
    command.args(Addresses::own().flags()).args(["--cores", "0", "--check", "--config"]).arg(&file);
    let output = command.output().unwrap();
    let _ = fs::remove_dir_all(folder);
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn an_order_passes_before_anything_is_there() {
    let (passes, said) = check(GOOD);
    assert!(passes, "{said}");
    assert!(!std::path::Path::new("/var/lib/corelane/acme/lock").exists(), "a check orders nothing");
}

#[test]
fn what_cannot_be_ordered_is_named_with_file_line_key_and_what_to_do() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("agree_terms = true\n", "", &["acme.agree_terms: found false", "terms of service"]),
        ("agree_terms = true", "agree_terms = false", &["corelane.toml:4: acme.agree_terms", "set true"]),
        ("agree_terms = true", "agree_terms = true\ndirectory = \"http://a\"", &["toml:5: acme.directory", "https://"]),
        ("agree_terms = true", "agree_terms = true\ncontact = [\"a@b\"]", &["toml:5: acme.contact", "mailto:"]),
        ("folder = \"/var/lib/corelane/acme\"\n", "", &["acme.folder: not set", "/var/lib/corelane/acme"]),
        ("[\"shop.example\"]", "[\"*.example\"]", &["toml:7: certificate.shop.acme", "\"*.example\"", "wildcard"]),
        ("[\"shop.example\"]", "[\"192.0.2.1\"]", &["toml:7: certificate.shop.acme", "is an address"]),
        ("[\"shop.example\"]", "[]", &["toml:7: certificate.shop.acme", "1 to 100 different texts"]),
        ("\"http-01\"", "\"dns-01\"", &["toml:8: certificate.shop.challenge", "\"tls-alpn-01\""]),
        (
            "challenge =",
            "chain = \"/a\"\nchallenge =",
            &["toml:8: certificate.shop.chain", "take out the one or the other"],
        ),
        (
            "acme = [\"shop.example\"]\n",
            "",
            &["toml:7: certificate.shop.challenge", "toml:6: certificate.shop: found neither files"],
        ),
        (
            "\"http-01\"",
            "\"tls-alpn-01\"\n[tls]\nclient_auth = \"required\"\nclient_ca = \"/ca\"",
            &["toml:8: certificate.shop.challenge", "shows no certificate", "\"http-01\""],
        ),
        ("listen_tls = [\"127.0.0.1:8443\"]\n", "", &["certificate.shop: no listener speaks TLS"]),
        (
            "[certificate.shop]",
            "[certificate.other]\nacme = [\"shop.example\"]\n[certificate.shop]",
            &["certificate.other.acme", "certificate.shop.acme", "remove one"],
        ),
    ];
    for (from, to, parts) in cases {
        assert!(GOOD.contains(from), "{from}");
        let (passes, said) = check(&GOOD.replacen(from, to, 1));
        assert!(!passes, "{to}: {said}");
        parts.iter().for_each(|part| assert!(said.contains(part), "{to}: no {part:?} in {said}"));
    }
}

#[test]
fn http_01_needs_a_listener_without_tls() {
    let folder = own_folder();
    let file = folder.join("corelane.toml");
    let listeners = "[[listener]]\naddress = \"127.0.0.1:8444\"\ntls = true\n";
    fs::write(&file, format!("{}{listeners}", GOOD.replacen("listen_tls = [\"127.0.0.1:8443\"]\n", "", 1))).unwrap();
    let mut command = program(env!("CARGO_BIN_EXE_corelane"));
    let output = command.args(["--cores", "0", "--check", "--config"]).arg(&file).output().unwrap();
    let _ = fs::remove_dir_all(folder);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("certificate.shop.challenge: http-01 is answered by listeners without TLS"), "{said}");
    assert_eq!(output.status.code(), Some(2), "{said}");
}
