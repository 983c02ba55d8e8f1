//! Certificates that change while clients make handshakes as fast as they can: by a rename, and written in place in both orders.

use std::fs;
use std::time::Duration;

use super::pki::{Leaf, MONTH, NAME, Pki};
use super::python::Script;
use super::s_client::await_certificate;
use crate::support::client::Client;
use crate::support::server::{Server, Waiting};

/// Least number of handshakes, unless `HANDSHAKES` says more.
const HANDSHAKES: u64 = 500;

/// Clients that make handshakes side by side.
const THREADS: &str = "4";

/// Longer than any number of handshakes takes that somebody asks for.
const LOAD_TIME_MAX: Duration = Duration::from_secs(600);

const APPLIED: &str = "corelane_tls_reloads_total{result=\"applied\"}";
const REFUSED: &str = "corelane_tls_reloads_total{result=\"refused\"}";

#[expect(clippy::disallowed_methods, reason = "the one who runs the test says how long")]
fn handshakes() -> u64 {
    std::env::var("HANDSHAKES").map_or(HANDSHAKES, |count| count.parse().unwrap())
}

/// How the two files of a certificate are replaced.
#[derive(Clone, Copy, Debug)]
enum Replacing {
    ByRename,
    KeyFirst,
    ChainFirst,
}

impl Replacing {
    fn write(self, pki: &Pki, [chain, key]: &[String; 2]) {
        let [chain_file, key_file] = ["web.pem", "web.key"].map(|file| pki.folder.join(file));
        match self {
            Replacing::ByRename => {
                for (text, file) in [(chain, &chain_file), (key, &key_file)] {
                    let written = pki.folder.join("written");
                    fs::write(&written, text).unwrap();
                    fs::rename(&written, file).unwrap();
                }
            }
            Replacing::KeyFirst => {
                fs::write(key_file, key).unwrap();
                fs::write(chain_file, chain).unwrap();
            }
            Replacing::ChainFirst => {
                fs::write(chain_file, chain).unwrap();
                fs::write(key_file, key).unwrap();
            }
        }
    }
}

fn issue(pki: &Pki) -> [String; 2] {
    pki.issue(corelane_pki::HolderRole::Server, "web", &[NAME], MONTH)
}

fn load(server: &Server, pki: &Pki, count_min: u64) -> Script {
    let (ip, port) = (server.tls_address.ip().to_string(), server.tls_address.port().to_string());
    let put = "PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nvalue";
    assert_eq!(Client::connect(server.address).ask(put).status, 201);
    let count_min = count_min.to_string();
    let ca = pki.ca();
    let arguments = [&ip, &port, ca.to_str().unwrap(), NAME, THREADS, &count_min];
    Script::start(include_str!("handshakes.py"), &arguments)
}

/// Ends the load; its account.
fn finish(mut load: Script) -> serde_json::Value {
    load.tell("end");
    let account = serde_json::from_str(&load.next_within(LOAD_TIME_MAX)).unwrap();
    println!("{account}");
    account
}

#[test]
fn certificates_are_swapped_under_a_storm_of_handshakes_and_none_fails() {
    let pki = Pki::new();
    let server = pki.serve("");
    let count_min = handshakes();
    let mut load = load(&server, &pki, count_min);
    assert_eq!(load.next(), "certificate 1");
    let ways = [Replacing::ByRename, Replacing::KeyFirst, Replacing::ChainFirst];
    for (number, way) in ways.into_iter().enumerate() {
        way.write(&pki, &issue(&pki));
        // New handshakes get it, without a signal.
        assert_eq!(load.next(), format!("certificate {}", number + 2), "{way:?}");
        // Connections of before live on.
        load.tell("old");
        assert_eq!(load.next(), "asked");
    }
    let account = finish(load);
    assert_eq!(account["failed"], 0, "{account}");
    assert_eq!(account["seen"], 4, "{account}");
    assert!(account["done"].as_u64().unwrap() >= count_min, "{account}");
    assert_eq!((server.metric(APPLIED), server.metric(REFUSED)), (3, 0));
}

#[test]
fn a_pair_that_is_none_changes_nothing_and_is_named() {
    let pki = Pki::new();
    let server = pki.serve("");
    let before = Leaf { chain: pki.folder.join("before.pem"), key: pki.folder.join("before.key") };
    fs::copy(pki.folder.join("web.pem"), &before.chain).unwrap();
    let load = load(&server, &pki, 0);
    assert_eq!(load.next(), "certificate 1");

    fs::write(pki.folder.join("web.key"), &issue(&pki)[1]).unwrap();
    server.signal("HUP");
    let line = server.await_event("certificate_refused");
    assert!(line.contains("web.pem") && line.contains("does not belong to the chain's first certificate"), "{line}");
    server.await_metric(REFUSED, 1);

    // What no later look can find mended is refused at once.
    fs::copy(pki.folder.join("web.key"), pki.folder.join("web.pem")).unwrap();
    server.signal("HUP");
    let line = server.await_event("certificate_refused");
    assert!(line.contains("certificate.default.chain") && line.contains("it holds a private key"), "{line}");
    server.await_metric(REFUSED, 2);

    await_certificate(&server, &before);
    // The next good pair is taken as if nothing had been.
    Replacing::ChainFirst.write(&pki, &issue(&pki));
    server.await_event("certificates_in_force");
    assert_eq!(load.next(), "certificate 2");
    let account = finish(load);
    assert!(account["failed"] == 0 && account["seen"] == 2, "{account}");
    assert_eq!(server.metric(APPLIED), 1);
}

#[test]
fn a_signal_without_a_change_changes_nothing() {
    let pki = Pki::new();
    let server = pki.serve("");
    let mut load = load(&server, &pki, 0);
    assert_eq!(load.next(), "certificate 1");
    let reloads = "corelane_config_reloads_total{result=\"applied\"}";
    let base = fs::read_to_string(server.folder.join("corelane.toml")).unwrap();
    for round in 1..=3 {
        // A setting of something else, by whose reload one knows that the signal has come.
        server.write("corelane.toml", &format!("{base}[limits]\nidle_timeout = \"{}s\"\n", 60 + round));
        server.signal("HUP");
        server.await_metric(reloads, round);
        load.tell("old");
        assert_eq!(load.next(), "asked");
    }
    let account = finish(load);
    assert!(account["failed"] == 0 && account["seen"] == 1, "{account}");
    assert_eq!((server.metric(APPLIED), server.metric(REFUSED)), (0, 0));
}

#[test]
fn a_name_is_added_and_taken_away_by_a_reload_of_settings() {
    let pki = Pki::new();
    let [a, b] = ["a.test", "b.test"].map(|name| pki.server(name, &[name]));
    let server = super::pki::serve(&a.table("a"));
    let subject_of = |name: &str| {
        let text = super::s_client::ask(server.tls_address, &["-servername", name]);
        super::s_client::told(&format!("{text}\nsubject=nobody"), "subject=").to_owned()
    };
    let base = fs::read_to_string(server.folder.join("corelane.toml")).unwrap();
    for (tables, served) in [(base.clone() + &b.table("b"), true), (base, false)] {
        server.write("corelane.toml", &tables);
        let waiting = Waiting::begin();
        while subject_of("b.test").ends_with("CN = b.test") != served {
            waiting.go_on(|| format!("b.test: {}, not as of {tables}", subject_of("b.test")));
        }
        assert!(subject_of("a.test").ends_with("CN = a.test"));
    }
}
