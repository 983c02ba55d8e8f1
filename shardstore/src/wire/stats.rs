//! Payload of the answer to STATS: a node's counters by name.
//!
//! ```text
//!  │ count u16 │ zero u16 │ then for each: name_len u8 │ kind u8 │ value u64 │ name │
//! ```
//!
//! **Not**: what the names mean (docs/metrics.md), or histograms.
//!
//! **Invariants**: names are 1 to 255 bytes of ASCII without control characters; a parsed payload is well-formed to its
//! last byte.
//!
//! **Source**: docs/wire.md, "STATS".

use super::code::wire_enum;
use super::cursor::Cursor;
use super::error::FrameError;

wire_enum! {
    /// How a value moves.
    StatKind: u8 {
        /// Only grows, from 0 at the start of the process.
        Counter = 1, "counter";
        /// Goes up and down.
        Gauge = 2, "gauge";
    }
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat<'a> {
    /// The metric's name, 1 to 255 printable ASCII characters.
    pub name: &'a str,
    /// How it moves.
    pub kind: StatKind,
    /// The value, in the unit its name says.
    pub value: u64,
}

/// A checked list of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats<'a> {
    count: u16,
    payload: &'a [u8],
}

impl<'a> Stats<'a> {
    /// Checks a payload to its last byte.
    ///
    /// # Errors
    ///
    /// [`FrameError::BadPayload`] when it is malformed; the peer is at fault.
    pub fn parse(payload: &'a [u8]) -> Result<Self, FrameError> {
        let mut cursor = Cursor::new(payload);
        let count = read_count(&mut cursor).ok_or(FrameError::BadPayload)?;
        for _ in 0..count {
            read_stat(&mut cursor).ok_or(FrameError::BadPayload)?;
        }
        if cursor.is_empty() { Ok(Self { count, payload }) } else { Err(FrameError::BadPayload) }
    }

    /// Writes `stats` into `out` (cleared first) and returns the checked list over it.
    ///
    /// # Errors
    ///
    /// [`FrameError::BadPayload`] when a name is out of range or there are more than [`u16::MAX`] values; the caller is at
    /// fault.
    pub fn write(out: &'a mut Vec<u8>, stats: &[Stat<'_>]) -> Result<Self, FrameError> {
        let count = u16::try_from(stats.len()).map_err(|_| FrameError::BadPayload)?;
        out.clear();
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        for stat in stats {
            out.push(u8::try_from(stat.name.len()).map_err(|_| FrameError::BadPayload)?);
            out.push(stat.kind.number());
            out.extend_from_slice(&stat.value.to_le_bytes());
            out.extend_from_slice(stat.name.as_bytes());
        }
        Self::parse(out)
    }

    /// The bytes of the payload.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Number of values.
    #[must_use]
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// The values, in order.
    pub fn iter(&self) -> impl Iterator<Item = Stat<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.payload);
        let opened = read_count(&mut cursor);
        std::iter::from_fn(move || opened.and_then(|_| read_stat(&mut cursor)))
    }
}

fn read_count(cursor: &mut Cursor<'_>) -> Option<u16> {
    let (count, zero) = (cursor.u16()?, cursor.u16()?);
    (zero == 0).then_some(count)
}

fn read_stat<'a>(cursor: &mut Cursor<'a>) -> Option<Stat<'a>> {
    let name_len = usize::from(cursor.u8()?);
    let kind = StatKind::from_number(cursor.u8()?)?;
    let value = cursor.u64()?;
    let name = std::str::from_utf8(cursor.take(name_len)?).ok()?;
    let printable = !name.is_empty() && name.bytes().all(|b| (b' '..=b'~').contains(&b));
    printable.then_some(Stat { name, kind, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_trip_and_every_cut_is_refused() {
        let stats = [
            Stat { name: "shardstored_requests_total", kind: StatKind::Counter, value: u64::MAX },
            Stat { name: "shardstored_memory_bytes", kind: StatKind::Gauge, value: 0 },
        ];
        let mut out = Vec::new();
        let written = Stats::write(&mut out, &stats).unwrap();
        assert_eq!(written.iter().collect::<Vec<_>>(), stats);
        assert_eq!(written.count(), 2);
        let bytes = written.payload().to_vec();
        for cut in 0..bytes.len() {
            assert_eq!(Stats::parse(&bytes[..cut]), Err(FrameError::BadPayload), "cut at {cut}");
        }
        assert_eq!(Stats::parse(&[bytes.as_slice(), &[0]].concat()), Err(FrameError::BadPayload));
    }

    #[test]
    fn bad_names_are_refused() {
        for name in ["", "line\nbreak", "é", &"x".repeat(256)] {
            let stat = Stat { name, kind: StatKind::Gauge, value: 1 };
            assert_eq!(Stats::write(&mut Vec::new(), &[stat]), Err(FrameError::BadPayload), "{name:?}");
        }
    }
}
