//! Cases as data: the text format of `tests/http_cases/*.cases`.
//!
//! ```text
//! # a comment
//! case NAME                  begins a case; {name} in what follows is its name
//! store KEY BODY             set-up: a PUT to /v1/kv/KEY that succeeds; {etag} is then its version
//! with NAME: VALUE           one more field of the `store` above it
//! absent KEY                 set-up: there is no such value
//! > TEXT                     sent, with CR LF after it; a bare `>` sends CR LF
//! >> TEXT                    sent as it stands
//! split                      what follows goes in a packet of its own
//! await                      … and only after the server has sent its interim answer
//! half-close                 the client says that it will send no more
//! < STATUS [SLUG]            an answer; SLUG is the end of its problem's type. `<h`: it answers a HEAD
//! < NAME: VALUE              … which has this field; `*` is any value
//! <! NAME                    … which does not have this field
//! <* COUNT STATUS            so many answers of one status, with nothing more to say about them
//! <= BODY                    … with this body;  `<# COUNT`: of so many bytes
//! end open|closed|waiting    what becomes of the connection; waiting: nothing is answered, more is expected
//! value KEY BODY             afterwards: this is stored
//! missing KEY                afterwards: nothing is stored
//! ```
//!
//! Escapes in TEXT, BODY and VALUE: `\r \n \t \0 \xHH \\ \{`, `{TEXT*COUNT}` repeats, `{etag}`, `{etag+1}`, `{name}`.

use std::fmt;

/// What is to be done before a case.
#[derive(Debug)]
pub(crate) enum SetUp {
    Store { key: String, body: String, fields: Vec<String> },
    Absent { key: String },
}

/// What a client does.
#[derive(Debug)]
pub(crate) enum Step {
    Send(String),
    Split,
    Await,
    HalfClose,
}

/// What an answer must be.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) status: u16,
    pub(crate) slug: Option<String>,
    pub(crate) is_head: bool,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) absent_fields: Vec<String>,
    pub(crate) body: Option<String>,
    pub(crate) body_bytes: Option<usize>,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Open,
    Closed,
    Waiting,
}

/// What is stored afterwards; `None` for nothing.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) key: String,
    pub(crate) body: Option<String>,
}

/// One case. Texts are still escaped.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) set_up: Vec<SetUp>,
    pub(crate) steps: Vec<Step>,
    pub(crate) answers: Vec<Expected>,
    pub(crate) end: End,
    pub(crate) stored: Vec<Stored>,
}

/// A mistake in a file: where, and what.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.what)
    }
}

/// A case whose lines are being read.
#[derive(Default)]
struct Draft {
    name: String,
    set_up: Vec<SetUp>,
    steps: Vec<Step>,
    answers: Vec<Expected>,
    end: Option<End>,
    stored: Vec<Stored>,
}

/// Reads a file.
pub(crate) fn parse(text: &str) -> Result<Vec<Case>, Mistake> {
    let mut cases = Vec::new();
    let mut draft: Option<Draft> = None;
    for (index, line) in text.lines().enumerate() {
        let mistake = |what: String| Mistake { line: index + 1, what };
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("case ") {
            cases.extend(draft.take().map(Draft::finish).transpose().map_err(mistake)?);
            draft = Some(Draft { name: name.trim().to_owned(), ..Draft::default() });
            continue;
        }
        let draft = draft.as_mut().ok_or_else(|| mistake("a line before the first case".to_owned()))?;
        draft.take(line).map_err(mistake)?;
    }
    let last = Mistake { line: text.lines().count(), what: String::new() };
    cases.extend(draft.map(Draft::finish).transpose().map_err(|what| Mistake { what, ..last })?);
    Ok(cases)
}

impl Draft {
    fn take(&mut self, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let key_and_body = || {
            let (key, body) = rest.split_once(' ').unwrap_or((rest, ""));
            (key.to_owned(), body.to_owned())
        };
        match word {
            "store" => {
                let (key, body) = key_and_body();
                self.set_up.push(SetUp::Store { key, body, fields: Vec::new() });
            }
            "with" => match self.set_up.last_mut() {
                Some(SetUp::Store { fields, .. }) => fields.push(rest.to_owned()),
                _ => return Err("`with` without `store`".to_owned()),
            },
            "absent" => self.set_up.push(SetUp::Absent { key: rest.to_owned() }),
            ">" => self.steps.push(Step::Send(format!("{rest}\\r\\n"))),
            ">>" => self.steps.push(Step::Send(rest.to_owned())),
            "split" => self.steps.push(Step::Split),
            "await" => self.steps.push(Step::Await),
            "half-close" => self.steps.push(Step::HalfClose),
            "value" => {
                let (key, body) = key_and_body();
                self.stored.push(Stored { key, body: Some(body) });
            }
            "missing" => self.stored.push(Stored { key: rest.to_owned(), body: None }),
            "end" => self.end = Some(end(rest)?),
            _ => return self.take_answer(word, rest),
        }
        Ok(())
    }

    fn take_answer(&mut self, word: &str, rest: &str) -> Result<(), String> {
        if matches!(word, "<" | "<h") && rest.starts_with(|first: char| first.is_ascii_digit()) {
            let (status, slug) = rest.split_once(' ').map_or((rest, None), |(status, slug)| (status, Some(slug)));
            let status = status.parse().map_err(|_| format!("{status:?} is no status"))?;
            let slug = slug.map(str::to_owned);
            self.answers.push(Expected { status, slug, is_head: word == "<h", ..Expected::default() });
            return Ok(());
        }
        if word == "<*" {
            let numbers =
                rest.split_once(' ').and_then(|(count, status)| Some((count.parse().ok()?, status.parse().ok()?)));
            let (count, status): (usize, u16) = numbers.ok_or(format!("{rest:?} is no count and status"))?;
            self.answers.extend((0..count).map(|_| Expected { status, ..Expected::default() }));
            return Ok(());
        }
        let answer = self.answers.last_mut().ok_or("what an answer is like, before any answer")?;
        match word {
            "<" => {
                let (name, value) = rest.split_once(": ").ok_or("a field without a value")?;
                answer.fields.push((name.to_owned(), value.to_owned()));
            }
            "<!" => answer.absent_fields.push(rest.to_owned()),
            "<=" => answer.body = Some(rest.to_owned()),
            "<#" => answer.body_bytes = Some(rest.parse().map_err(|_| format!("{rest:?} is no number"))?),
            _ => return Err(format!("`{word}` is no word of a case")),
        }
        Ok(())
    }

    fn finish(self) -> Result<Case, String> {
        let Draft { name, set_up, steps, answers, end, stored } = self;
        let end = end.ok_or(format!("case {name} has no `end`"))?;
        if steps.is_empty() {
            return Err(format!("case {name} sends nothing"));
        }
        Ok(Case { name, set_up, steps, answers, end, stored })
    }
}

fn end(word: &str) -> Result<End, String> {
    match word {
        "open" => Ok(End::Open),
        "closed" => Ok(End::Closed),
        "waiting" => Ok(End::Waiting),
        _ => Err(format!("`end {word}`: open, closed or waiting")),
    }
}

/// What names stand for while a case runs.
pub(crate) struct Names<'a> {
    pub(crate) case: &'a str,
    /// The version of what was stored last.
    pub(crate) etag: u64,
}

impl Names<'_> {
    /// The bytes that an escaped text stands for.
    pub(crate) fn bytes(&self, text: &str) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let after = &rest[first.len_utf8()..];
            rest = match first {
                '\\' => escape(after, &mut out)?,
                '{' => {
                    let (inside, after) = after.split_once('}').ok_or("a brace is not closed")?;
                    self.expand(inside, &mut out)?;
                    after
                }
                _ => {
                    out.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes());
                    after
                }
            };
        }
        Ok(out)
    }

    /// The same as text.
    pub(crate) fn text(&self, text: &str) -> Result<String, String> {
        String::from_utf8(self.bytes(text)?).map_err(|_| format!("{text:?} is not UTF-8"))
    }

    fn expand(&self, inside: &str, out: &mut Vec<u8>) -> Result<(), String> {
        match inside {
            "name" => out.extend_from_slice(self.case.as_bytes()),
            "etag" => out.extend_from_slice(self.etag.to_string().as_bytes()),
            "etag+1" => out.extend_from_slice((self.etag + 1).to_string().as_bytes()),
            _ => {
                let (part, count) = inside.rsplit_once('*').ok_or(format!("{{{inside}}} stands for nothing"))?;
                let count: usize = count.parse().map_err(|_| format!("{{{inside}}}: no count"))?;
                out.extend(self.bytes(part)?.repeat(count));
            }
        }
        Ok(())
    }
}

/// Reads what follows a backslash; the rest of the text.
fn escape<'a>(after: &'a str, out: &mut Vec<u8>) -> Result<&'a str, String> {
    let escaped = after.chars().next().ok_or("a backslash at the end")?;
    let rest = &after[escaped.len_utf8()..];
    let byte = match escaped {
        'r' => b'\r',
        'n' => b'\n',
        't' => b'\t',
        '0' => 0,
        '\\' | '{' => escaped as u8,
        'x' => {
            let digits = rest.get(..2).ok_or("\\x without two digits")?;
            out.push(u8::from_str_radix(digits, 16).map_err(|_| format!("\\x{digits}"))?);
            return Ok(&rest[2..]);
        }
        _ => return Err(format!("\\{escaped} is no escape")),
    };
    out.push(byte);
    Ok(rest)
}
