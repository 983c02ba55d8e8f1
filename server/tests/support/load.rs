//! Load on keep-alive connections, in which every request is accounted for.
//!
//! **Invariants**: a request counts as lost unless its whole answer came; a connection asks no more once it was told that
//! its last answer has come.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use super::client::Client;

/// Requests of a connection after which its load counts as under way.
const WARM_REQUESTS: usize = 50;

/// Bytes of the value that each connection writes and reads: more than one packet, less than a socket's buffer.
const VALUE_BYTES: usize = 40_000;

/// What one connection saw.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) sent: usize,
    pub(crate) answered: usize,
    /// What came instead of an answer, or where the end of the connection was expected.
    pub(crate) faults: Vec<String>,
}

/// A load that runs until the server ends its connections.
pub(crate) struct Load {
    threads: Vec<JoinHandle<Account>>,
    warm: Receiver<()>,
}

impl Load {
    /// Starts load on so many connections, each with a thread of its own.
    #[expect(clippy::disallowed_methods, reason = "a test has no reactor; clients that block need threads")]
    pub(crate) fn start(address: SocketAddr, connections: usize) -> Self {
        let (is_warm, warm) = channel();
        let threads = (0..connections).map(|number| {
            let is_warm = is_warm.clone();
            std::thread::spawn(move || run(address, number, &|| is_warm.send(()).unwrap()))
        });
        Load { threads: threads.collect(), warm }
    }

    /// Waits until every connection is under way.
    pub(crate) fn await_warm(&self) {
        for _ in &self.threads {
            self.warm.recv_timeout(super::PATIENCE).expect("a connection that works makes its first requests");
        }
    }

    /// Waits until the server has ended every connection.
    pub(crate) fn finish(self) -> Vec<Account> {
        self.threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    }
}

fn run(address: SocketAddr, number: usize, is_warm: &dyn Fn()) -> Account {
    let mut client = Client::connect(address);
    let mut account = Account::default();
    let body = "x".repeat(VALUE_BYTES);
    let put = format!("PUT /v1/kv/default/{number} HTTP/1.1\r\nHost: h\r\nContent-Length: {VALUE_BYTES}\r\n\r\n{body}");
    let get = format!("GET /v1/kv/default/{number} HTTP/1.1\r\nHost: h\r\n\r\n");
    loop {
        let is_put = account.sent % 2 == 0;
        account.sent += 1;
        client.try_send(if is_put { put.as_bytes() } else { get.as_bytes() });
        let answer = match client.answer() {
            Ok(answer) => answer,
            Err(fault) => {
                account.faults.push(format!("connection {number}, request {}: {fault:?}", account.sent));
                return account;
            }
        };
        let whole = if is_put { matches!(answer.status, 201 | 204) } else { answer.body.len() == VALUE_BYTES };
        if !whole {
            account.faults.push(format!("connection {number}: {} of {} bytes", answer.status, answer.body.len()));
        }
        account.answered += 1;
        if account.answered == WARM_REQUESTS {
            is_warm();
        }
        if answer.closes() {
            account.faults.extend(client.end().err().map(|fault| format!("after the last answer: {fault:?}")));
            return account;
        }
    }
}
