//! An HTTP/1.1 answer, taken apart by a reader that shares no code with the server.
//!
//! **Invariants**: strict: what the grammar does not allow is an error, so that a malformed answer fails its test.

/// An answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What the bytes so far make.
pub(crate) enum Read {
    /// More is needed.
    Partial,
    /// An answer, and how many bytes it took.
    Whole(Answer, usize),
}

impl Answer {
    /// Reads the answer at the start of `bytes`; `has_no_body`: it answers a HEAD.
    pub(crate) fn read(bytes: &[u8], has_no_body: bool) -> Result<Read, String> {
        let Some(head_end) = find(bytes, b"\r\n\r\n") else { return Ok(Read::Partial) };
        let head = std::str::from_utf8(&bytes[..head_end]).map_err(|_| "the head is not text".to_owned())?;
        let mut lines = head.split("\r\n");
        let status = status_of(lines.next().unwrap_or_default())?;
        let fields = lines.map(field).collect::<Result<Vec<_>, _>>()?;
        let mut answer = Answer { status, fields, body: Vec::new() };
        answer.check()?;
        let body_start = head_end + 4;
        let length = if has_no_body { 0 } else { answer.content_length()?.unwrap_or(0) };
        let Some(body) = bytes.get(body_start..body_start + length) else { return Ok(Read::Partial) };
        answer.body = body.to_vec();
        Ok(Read::Whole(answer, body_start + length))
    }

    /// The value of a field, if it stands exactly once.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        let first = values.next()?;
        values.next().is_none().then_some(first.1.as_str())
    }

    /// Whether the answer says that it is the last of its connection.
    pub(crate) fn closes(&self) -> bool {
        let connection = self.field("Connection").unwrap_or_default();
        connection.split(',').any(|option| option.trim() == "close")
    }

    /// Whether a final answer follows.
    pub(crate) fn is_interim(&self) -> bool {
        self.status < 200
    }

    fn content_length(&self) -> Result<Option<usize>, String> {
        let Some(text) = self.field("Content-Length") else { return Ok(None) };
        text.parse().map(Some).map_err(|_| format!("Content-Length is {text:?}"))
    }

    /// What every answer keeps.
    fn check(&self) -> Result<(), String> {
        if let Some((name, _)) = self.fields.iter().enumerate().find_map(|(at, field)| {
            self.fields[..at].iter().any(|earlier| earlier.0.eq_ignore_ascii_case(&field.0)).then_some(field)
        }) {
            return Err(format!("{name} stands twice"));
        }
        let has_length = self.field("Content-Length").is_some();
        match self.status {
            100 => return if self.fields.is_empty() { Ok(()) } else { Err("100 has fields".to_owned()) },
            204 | 304 if has_length => return Err(format!("{} has a Content-Length", self.status)),
            204 | 304 => {}
            _ if !has_length => return Err("no Content-Length".to_owned()),
            _ => {}
        }
        let needed = ["Date", "Server"].into_iter().chain((self.status == 405).then_some("Allow"));
        let needed = needed.chain((self.status == 503).then_some("Retry-After"));
        for name in needed {
            self.field(name).ok_or(format!("{} has no {name}", self.status))?;
        }
        let is_problem = self.field("Content-Type") == Some("application/problem+json");
        // A page of the operator's own, in these tests.
        let is_page = self.field("Content-Type") == Some("text/html; charset=utf-8");
        if (self.status >= 400) != is_problem && !is_page {
            return Err(format!("{} and Content-Type {:?}", self.status, self.field("Content-Type")));
        }
        Ok(())
    }

    /// The last part of the problem's type.
    pub(crate) fn slug(&self) -> Option<String> {
        let problem: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        (problem["status"].as_u64()? == u64::from(self.status)).then_some(())?;
        problem["title"].as_str().filter(|title| !title.is_empty())?;
        problem["detail"].as_str().filter(|detail| !detail.is_empty())?;
        Some(problem["type"].as_str()?.strip_prefix("urn:corelane:problem:")?.to_owned())
    }
}

fn status_of(line: &str) -> Result<u16, String> {
    let wrong = || format!("the status line is {line:?}");
    let rest = line.strip_prefix("HTTP/1.1 ").ok_or_else(wrong)?;
    let (code, reason) = rest.split_once(' ').ok_or_else(wrong)?;
    let status = code.parse().ok().filter(|code| (100..600).contains(code)).ok_or_else(wrong)?;
    if reason.is_empty() { Err(wrong()) } else { Ok(status) }
}

fn field(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(": ").ok_or(format!("the field line {line:?}"))?;
    let is_token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_clean = !value.is_empty() && value.trim() == value && !value.contains(['\r', '\n', '\0']);
    if is_token && is_clean { Ok((name.to_owned(), value.to_owned())) } else { Err(format!("the field line {line:?}")) }
}

/// Where `part` first stands in `bytes`.
pub(crate) fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
