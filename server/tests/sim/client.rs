//! Clients of the edges: plain HTTP over the simulated network, one request at a time each.
//!
//! **Not** lenient: an answer that cannot be parsed is a violation.

use std::rc::Rc;
use std::time::Duration;

use corelane_http::h1::response::{self, Body, Parsed};
use corelane_http::{Limits, Method};
use reactor::{Address, Connection, Instant, Reactor};

/// An answer, as far as the checks need it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) etag: Option<u64>,
    pub(crate) body: Vec<u8>,
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
        let deadline = self.reactor.now() + time;
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect(deadline).await?,
        };
        connection.set_deadline(deadline);
        write(&connection, request);
        let method = Method::from_token(request.method.as_bytes());
        let (answer, keep) = read(&connection, method, deadline, &self.reactor).await?;
        if keep {
            self.connection = Some(connection);
        }
        Ok(answer)
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

async fn read(
    connection: &Connection,
    method: Method,
    deadline: Instant,
    reactor: &Reactor,
) -> Result<(Answer, bool), Failure> {
    let mut received = Vec::new();
    loop {
        match parse(&received, method)? {
            Some(answer) => return Ok(answer),
            None => match connection.receive().await {
                Ok(Some(data)) => received.extend_from_slice(&data),
                Err(reactor::ConnectionError::TimedOut) => return Err(Failure::TimedOut),
                Ok(None) | Err(_) if reactor.now() >= deadline => return Err(Failure::TimedOut),
                Ok(None) | Err(_) => return Err(Failure::Connection),
            },
        }
    }
}

fn parse(received: &[u8], method: Method) -> Result<Option<(Answer, bool)>, Failure> {
    let parsed = response::parse(received, &Limits::default(), method);
    let head = match parsed.map_err(|error| Failure::Malformed(format!("{error:?} in {received:?}")))? {
        Parsed::Partial => return Ok(None),
        Parsed::Complete(head) => head,
    };
    let length = match head.body() {
        Body::None => 0,
        Body::Length(length) => length as usize,
        other => return Err(Failure::Malformed(format!("unexpected framing {other:?}"))),
    };
    let rest = &received[head.head_bytes()..];
    if rest.len() < length {
        return Ok(None);
    }
    if rest.len() > length {
        return Err(Failure::Malformed("bytes after the answer".to_owned()));
    }
    let etag = head.field("etag").and_then(|tag| std::str::from_utf8(tag).ok()?.trim_matches('"').parse().ok());
    Ok(Some((Answer { status: head.status(), etag, body: rest.to_vec() }, head.keep_alive())))
}
