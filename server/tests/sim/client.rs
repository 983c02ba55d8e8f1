//! Clients of the edges: plain HTTP over the simulated network, one request at a time or several pipelined.
//!
//! **Not** lenient: an answer that cannot be parsed is a violation.

use std::rc::Rc;
use std::time::Duration;

use corelane_http::h1::Parsed;
use corelane_http::h1::response::{self, ResponseBody};
use corelane_http::{MessageLimits, Method};
use reactor::{Address, Connection, Instant, Reactor};

/// An answer, as far as the checks need it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) etag: Option<u64>,
    /// Seconds that a cache may keep the answer.
    pub(crate) max_age_s: Option<u64>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Whether a write was refused for good: an unknown outcome has a name of its own.
    pub(crate) fn says_nothing_changed(&self) -> bool {
        let unknown = b"outcome-unknown";
        self.status == 503 && !self.body.windows(unknown.len()).any(|window| window == unknown)
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection failed; the edge may be gone.
    Connection,
    /// No answer in time.
    TimedOut,
    /// What came is no HTTP.
    Malformed(String),
}

/// A keep-alive connection to one edge, made anew when it has ended.
pub(crate) struct Client {
    reactor: Reactor,
    edge: Address,
    connection: Option<Connection>,
}

/// A request: method, key, further header lines, and a body for PUT.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) key: &'a str,
    pub(crate) fields: &'a str,
    pub(crate) body: Option<Rc<Vec<u8>>>,
}

impl Client {
    pub(crate) fn new(reactor: &Reactor, edge: Address) -> Self {
        Client { reactor: reactor.clone(), edge, connection: None }
    }

    /// Sends a request and reads its answer, within `time`.
    pub(crate) async fn call(&mut self, request: &Request<'_>, time: Duration) -> Result<Answer, Failure> {
        let mut answers = self.call_all(std::slice::from_ref(request), time).await;
        answers.pop().expect("there is a result for each request")
    }

    /// Sends requests at once, and reads their answers in order, within `time`; a result for each request. After the first
    /// failure, and after an answer that ends the connection, all others fail.
    pub(crate) async fn call_all(&mut self, requests: &[Request<'_>], time: Duration) -> Vec<Result<Answer, Failure>> {
        let deadline = self.reactor.now() + time;
        let mut results = Vec::new();
        let connection = match self.connection.take() {
            Some(connection) => Ok(connection),
            None => self.connect(deadline).await,
        };
        match connection {
            Ok(connection) => {
                connection.set_deadline(deadline);
                requests.iter().for_each(|request| write(&connection, request));
                if self.read_all(&connection, requests, deadline, &mut results).await {
                    self.connection = Some(connection);
                }
            }
            Err(failure) => results.push(Err(failure)),
        }
        results.resize_with(requests.len(), || Err(Failure::Connection));
        results
    }

    /// Reads the answers to `requests`; whether the connection can be used again.
    async fn read_all(
        &self,
        connection: &Connection,
        requests: &[Request<'_>],
        deadline: Instant,
        results: &mut Vec<Result<Answer, Failure>>,
    ) -> bool {
        let mut received = Vec::new();
        for (index, request) in requests.iter().enumerate() {
            let method = Method::from_token(request.method.as_bytes());
            match read(connection, method, deadline, (&self.reactor, &mut received)).await {
                Ok((answer, keep)) => {
                    results.push(Ok(answer));
                    if !keep {
                        return false;
                    }
                }
                Err(failure) => {
                    results.push(Err(failure));
                    return false;
                }
            }
            if index + 1 == requests.len() && !received.is_empty() {
                results.pop();
                results.push(Err(Failure::Malformed("bytes after the last answer".to_owned())));
                return false;
            }
        }
        true
    }

    async fn connect(&self, deadline: Instant) -> Result<Connection, Failure> {
        self.reactor.connect(&self.edge, deadline).await.map_err(|error| match error {
            reactor::ConnectionError::TimedOut => Failure::TimedOut,
            _ => Failure::Connection,
        })
    }
}

fn write(connection: &Connection, request: &Request<'_>) {
    let mut out = connection.write();
    let head =
        format!("{} /v1/kv/default/{} HTTP/1.1\r\nHost: edge\r\n{}", request.method, request.key, request.fields);
    out.extend_from_slice(head.as_bytes());
    if let Some(body) = &request.body {
        out.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    if let Some(body) = &request.body {
        out.extend_from_slice(body);
    }
}

/// Reads the next answer; what has come of those after it stays in `received`.
async fn read(
    connection: &Connection,
    method: Method,
    deadline: Instant,
    (reactor, received): (&Reactor, &mut Vec<u8>),
) -> Result<(Answer, bool), Failure> {
    loop {
        match parse(received, method)? {
            Some((answer, keep, bytes)) => {
                received.drain(..bytes);
                return Ok((answer, keep));
            }
            None => match connection.receive().await {
                Ok(Some(data)) => received.extend_from_slice(&data),
                Err(reactor::ConnectionError::TimedOut) => return Err(Failure::TimedOut),
                Ok(None) | Err(_) if reactor.now() >= deadline => return Err(Failure::TimedOut),
                Ok(None) | Err(_) => return Err(Failure::Connection),
            },
        }
    }
}

/// The answer at the start of what was received, whether the connection goes on, and how many bytes it took.
fn parse(received: &[u8], method: Method) -> Result<Option<(Answer, bool, usize)>, Failure> {
    let parsed = response::parse(received, &MessageLimits::default(), method);
    let head = match parsed.map_err(|error| Failure::Malformed(format!("{error:?} in {received:?}")))? {
        Parsed::Partial => return Ok(None),
        Parsed::Complete(head) => head,
    };
    let length = match head.body() {
        ResponseBody::None => 0,
        ResponseBody::Length(length) => length as usize,
        other => return Err(Failure::Malformed(format!("unexpected framing {other:?}"))),
    };
    let rest = &received[head.head_bytes()..];
    if rest.len() < length {
        return Ok(None);
    }
    let etag = head.field("etag").and_then(|tag| std::str::from_utf8(tag).ok()?.trim_matches('"').parse().ok());
    let max_age = head.field("cache-control").and_then(|field| field.strip_prefix(b"max-age="));
    let max_age_s = max_age.and_then(|seconds| std::str::from_utf8(seconds).ok()?.parse().ok());
    let answer = Answer { status: head.status(), etag, max_age_s, body: rest[..length].to_vec() };
    Ok(Some((answer, head.keep_alive(), head.head_bytes() + length)))
}
