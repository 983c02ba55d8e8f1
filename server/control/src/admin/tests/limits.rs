//! Bounds and deadlines, in virtual time.

use std::time::Duration;

use reactor::{Connection, ConnectionError, sim::NetworkOptions};

use super::{BIG_BYTES, Client, script, simulate};
use crate::admin::{
    CONNECTIONS_MAX,
    accept::PROBES_MAX,
    connection::{ANSWER_TIME, HEAD_TIME, IDLE_TIME, PROBE_TIME},
};

const SEEDS: u64 = 20;

/// More than the network's delays, less than any difference that would matter.
const SLACK: Duration = Duration::from_secs(1);

#[test]
fn an_idle_connection_is_closed_in_its_time() {
    for seed in 0..SEEDS {
        simulate(
            seed,
            NetworkOptions::default(),
            script!(|client| for requests in 0..2 {
                let connection = client.connect().await;
                for _ in 0..requests {
                    client.send_in_pieces(&connection, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await;
                    client.read(&connection, &[], Some(1)).await;
                }
                let idle_since = client.reactor.now();
                let (answers, ended) = client.read(&connection, &[], None).await;
                let idle = client.reactor.now().since(idle_since);
                assert!(answers.is_empty() && ended, "closed without a word: {answers:?}");
                assert!(idle + SLACK > IDLE_TIME && idle < IDLE_TIME + SLACK, "{idle:?}");
            }),
        );
    }
}

/// However a head trickles in, its time runs from its first byte.
#[test]
fn a_slow_head_is_answered_408() {
    for seed in 0..SEEDS {
        simulate(
            seed,
            NetworkOptions::default(),
            script!(
                |client| for starts in ["GET / HTTP/1.1\r\nX: ", "\r\n", "G", "GET / HTTP/1.1\r\nHost: a\r\n\r\nG"] {
                    let connection = client.connect().await;
                    client.reactor.sleep(Duration::from_secs(20)).await;
                    let begun = client.reactor.now();
                    connection.write().extend_from_slice(starts.as_bytes());
                    let trickle = connection.sender();
                    let dripping = client.clone();
                    let drip = async move {
                        // Bytes that go on any of the heads above as they stand, but for the one that is an empty line.
                        for _ in 0..9 {
                            dripping.reactor.sleep(Duration::from_secs(1)).await;
                            if starts != "\r\n" {
                                trickle.write().push(b'E');
                            }
                        }
                    };
                    client.reactor.spawn(drip).unwrap();
                    let (answers, ended) = client.read(&connection, &[], None).await;
                    let took = client.reactor.now().since(begun);
                    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
                    let whole = usize::from(starts.ends_with("\r\n\r\nG"));
                    assert_eq!((&statuses[whole..], ended), (&[408][..], true), "{starts:?}");
                    assert!(took + SLACK > HEAD_TIME && took < HEAD_TIME + SLACK, "{took:?}");
                }
            ),
        );
    }
}

const PROBE: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n";

/// Connections that rest make room, the longest first, whatever is asked then.
#[test]
fn connections_that_rest_make_room() {
    for seed in 0..SEEDS {
        simulate(
            seed,
            NetworkOptions::default(),
            script!(|client| {
                let request = b"GET /v1/config HTTP/1.1\r\nHost: a\r\n\r\n";
                let mut held = Vec::new();
                for index in 0..CONNECTIONS_MAX {
                    let connection = client.connect().await;
                    // One that has not said anything rests as well.
                    if index > 0 {
                        client.send_in_pieces(&connection, request).await;
                        assert_eq!(client.read(&connection, &[], Some(1)).await.0[0].status, 200);
                    }
                    held.push(connection);
                }
                for index in 0..3 {
                    let connection = client.connect().await;
                    client.send_in_pieces(&connection, request).await;
                    assert_eq!(client.read(&connection, &[], Some(1)).await.0[0].status, 200);
                    let (answers, ended) = client.read(&held[index], &[], None).await;
                    assert!(answers.is_empty() && ended, "{index} has made room");
                    held.push(connection);
                }
                client.send_in_pieces(&held[3], request).await;
                assert_eq!(client.read(&held[3], &[], Some(1)).await.0[0].status, 200, "it has kept its place");
            }),
        );
    }
}

/// A connection on which a probe was answered.
async fn probe(client: &Client) -> Connection {
    let connection = client.connect().await;
    connection.write().extend_from_slice(PROBE);
    let (answers, _) = client.read(&connection, &[], Some(1)).await;
    assert!(answers[0].body.contains("no topology"), "{answers:?}");
    connection
}

/// As many connections as there are places, each with a part of a head.
async fn begun_heads(client: &Client) -> Vec<Connection> {
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        let connection = client.connect().await;
        connection.write().extend_from_slice(b"GET /");
        held.push(connection);
    }
    held
}

/// Connections that do not rest hold their places; probes have places of their own, for probes alone and for a short time.
#[test]
fn probes_are_answered_when_all_connections_are_taken_and_places_come_back() {
    for seed in 0..SEEDS {
        simulate(
            seed,
            NetworkOptions::default(),
            script!(|client| {
                let mut held = begun_heads(&client).await;
                client.reactor.sleep(SLACK).await;
                for (request, status) in [
                    (PROBE, 503),
                    (b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200),
                    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 503),
                ] {
                    let connection = client.connect().await;
                    connection.write().extend_from_slice(request);
                    let (answers, ended) = client.read(&connection, &[], None).await;
                    assert_eq!((answers.len(), answers[0].status, ended), (1, status, true));
                    let is_probe = request == PROBE;
                    assert_eq!(answers[0].body.contains("no topology"), is_probe, "{:?}", answers[0].body);
                }
                // Who holds the place of a probe without asking loses it: to a probe at once, else in time.
                let begun = client.reactor.now();
                let mut silent = Vec::new();
                for index in 0..PROBES_MAX {
                    let connection = client.connect().await;
                    if index >= 3 {
                        connection.write().extend_from_slice(b"GET /");
                    }
                    silent.push(connection);
                }
                client.reactor.sleep(Duration::from_millis(100)).await;
                let mut probes = Vec::new();
                for connection in &silent[..3] {
                    let asked = probe(&client).await;
                    let (answers, ended) = client.read(connection, &[], None).await;
                    assert!(answers.is_empty() && ended, "it has made room: {answers:?}");
                    probes.push(asked);
                }
                for connection in &silent {
                    assert!(client.read(connection, &[], None).await.1);
                }
                assert!(client.reactor.now().since(begun) < PROBE_TIME + SLACK);
                drop((silent, probes));
                client.reactor.sleep(SLACK).await;
                // Those that were answered keep their places while they close.
                let mut answered = Vec::new();
                for _ in 0..PROBES_MAX {
                    answered.push(probe(&client).await);
                }
                let shed = client.connect().await;
                let (answers, ended) = client.read(&shed, &[], None).await;
                assert_eq!((answers[0].status, answers[0].field("retry-after"), ended), (503, Some("1"), true));
                // Not for long, whether they close or not.
                client.reactor.sleep(Duration::from_millis(300)).await;
                drop(probe(&client).await);
                held.pop().expect("all are held").finish(Duration::from_secs(5)).await;
                let connection = client.connect().await;
                connection.write().extend_from_slice(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
                let (answers, _) = client.read(&connection, &[], Some(1)).await;
                assert!(answers[0].body.contains("\ncorelane_admin_connections_shed_total 4\n"), "{answers:?}");
            }),
        );
    }
}

/// A client that asks for much and reads nothing is dropped, and never has more queued than the bound and one answer.
#[test]
fn a_client_that_does_not_read_is_dropped() {
    for seed in 0..SEEDS {
        simulate(
            seed,
            NetworkOptions::default(),
            script!(|client| {
                let connection = client.connect().await;
                let begun = client.reactor.now();
                connection.write().extend_from_slice(&b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n".repeat(500));
                connection.drained(0).await.unwrap();
                // Nobody reads for so long that the listener must have given up.
                client.reactor.sleep(ANSWER_TIME + SLACK).await;
                connection.set_deadline(client.reactor.now() + Duration::from_secs(5));
                let mut bytes = 0;
                let end = loop {
                    match connection.receive().await {
                        Ok(Some(data)) => bytes += data.len(),
                        Ok(None) => break None,
                        Err(error) => break Some(error),
                    }
                };
                assert_ne!(end, Some(ConnectionError::TimedOut), "{:?}", client.reactor.now().since(begun));
                assert!(bytes < 20 * BIG_BYTES, "{bytes} bytes of answers to nobody");
            }),
        );
    }
}
