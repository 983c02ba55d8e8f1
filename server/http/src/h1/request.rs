//! The request head parser.
//!
//! **Not**: bodies ([`crate::h1::chunked`]), routing, or what a field means beyond framing and connection.
//! **Invariants**: the result for given bytes does not depend on how they were split; the work for a head is linear in
//! its bytes however slowly they arrive; every byte of an accepted head was checked against the grammar.
//! **Source**: RFC 9112 section 2 to 7 and 9; RFC 9110 section 5, 7, 8.6, 10.1.1.
//!
//! ```text
//!          empty lines        request line         field lines          empty line
//!   start ────────────▶ line ─────────────▶ field ────────────▶ field … ──────────▶ Complete
//!     │ out of bytes: Partial, resume at the start of the line that was cut off
//!     │ a byte that cannot be: RequestError, answer and close
//! ```

mod error;
mod memo;
mod progress;
mod resume;
mod start_line;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

pub use error::RequestError;
use memo::Recalled;
pub use memo::{FieldMemo, FieldMemos};
pub use resume::Resume;

use super::Parsed;
use super::line::{self, SectionLine};
use crate::MessageLimits;
use crate::request::RequestHead;
use progress::HeadProgress;

/// Parses the head at the start of `buf`.
///
/// While the result is `Partial`, call again with the same bytes and more after them (they may have moved) and the
/// same `resume`. After `Complete` or an error `resume` is new again; a head is gathered in it and lent from there, so
/// that no head is copied. `Partial` costs no more than it must: bytes are looked at a bounded number of times, even if
/// they come one by one.
///
/// # Errors
///
/// The peer's fault. Answer [`RequestError::problem`] and close the connection.
///
/// # Panics
///
/// It may, if `resume` is under way and `buf` is shorter than at the last call: that is the caller's mistake.
#[inline]
pub fn parse<'a>(
    buf: &'a [u8],
    limits: &MessageLimits,
    resume: &'a mut Resume,
) -> Result<Parsed<RequestHead<'a>>, RequestError> {
    parse_with(buf, limits, resume, None)
}

/// As [`parse`], but fields that are the same as those of an earlier head are not read again.
///
/// # Errors
///
/// As [`parse`].
///
/// # Panics
///
/// As [`parse`].
#[inline]
pub fn parse_remembering<'a>(
    buf: &'a [u8],
    limits: &MessageLimits,
    resume: &'a mut Resume,
    memo: &mut FieldMemo,
) -> Result<Parsed<RequestHead<'a>>, RequestError> {
    parse_with(buf, limits, resume, Some(memo))
}

#[inline]
fn parse_with<'a>(
    buf: &'a [u8],
    limits: &MessageLimits,
    resume: &'a mut Resume,
    memo: Option<&mut FieldMemo>,
) -> Result<Parsed<RequestHead<'a>>, RequestError> {
    let window = &buf[..buf.len().min(limits.head_bytes_max as usize)];
    if !resume.is_due(window, limits) {
        resume.note_seen(window);
        return Ok(Parsed::Partial);
    }
    let outcome = match resume.under_way() {
        Some(progress) if progress.next > 0 => read_fields(window, limits, progress),
        _ => read(window, limits, resume.begin(), memo),
    };
    match outcome {
        Ok(true) => {
            let progress = resume.end();
            progress.finish(window, limits)?;
            Ok(Parsed::Complete(RequestHead::new(&window[..progress.next as usize], &progress.offsets)))
        }
        Ok(false) if window.len() < limits.head_bytes_max as usize => {
            resume.pause(window, limits);
            Ok(Parsed::Partial)
        }
        outcome => {
            resume.end();
            Err(outcome.err().unwrap_or(RequestError::HeadTooLarge))
        }
    }
}

/// Reads a head from its start; whether the empty line that ends it is there.
#[inline]
fn read(
    window: &[u8],
    limits: &MessageLimits,
    progress: &mut HeadProgress,
    memo: Option<&mut FieldMemo>,
) -> Result<bool, RequestError> {
    let Some(line) = start_line::parse(window, limits)? else {
        return Ok(false);
    };
    progress.note_start(&line);
    let Some(memo) = memo else { return read_fields(window, limits, progress) };
    if memo.recall(window, limits, progress) == Recalled::Section {
        return Ok(true);
    }
    let is_whole = read_fields(window, limits, progress)?;
    if is_whole {
        memo.note(&window[progress.offsets.fields_start as usize..progress.next as usize], limits);
    }
    Ok(is_whole)
}

/// Reads field lines from `progress.next` on; whether the empty line that ends them is there.
#[inline]
fn read_fields(window: &[u8], limits: &MessageLimits, progress: &mut HeadProgress) -> Result<bool, RequestError> {
    let mut at = progress.next as usize;
    loop {
        match line::read(window, at)? {
            SectionLine::Partial => return Ok(false),
            SectionLine::End(next) => {
                progress.next = next as u32;
                return Ok(true);
            }
            SectionLine::Field { name, value, next } => {
                if progress.offsets.field_count == limits.field_count_max {
                    return Err(RequestError::TooManyFields);
                }
                progress.offsets.field_count += 1;
                progress.note_field(window, name, value)?;
                progress.next = next as u32;
                at = next;
            }
        }
    }
}
