//! A connection whose client has sent early data: it is served before its handshake is over, and from the client's Finished on its records
//! are ours as everybody's.
//!
//! ```text
//!  unconfirmed: rustls opens early data, seals responses ── the client's Finished ─▶ confirmed: RecordLayer
//! ```
//!
//! **Not** a judge of what may be served: whoever asks is told that what has come may be a replay.
//!
//! **Invariants**: a key of traffic is rustls's or ours, never both: rustls's numbers are the first of our own layer. What rustls has to say
//! leaves before anything that is sealed later. At most one record that is not whole is kept; all early data of a connection have
//! the configuration's bound, and after what closes the connection nothing is said.
//!
//! **Source**: RFC 8446 sections 2.3, 4.2.10 and 4.5.

use reactor::{Fault, Opened, Plain, Protection, Received};

use super::engine::{FinishedHandshake, HandshakeStep};
use super::fault::HandshakeFault;
use super::server::ServerHandshake;
use crate::protect::{KernelSide, RecordLayer};

/// The layer of a connection from its early data on.
pub(super) struct EarlyLayer {
    stage: Stage,
    /// What rustls has written and is to be sent first.
    word: Vec<u8>,
    /// The task has nothing more to write.
    is_closing: bool,
}

/// Whose the records are.
enum Stage {
    /// The client has not finished: what it has sent may be a replay.
    Unconfirmed(Box<ServerHandshake>),
    /// The handshake is over.
    Confirmed(Box<RecordLayer>),
    /// After the last word.
    Over,
}

impl EarlyLayer {
    /// Goes on with a handshake that has early data and is not done.
    pub(super) fn new(handshake: Box<ServerHandshake>) -> Self {
        EarlyLayer { stage: Stage::Unconfirmed(handshake), word: Vec::new(), is_closing: false }
    }

    /// Goes on with what has come, until more is needed or the client has finished.
    fn advance(&mut self, mut handshake: Box<ServerHandshake>, opened: &mut Opened) -> Result<(), Fault> {
        let mut step = handshake.advance(&mut self.word);
        loop {
            step = match step {
                Ok(HandshakeStep::HasEarlyData) => {
                    opened.push(Received::owned(handshake.take_early()));
                    handshake.advance(&mut self.word)
                }
                // Another hello has no place here: rustls refuses it without computing.
                Ok(HandshakeStep::NeedsPermit) => handshake.advance_permitted(&mut self.word),
                Ok(HandshakeStep::NeedsBytes) => break,
                Ok(HandshakeStep::Done) => return self.confirm(*handshake, opened),
                Err(HandshakeFault::Closed) => {
                    // It reads on.
                    opened.end();
                    break;
                }
                Err(fault) => return Err(Fault(fault.word())),
            };
        }
        self.stage = Stage::Unconfirmed(handshake);
        Ok(())
    }

    /// Takes the keys over from rustls, and opens what came behind the client's Finished.
    fn confirm(&mut self, handshake: ServerHandshake, opened: &mut Opened) -> Result<(), Fault> {
        let (mut layer, unread) = record_layer(handshake).map_err(|fault| Fault(fault.word()))?;
        if self.is_closing {
            layer.close();
        }
        let outcome = if unread.is_empty() { Ok(()) } else { layer.open(Received::owned(unread), opened) };
        self.stage = Stage::Confirmed(layer);
        outcome
    }

    fn seal_early(&mut self, plain: &mut Plain<'_>, wire: &mut Vec<u8>) -> Result<(), HandshakeFault> {
        let Stage::Unconfirmed(handshake) = &mut self.stage else { return Ok(()) };
        while plain.remaining() > 0 {
            let chunk = plain.chunk();
            let chunk_bytes = chunk.len();
            handshake.seal_early(chunk, wire)?;
            plain.consume(chunk_bytes);
        }
        if self.is_closing {
            handshake.close_early(wire)?;
            self.stage = Stage::Over;
        }
        Ok(())
    }
}

/// The layer of a handshake that is done, and bytes that it has to open.
fn record_layer(handshake: ServerHandshake) -> Result<(Box<RecordLayer>, Vec<u8>), HandshakeFault> {
    let FinishedHandshake { secrets, kernel, unread, negotiated } = handshake.finish()?;
    let layer = RecordLayer::new(secrets, KernelSide::Server(kernel), negotiated.version)?;
    Ok((Box::new(layer), unread))
}

impl Protection for EarlyLayer {
    fn open(&mut self, received: Received, opened: &mut Opened) -> Result<(), Fault> {
        let mut handshake = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Unconfirmed(handshake) => handshake,
            Stage::Confirmed(mut layer) => {
                let outcome = layer.open(received, opened);
                self.stage = Stage::Confirmed(layer);
                return outcome;
            }
            Stage::Over => return Ok(()),
        };
        handshake.push(&received);
        drop(received);
        self.advance(handshake, opened)
    }

    fn seal(&mut self, plain: &mut Plain<'_>, wire: &mut Vec<u8>) {
        wire.append(&mut std::mem::take(&mut self.word));
        if let Stage::Confirmed(layer) = &mut self.stage {
            return layer.seal(plain, wire);
        }
        if self.seal_early(plain, wire).is_err() {
            self.stage = Stage::Over;
        }
        while plain.remaining() > 0 {
            plain.consume(plain.chunk().len());
        }
    }

    fn has_to_say(&self) -> bool {
        let layer_has = match &self.stage {
            Stage::Unconfirmed(_) => self.is_closing,
            Stage::Confirmed(layer) => layer.has_to_say(),
            Stage::Over => false,
        };
        layer_has || !self.word.is_empty()
    }

    fn close(&mut self) {
        self.is_closing = true;
        if let Stage::Confirmed(layer) = &mut self.stage {
            layer.close();
        }
    }

    fn may_be_replayed(&self) -> bool {
        matches!(self.stage, Stage::Unconfirmed(_))
    }
}
