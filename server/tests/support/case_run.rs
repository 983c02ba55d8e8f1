//! Runs a case: set-up, what is sent, what must be answered, and what must be true afterwards.
//!
//! **Invariants**: a case runs on a connection of its own; set-up and checks run on one that all cases share and that
//! none may disturb.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::case_file::{Case, End, Expected, Names, SetUp, Step, Stored};
use crate::support::answer::Answer;
use crate::support::client::{Client, Fault};

/// How the bytes of a case are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    AsWritten,
    ByteByByte,
}

/// Most of what was sent that a report shows.
const SHOWN_BYTES_MAX: usize = 600;

const PROBE: &str = "GET / HTTP/1.1\r\nHost: probe\r\n\r\n";

/// Runs cases against one server.
pub(crate) struct Runner {
    address: SocketAddr,
    /// The connection that no case may disturb.
    neighbour: Client,
}

impl Case {
    /// Bytes this case sends, roughly: names count as they stand.
    pub(crate) fn sent_bytes(&self) -> usize {
        let names = Names { case: &self.name, etag: 0 };
        let sent = self.steps.iter().map(|step| match step {
            Step::Send(text) => names.bytes(text).map_or(0, |bytes| bytes.len()),
            _ => 0,
        });
        sent.sum()
    }
}

/// One run of one case.
struct Run<'a> {
    case: &'a Case,
    mode: Mode,
    names: Names<'a>,
    client: Client,
    sent: Vec<u8>,
    /// Answers that came while the steps were taken.
    early: Vec<Answer>,
    /// Answers expected and not yet seen come from here on.
    next: usize,
}

impl Runner {
    /// A runner whose neighbour is connected before any case runs.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Runner { address, neighbour: Client::connect(address) }
    }

    /// Runs a case; a report when it fails.
    pub(crate) fn run(&mut self, case: &Case, mode: Mode) -> Result<(), String> {
        let etag = self.set_up(case).map_err(|what| format!("set-up: {what}"))?;
        let names = Names { case: &case.name, etag };
        let client = Client::connect(self.address);
        let mut run = Run { case, mode, names, client, sent: Vec::new(), early: Vec::new(), next: 0 };
        let outcome = run.take_steps().and_then(|()| run.check_answers()).and_then(|()| self.check_end(&mut run));
        let outcome = outcome.and_then(|()| self.check_stored(&run)).and_then(|()| self.check_neighbour());
        outcome.map_err(|what| {
            if self.check_neighbour().is_err() {
                self.neighbour = Client::connect(self.address);
            }
            run.report(&what)
        })
    }

    fn ask(&mut self, request: &[u8]) -> Result<Answer, String> {
        self.neighbour.try_send(request);
        self.neighbour.answer().map_err(|fault| format!("the neighbour got {fault:?}"))
    }

    /// Prepares what is stored; the version of what was stored last.
    fn set_up(&mut self, case: &Case) -> Result<u64, String> {
        let mut etag = 0;
        for set_up in &case.set_up {
            let names = Names { case: &case.name, etag };
            match set_up {
                SetUp::Store { key, body, fields } => {
                    let (key, body) = (names.text(key)?, names.bytes(body)?);
                    let mut request =
                        format!("PUT /v1/kv/{key} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n", body.len());
                    for field in fields {
                        let _ = write!(request, "{}\r\n", names.text(field)?);
                    }
                    let answer = self.ask(&[request.as_bytes(), b"\r\n", &body].concat())?;
                    let version = answer.field("ETag").and_then(|tag| tag.trim_matches('"').parse().ok());
                    etag = version.ok_or(format!("storing {key} came to {answer:?}"))?;
                }
                SetUp::Absent { key } => {
                    let request = format!("DELETE /v1/kv/{} HTTP/1.1\r\nHost: h\r\n\r\n", names.text(key)?);
                    let status = self.ask(request.as_bytes())?.status;
                    matches!(status, 204 | 404).then_some(()).ok_or(format!("deleting {key} came to {status}"))?;
                }
            }
        }
        Ok(etag)
    }

    fn check_end(&mut self, run: &mut Run<'_>) -> Result<(), String> {
        match run.case.end {
            End::Closed => run.client.end().map_err(|fault| format!("instead of the end of the connection: {fault:?}")),
            End::Open => {
                run.client.try_send(PROBE.as_bytes());
                let probed = run.client.answer().map_err(|fault| format!("the connection is not open: {fault:?}"))?;
                let silent = probed.status == 200 && run.client.is_silent();
                silent.then_some(()).ok_or(format!("on the open connection: {probed:?}"))
            }
            End::Waiting => {
                // Two round trips of a neighbour on the same core: what the server had to say it has said by then.
                self.check_neighbour()?;
                self.check_neighbour()?;
                run.client.is_silent().then_some(()).ok_or("the server did not wait".to_owned())
            }
        }
    }

    fn check_stored(&mut self, run: &Run<'_>) -> Result<(), String> {
        for Stored { key, body } in &run.case.stored {
            let key = run.names.text(key)?;
            let answer = self.ask(format!("GET /v1/kv/{key} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes())?;
            let expected = body.as_ref().map(|body| run.names.bytes(body)).transpose()?;
            let found = (answer.status == 200).then_some(&answer.body);
            if (answer.status != 404 && found.is_none()) || found != expected.as_ref() {
                let shown = String::from_utf8_lossy(&answer.body).chars().take(80).collect::<String>();
                return Err(format!("afterwards {key:.80} is {} {shown:?}", answer.status));
            }
        }
        Ok(())
    }

    fn check_neighbour(&mut self) -> Result<(), String> {
        let answer = self.ask(PROBE.as_bytes())?;
        let fine = answer.status == 200 && !answer.closes() && self.neighbour.is_silent();
        fine.then_some(()).ok_or(format!("the neighbour got {answer:?}"))
    }
}

impl Run<'_> {
    fn take_steps(&mut self) -> Result<(), String> {
        let case = self.case;
        let mut packet = Vec::new();
        for step in &case.steps {
            match step {
                Step::Send(text) => packet.extend(self.names.bytes(text)?),
                Step::Split => self.flush(&mut packet),
                Step::Await => {
                    self.flush(&mut packet);
                    self.await_interim()?;
                }
                Step::HalfClose => {
                    self.flush(&mut packet);
                    self.client.end_sending();
                }
            }
        }
        self.flush(&mut packet);
        Ok(())
    }

    /// Sends what was gathered. A server that has refused the request may be gone; its answer tells.
    fn flush(&mut self, packet: &mut Vec<u8>) {
        let pieces = match self.mode {
            Mode::AsWritten => packet.len().max(1),
            Mode::ByteByByte => 1,
        };
        for piece in packet.chunks(pieces) {
            self.client.try_send(piece);
        }
        self.sent.append(packet);
    }

    /// Waits for answers up to the next interim one.
    fn await_interim(&mut self) -> Result<(), String> {
        loop {
            let answer = self.next_answer()?;
            let is_interim = answer.is_interim();
            self.early.push(answer);
            if is_interim {
                return Ok(());
            }
        }
    }

    fn next_answer(&mut self) -> Result<Answer, String> {
        let expected = self.case.answers.get(self.next).ok_or("there is one answer more than expected")?;
        self.next += 1;
        self.client.answer_to(expected.is_head).map_err(|fault| {
            let what = match fault {
                Fault::Ended(left) => format!("the server closed, left over {:?}", left.escape_ascii().to_string()),
                fault => format!("{fault:?}"),
            };
            format!("instead of answer {} ({}): {what}", self.next, expected.status)
        })
    }

    fn check_answers(&mut self) -> Result<(), String> {
        let mut answers = std::mem::take(&mut self.early);
        while self.next < self.case.answers.len() {
            answers.push(self.next_answer()?);
        }
        for (at, (answer, expected)) in answers.iter().zip(&self.case.answers).enumerate() {
            self.check_answer(answer, expected).map_err(|what| format!("answer {}: {what}", at + 1))?;
        }
        // A client that says that it is done need not be told that the server is done as well.
        let told = answers.last().is_some_and(Answer::closes);
        let ended_by_client = self.case.steps.iter().any(|step| matches!(step, Step::HalfClose));
        match self.case.end {
            End::Closed if !told && !answers.is_empty() && !ended_by_client => {
                Err("the last answer does not say close".to_owned())
            }
            End::Open if told => Err("the last answer says close".to_owned()),
            _ => Ok(()),
        }
    }

    fn check_answer(&self, answer: &Answer, expected: &Expected) -> Result<(), String> {
        let Expected { status, slug, is_head, fields, absent_fields, body, body_bytes } = expected;
        if answer.status != *status {
            return Err(format!("{} instead of {status}, {:?}", answer.status, answer.slug()));
        }
        let problem = answer.slug();
        if answer.status >= 400 && !is_head && (problem.is_none() || slug.is_some() && &problem != slug) {
            return Err(format!("the problem is {problem:?} instead of {slug:?}"));
        }
        for (name, value) in fields {
            let value = self.names.text(value)?;
            let found = answer.field(name);
            if found.is_none() || (value != "*" && found != Some(value.as_str())) {
                return Err(format!("{name} is {found:?} instead of {value:?}"));
            }
        }
        if let Some(name) = absent_fields.iter().find(|name| answer.field(name).is_some()) {
            return Err(format!("there is a {name}"));
        }
        let body = body.as_ref().map(|body| self.names.bytes(body)).transpose()?;
        let as_expected = body.is_none_or(|body| body == answer.body);
        let as_long = body_bytes.is_none_or(|count| count == answer.body.len());
        if as_expected && as_long { Ok(()) } else { Err(format!("a body of {} bytes is another", answer.body.len())) }
    }

    fn report(&self, what: &str) -> String {
        let shown = |bytes: &[u8]| bytes[..bytes.len().min(SHOWN_BYTES_MAX)].escape_ascii().to_string();
        format!("{what}\n  sent:     {}\n  received: {}", shown(&self.sent), shown(&self.client.received))
    }
}
