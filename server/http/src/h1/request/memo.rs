//! The field lines that came last, and what they said: a client begins most of its heads with the same ones.
//!
//! What a line says depends on its bytes and on the lines before it alone. So when the same lines come again, they are
//! compared, which is a fraction of the work of reading them. What follows them is read: a browser sends a dozen fields that
//! never change, and a cookie and a trace id that do.
//!
//! ```text
//!   Host … User-Agent … Accept …        compared, if they are those remembered
//!   Cookie … traceparent … ␍␊           read; nothing is left where a client sends the same section each time
//! ```
//!
//! Two heads in a row show what their client sends each time. A connection is one client's, so each has a memo, which it
//! shares with others where there are many.
//!
//! **Not**: anything that depends on the request line; that is judged for every head (`HeadProgress::finish`).
//! **Invariants**: a head read with a memo is the head that is read without; nothing is allocated after the start.
//! **Source**: RFC 9112 section 5 (a section ends with its first empty line, so none begins with another).

use super::progress::HeadProgress;
use super::read_fields;
use crate::MessageLimits;

/// Longest section that is looked at, in bytes: those of browsers with a few cookies.
const SECTION_BYTES_MAX: usize = 1024;

/// After two heads were compared, so many are not: where every head differs from its first line on, next to nothing is spent
/// on remembering.
const HEADS_BETWEEN: u8 = 30;

/// The memos that the connections of a core share: each has one of them, in turn.
#[derive(Debug, Clone)]
pub struct FieldMemos {
    memos: Box<[FieldMemo]>,
    next: u8,
}

impl Default for FieldMemos {
    /// One, for all.
    fn default() -> Self {
        Self::new(1)
    }
}

impl FieldMemos {
    /// So many.
    ///
    /// # Panics
    ///
    /// If that is not a power of two, or more than numbers tell apart: 256.
    #[must_use]
    pub fn new(count: usize) -> Self {
        assert!(count.is_power_of_two() && count <= 1 << u8::BITS, "{count} memos");
        Self { memos: (0..count).map(|_| FieldMemo::default()).collect(), next: 0 }
    }

    /// A number for a new connection.
    #[inline]
    pub fn assign(&mut self) -> u8 {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    /// The memo of a number.
    #[inline]
    pub fn of(&mut self, number: u8) -> &mut FieldMemo {
        // A power of two.
        let last = self.memos.len() - 1;
        &mut self.memos[usize::from(number) & last]
    }
}

/// What [`super::parse_remembering`] remembers.
#[derive(Debug, Clone)]
pub struct FieldMemo {
    /// From the first field line on, whole lines; with the empty line if it came as well. Empty when nothing is remembered.
    lines: Vec<u8>,
    /// What they say, as if they were all there is.
    progress: HeadProgress,
    /// Whether the empty line is among them.
    is_whole: bool,
    /// The section that the next one is compared with; empty when there is none.
    sample: Vec<u8>,
    until_sampled: u8,
}

/// How far the memory went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recalled {
    Nothing,
    /// The first lines of the section.
    Lines,
    /// All of it.
    Section,
}

impl Default for FieldMemo {
    fn default() -> Self {
        let room = || Vec::with_capacity(SECTION_BYTES_MAX);
        Self { lines: room(), progress: HeadProgress::new(), is_whole: false, sample: room(), until_sampled: 0 }
    }
}

impl FieldMemo {
    /// Takes what the first fields after a request line say from memory, if they are those remembered.
    #[inline]
    pub(super) fn recall(&self, window: &[u8], limits: &MessageLimits, progress: &mut HeadProgress) -> Recalled {
        let known = !self.lines.is_empty()
            && window[progress.next as usize..].starts_with(&self.lines)
            && self.progress.offsets.field_count <= limits.field_count_max;
        if !known {
            return Recalled::Nothing;
        }
        progress.take_fields_of(&self.progress);
        if self.is_whole { Recalled::Section } else { Recalled::Lines }
    }

    /// Notes a section that was read, all of it or from the lines on that were recalled.
    #[inline]
    pub(super) fn note(&mut self, section: &[u8], limits: &MessageLimits) {
        if self.until_sampled > 0 {
            self.until_sampled -= 1;
        } else {
            self.sample(section, limits);
        }
    }

    #[inline(never)]
    fn sample(&mut self, section: &[u8], limits: &MessageLimits) {
        if section.len() > SECTION_BYTES_MAX {
            return;
        }
        if self.sample.is_empty() {
            self.sample.extend_from_slice(section);
            return;
        }
        let alike = self.sample.iter().zip(section).take_while(|(one, other)| one == other).count();
        self.sample.clear();
        self.until_sampled = HEADS_BETWEEN;
        let lines = &section[..memchr::memrchr(b'\n', &section[..alike]).map_or(0, |end| end + 1)];
        if lines.len() > self.lines.len() || !section.starts_with(&self.lines) {
            self.learn(lines, lines.len() == section.len(), limits);
        }
    }

    fn learn(&mut self, lines: &[u8], is_whole: bool, limits: &MessageLimits) {
        self.lines.clear();
        self.progress = HeadProgress::new();
        // They were read a moment ago as a part of their section.
        if read_fields(lines, limits, &mut self.progress) == Ok(is_whole) {
            self.lines.extend_from_slice(lines);
            self.is_whole = is_whole;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAME: &str = "Host: a\r\nConnection: keep-alive\r\nAccept: */*\r\n";

    fn recall(memo: &FieldMemo, section: &str) -> (Recalled, u32, u16) {
        let mut progress = HeadProgress::new();
        let recalled = memo.recall(section.as_bytes(), &MessageLimits::default(), &mut progress);
        (recalled, progress.next, progress.offsets.field_count)
    }

    fn after(sections: &[&str]) -> FieldMemo {
        let mut memo = FieldMemo::default();
        sections.iter().for_each(|section| memo.note(section.as_bytes(), &MessageLimits::default()));
        memo
    }

    #[test]
    fn what_two_heads_begin_with_is_recalled() {
        let [first, second, third] = ["1", "2", "333"].map(|id| format!("{SAME}Cookie: a={id}\r\nDNT: 1\r\n\r\n"));
        let memo = after(&[&first]);
        assert_eq!(recall(&memo, &first), (Recalled::Nothing, 0, 0), "one head shows nothing");
        let memo = after(&[&first, &second]);
        assert_eq!(recall(&memo, &third), (Recalled::Lines, SAME.len() as u32, 3));
        assert_eq!(recall(&memo, &third[1..]), (Recalled::Nothing, 0, 0));
        let whole = format!("{SAME}\r\n");
        assert_eq!(recall(&after(&[&whole, &whole]), &whole), (Recalled::Section, whole.len() as u32, 3));
        assert_eq!(
            recall(&memo, &whole),
            (Recalled::Lines, SAME.len() as u32, 3),
            "the empty line is still to be read"
        );
    }

    /// A memo that another client has used as well learns anew, and not from every head.
    #[test]
    fn another_client_is_learned_in_time() {
        let other = "Host: b\r\nAccept: text/html\r\n\r\n";
        let mut memo = after(&[&format!("{SAME}\r\n"), &format!("{SAME}\r\n")]);
        for _ in 0..=HEADS_BETWEEN {
            memo.note(other.as_bytes(), &MessageLimits::default());
            assert_eq!(recall(&memo, other).0, Recalled::Nothing);
        }
        memo.note(other.as_bytes(), &MessageLimits::default());
        assert_eq!(recall(&memo, other).0, Recalled::Section);
    }

    #[test]
    fn a_long_section_and_a_shorter_beginning_change_nothing() {
        let whole = format!("{SAME}\r\n");
        let mut memo = after(&[&whole, &whole]);
        let long = format!("Host: a\r\nX: {}\r\n\r\n", "x".repeat(SECTION_BYTES_MAX));
        (0..100).for_each(|_| memo.note(long.as_bytes(), &MessageLimits::default()));
        assert_eq!(recall(&memo, &whole).0, Recalled::Section);
        assert!(memo.lines.capacity() == SECTION_BYTES_MAX && memo.sample.capacity() == SECTION_BYTES_MAX);
    }

    /// Whatever comes in whatever order, the head that is read is the one that is read without a memo.
    #[test]
    fn heads_are_those_that_are_read_without() {
        use crate::h1::Parsed;
        use crate::h1::request::{Resume, parse, parse_remembering};
        use crate::request::RequestHead;
        let mut memo = FieldMemo::default();
        let (mut random, mut recalls) = (7u64, 0);
        for _ in 0..20_000 {
            let mut draw = |below: u64| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) % below
            };
            // Fields that may not be repeated stand before and behind what changes.
            let lines = [
                "Host: a\r\n",
                "Range: bytes=0-1\r\n",
                "Connection: close\r\n",
                "Content-Length: 5\r\n",
                "If-Match: *\r\n",
            ];
            let picked: String = lines.iter().filter(|_| draw(5) > 0).copied().collect();
            let last = ["", "Host: a\r\n", "Content-Length: 6\r\n", "If-Match: \"x\"\r\n", "Bad\r\n"][draw(5) as usize];
            let text = format!("GET /{} HTTP/1.1\r\n{picked}Cookie: {}\r\n{last}\r\n", draw(9), draw(3));
            let show = |outcome: Result<Parsed<RequestHead<'_>>, _>| format!("{outcome:?}");
            let plain = show(parse(text.as_bytes(), &MessageLimits::default(), &mut Resume::default()));
            let mut progress = HeadProgress::new();
            let fields = &text.as_bytes()[text.find('\n').map_or(0, |end| end + 1)..];
            recalls += usize::from(memo.recall(fields, &MessageLimits::default(), &mut progress) != Recalled::Nothing);
            let with =
                show(parse_remembering(text.as_bytes(), &MessageLimits::default(), &mut Resume::default(), &mut memo));
            assert_eq!(with, plain, "{text}");
        }
        assert!(recalls > 1_000, "{recalls} recalls show nothing");
    }
}
