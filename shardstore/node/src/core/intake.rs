//! Received bytes on their way to whole frames: read in place where a frame lies in one buffer, copied only while it does not.
//!
//! ```text
//!  lent:  the ring's buffer      │ frame │ frame │ fra
//!  held:  our own, while needed                    fra│me   (topped up from the next buffer, never beyond the frame)
//! ```
//!
//! **Not**: what frames mean.
//!
//! **Invariants**: `held` comes before `lent` in the stream; an intake without bytes owns no buffer; memory grows with what
//! has arrived, never with what was announced.
//!
//! **Source**: the design's reactor chapter ("a partial message is copied to a buffer the connection owns").

use reactor::{Instant, Received};
use shardstore::wire::FrameError;
use shardstore::wire::frame::{self, Decoded, Limits};

/// Largest held buffer that goes back to the core's spares.
const SPARE_BYTES_MAX: usize = 64 * 1024;

/// Spare buffers a core keeps: one for each connection whose frame is cut by the end of a buffer in one pass.
const SPARES_MAX: usize = 64;

/// Empty buffers of a core, for frames that are cut.
#[derive(Debug, Default)]
pub(crate) struct SpareBuffers(Vec<Vec<u8>>);

impl SpareBuffers {
    fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        if self.0.len() < SPARES_MAX && (1..=SPARE_BYTES_MAX).contains(&buffer.capacity()) {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

/// The bytes of one connection that have not been consumed.
#[derive(Debug)]
pub(crate) struct Intake {
    held: Vec<u8>,
    /// Bytes of `held` that are consumed.
    start: usize,
    lent: Option<Received>,
    /// Whether `held` is known to need more bytes.
    is_short: bool,
    arrived: Instant,
}

impl Intake {
    /// An intake that begins with bytes that came earlier.
    pub(crate) fn new(rest: Vec<u8>, arrived: Instant) -> Self {
        Intake { held: rest, start: 0, lent: None, is_short: false, arrived }
    }

    /// Takes a buffer that has arrived.
    ///
    /// # Panics
    /// When the one before is still lent: the caller asks for frames until none is whole.
    pub(crate) fn lend(&mut self, data: Received, now: Instant) {
        assert!(self.lent.is_none(), "a buffer is used up before the next one is taken");
        self.arrived = now;
        self.is_short = false;
        self.lent = Some(data);
    }

    /// When the last bytes arrived.
    pub(crate) fn arrived(&self) -> Instant {
        self.arrived
    }

    /// Whether no byte is left, not even of a partial frame.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.lent.is_none()
    }

    /// Whether every buffer that was lent is used up.
    pub(crate) fn is_used_up(&self) -> bool {
        self.lent.is_none()
    }

    /// Whether bytes are held that nobody has looked at since they were.
    pub(crate) fn has_backlog(&self) -> bool {
        !self.held.is_empty() && !self.is_short
    }

    /// What lies at the front, as far as it is in one piece.
    pub(crate) fn front(&self) -> &[u8] {
        match &self.lent {
            Some(data) if self.held.is_empty() => data,
            _ => &self.held[self.start..],
        }
    }

    /// What lies at the front. After `Partial`, [`Intake::gather`]; after a frame, [`Intake::consume`].
    ///
    /// # Errors
    /// A fatal [`FrameError`]; the peer's fault.
    #[inline]
    pub(crate) fn peek(&self, limits: &Limits) -> Result<Decoded<'_>, FrameError> {
        frame::decode(self.front(), limits)
    }

    /// Brings together the `need` bytes that the frame at the front has at least; false when another buffer must arrive.
    pub(crate) fn gather(&mut self, need: usize, spares: &mut SpareBuffers) -> bool {
        if self.held.is_empty() {
            self.hold(spares);
            self.is_short = true;
            return false;
        }
        let topped_up = self.top_up(need);
        self.is_short = !topped_up;
        topped_up
    }

    /// Takes a frame of `count` bytes off.
    pub(crate) fn consume(&mut self, count: usize, spares: &mut SpareBuffers) {
        if !self.held.is_empty() {
            self.start += count;
            if self.start == self.held.len() {
                self.start = 0;
                spares.give(std::mem::take(&mut self.held));
            }
            return;
        }
        if let Some(data) = &mut self.lent {
            data.consume(count);
            if data.is_empty() {
                self.lent = None;
            }
        }
    }

    /// Gives the ring its buffer back, copying what is left of it.
    pub(crate) fn hold(&mut self, spares: &mut SpareBuffers) {
        let Some(data) = self.lent.take() else { return };
        if self.held.is_empty() {
            self.held = spares.take();
        }
        self.compact();
        self.held.extend_from_slice(&data);
    }

    /// The bytes that have not been consumed, out of the intake.
    pub(crate) fn into_rest(mut self) -> Vec<u8> {
        self.compact();
        if let Some(data) = self.lent.take() {
            self.held.extend_from_slice(&data);
        }
        self.held
    }

    fn compact(&mut self) {
        if self.start > 0 {
            self.held.drain(..self.start);
            self.start = 0;
        }
    }

    /// Moves bytes from `lent` until `held` has `need`; false when there are none left to move.
    fn top_up(&mut self, need: usize) -> bool {
        let Some(data) = &mut self.lent else { return false };
        if self.start > 0 {
            // Inlined for the sake of the borrow of `lent`.
            self.held.drain(..self.start);
            self.start = 0;
        }
        let count = (need - self.held.len()).min(data.len());
        self.held.extend_from_slice(&data[..count]);
        data.consume(count);
        if data.is_empty() {
            self.lent = None;
        }
        true
    }
}
