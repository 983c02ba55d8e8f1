//! Early data (0-RTT): what is served before the handshake is over, what has to wait, and that nobody's bytes are served twice.

use std::fs;
use std::path::PathBuf;

use super::pki::{NAME, Pki};
use super::s_client::{LAST_GET, SClient, ask};
use crate::support::client::Client;
use crate::support::server::{Server, Waiting};

const EARLY: &str = "[tls]\nearly_data = true\n";

const GET: &str = "GET /v1/kv/default/a HTTP/1.1\r\nHost: h\r\n\r\n";

/// A body, and a request behind it.
const PUT_AND_GET: &str = "PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nearly\nGET /v1/kv/default/a HTTP/1.1\r\nHost: h\r\n\r\n";

/// A server with a value, and a folder of sessions.
struct Rig {
    pki: Pki,
    server: Server,
}

impl Rig {
    fn new(settings: &str) -> Self {
        let pki = Pki::new();
        let server = pki.serve(settings);
        let put = "PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nvalue\n";
        assert_eq!(Client::connect(server.address).ask(put).status, 201);
        Rig { pki, server }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.pki.folder.join(name)
    }

    /// Makes a session of this file.
    fn begin(&self, session: &str) {
        let file = self.file(session);
        ask(self.server.tls_address, &["-servername", NAME, "-sess_out", file.to_str().unwrap()]);
        assert!(file.is_file());
    }

    /// Resumes it with this in early data, and a last request behind the handshake; all that s_client says.
    fn resume(&self, session: &str, early: &str) -> String {
        let (session, data) = (self.file(session), self.file("early-data"));
        fs::write(&data, early).unwrap();
        let [session, data] = [session, data].map(|file| file.to_str().unwrap().to_owned());
        ask(self.server.tls_address, &["-servername", NAME, "-sess_in", &session, "-early_data", &data])
    }

    fn early_data(&self, result: &str) -> u64 {
        self.server.metric(&format!("corelane_tls_early_data_total{{core=\"0\",result=\"{result}\"}}"))
    }

    fn await_early_data(&self, result: &str, count: u64) {
        let waiting = Waiting::begin();
        while self.early_data(result) != count {
            waiting.go_on(|| format!("{result}: {}, not {count}", self.early_data(result)));
        }
    }
}

/// The statuses of all responses, in their order.
fn statuses(text: &str) -> Vec<&str> {
    let of = |line: &'_ str| line.find("HTTP/1.1 ").map(|at| at + 9);
    text.lines().filter_map(|line| of(line).map(|at| &line[at..at + 3])).collect()
}

#[test]
fn a_get_in_early_data_is_served_and_its_session_serves_once() {
    let rig = Rig::new(EARLY);
    rig.begin("session");
    let text = rig.resume("session", GET);
    assert!(text.contains("Early data was accepted") && text.contains("Reused, TLSv1.3"), "{text}");
    assert_eq!(statuses(&text), ["200", "200"], "{text}");
    let text = rig.resume("session", GET);
    assert!(text.contains("Early data was rejected") && text.contains("New, TLSv1.3"), "{text}");
    assert_eq!(statuses(&text), ["200"], "what came early is not served: {text}");
    rig.await_early_data("accepted", 1);
    rig.await_early_data("refused", 1);
}

#[test]
fn what_changes_something_is_told_to_come_again() {
    let rig = Rig::new(EARLY);
    rig.begin("session");
    let text = rig.resume("session", PUT_AND_GET);
    assert!(text.contains("Early data was accepted") && text.contains("urn:corelane:problem:too-early"), "{text}");
    assert_eq!(statuses(&text), ["425", "200", "200"], "the connection goes on: {text}");
    let value = Client::connect(rig.server.address).ask(GET).body;
    assert_eq!(value, b"value\n", "nothing was changed");
}

#[test]
fn without_the_setting_there_is_none() {
    let rig = Rig::new("");
    let mut client = SClient::start(rig.server.tls_address, &["-servername", NAME, "-ign_eof"]);
    client.say(LAST_GET);
    let text = client.finish();
    assert!(text.contains("Max Early Data: 0") && !text.contains("Max Early Data: 16384"), "{text}");
}
