//! What a request head says, gathered line by line.
//!
//! **Not**: finding the lines; see [`crate::h1::line`].
//! **Invariants**: holds offsets only, so that it can be kept while the head's bytes move to a larger buffer.
//! **Source**: RFC 9112 section 3.2, 6 and 9.3; RFC 9110 section 5.3, 7.6.1, 8.6, 10.1.1.

use super::start_line::{Form, StartLine, split_absolute};
use super::RequestError;
use crate::authority;
use crate::field::Span;
use crate::h1::framing::Framing;
use crate::known::{Known, RECORDED_COUNT};
use crate::request::{Body, Version};
use crate::{Limits, Method};

/// Offsets and decisions of a head read so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    /// Index of the line to read next; 0 while the request line has not been read.
    pub(crate) next: u32,
    pub(crate) fields_start: u32,
    pub(crate) method_span: Span,
    pub(crate) target: Span,
    pub(crate) recorded: [Span; RECORDED_COUNT],
    pub(crate) method: Method,
    pub(crate) form: Form,
    pub(crate) version: Version,
    /// See [`StartLine::is_plain`].
    pub(crate) is_plain: bool,
    /// One bit per recorded field that is there, and one per recorded field that stands on more than one line.
    pub(crate) present: u8,
    pub(crate) repeated: u8,
    pub(crate) field_count: u16,
    framing: Framing,
    pub(crate) expect_continue: bool,
}

const _: () = assert!(RECORDED_COUNT <= 8, "`repeated` has one bit per recorded field");
// Kept for every connection with an unfinished head, and copied when one is finished.
const _: () = assert!(size_of::<Facts>() <= 128);

impl Facts {
    #[inline]
    pub(crate) fn new() -> Self {
        Self {
            next: 0,
            fields_start: 0,
            method_span: Span::default(),
            target: Span::default(),
            recorded: [Span::default(); RECORDED_COUNT],
            method: Method::Other,
            form: Form::Origin,
            version: Version::Http11,
            is_plain: false,
            present: 0,
            repeated: 0,
            field_count: 0,
            framing: Framing::default(),
            expect_continue: false,
        }
    }

    #[inline]
    pub(crate) fn note_start(&mut self, line: &StartLine) {
        self.method = line.method;
        self.method_span = line.method_span;
        self.target = line.target;
        self.form = line.form;
        self.version = line.version;
        self.is_plain = line.is_plain;
        self.next = line.next as u32;
        self.fields_start = self.next;
    }

    /// Takes in one field.
    #[inline]
    pub(crate) fn note_field(&mut self, buf: &[u8], name: Span, value: Span) -> Result<(), RequestError> {
        let Some(known) = Known::from_name(name.of(buf)) else {
            return Ok(());
        };
        let text = value.of(buf);
        match known {
            Known::Connection | Known::ContentLength | Known::TransferEncoding => Ok(self.framing.note(known, text)?),
            Known::Expect => self.note_expect(text),
            Known::Host if authority::split(text).is_none() => Err(RequestError::Host),
            _ => self.record(known, value),
        }
    }

    /// Takes the fields of another head whose field section has the same bytes. What the request line says stays.
    #[inline]
    pub(crate) fn take_fields_of(&mut self, other: &Self) {
        let moved = self.fields_start.wrapping_sub(other.fields_start);
        let mut present = other.present;
        while present != 0 {
            let place = present.trailing_zeros() as usize;
            let Span { start, end } = other.recorded[place];
            self.recorded[place] = Span { start: start.wrapping_add(moved), end: end.wrapping_add(moved) };
            present &= present - 1;
        }
        self.present = other.present;
        self.repeated = other.repeated;
        self.field_count = other.field_count;
        self.framing = other.framing;
        self.expect_continue = other.expect_continue;
        self.next = other.next.wrapping_add(moved);
    }

    #[inline]
    fn record(&mut self, known: Known, value: Span) -> Result<(), RequestError> {
        let bit = 1 << known as u8;
        if self.present & bit == 0 {
            self.present |= bit;
            self.recorded[known as usize] = value;
            return Ok(());
        }
        self.repeated |= bit;
        if known.is_list() { Ok(()) } else { Err(RequestError::Repeated) }
    }

    fn note_expect(&mut self, value: &[u8]) -> Result<(), RequestError> {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(RequestError::Expectation);
        }
        self.expect_continue = true;
        Ok(())
    }

    /// Judges what only the whole head shows.
    #[inline]
    pub(crate) fn finish(&mut self, buf: &[u8], limits: &Limits) -> Result<(), RequestError> {
        let host = self.recorded[Known::Host as usize];
        if host.is_absent() && self.version == Version::Http11 {
            return Err(RequestError::HostMissing);
        }
        self.framing.check(self.version)?;
        if self.form == Form::Absolute && !host.is_absent() {
            check_absolute(self.target.of(buf), host.of(buf))?;
        }
        if self.framing.content_length.is_some_and(|length| length > limits.body_bytes_max) {
            return Err(RequestError::BodyTooLarge);
        }
        // A 1.0 client would take 100 for the answer, and nobody waits for leave to send nothing.
        if self.expect_continue {
            self.expect_continue = self.version == Version::Http11 && self.body() != Body::None;
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn body(&self) -> Body {
        match (self.framing.chunked, self.framing.content_length) {
            (true, _) => Body::Chunked,
            (false, None | Some(0)) => Body::None,
            (false, Some(length)) => Body::Length(length),
        }
    }

    #[inline]
    pub(crate) fn stays_open(&self) -> bool {
        self.framing.stays_open(self.version)
    }
}

fn check_absolute(target: &[u8], host: &[u8]) -> Result<(), RequestError> {
    let (default_port, authority, _) = split_absolute(target).expect("the form was told from this split");
    if authority::same_origin(host, authority, default_port) { Ok(()) } else { Err(RequestError::HostMismatch) }
}
