//! Settings of TLS that fit, do not fit, or name files that are no good: what is said, where, and what to do.

use std::fs;

use super::pki::{NAME, Pki};
use super::s_client::ask;
use crate::support::server::{Addresses, Plan, Server, own_folder, program};

/// What `--check` says of a file with these settings, and whether it lets them pass.
fn check(settings: &str, flags: &[&str]) -> (bool, String) {
    let folder = own_folder();
    let file = folder.join("corelane.toml");
    fs::write(&file, format!("memory = \"64MiB\"\n{settings}")).unwrap();
    let mut command = program(env!("CARGO_BIN_EXE_corelane"));
    command.args(Addresses::own().flags()).args(["--cores", "0", "--check", "--config"]).arg(&file).args(flags);
    let output = command.output().unwrap();
    let _ = fs::remove_dir_all(folder);
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

const TLS: &[&str] = &["--listen-tls", "127.0.0.1:8443"];

#[test]
fn one_word_makes_a_certificate_for_a_first_try() {
    let plan = Plan {
        config: "memory = \"64MiB\"\n",
        flags: &["--self-signed", "localhost"],
        listens_tls: true,
        ..Plan::default()
    };
    let server = Server::start(&plan);
    for version in ["-tls1_2", "-tls1_3"] {
        let text = ask(server.tls_address, &[version, "-servername", "localhost"]);
        assert!(text.contains("HTTP/1.1 404"), "{text}");
    }
    // It is trusted by who is given it.
    let shown = ask(server.tls_address, &["-servername", "localhost", "-showcerts"]);
    let (_, after) = shown.split_once("-----BEGIN CERTIFICATE-----").unwrap();
    let (body, _) = after.split_once("-----END CERTIFICATE-----").unwrap();
    let file = server.folder.join("shown.pem");
    fs::write(&file, format!("-----BEGIN CERTIFICATE-----{body}-----END CERTIFICATE-----\n")).unwrap();
    let trust = ["-CAfile", file.to_str().unwrap(), "-verify_hostname", "localhost", "-verify_return_error"];
    let text = ask(server.tls_address, &[&trust[..], &["-servername", "localhost"]].concat());
    assert!(text.contains("Verify return code: 0 (ok)") && text.contains("HTTP/1.1 404"), "{text}");
}

#[test]
fn combinations_that_would_do_nothing_or_cannot_work_are_refused_with_what_to_do() {
    let pki = Pki::new();
    let leaf = pki.server("web", &[NAME]);
    let table = leaf.table("default");
    let other = pki.server("other", &[NAME]).table("other");
    let with_tls = |more: &str| format!("{table}{more}");
    let refused: &[(String, &[&str], &[&str])] = &[
        (String::new(), TLS, &["listen_tls: there is no certificate", "[certificate.NAME]", "--self-signed localhost"]),
        (table.clone(), &[], &["certificate.default: no listener speaks TLS", "set listen_tls"]),
        (with_tls("[tls]\nmin_versoin = \"1.2\"\n"), TLS, &["tls.min_versoin: unknown key", "min_version"]),
        (with_tls("[tls]\nmin_version = \"1.1\"\n"), TLS, &["tls.min_version: found \"1.1\"", "1.2", "1.3"]),
        (
            with_tls("[tls]\nclient_auth = \"required\"\n"),
            TLS,
            &["tls.client_ca", "asking clients for a certificate needs"],
        ),
        (
            with_tls("[tls]\nearly_data = true\ntickets = false\n"),
            TLS,
            &["corelane.toml:", "tls.early_data: found true beside tls.tickets = false", "take one of the two out"],
        ),
        (
            with_tls("[tls]\nearly_data = true\nticket_keys = \"/k\"\n"),
            TLS,
            &["tls.early_data: found true beside tls.ticket_keys"],
        ),
        (
            with_tls("[tls]\nearly_data = true\nclient_auth = \"optional\"\n"),
            TLS,
            &["tls.early_data: found true beside tls.client_auth"],
        ),
        (with_tls("[tls]\nhandshake_timeout = \"0s\"\n"), TLS, &["tls.handshake_timeout", "100ms to 1m"]),
        (with_tls(&other), TLS, &["corelane.test", "remove one"]),
        (format!("[certificate.a]\nchain = {:?}\n", leaf.chain), TLS, &["certificate.a.key"]),
    ];
    for (settings, flags, parts) in refused {
        let (passes, said) = check(settings, flags);
        assert!(!passes, "{settings}: {said}");
        parts.iter().for_each(|part| assert!(said.contains(part), "{settings}: no {part:?} in {said}"));
    }
    let (passes, said) = check(&table, TLS);
    assert!(passes, "{said}");
}

#[test]
fn files_that_are_no_good_are_named_with_the_reason_and_the_remedy() {
    let pki = Pki::new();
    let [leaf, other] = ["web", "other"].map(|name| pki.server(name, &[NAME]));
    let [good_chain, good_key] = [&leaf.chain, &leaf.key].map(|file| fs::read_to_string(file).unwrap());
    let other_key = fs::read_to_string(&other.key).unwrap();
    let cut = good_chain[..good_chain.len() / 2].to_owned();
    let ended = pki.issue_ended();
    let cases: &[(&str, &str, [&str; 2])] = &[
        ("", &good_key, ["web.pem: the file is empty", "write it again"]),
        ("no PEM\n", &good_key, ["web.pem: it has no PEM section", "BEGIN CERTIFICATE"]),
        (
            &cut,
            &good_key,
            ["its PEM cannot be read: there is no line `-----END CERTIFICATE-----`", "copy the file again"],
        ),
        (&good_key, &good_key, ["web.pem: it holds a private key", "move it to the file of `key`"]),
        (&good_chain, &other_key, ["does not belong to the chain's first certificate", "replace both files"]),
        (&good_chain, &good_chain, ["web.key: it holds no private key", "`key` takes one"]),
        (&good_chain, "", ["web.key: the file is empty", "write it again"]),
        (&ended[0], &ended[1], ["web.pem: certificate 1", "have it renewed"]),
    ];
    for (chain, key, parts) in cases {
        fs::write(&leaf.chain, chain).unwrap();
        fs::write(&leaf.key, key).unwrap();
        let (passes, said) = check(&leaf.table("default"), TLS);
        assert!(!passes, "{parts:?}: {said}");
        parts.iter().for_each(|part| assert!(said.contains(part), "no {part:?} in {said}"));
        assert!(said.contains("certificate.default."), "the setting is named: {said}");
    }
    fs::remove_file(&leaf.key).unwrap();
    let (passes, said) = check(&leaf.table("default"), TLS);
    assert!(!passes && said.contains("certificate.default.key") && said.contains("web.key: cannot be read"), "{said}");
}
