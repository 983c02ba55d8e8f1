//! A layer that shows what the reactor does with one: records with a number and a checksum, of which some ask for a reply.
//!
//! ```text
//!  0        1        2             4                        8
//!  [ 0xC5 | kind   | payload bytes | checksum of all else, and of the record's number | payload, each byte xor 0x5A ]
//! ```
//!
//! **Not** secret; but plaintext that leaves without a seal, or bytes that come twice or in another order, fail at the peer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use reactor::{Fault, Opened, Plain, Protection, Received};

const HEADER_BYTES: usize = 8;
const MAGIC: u8 = 0xC5;
/// Payload of one record at most: small, so that a buffer has many, and none, of them.
const PAYLOAD_BYTES_MAX: usize = 700;

pub(crate) const CHECKSUM: Fault = Fault(&"checksum");
pub(crate) const TOLD: Fault = Fault(&"told of a fault");

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Data,
    Ask,
    Reply,
    End,
    Alert,
}

const KINDS: [Kind; 5] = [Kind::Data, Kind::Ask, Kind::Reply, Kind::End, Kind::Alert];

/// What has happened to a layer.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) replies: AtomicUsize,
    pub(crate) sealed_bytes: AtomicUsize,
    /// Of one seal at most.
    pub(crate) offered_bytes_max: AtomicUsize,
    /// The peer's last word has come.
    pub(crate) ended: AtomicBool,
}

#[derive(Default)]
pub(crate) struct Toy {
    facts: Arc<Facts>,
    /// Asks before each so many data records; 0: never.
    ask_every: u64,
    /// The number of the record that it gets wrong.
    wrong_record: Option<u64>,
    end_after: Option<u64>,
    sealed_records: u64,
    opened_records: u64,
    partial: Vec<u8>,
    to_say: Vec<Kind>,
    broken: bool,
    closed: bool,
}

impl Toy {
    pub(crate) fn new(facts: &Arc<Facts>) -> Self {
        Toy { facts: Arc::clone(facts), ..Toy::default() }
    }

    /// Asks for a reply before each so many data records.
    pub(crate) fn asking_every(mut self, records: u64) -> Self {
        self.ask_every = records;
        self
    }

    /// Asks at once, although nothing is written.
    pub(crate) fn asking(mut self) -> Self {
        self.to_say.push(Kind::Ask);
        self
    }

    /// Says its last word behind so many records, and goes on all the same.
    pub(crate) fn ending_after(mut self, records: u64) -> Self {
        self.end_after = Some(records);
        self
    }

    pub(crate) fn getting_wrong(mut self, record: u64) -> Self {
        self.wrong_record = Some(record);
        self
    }

    fn seal_record(&mut self, kind: Kind, payload: &[u8], wire: &mut Vec<u8>) {
        let start = wire.len();
        wire.extend_from_slice(&[MAGIC, kind as u8]);
        wire.extend_from_slice(&(payload.len() as u16).to_le_bytes());
        wire.extend_from_slice(&[0; 4]);
        wire.extend(payload.iter().map(|byte| byte ^ 0x5A));
        let mut sum = checksum(self.sealed_records, &wire[start..]);
        sum ^= u32::from(self.wrong_record == Some(self.sealed_records));
        wire[start + 4..start + HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
        self.sealed_records += 1;
    }

    /// Opens the records that are whole. The payload of the first one stays where it is; gives its place, and how much was opened.
    fn open_records(&mut self, bytes: &mut [u8], pieces: &mut Vec<Vec<u8>>, ended: &mut bool) -> Result<usize, Fault> {
        let mut at = 0;
        while !*ended && bytes.len() - at >= HEADER_BYTES {
            let header = &bytes[at..at + HEADER_BYTES];
            let end = at + HEADER_BYTES + usize::from(u16::from_le_bytes([header[2], header[3]]));
            if bytes.len() < end {
                break;
            }
            let mut sum = [0; 4];
            sum.copy_from_slice(&header[4..]);
            let kind = KINDS.get(usize::from(header[1])).filter(|_| header[0] == MAGIC).ok_or(CHECKSUM)?;
            if checksum(self.opened_records, &bytes[at..end]) != u32::from_le_bytes(sum) {
                return Err(CHECKSUM);
            }
            self.opened_records += 1;
            let payload = &mut bytes[at + HEADER_BYTES..end];
            at = end;
            match kind {
                Kind::Data => {
                    payload.iter_mut().for_each(|byte| *byte ^= 0x5A);
                    pieces.push(payload.to_vec());
                }
                Kind::Ask => self.to_say.push(Kind::Reply),
                Kind::Reply => _ = self.facts.replies.fetch_add(1, Relaxed),
                Kind::End => *ended = true,
                Kind::Alert => return Err(TOLD),
            }
        }
        Ok(at)
    }
}

impl Protection for Toy {
    fn open(&mut self, mut received: Received, opened: &mut Opened) -> Result<(), Fault> {
        assert!(!self.broken, "opened after a fault");
        assert!(!opened.ended(), "opened after the end");
        let (mut pieces, mut ended) = (Vec::new(), false);
        let mut gathered = std::mem::take(&mut self.partial);
        let in_place = gathered.is_empty();
        gathered.extend_from_slice(if in_place { &[] } else { &received });
        let bytes = if in_place { received.bytes_mut() } else { &mut gathered };
        let result = self.open_records(bytes, &mut pieces, &mut ended);
        if let Ok(used) = result {
            self.partial = bytes[used..].to_vec();
        }
        if in_place && pieces.len() == 1 && bytes[1] == Kind::Data as u8 {
            // The one record is opened where it was received.
            received.consume(HEADER_BYTES);
            received.truncate(pieces[0].len());
            opened.push(received);
        } else {
            pieces.into_iter().for_each(|piece| opened.push(Received::owned(piece)));
        }
        if ended {
            self.facts.ended.store(true, Relaxed);
            opened.end();
        }
        if let Err(fault) = result {
            self.broken = true;
            self.to_say = if fault == TOLD { Vec::new() } else { vec![Kind::Alert] };
        }
        result.map(drop)
    }

    fn seal(&mut self, plain: &mut Plain<'_>, wire: &mut Vec<u8>) {
        self.facts.offered_bytes_max.fetch_max(plain.remaining(), Relaxed);
        let mut last = false;
        let closed_before = self.closed && self.to_say.is_empty();
        assert!(plain.chunk().is_empty() || !closed_before, "sealed after its last word");
        for kind in std::mem::take(&mut self.to_say) {
            match kind {
                Kind::End => last = true,
                kind => self.seal_record(kind, &[], wire),
            }
        }
        while !plain.chunk().is_empty() {
            assert!(!self.broken, "sealed after a fault");
            if self.ask_every > 0 && self.sealed_records.is_multiple_of(self.ask_every) {
                self.seal_record(Kind::Ask, &[], wire);
            }
            let count = plain.chunk().len().min(PAYLOAD_BYTES_MAX);
            let payload = plain.chunk()[..count].to_vec();
            self.seal_record(Kind::Data, &payload, wire);
            plain.consume(count);
            if self.end_after == Some(self.sealed_records) {
                self.seal_record(Kind::End, &[], wire);
            }
            self.facts.sealed_bytes.fetch_add(count, Relaxed);
        }
        assert_eq!(plain.remaining(), 0, "a chunk is empty, and there is more");
        if last {
            self.seal_record(Kind::End, &[], wire);
        }
    }

    fn has_to_say(&self) -> bool {
        !self.to_say.is_empty()
    }

    fn close(&mut self) {
        assert!(!std::mem::replace(&mut self.closed, true), "closed twice");
        self.to_say.push(Kind::End);
    }
}

/// Of a record with its checksum left out.
fn checksum(number: u64, record: &[u8]) -> u32 {
    let rest = record[..4].iter().chain(&record[HEADER_BYTES..]);
    let start = 0x811C_9DC5 ^ number as u32;
    rest.fold(start, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
