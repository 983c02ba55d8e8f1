//! Early data (0-RTT): what is served before the handshake is over, what has to wait, and that nobody's bytes are served twice.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::hello::rest;
use super::pki::{NAME, Pki, serve_on};
use super::s_client::{GET, LAST_GET, SClient, ask, await_certificate};
use crate::support::client::{Client, uninterrupted};
use crate::support::server::{Server, Waiting};

const EARLY: &str = "[tls]\nearly_data = true\n";

/// A body, and a request behind it.
const PUT_AND_GET: &str = "PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nearly\nGET /v1/kv/default/a HTTP/1.1\r\nHost: h\r\n\r\n";

/// A server with a value, and a folder of sessions.
struct Rig {
    pki: Pki,
    server: Server,
}

impl Rig {
    fn new(settings: &str) -> Self {
        Rig::on(settings, "0")
    }

    fn on(settings: &str, cores: &str) -> Self {
        let pki = Pki::new();
        let server = serve_on(&format!("{}{settings}", pki.server("web", &[NAME]).table("default")), cores);
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
        let arguments = self.early_arguments(session, early);
        ask(self.server.tls_address, &arguments.each_ref().map(String::as_str))
    }

    /// What has s_client resume it with this in early data.
    fn early_arguments(&self, session: &str, early: &str) -> [String; 6] {
        let (session, data) = (self.file(session), self.file("early-data"));
        fs::write(&data, early).unwrap();
        let [session, data] = [session, data].map(|file| file.to_str().unwrap().to_owned());
        ["-servername", NAME, "-sess_in", &session, "-early_data", &data].map(str::to_owned)
    }

    /// The first flight of a client that resumes it with this in early data, recorded by somebody between: it does not come to the server.
    #[expect(clippy::disallowed_types, reason = "no product code: whoever is between client and server")]
    fn record(&self, session: &str, early: &str) -> Vec<u8> {
        let between = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let arguments = self.early_arguments(session, early);
        let client = SClient::start(between.local_addr().unwrap(), &arguments.each_ref().map(String::as_str));
        let (mut socket, _) = between.accept().unwrap();
        let (mut flight, mut chunk) = (Vec::new(), [0; 4096]);
        while !has_early_data(&flight) {
            let count = uninterrupted(|| socket.read(&mut chunk)).unwrap();
            assert!(count > 0, "the client has sent all that it has to say");
            flight.extend_from_slice(&chunk[..count]);
        }
        drop(client);
        flight
    }

    /// Connections of a core that sent early data, and this became of them.
    fn early_data(&self, core: u8, result: &str) -> u64 {
        self.server.metric(&format!("corelane_tls_early_data_total{{core=\"{core}\",result=\"{result}\"}}"))
    }

    fn await_early_data(&self, result: &str, count: u64) {
        let waiting = Waiting::begin();
        while self.early_data(0, result) != count {
            waiting.go_on(|| format!("{result}: {}, not {count}", self.early_data(0, result)));
        }
    }
}

/// Whether a flight has a whole record that is encrypted.
fn has_early_data(mut flight: &[u8]) -> bool {
    while let Some(&[kind, _, _, high, low]) = flight.first_chunk() {
        let Some(rest) = flight.get(5 + usize::from(u16::from_be_bytes([high, low]))..) else { return false };
        if kind == 23 {
            return true;
        }
        flight = rest;
    }
    false
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

#[test]
fn what_was_recorded_is_served_to_the_first_who_sends_it_and_ends_without_its_client() {
    let rig = Rig::new("[tls]\nearly_data = true\nhandshake_timeout = \"2s\"\n");
    rig.begin("session");
    let flight = rig.record("session", GET);
    let counts = || rig.server.metric("corelane_http_requests_total{core=\"0\"}");
    let before = counts();
    let mut clients = [(); 3].map(|()| Client::connect(rig.server.tls_address));
    clients.iter_mut().for_each(|client| client.send(&flight));
    // Nobody who has the flight alone can finish: the server ends it.
    let answers = clients.each_mut().map(|client| rest(&mut client.socket).len());
    rig.await_early_data("accepted", 1);
    rig.await_early_data("refused", 2);
    rig.await_early_data("unconfirmed", 1);
    assert_eq!(counts() - before, 1, "answers of {answers:?} bytes");
}

#[test]
fn a_connection_that_began_with_early_data_lives_on_behind_its_handshake() {
    let rig = Rig::new("[tls]\nearly_data = true\nhandshake_timeout = \"1s\"\n");
    rig.begin("session");
    let arguments = rig.early_arguments("session", GET);
    let mut client = SClient::start(rig.server.tls_address, &arguments.each_ref().map(String::as_str));
    client.expect("Early data was accepted");
    client.expect("value");
    let waiting = Waiting::begin();
    while waiting.elapsed_ms() < 1_500 {
        client.say(GET);
        client.expect("value");
    }
    client.say("K\n");
    client.expect("KEYUPDATE");
    client.say(GET);
    client.expect("value");
    assert_eq!(rig.early_data(0, "unconfirmed"), 0);
}

#[test]
fn early_data_are_taken_by_a_core_that_did_not_make_the_session() {
    let rig = Rig::on(EARLY, "0,1");
    let full = |core: u8| rig.server.metric(&format!("corelane_tls_handshakes_total{{core=\"{core}\",kind=\"full\"}}"));
    let accepted = |core| rig.early_data(core, "accepted");
    // With two cores, 2^-63 of runs do not see another core than the first.
    for connections in 1..=64 {
        let [full_before, accepted_before] = [[full(0), full(1)], [accepted(0), accepted(1)]];
        rig.begin("session");
        let text = rig.resume("session", GET);
        assert!(text.contains("Early data was accepted"), "{text}");
        let waiting = Waiting::begin();
        while full(0) + full(1) != connections || accepted(0) + accepted(1) != connections {
            waiting.go_on(|| format!("not {connections} connections of each kind are counted"));
        }
        let [made_by_first, taken_by_first] = [full(0) > full_before[0], accepted(0) > accepted_before[0]];
        if made_by_first != taken_by_first {
            return;
        }
    }
    panic!("no session was ever resumed on another core");
}

#[test]
fn a_session_outlives_its_certificate_and_ends_with_the_setting() {
    let rig = Rig::new(EARLY);
    for session in ["first", "second"] {
        rig.begin(session);
    }
    let renewed = rig.pki.server("web", &[NAME]);
    rig.server.signal("HUP");
    await_certificate(&rig.server, &renewed);
    let text = rig.resume("first", GET);
    assert!(text.contains("Early data was accepted"), "{text}");

    let settings = fs::read_to_string(rig.server.folder.join("corelane.toml")).unwrap();
    for (early, applied) in [("false", 1), ("true", 2)] {
        rig.server.write("corelane.toml", &settings.replace("early_data = true", &format!("early_data = {early}")));
        rig.server.signal("HUP");
        rig.server.await_metric("corelane_config_reloads_total{result=\"applied\"}", applied);
        let waiting = Waiting::begin();
        loop {
            rig.begin("now");
            if rig.resume("now", GET).contains("Early data was accepted") == (early == "true") {
                break;
            }
            waiting.go_on(|| format!("early_data = {early} is not in force"));
        }
        let text = rig.resume("second", GET);
        assert!(text.contains("Early data was rejected"), "{text}");
        assert_eq!(statuses(&text), ["200"], "{text}");
    }
}
