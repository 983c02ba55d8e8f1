//! What goes wrong on the simulated network: resets, deaths, partitions.
//!
//! **Not** deciding when: the world or the options do.
//!
//! **Invariants**: a process that has died sends nothing more; one that is started again answers what is sent to its
//! former life with a reset.

use super::endpoint::Peer;
use super::network::{Network, NetworkEvent, RETRANSMISSION, pair};
use crate::driver::{Completion, Errno, SendResult};
use crate::id::SlabKey;

impl Network {
    /// A reset does not cross a cut; it is sent again later.
    pub(super) fn reset_unless_cut(&mut self, endpoint: SlabKey, errno: Errno) {
        let Some(state) = self.endpoints.get(endpoint) else { return };
        if self.is_cut(state.peer_process, state.place.process) {
            let at = self.now + RETRANSMISSION;
            self.plan(at, NetworkEvent::Reset { endpoint: pair(endpoint), errno });
        } else {
            self.reset_one(endpoint, errno);
        }
    }

    pub(super) fn reset_one(&mut self, endpoint: SlabKey, errno: Errno) {
        let Some(state) = self.endpoints.get_mut(endpoint) else { return };
        let blocked = state.blocked_send.is_some();
        state.reset(errno);
        if blocked {
            self.report(endpoint, |connection| Completion::Sent { connection, sent: SendResult::copied(Err(errno)) });
        }
        self.report_end(endpoint);
    }

    pub(super) fn reset_peer_of(&mut self, endpoint: SlabKey) {
        if let Some(Peer::Endpoint(peer)) = self.endpoints.get(endpoint).map(|state| state.peer) {
            let at = self.now + self.delay();
            self.plan(at, NetworkEvent::Reset { endpoint: pair(peer), errno: libc::ECONNRESET });
        }
    }

    /// The kernel of an end that is reset throws away what it holds: behind a cut, all that is on the wire.
    pub(super) fn lose_unsent(&mut self, endpoint: SlabKey) {
        let Some(state) = self.endpoints.get(endpoint) else { return };
        let Peer::Endpoint(peer) = state.peer else { return };
        if self.is_cut(state.place.process, state.peer_process)
            && let Some(state) = self.endpoints.get_mut(peer)
        {
            state.wire.clear();
        }
    }

    pub(crate) fn reset_on_close(&mut self, socket: i32) {
        if let Some(endpoint) = self.by_socket(socket)
            && let Some(state) = self.endpoints.get_mut(endpoint)
        {
            state.reset_on_close = true;
        }
    }

    pub(super) fn reset_both(&mut self, endpoint: SlabKey) {
        self.reset_peer_of(endpoint);
        let at = self.now + self.delay();
        self.plan(at, NetworkEvent::Reset { endpoint: pair(endpoint), errno: libc::ECONNRESET });
    }

    /// Forgets a process that has died. `reset`: its kernel lives on and resets its connections; otherwise they hear
    /// nothing, as after a power failure.
    pub(crate) fn kill(&mut self, process: usize, reset: bool) {
        for group in self.listening.values_mut() {
            group.retain(|(_, listening)| listening.place.process != process);
        }
        self.listening.retain(|_, group| !group.is_empty());
        self.completions.retain(|(owner, _), _| *owner != process);
        self.dead.insert(process);
        for endpoint in self.endpoints.keys() {
            if self.endpoints.get(endpoint).is_some_and(|state| state.place.process == process) {
                if reset {
                    self.reset_peer_of(endpoint);
                }
                self.endpoints.remove(endpoint);
            }
        }
    }

    /// A process is started again: what is sent to its former life is answered by a reset.
    pub(super) fn revive(&mut self, process: usize) {
        if !self.dead.remove(&process) {
            return;
        }
        for endpoint in self.endpoints.keys() {
            let Some(state) = self.endpoints.get(endpoint) else { continue };
            let Peer::Endpoint(peer) = state.peer else { continue };
            let waits = state.peer_process == process && state.blocked_send.is_some();
            if waits && self.endpoints.get(peer).is_none() {
                let at = self.now + RETRANSMISSION;
                self.plan(at, NetworkEvent::Reset { endpoint: pair(endpoint), errno: libc::ECONNRESET });
            }
        }
    }

    pub(super) fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cut.contains(&(a.min(b), a.max(b)))
    }

    pub(crate) fn partition(&mut self, a: usize, b: usize) {
        self.cut.insert((a.min(b), a.max(b)));
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }
}
