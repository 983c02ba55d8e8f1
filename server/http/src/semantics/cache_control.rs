//! `Cache-Control` of requests: the time to live of a value that is stored, and whether a copy may answer a read.
//!
//! **Not**: what directives of responses mean; caching rules.
//! **Invariants**: every directive is checked against the grammar, the unknown ones too; a number too large is the
//! largest, as RFC 9111 section 1.2.2 wants.
//! **Source**: RFC 9111 section 1.2.2, 5.2 and 5.2.1.

use crate::class;
use crate::list::Elements;
use thiserror::Error;

/// The largest time a directive can name; what is larger means the same.
pub const DELTA_SECONDS_MAX: u32 = 1 << 31;

/// Why a `Cache-Control` field was refused. The peer's fault; answer 400. The connection may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CacheControlError {
    /// Not a list of tokens with optional token or quoted-string arguments.
    #[error("Cache-Control is not a list of directives")]
    Syntax,
    /// `max-age` without a number of seconds.
    #[error("the max-age of Cache-Control is not a number of seconds")]
    MaxAge,
    /// Two `max-age` that differ.
    #[error("Cache-Control has two max-age that differ")]
    MaxAgeDiffers,
}

/// What the `Cache-Control` lines of a request ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheControl {
    /// `max-age` in seconds, at most [`DELTA_SECONDS_MAX`].
    pub max_age_s: Option<u32>,
    /// `no-cache`: ask the owner, whatever copies there are.
    pub no_cache: bool,
    /// `no-store`: keep no copy of the request, nor of its response.
    pub no_store: bool,
}

impl CacheControl {
    /// Reads the values of all lines of the field.
    ///
    /// # Errors
    ///
    /// The peer's fault: malformed, or contradicting itself.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, CacheControlError> {
        let mut asked = Self::default();
        for directive in lines.into_iter().flat_map(Elements::new) {
            asked.note(directive)?;
        }
        Ok(asked)
    }

    fn note(&mut self, directive: &[u8]) -> Result<(), CacheControlError> {
        let name_end = class::run_end(directive, 0, class::TOKEN);
        let (name, rest) = directive.split_at(name_end);
        let argument = match rest {
            [] => None,
            [b'=', argument @ ..] => Some(unquoted(argument).ok_or(CacheControlError::Syntax)?),
            _ => return Err(CacheControlError::Syntax),
        };
        if name.is_empty() {
            return Err(CacheControlError::Syntax);
        }
        self.no_cache |= name.eq_ignore_ascii_case(b"no-cache");
        self.no_store |= name.eq_ignore_ascii_case(b"no-store");
        if name.eq_ignore_ascii_case(b"max-age") { self.note_max_age(argument) } else { Ok(()) }
    }

    fn note_max_age(&mut self, argument: Option<&[u8]>) -> Result<(), CacheControlError> {
        let number = argument.and_then(class::decimal).ok_or(CacheControlError::MaxAge)?;
        let seconds = number.and_then(|number| u32::try_from(number).ok()).unwrap_or(u32::MAX).min(DELTA_SECONDS_MAX);
        match self.max_age_s.replace(seconds) {
            Some(earlier) if earlier != seconds => Err(CacheControlError::MaxAgeDiffers),
            _ => Ok(()),
        }
    }
}

/// Directives that say how the request itself is to be served.
const OF_REQUESTS: [&[u8]; 6] = [b"max-age", b"no-cache", b"no-store", b"max-stale", b"min-fresh", b"only-if-cached"];

/// The directives of a PUT that are for those who will read the value, as they were sent: all but those that say how the
/// request itself is to be served.
pub fn kept_directives<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    lines.into_iter().flat_map(Elements::new).filter(|directive| {
        let (name, rest) = directive.split_at(class::run_end(directive, 0, class::TOKEN));
        // With field names, it speaks of a response.
        let is_qualified = name.eq_ignore_ascii_case(b"no-cache") && !rest.is_empty();
        is_qualified || !OF_REQUESTS.iter().any(|known| name.eq_ignore_ascii_case(known))
    })
}

/// A token, or what is between the quotes of a quoted string (escapes left as they are: no number needs one).
fn unquoted(argument: &[u8]) -> Option<&[u8]> {
    let Some(quoted) = argument.strip_prefix(b"\"") else {
        return (!argument.is_empty() && class::all(argument, class::TOKEN)).then_some(argument);
    };
    let mut at = 0;
    loop {
        at = class::run_end(quoted, at, class::QUOTED);
        match quoted.get(at)? {
            b'"' => return (at + 1 == quoted.len()).then(|| &quoted[..at]),
            b'\\' if class::is(*quoted.get(at + 1)?, class::VALUE) => at += 2,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives() {
        let max_age = |seconds| Ok(CacheControl { max_age_s: Some(seconds), ..CacheControl::default() });
        let cases: &[(&[&str], Result<CacheControl, CacheControlError>)] = &[
            (&[], Ok(CacheControl::default())),
            (&[""], Ok(CacheControl::default())),
            (&["max-age=0"], max_age(0)),
            (&["Max-Age=60"], max_age(60)),
            (&["max-age=\"60\""], max_age(60)),
            (&["max-age=060, max-age=60"], max_age(60)),
            (&["max-age=2147483648"], max_age(DELTA_SECONDS_MAX)),
            (&["max-age=4294967296"], max_age(DELTA_SECONDS_MAX)),
            (&["max-age=99999999999999999999999"], max_age(DELTA_SECONDS_MAX)),
            (&["private, community=\"a, max-age=1, \\\"b\"", "max-age=5"], max_age(5)),
            (&["no-cache", "NO-STORE"], Ok(CacheControl { max_age_s: None, no_cache: true, no_store: true })),
            (&["max-age"], Err(CacheControlError::MaxAge)),
            (&["max-age=-1"], Err(CacheControlError::MaxAge)),
            (&["max-age=1.5"], Err(CacheControlError::MaxAge)),
            (&["max-age=\"\""], Err(CacheControlError::MaxAge)),
            (&["max-age=\"\\6\""], Err(CacheControlError::MaxAge)),
            (&["max-age=1", "max-age=2"], Err(CacheControlError::MaxAgeDiffers)),
            (&["max-age="], Err(CacheControlError::Syntax)),
            (&["max-age =1"], Err(CacheControlError::Syntax)),
            (&["max-age= 1"], Err(CacheControlError::Syntax)),
            (&["max-age=1 2"], Err(CacheControlError::Syntax)),
            (&["max-age=\"1"], Err(CacheControlError::Syntax)),
            (&["max-age=\"1\\"], Err(CacheControlError::Syntax)),
            (&["max-age=\"1\"2"], Err(CacheControlError::Syntax)),
            (&["=1"], Err(CacheControlError::Syntax)),
            (&["a b"], Err(CacheControlError::Syntax)),
        ];
        for (lines, want) in cases {
            assert_eq!(&CacheControl::parse(lines.iter().map(|line| line.as_bytes())), want, "{lines:?}");
        }
    }

    #[test]
    fn directives_for_readers() {
        let lines: [&[u8]; 2] =
            [b"Max-Age=1, public, no-cache, stale-while-revalidate=30", b"NO-STORE, no-cache=\"a\", x"];
        let kept: Vec<_> = kept_directives(lines).collect();
        assert_eq!(kept, [&b"public"[..], b"stale-while-revalidate=30", b"no-cache=\"a\"", b"x"]);
    }
}
