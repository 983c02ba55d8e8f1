//! The formats of traces.
//!
//! | format | a request |
//! |---|---|
//! | u64be, u32be, i32be | a key of fixed size, big-endian |
//! | text | a key on a line of its own; lines of `*` are ignored |
//! | arc | `start count ignore seq`: `count` requests for the keys from `start` on |
//! | oracle | 24 bytes, little-endian: time u32, key u64, size u32, position of the next request for it i64 |
//!
//! **Not**: decompressing (that is `compressed`).
//!
//! **Invariants**: what does not follow the format is an error that tells where; nothing is skipped in silence.
//!
//! **Source**: the simulators of ben-manes/caffeine and 1a1a11a/libCacheSim; Megiddo, Modha, "ARC", FAST 2003.

use std::io::{self, BufRead, Read};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::Builder;

/// Longest line; a key has at most 4096 bytes.
const LINE_BYTES_MAX: usize = 4096 + 2;

/// Most keys of one line of an `arc` trace: 2^20 blocks of 512 bytes are half a gigabyte, more than a disk request has.
const RUN_KEYS_MAX: u64 = 1 << 20;

const ORACLE_BYTES: usize = 24;

/// How the requests lie in a trace's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Keys of 8 bytes, big-endian
    U64be,
    /// Keys of 4 bytes, big-endian, with a sign
    I32be,
    /// Keys of 4 bytes, big-endian
    U32be,
    /// A key a line; lines of `*` are ignored
    Text,
    /// Lines `start count ignore seq`, each standing for `count` keys from `start` on
    Arc,
    /// Records of 24 bytes with time, key, size and next request (libCacheSim's oracleGeneral)
    Oracle,
}

impl Format {
    /// Whether a request tells how large its value is.
    pub const fn has_sizes(self) -> bool {
        matches!(self, Self::Oracle)
    }
}

/// Reads all requests of a source; `tick` is told their number as it grows, and ends the reading with its error.
///
/// # Errors
/// The source cannot be read, or does not follow the format; whoever made the trace, or chose the format, is at fault.
/// Those of `tick`, and a trace that is too long for its builder.
pub fn read(
    format: Format,
    source: &mut dyn BufRead,
    into: &mut Builder,
    tick: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    match format {
        Format::U64be => records(source, |record| {
            into.add(u64::from_be_bytes(record))?;
            tick(into.request_count() as u64)
        }),
        Format::U32be | Format::I32be => records(source, |record| {
            // The sign is of no consequence: a key is only ever compared.
            into.add(u32::from_be_bytes(record).into())?;
            tick(into.request_count() as u64)
        }),
        Format::Oracle => records(source, |record| {
            add_oracle(&record, into)?;
            tick(into.request_count() as u64)
        }),
        Format::Text => lines(source, |line| {
            add_text(line, into)?;
            tick(into.request_count() as u64)
        }),
        Format::Arc => lines(source, |line| {
            add_run(line, into)?;
            tick(into.request_count() as u64)
        }),
    }?;
    ensure!(into.request_count() > 0, "holds no requests; check the file and the format");
    Ok(())
}

/// Hands out records of `BYTES` bytes.
fn records<const BYTES: usize>(
    source: &mut dyn BufRead,
    mut each: impl FnMut([u8; BYTES]) -> Result<()>,
) -> Result<()> {
    let mut record = [0; BYTES];
    for number in 1u64.. {
        let place = || format!("record {number} (at byte {})", (number - 1) * BYTES as u64);
        let got = fill(source, &mut record).with_context(|| unreadable(&place()))?;
        match got {
            0 => return Ok(()),
            got if got < BYTES => bail!(
                "{}: {got} bytes where a record has {BYTES}; the file is cut short, or the format is another",
                place()
            ),
            _ => each(record).with_context(place)?,
        }
    }
    unreachable!("a file has fewer than 2^64 records");
}

/// Reads until `out` is full or the source ends; returns the bytes read.
fn fill(source: &mut dyn BufRead, out: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < out.len() {
        match source.read(&mut out[got..]) {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// Hands out lines without their ends.
fn lines(source: &mut dyn BufRead, mut each: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let mut line = Vec::new();
    for number in 1u64.. {
        let place = || format!("line {number}");
        line.clear();
        let mut limited = source.take(LINE_BYTES_MAX as u64);
        limited.read_until(b'\n', &mut line).with_context(|| unreadable(&place()))?;
        if line.is_empty() {
            return Ok(());
        }
        let is_whole = line.ends_with(b"\n") || line.len() < LINE_BYTES_MAX;
        let text = line.trim_ascii_end();
        ensure!(is_whole, "{}: longer than 4096 bytes; the format is another", place());
        let text = std::str::from_utf8(text).ok().filter(|text| !text.contains(char::is_control));
        let text =
            text.with_context(|| format!("{}: not text; the file is damaged, or the format is another", place()))?;
        each(text).with_context(place)?;
    }
    unreachable!("a file has fewer than 2^64 lines");
}

fn unreadable(place: &str) -> String {
    format!("{place}: cannot be read; check that the file is whole and its suffix tells how it is compressed")
}

fn add_text(line: &str, into: &mut Builder) -> Result<()> {
    ensure!(!line.is_empty(), "an empty line where a key is expected; remove it");
    if line.bytes().all(|byte| byte == b'*') {
        return Ok(());
    }
    into.add_text(line.as_bytes())
}

fn add_run(line: &str, into: &mut Builder) -> Result<()> {
    const SHAPE: &str = "expected `start count ignore seq`, four whole numbers; the format is another";
    let mut fields = [0u64; 4];
    let mut words = line.split_ascii_whitespace();
    for field in &mut fields {
        *field = words.next().and_then(|word| word.parse().ok()).context(SHAPE)?;
    }
    ensure!(words.next().is_none(), SHAPE);
    let [start, count, ..] = fields;
    ensure!(count <= RUN_KEYS_MAX, "a run of {count} keys, at most {RUN_KEYS_MAX}; the file is damaged");
    let end = start.checked_add(count).context("the run ends beyond 2^64; the file is damaged")?;
    (start..end).try_for_each(|key| into.add(key))
}

fn add_oracle(record: &[u8; ORACLE_BYTES], into: &mut Builder) -> Result<()> {
    let part = |from: usize, len: usize| {
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(&record[from..from + len]);
        u64::from_le_bytes(bytes)
    };
    let (key, size, next) = (part(4, 8), part(12, 4), part(16, 8).cast_signed());
    // -1 and the largest number both stand for never. The position itself may be of a longer trace this one was cut from.
    ensure!(next >= -1, "the next request is at {next}; the file is damaged, or the format is another");
    into.add_sized(key, size as u32)
}

#[cfg(test)]
mod tests {
    use super::super::{NEVER, Trace};
    use super::*;

    fn parse(format: Format, bytes: &[u8]) -> Result<Trace> {
        let mut builder = Builder::new(5);
        read(format, &mut io::Cursor::new(bytes), &mut builder, &mut |_| Ok(()))?;
        Ok(builder.finish())
    }

    fn ids(trace: &Trace) -> Vec<u32> {
        trace.requests().map(|request| request.id).collect()
    }

    fn oracle(key: u64, size: u32, next: i64) -> Vec<u8> {
        [&7u32.to_le_bytes()[..], &key.to_le_bytes(), &size.to_le_bytes(), &next.to_le_bytes()].concat()
    }

    /// Keys, and the ids they get.
    const KEYS: [(i64, u32); 6] = [(5, 0), (-3, 1), (5, 0), (8, 2), (-3, 1), (-1, 3)];

    #[test]
    fn every_format_is_read_as_it_was_written() {
        let wide = KEYS.iter().flat_map(|(key, _)| key.to_be_bytes()).collect();
        let narrow: Vec<u8> = KEYS.iter().flat_map(|(key, _)| (*key as i32).to_be_bytes()).collect();
        let text = KEYS.iter().map(|(key, _)| format!("{key}\n")).collect::<String>().into_bytes();
        let arc = KEYS.iter().map(|(key, _)| format!("{} 1 0 9\n", key.cast_unsigned() >> 1)).collect::<String>();
        let records = KEYS.iter().flat_map(|(key, _)| oracle(key.cast_unsigned(), 9, -1)).collect();
        for (format, bytes) in [
            (Format::U64be, wide),
            (Format::U32be, narrow.clone()),
            (Format::I32be, narrow),
            (Format::Text, text),
            (Format::Arc, arc.into_bytes()),
            (Format::Oracle, records),
        ] {
            let trace = parse(format, &bytes).unwrap();
            assert_eq!(ids(&trace), KEYS.map(|(_, id)| id), "{format:?}");
            let size = if format == Format::Oracle { 9 } else { 5 };
            assert!(trace.requests().all(|request| request.value_bytes == size), "{format:?}");
        }
    }

    #[test]
    fn lines_have_their_freedoms() {
        let trace = parse(Format::Text, b"*\r\na b\r\n***\nx\na b \nlast").unwrap();
        assert_eq!(ids(&trace), [0, 1, 0, 2]);
        assert_eq!(trace.next_uses(), [2, NEVER, NEVER, NEVER]);
        let trace = parse(Format::Arc, b"10 3 0 0\n  11  2 0 1\n12 0 0 2\n12 1 0 3").unwrap();
        assert_eq!(ids(&trace), [0, 1, 2, 1, 2, 2]);
    }

    #[test]
    fn bad_input_is_an_error_that_tells_where_and_what_to_do() {
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        let cases: &[(Format, &[u8], &str, &str)] = &[
            (Format::U64be, &[1; 15], "record 2 (at byte 8)", "cut short"),
            (Format::I32be, &[1; 9], "record 3 (at byte 8)", "cut short"),
            (Format::U32be, &[1; 3], "record 1 (at byte 0)", "cut short"),
            (Format::Oracle, &[0; 30], "record 2 (at byte 24)", "cut short"),
            (Format::Oracle, &[0xff; 24].map(|byte: u8| byte ^ 1), "record 1", "damaged"),
            (Format::Text, b"1\n\n2\n", "line 2", "remove it"),
            (Format::Text, b"1\n\xff\xfe\n", "line 2", "not text"),
            (Format::Text, b"1\n2\n\x00\x01\n", "line 3", "not text"),
            (Format::Text, &long, "line 1", "longer"),
            (Format::Arc, b"1 1 0 0\n1 1 0\n", "line 2", "four whole numbers"),
            (Format::Arc, b"1 1 0 0 0\n", "line 1", "four whole numbers"),
            (Format::Arc, b"a 1 0 0\n", "line 1", "four whole numbers"),
            (Format::Arc, b"-1 1 0 0\n", "line 1", "four whole numbers"),
            (Format::Arc, b"1 99999999999 0 0\n", "line 1", "damaged"),
            (Format::Arc, b"18446744073709551615 2 0 0\n", "line 1", "damaged"),
            (Format::U64be, b"", "holds no requests", "the format"),
            (Format::Text, b"*\n", "holds no requests", "the format"),
        ];
        for (format, bytes, place, remedy) in cases {
            let error = format!("{:#}", parse(*format, bytes).unwrap_err());
            assert!(error.contains(place) && error.contains(remedy), "{format:?}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is on fire"))
            }
        }
        for (format, place) in [(Format::U64be, "record 2"), (Format::Text, "line 2")] {
            let mut source = io::BufReader::new(io::Cursor::new(b"1234567\n").chain(Broken));
            let error = read(format, &mut source, &mut Builder::new(0), &mut |_| Ok(())).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(place) && error.contains("on fire"), "{error}");
        }
    }
}
