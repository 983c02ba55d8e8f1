//! What an operator wrote of services and routes, as plain values, each with the place where it stands.
//!
//! **Not**: checked; [`crate::compile()`] does that. **Not**: reading files; a file's bytes come with the value that names it.
//!
//! **Invariants**: a place is what an editor or a terminal makes a link of (`file:line`).
//!
//! **Source**: docs/proxy.md.

use std::fmt;
use std::sync::Arc;

/// Where something was written, as a message begins with it: `sites/shop.toml:31`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourcePlace(Arc<str>);

impl SourcePlace {
    /// A place of this text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for SourcePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value, and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub place: SourcePlace,
}

/// All that was written.
#[derive(Clone, Debug, Default)]
pub struct GatewaySource {
    /// The `[service.NAME]` tables, each name once.
    pub services: Vec<ServiceSource>,
    /// The `[[route]]` tables, in the order of the files.
    pub routes: Vec<RouteSource>,
    /// The hosts that the KV API is on; none: every host.
    pub kv_hosts: Option<Placed<Vec<String>>>,
}

/// A `[service.NAME]` table.
#[derive(Clone, Debug)]
pub struct ServiceSource {
    /// Its name.
    pub name: Placed<String>,
    /// What it answers.
    pub answer: AnswerSource,
}

/// `answer`: a response that is the same for every request.
#[derive(Clone, Debug, Default)]
pub struct AnswerSource {
    /// The status; 200 unless said.
    pub status: Option<Placed<u16>>,
    /// The body.
    pub text: Option<Placed<String>>,
    /// A file that holds the body.
    pub file: Option<Placed<AnswerFile>>,
    /// After so many seconds clients may try again.
    pub retry_after_s: Option<u32>,
}

/// A file that holds a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerFile {
    /// Its path; the extension says what the body is.
    pub path: String,
    /// What is in it.
    pub content: Arc<[u8]>,
}

/// A `[[route]]` table.
#[derive(Clone, Debug)]
pub struct RouteSource {
    /// Its number in the order of the files, from 1.
    pub number: usize,
    /// The hosts it is for; none: every host.
    pub host: Option<Placed<Vec<String>>>,
    /// The pattern of paths.
    pub path: Placed<String>,
    /// The methods it is for; none: every method.
    pub method: Option<Placed<Vec<String>>>,
    /// `http` or `https`; none: both.
    pub scheme: Option<Placed<String>>,
    /// Fields and what they must say.
    pub header: Option<Placed<Vec<(String, String)>>>,
    /// The service that answers.
    pub service: Option<Placed<String>>,
    /// Where clients are sent instead.
    pub redirect: Option<RedirectSource>,
}

/// `redirect`: where clients are sent.
#[derive(Clone, Debug)]
pub struct RedirectSource {
    /// The new place, with placeholders.
    pub to: Placed<String>,
    /// The status; 308 unless said.
    pub status: Option<Placed<u16>>,
}
