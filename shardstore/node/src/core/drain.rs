//! The end of a data core: nothing new, then nothing left.
//!
//! ```text
//!  Serving ── Drain ──▶ Draining ── refuse_at ──▶ (refusing) ── last connection gone ──▶ Drained ── Stop ──▶ end
//!                       serves what comes         UNAVAILABLE
//! ```
//! A connection ends when its peer has been quiet for [`QUIET`]. One that is never quiet is served for a while, so that its
//! peer can find another way, then answered UNAVAILABLE until it stops asking.
//!
//! **Not**: the deadline; the control core stops what is left.
//!
//! **Invariants**: a request that was received is answered; a core that has drained still serves hops of others.
//!
//! **Source**: docs/wire.md, "What the node does", Drain.

use std::rc::Rc;
use std::time::Duration;

use reactor::Instant;

use super::NodeCore;
use crate::message::NodeMessage;

/// How long a connection must be quiet before it is ended: longer than a round trip within a data centre, so that what
/// was sent before the peer knows is still served.
pub(super) const QUIET: Duration = Duration::from_millis(50);

/// Where a core is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    Draining { refuse_at: Instant },
}

impl NodeCore {
    /// Whether the core takes no new connection for long.
    #[inline]
    pub(super) fn is_draining(&self) -> bool {
        self.phase.get() != Phase::Serving
    }

    /// Whether requests are answered UNAVAILABLE by now.
    #[inline]
    pub(super) fn is_refusing(&self) -> bool {
        match self.phase.get() {
            Phase::Serving => false,
            Phase::Draining { refuse_at } => self.reactor.now() >= refuse_at,
        }
    }

    /// Begins to drain.
    pub(super) fn start_drain(self: &Rc<Self>, refuse_at: Instant) {
        if self.is_draining() {
            return;
        }
        self.phase.set(Phase::Draining { refuse_at });
        self.listeners.borrow_mut().drain(..).for_each(|listener| listener.close());
        self.gate.open();
        self.attention.borrow().values().for_each(|attention| attention.notify());
        let core = Rc::clone(self);
        // With no room for one more task there are connections, whose ends will not be waited for: the drain is cut.
        let _ = self.reactor.spawn(async move {
            while core.metrics().connections.value() > 0 || core.reactor.holdings().listeners > 0 {
                core.reactor.sleep(QUIET / 2).await;
            }
            core.mail.deliver(core.store.cores().control(), NodeMessage::Drained);
        });
    }
}
