//! A request head while it is read, line by line.
//!
//! **Not**: finding the lines; see [`crate::h1::line`].
//! **Invariants**: holds offsets only, so that it can be kept while the head's bytes move to a larger buffer.
//! **Source**: RFC 9112 section 3.2, 6 and 9.3; RFC 9110 section 5.3, 7.6.1, 8.6, 10.1.1.

use super::RequestError;
use super::start_line::StartLine;
use crate::MessageLimits;
use crate::authority;
use crate::field::HeadSpan;
use crate::known::KnownField;
use crate::request::{HeadOffsets, HttpVersion, RequestBody, TargetForm};
use crate::target::split_absolute;

/// What a head says so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadProgress {
    /// Index of the line to read next; 0 while the request line has not been read.
    pub(super) next: u32,
    pub(super) offsets: HeadOffsets,
}

// Kept for every connection with an unfinished head.
const _: () = assert!(size_of::<HeadProgress>() <= 128);

impl HeadProgress {
    #[inline]
    pub(super) fn new() -> Self {
        Self { next: 0, offsets: HeadOffsets::new() }
    }

    #[inline]
    pub(super) fn note_start(&mut self, line: &StartLine) {
        let offsets = &mut self.offsets;
        offsets.method = line.method;
        offsets.method_span = line.method_span;
        offsets.target = line.target;
        offsets.form = line.form;
        offsets.version = line.version;
        offsets.is_plain = line.is_plain;
        offsets.fields_start = line.next as u32;
        self.next = line.next as u32;
    }

    /// Takes in one field.
    #[inline]
    pub(super) fn note_field(&mut self, buf: &[u8], name: HeadSpan, value: HeadSpan) -> Result<(), RequestError> {
        let Some(known) = KnownField::from_name(name.of(buf)) else {
            return Ok(());
        };
        let text = value.of(buf);
        match known {
            KnownField::Connection | KnownField::ContentLength | KnownField::TransferEncoding => {
                Ok(self.offsets.framing.note(known, text)?)
            }
            KnownField::Expect => self.note_expect(text),
            KnownField::Host if authority::split(text).is_none() => Err(RequestError::Host),
            _ => self.record(known, value),
        }
    }

    /// Takes the fields of another head whose field section has the same bytes. What the request line says stays.
    #[inline]
    pub(super) fn take_fields_of(&mut self, other: &Self) {
        let (own, others) = (&mut self.offsets, &other.offsets);
        let moved = own.fields_start.wrapping_sub(others.fields_start);
        let mut present = others.present;
        while present != 0 {
            let place = present.trailing_zeros() as usize;
            let HeadSpan { start, end } = others.recorded[place];
            own.recorded[place] = HeadSpan { start: start.wrapping_add(moved), end: end.wrapping_add(moved) };
            present &= present - 1;
        }
        own.present = others.present;
        own.repeated = others.repeated;
        own.field_count = others.field_count;
        own.expect_continue = others.expect_continue;
        own.framing = others.framing;
        self.next = other.next.wrapping_add(moved);
    }

    #[inline]
    fn record(&mut self, known: KnownField, value: HeadSpan) -> Result<(), RequestError> {
        let (offsets, bit) = (&mut self.offsets, 1 << known as u8);
        if offsets.present & bit == 0 {
            offsets.present |= bit;
            offsets.recorded[known as usize] = value;
            return Ok(());
        }
        offsets.repeated |= bit;
        if known.is_list() { Ok(()) } else { Err(RequestError::Repeated) }
    }

    fn note_expect(&mut self, value: &[u8]) -> Result<(), RequestError> {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(RequestError::Expectation);
        }
        self.offsets.expect_continue = true;
        Ok(())
    }

    /// Judges what only the whole head shows.
    #[inline]
    pub(super) fn finish(&mut self, buf: &[u8], limits: &MessageLimits) -> Result<(), RequestError> {
        let offsets = &mut self.offsets;
        let host = offsets.recorded[KnownField::Host as usize];
        if host.is_absent() && offsets.version == HttpVersion::Http11 {
            return Err(RequestError::HostMissing);
        }
        offsets.framing.check(offsets.version)?;
        if offsets.form == TargetForm::Absolute && !host.is_absent() {
            check_absolute(offsets.target.of(buf), host.of(buf))?;
        }
        if offsets.framing.content_length.is_some_and(|length| length > limits.body_bytes_max) {
            return Err(RequestError::BodyTooLarge);
        }
        // An HTTP/1.0 client would take 100 for the final response; a request without a body needs no invitation.
        if offsets.expect_continue {
            offsets.expect_continue = offsets.version == HttpVersion::Http11 && offsets.body() != RequestBody::None;
        }
        Ok(())
    }
}

fn check_absolute(target: &[u8], host: &[u8]) -> Result<(), RequestError> {
    let (default_port, authority, _) = split_absolute(target).expect("the form was recognised by this split");
    if authority::same_origin(host, authority, default_port) { Ok(()) } else { Err(RequestError::HostMismatch) }
}
