//! Clients that mean harm, or are lost: what they get is an end, an alert where one can be read, and a count by the reason.

use std::net::SocketAddr;

use super::hello::{answer_to, client_hello, records, rest};
use super::pki::{NAME, Pki};
use super::python::Script;
use super::s_client::{GET, SClient, ask};
use crate::support::client::Client;
use crate::support::load::Load;
use crate::support::server::{Server, Waiting, raise_open_files};
use crate::support::{PATIENCE, answer::find};

/// Handshakes that nobody goes on with.
const HALF_OPEN: usize = 2_000;

/// Most memory that each of those may take: what is kept of its hello, and a handshake that has answered; twice that in a build with
/// checks and an allocator that rounds.
const HALF_OPEN_BYTES_MAX: u64 = 16 * 1024;

/// KeyUpdates beyond which a server that goes on is no server of ours.
const UPDATES_MAX: usize = 200;

fn faults(server: &Server, fault: &str) -> u64 {
    server.metric(&format!("corelane_tls_handshake_faults_total{{core=\"0\",fault=\"{fault}\"}}"))
}

fn await_faults(server: &Server, fault: &str, count: u64) {
    let waiting = Waiting::begin();
    while faults(server, fault) != count {
        waiting.go_on(|| format!("{fault}: {}, not {count}", faults(server, fault)));
    }
}

/// Whether these bytes are one alert that ends a connection, and which; nothing follows it.
fn fatal_alert(bytes: &[u8]) -> Option<u8> {
    match bytes {
        [21, 3, _, 0, 2, 2, alert] => Some(*alert),
        _ => None,
    }
}

fn put(address: SocketAddr) {
    let put = "PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nvalue\n";
    assert!(matches!(Client::connect(address).ask(put).status, 201 | 204));
}

/// Whoever comes now is served as ever.
fn assert_serves(server: &Server) {
    put(server.address);
    let text = ask(server.tls_address, &["-servername", NAME]);
    assert!(text.contains("HTTP/1.1 200 OK") && text.contains("value"), "{text}");
}

#[test]
fn http_on_the_port_of_tls_is_told_so_by_an_alert_and_tls_on_that_of_http_by_400() {
    let pki = Pki::new();
    let server = pki.serve("");
    let answer = answer_to(server.tls_address, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(fatal_alert(&answer).is_some(), "{:?}", answer.escape_ascii().to_string());
    await_faults(&server, "not_tls", 1);

    let mut client = Client::connect(server.address);
    client.send(&client_hello(0));
    assert_eq!(client.answer().unwrap().status, 400);
    client.end().unwrap();
    let text = ask(server.address, &[]);
    assert!(text.contains("wrong version number"), "{text}");
    assert_serves(&server);
}

#[test]
fn garbage_is_answered_by_an_end_and_counted() {
    let pki = Pki::new();
    let server = pki.serve("");
    let random: Vec<u8> = (0..40_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let garbage: &[&[u8]] = &[
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &random,
        &[0; 64],
        &vec![255; 20_000],
        // Of SSL 2, an alert, data, a change of ciphers, a ServerHello, an empty record, a record that is too long.
        &[0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10, 1, 0, 0x80],
        &[21, 3, 3, 0, 2, 2, 40],
        &[23, 3, 3, 0, 5, 1, 2, 3, 4, 5],
        &[20, 3, 3, 0, 1, 1],
        &records(&[2, 0, 0, 3, 3, 3, 0]),
        &[22, 3, 1, 0, 0],
        &[22, 3, 1, 0xff, 0xff, 1],
        &records(&[1, 0, 0, 4, 3, 3, 0, 0]),
    ];
    for bytes in garbage {
        let answer = answer_to(server.tls_address, bytes);
        assert!(find(&answer, b"HTTP/").is_none() && answer.len() < 64, "{:?}", answer.escape_ascii().to_string());
    }
    server.await_metric("corelane_tls_handshakes_total{core=\"0\",kind=\"failed\"}", garbage.len() as u64);
    server.await_metric("corelane_http_connections{", 0);
    assert_serves(&server);
}

#[test]
fn a_hello_may_be_long_but_not_without_end() {
    let pki = Pki::new();
    let server = pki.serve("");
    let mut client = Client::connect(server.tls_address);
    client.send(&client_hello(50_000));
    let answered = answer_start(&mut client);
    assert_eq!(answered, [22, 3, 3], "a ServerHello");

    // Of 65,535 bytes in five records, and of 60,000 bytes one by one.
    let endless = [&[1, 0, 0xff, 0xff][..], &vec![7; 65_535]].concat();
    let dribble = [&[1, 0, 0xea, 0x60][..], &[7; 2_000]].concat();
    for wire in [records(&endless), dribble.iter().flat_map(|byte| records(&[*byte])).collect()] {
        let answer = answer_to(server.tls_address, &wire);
        assert!(answer.is_empty() || fatal_alert(&answer).is_some(), "{:?}", answer.escape_ascii().to_string());
    }
    await_faults(&server, "flight_too_long", 2);
    assert_serves(&server);
}

/// The first three bytes of what comes.
fn answer_start(client: &mut Client) -> [u8; 3] {
    let mut start = [0; 3];
    std::io::Read::read_exact(&mut client.socket, &mut start).unwrap();
    start
}

#[test]
fn who_is_slow_with_its_hello_is_left() {
    let pki = Pki::new();
    let server = pki.serve("[tls]\nhandshake_timeout = \"200ms\"\n");
    let hello = client_hello(0);
    for sent in [0, 1, 7, hello.len() - 1] {
        let answer = answer_to(server.tls_address, &hello[..sent]);
        // close_notify: nobody's fault.
        assert!(answer.is_empty() || answer == [21, 3, 3, 0, 2, 1, 0], "{sent}: {answer:?}");
    }
    // It has its answer, and says no more.
    let mut client = Client::connect(server.tls_address);
    client.send(&hello);
    rest(&mut client.socket);
    await_faults(&server, "timed_out", 5);
    server.await_metric("corelane_http_connections{", 0);
    assert_serves(&server);
}

#[test]
fn handshakes_that_nobody_goes_on_with_cost_little_and_hold_nobody_up() {
    raise_open_files(HALF_OPEN as u64 + 200);
    let pki = Pki::new();
    let server = pki.serve("[tls]\nhandshake_timeout = \"1m\"\n");
    assert_serves(&server);
    let before = server.resident_bytes();
    let hello = client_hello(0);
    let mut half_open: Vec<Client> = Vec::new();
    for number in 0..HALF_OPEN {
        let mut client = Client::connect(server.tls_address);
        let is_whole = number % 2 == 0;
        client.send(if is_whole { &hello } else { &hello[..hello.len() / 2] });
        if is_whole {
            assert_eq!(answer_start(&mut client), [22, 3, 3]);
        }
        half_open.push(client);
    }
    server.await_metric("corelane_http_connections{", HALF_OPEN as u64);
    let mut client = Client::connect(server.address);
    for _ in 0..500 {
        assert_eq!(client.ask(GET).status, 200);
    }
    assert_serves(&server);
    let each = server.resident_bytes().saturating_sub(before) / HALF_OPEN as u64;
    println!("{each} bytes for each handshake that nobody goes on with");
    assert!(each <= HALF_OPEN_BYTES_MAX, "{each} bytes each");
    drop((half_open, client));
    server.await_metric("corelane_http_connections{", 0);
    assert_serves(&server);
}

#[test]
fn a_client_may_vanish_after_any_byte() {
    let pki = Pki::new();
    let server = pki.serve("");
    let hello = client_hello(0);
    for cut in 0..=hello.len() {
        Client::connect(server.tls_address).try_send(&hello[..cut]);
    }
    server.await_metric("corelane_tls_handshakes_total{core=\"0\",kind=\"failed\"}", hello.len() as u64 + 1);
    server.await_metric("corelane_http_connections{", 0);
    assert_serves(&server);
}

#[test]
fn a_storm_of_handshakes_beside_requests_in_the_clear_loses_none() {
    let pki = Pki::new();
    let mut server = pki.serve("");
    put(server.address);
    let load = Load::start(server.address, 2);
    load.await_warm();
    let (ip, port) = (server.tls_address.ip().to_string(), server.tls_address.port().to_string());
    let ca = pki.ca();
    let arguments = [&ip, &port, ca.to_str().unwrap(), NAME, "4", "500"];
    let mut storm = Script::start(include_str!("handshakes.py"), &arguments);
    assert_eq!(storm.next(), "certificate 1");
    storm.tell("end");
    let account: serde_json::Value = serde_json::from_str(&storm.next()).unwrap();
    assert_eq!(account["failed"], 0, "{account}");
    server.terminate();
    for account in load.finish() {
        assert!(account.faults.is_empty() && account.sent == account.answered, "{account:?}");
    }
    assert_eq!(server.await_exit(PATIENCE), 0);
}

#[test]
fn renegotiation_is_refused() {
    let pki = Pki::new();
    let server = pki.serve("");
    put(server.address);
    let mut client = SClient::start(server.tls_address, &["-tls1_2", "-servername", NAME]);
    client.expect("Verify return code");
    client.say("R\n");
    client.expect("RENEGOTIATING");
    let text = client.finish();
    assert!(text.contains("alert") || text.contains("renegotiation"), "{text}");
    assert_serves(&server);
}

#[test]
fn a_flood_of_key_updates_ends_its_connection() {
    let pki = Pki::new();
    let server = pki.serve("");
    put(server.address);
    for command in ["k\n", "K\n"] {
        let mut client = SClient::start(server.tls_address, &["-tls1_3", "-servername", NAME]);
        client.expect("Verify return code");
        let updates =
            (0..UPDATES_MAX).take_while(|_| client.try_say(command) && client.try_expect("KEYUPDATE").is_some());
        let updates = updates.count();
        assert!((1..UPDATES_MAX).contains(&updates), "{updates} updates, and it goes on");
        // A client that still writes is reset (errno 104, or 32), and a reset may overtake the alert.
        let text = client.finish();
        assert!(["alert", "errno=104", "errno=32"].iter().any(|end| text.contains(end)), "{text}");
    }
    server.await_metric("corelane_http_connections{", 0);
    assert_serves(&server);
}

#[test]
fn who_comes_beyond_the_bound_of_connections_is_closed_and_not_answered_in_the_clear() {
    let pki = Pki::new();
    let server = pki.serve("[limits]\nconnections_per_core = 4\n");
    let hello = client_hello(0);
    let mut kept: Vec<Client> = (0..4).map(|_| Client::connect(server.tls_address)).collect();
    for client in &mut kept {
        client.send(&hello);
        assert_eq!(answer_start(client), [22, 3, 3]);
    }
    assert_eq!(answer_to(server.tls_address, &hello), [0; 0]);
    assert_eq!(Client::connect(server.address).answer().unwrap().status, 503);
    server.await_metric("corelane_http_connections_shed_total{", 2);
    kept.truncate(2);
    server.await_metric("corelane_http_connections{", 2);
    assert_serves(&server);
}

#[test]
fn a_process_that_is_to_end_waits_for_no_handshake_that_nobody_goes_on_with() {
    let pki = Pki::new();
    let mut server = pki.serve("[tls]\nhandshake_timeout = \"1m\"\n");
    put(server.address);
    let hello = client_hello(0);
    let mut half_open: Vec<Client> = (0..40).map(|_| Client::connect(server.tls_address)).collect();
    for (number, client) in half_open.iter_mut().enumerate() {
        client.send(&hello[..hello.len() - number % 2]);
    }
    server.await_metric("corelane_http_connections{", 40);
    // A client whose handshake is done is answered to the end.
    let mut established = SClient::start(server.tls_address, &["-nocommands", "-servername", NAME]);
    established.expect("Verify return code");
    established.say(&GET[..10]);
    server.await_metric("corelane_http_connections{", 41);
    server.terminate();
    established.say(&GET[10..]);
    established.expect("value");
    drop(established);
    assert_eq!(server.await_exit(PATIENCE), 0);
    drop(half_open);
}
