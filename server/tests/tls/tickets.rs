//! Keys of tickets from a file: sessions outlive the process, and the file rotates them.

use std::fs;
use std::path::Path;

use super::pki::{NAME, Pki};
use super::s_client::ask;
use crate::support::client::Client;
use crate::support::server::{Server, Waiting};

fn settings(keys: &Path) -> String {
    format!("[tls]\nticket_keys = {keys:?}\n")
}

/// A key's line; each number is another key.
fn key(number: u8) -> String {
    let mut state = u64::from(number);
    let words = (0..4).map(|_| {
        // What is not random is refused.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        format!("{:016x}", (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb))
    });
    words.collect::<String>() + "\n"
}

/// Makes a session of this file.
fn begin(server: &Server, session: &Path, version: &str) {
    let text = ask(server.tls_address, &["-servername", NAME, version, "-sess_out", session.to_str().unwrap()]);
    assert!(text.contains("New, TLSv1.") && session.is_file(), "{text}");
}

/// Whether a session of this file is resumed.
fn resumes(server: &Server, session: &Path, version: &str) -> bool {
    let text = ask(server.tls_address, &["-servername", NAME, version, "-sess_in", session.to_str().unwrap()]);
    assert!(text.contains("HTTP/1.1 404"), "served, resumed or not: {text}");
    text.contains("Reused, TLSv1.")
}

/// How many keys of tickets there are.
fn keys_in_use(server: &Server) -> Vec<String> {
    let page = Client::connect(server.admin).ask("GET /v1/status HTTP/1.1\r\nHost: h\r\n\r\n");
    let status: serde_json::Value = serde_json::from_slice(&page.body).unwrap();
    let keys = status["tls"]["ticket_keys"].as_array().unwrap().clone();
    keys.iter().map(|key| key["phase"].as_str().unwrap().to_owned()).collect()
}

fn write_keys(server: &Server, file: &Path, numbers: &[u8], phases: &[&str]) {
    fs::write(file, numbers.iter().map(|number| key(*number)).collect::<String>()).unwrap();
    server.signal("HUP");
    let waiting = Waiting::begin();
    while keys_in_use(server) != phases {
        waiting.go_on(|| format!("{:?}, not {phases:?}", keys_in_use(server)));
    }
}

#[test]
fn a_session_outlives_the_process_by_the_file_of_keys_alone() {
    let pki = Pki::new();
    let [keys, of_file, of_process] = ["keys", "of-file", "of-process"].map(|file| pki.folder.join(file));
    fs::write(&keys, key(1)).unwrap();
    for version in ["-tls1_2", "-tls1_3"] {
        let first = pki.serve(&settings(&keys));
        begin(&first, &of_file, version);
        drop(first);
        assert!(resumes(&pki.serve(&settings(&keys)), &of_file, version), "{version}");

        let without = pki.serve("");
        begin(&without, &of_process, version);
        assert!(resumes(&without, &of_process, version), "{version}");
        drop(without);
        assert!(!resumes(&pki.serve(""), &of_process, version), "{version}");
    }
}

#[test]
fn the_file_rotates_keys_and_what_is_no_longer_in_it_opens_nothing() {
    let pki = Pki::new();
    let [keys, session] = ["keys", "session"].map(|file| pki.folder.join(file));
    fs::write(&keys, key(1)).unwrap();
    let server = pki.serve(&settings(&keys));
    assert_eq!(keys_in_use(&server), ["current"]);
    begin(&server, &session, "-tls1_3");
    write_keys(&server, &keys, &[2, 1], &["next", "current"]);
    assert!(resumes(&server, &session, "-tls1_3"), "its key is the current one");
    write_keys(&server, &keys, &[3, 2, 1], &["next", "current", "previous"]);
    assert!(resumes(&server, &session, "-tls1_3"), "its key is the previous one");
    fs::write(&keys, key(9) + "no key\n").unwrap();
    server.signal("HUP");
    let line = server.await_event("certificate_refused");
    assert!(
        line.contains("tls.ticket_keys") && line.contains("line 2") && line.contains("openssl rand -hex 32"),
        "{line}"
    );
    assert!(resumes(&server, &session, "-tls1_3"), "what is refused changes nothing");
    write_keys(&server, &keys, &[4, 3], &["next", "current"]);
    assert!(!resumes(&server, &session, "-tls1_3"), "its key is gone");
}
