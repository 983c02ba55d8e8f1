//! Bytes that nobody would send in good faith, and a network that fails.

use std::time::Duration;

use reactor::sim::NetworkOptions;

use super::{Client, script, simulate};

const LINES: [&str; 12] = [
    "GET / HTTP/1.1\r\n",
    "GET /big HTTP/1.1\r\n",
    "HEAD /metrics HTTP/1.1\r\n",
    "PUT /ready HTTP/1.0\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "Host: a\r\n",
    "Content-Length: 7\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Expect: 100-continue\r\n",
    "\r\n",
    "0\r\n\r\n",
];

/// Lines in any order, some bytes of which are replaced, taken out or doubled.
fn nonsense(client: &Client) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..1 + client.below(12)).flat_map(|_| LINES[client.below(LINES.len())].bytes()).collect();
    for _ in 0..client.below(4) {
        let Some(last) = bytes.len().checked_sub(1) else { break };
        let at = client.below(last + 1);
        match client.below(3) {
            0 => bytes[at] = client.reactor.random() as u8,
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, bytes[at]),
        }
    }
    bytes
}

/// Whatever is sent, what comes back is whole answers and then the end, within the time a connection may take.
#[test]
fn nonsense_is_answered_or_closed() {
    for seed in 0..150 {
        simulate(
            seed,
            NetworkOptions::default(),
            script!(|client| for _ in 0..20 {
                let bytes = nonsense(&client);
                let connection = client.connect().await;
                client.send_in_pieces(&connection, &bytes).await;
                connection.set_deadline(client.reactor.now() + Duration::from_secs(150));
                let mut received = 0;
                while let Some(data) = connection.receive().await.unwrap_or_else(|error| panic!("{error}: {bytes:?}")) {
                    received += data.len();
                }
                // A status that refuses ends the stream; what was received is cut into answers by the other tests.
                assert!(received < 2_000_000, "{received} bytes to {bytes:?}");
            }),
        );
    }
}

/// With resets, losses and clients that leave at any moment, the listener goes on and keeps nothing.
#[test]
fn a_bad_network_leaves_nothing_behind() {
    for seed in 0..150 {
        let bad =
            NetworkOptions { loss_per_mille: 50, reset_per_mille: 50, split_per_mille: 500, ..Default::default() };
        simulate(
            seed,
            bad,
            script!(|client| for _ in 0..20 {
                let deadline = client.reactor.now() + Duration::from_secs(10);
                let Ok(connection) = client.reactor.connect(&client.address, deadline).await else { continue };
                let bytes = b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1 + client.below(5));
                client.send_in_pieces(&connection, &bytes[..bytes.len() - client.below(bytes.len())]).await;
                connection.set_deadline(client.reactor.now() + Duration::from_millis(client.below(2000) as u64));
                while let Ok(Some(_)) = connection.receive().await {
                    if client.below(20) == 0 {
                        break;
                    }
                }
            }),
        );
    }
}
