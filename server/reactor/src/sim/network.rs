//! The network between simulated processes: it delays, splits, drops, resets and partitions.
//!
//! A connection is reliable and ordered, as TCP is; a lost packet shows as a long delay, a partition as silence.
//!
//! **Not** congested: a window bounds what is under way, bandwidth does not.
//!
//! **Invariants**: completions are queued per core in the order of events; every choice comes from one generator.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;

use super::clock::SimClock;
use super::endpoint::{CoreAddress, Endpoint, Peer};
use crate::buffer::Received;
use crate::driver::{Completion, ReceiveEnd, SendResult};
use crate::id::{ConnectionId, ListenerId, SlabKey};
use crate::random::Random;
use crate::slab::Slab;
use crate::time::Instant;

/// How the network behaves; all chances are per thousand.
#[derive(Clone, Debug)]
pub struct NetworkOptions {
    /// The shortest delay of a packet, in microseconds.
    pub delay_us_min: u64,
    /// The longest ordinary delay, in microseconds.
    pub delay_us_max: u64,
    /// Packets that are lost and sent again after about 200 ms.
    pub loss_per_mille: u64,
    /// Sends after which the connection is reset.
    pub reset_per_mille: u64,
    /// Arrivals that are split at a random byte.
    pub split_per_mille: u64,
    /// Sends that take only a part.
    pub short_send_per_mille: u64,
    /// Receives that end early, for want of buffers or for no reason.
    pub rearm_per_mille: u64,
}

impl Default for NetworkOptions {
    /// A good network, which still splits, sends short and ends multishots, since those are no faults.
    fn default() -> Self {
        NetworkOptions {
            delay_us_min: 20,
            delay_us_max: 300,
            loss_per_mille: 0,
            reset_per_mille: 0,
            split_per_mille: 200,
            short_send_per_mille: 50,
            rearm_per_mille: 20,
        }
    }
}

/// Endpoints of one world at most.
pub(super) const ENDPOINTS_MAX: usize = 1 << 20;
/// A lost packet is sent again after this long (a common minimum of TCP's retransmission timer).
pub(super) const RETRANSMISSION: Duration = Duration::from_millis(200);
/// How often a partition is looked at again by what waits behind it.
const PARTITION_RETRY: Duration = Duration::from_millis(20);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum NetworkEvent {
    /// Something of the wire towards this endpoint may arrive.
    Move(u32, u32),
    /// A connection request arrives.
    Knock { endpoint: (u32, u32), address: String },
    /// The answer to it arrives.
    Answer { endpoint: (u32, u32), errno: i32 },
    /// The kernel has taken a send.
    Taken { endpoint: (u32, u32), bytes: usize },
    /// A reset arrives.
    Reset { endpoint: (u32, u32), errno: i32 },
    /// A receive that found no buffers, or none in particular, ends.
    Disarm { endpoint: (u32, u32), buffers: bool },
}

pub(super) struct Listening {
    pub(super) place: CoreAddress,
    pub(super) listener: Option<ListenerId>,
    pub(super) backlog: VecDeque<SlabKey>,
}

/// What all simulated drivers share.
pub(crate) struct Network {
    pub(crate) now: Instant,
    pub(crate) random: Random,
    pub(super) options: NetworkOptions,
    pub(super) endpoints: Slab<Endpoint>,
    pub(super) listening: BTreeMap<String, Vec<(i32, Listening)>>,
    pub(super) next_listener: i32,
    events: BinaryHeap<Reverse<(Instant, u64, NetworkEvent)>>,
    event_count: u64,
    pub(super) cut: BTreeSet<(usize, usize)>,
    /// Processes that have died and were not started again: nobody answers for them.
    pub(super) dead: BTreeSet<usize>,
    /// The monotonic clocks of processes, where they are not the world's.
    pub(super) clocks: BTreeMap<usize, SimClock>,
    /// By how many milliseconds the wall clocks of processes are ahead (behind, where negative).
    pub(super) clock_skews_ms: BTreeMap<usize, i64>,
    pub(super) completions: BTreeMap<(usize, usize), VecDeque<Completion>>,
    /// A running hash of all events, to show that two runs are the same.
    pub(crate) trace: u64,
}

pub(super) fn pair(key: SlabKey) -> (u32, u32) {
    (key.index, key.generation)
}

fn key(pair: (u32, u32)) -> SlabKey {
    SlabKey { index: pair.0, generation: pair.1 }
}

impl Network {
    pub(crate) fn new(random: Random, options: NetworkOptions) -> Self {
        Network {
            now: Instant::from_nanos(1_000_000_000),
            random,
            options,
            endpoints: Slab::new(ENDPOINTS_MAX),
            listening: BTreeMap::new(),
            next_listener: 1,
            events: BinaryHeap::new(),
            event_count: 0,
            cut: BTreeSet::new(),
            dead: BTreeSet::new(),
            clocks: BTreeMap::new(),
            clock_skews_ms: BTreeMap::new(),
            completions: BTreeMap::new(),
            trace: 0,
        }
    }

    pub(crate) fn set_options(&mut self, options: NetworkOptions) {
        self.options = options;
    }

    /// The monotonic clock of a process at this moment.
    pub(crate) fn process_now(&self, process: usize) -> Instant {
        self.clocks.get(&process).map_or(self.now, |clock| clock.of_world(self.now))
    }

    /// When, in the world's time, the monotonic clock of a process shows this instant.
    pub(crate) fn world_time(&self, process: usize, at: Instant) -> Instant {
        self.clocks.get(&process).map_or(at, |clock| clock.to_world(at))
    }

    pub(crate) fn open_endpoints(&self) -> usize {
        self.endpoints.len()
    }

    pub(crate) fn next_event(&self) -> Option<Instant> {
        self.events.peek().map(|Reverse((at, ..))| *at)
    }

    /// Lets everything happen that is due.
    pub(crate) fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while let Some(Reverse((at, ..))) = self.events.peek()
            && *at <= self.now
        {
            let Some(Reverse((at, order, event))) = self.events.pop() else { return };
            self.trace = mix(self.trace, at.as_nanos() ^ order);
            self.happen(event);
        }
    }

    pub(super) fn plan(&mut self, at: Instant, event: NetworkEvent) {
        self.event_count += 1;
        self.events.push(Reverse((at, self.event_count, event)));
    }

    pub(super) fn delay(&mut self) -> Duration {
        let options = &self.options;
        let mut delay = Duration::from_micros(self.random.between(options.delay_us_min, options.delay_us_max));
        while self.random.chance(options.loss_per_mille) {
            delay += RETRANSMISSION;
        }
        delay
    }

    fn happen(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::Move(index, generation) => self.move_wire(SlabKey { index, generation }),
            NetworkEvent::Knock { endpoint, address } => self.knock(key(endpoint), address),
            NetworkEvent::Answer { endpoint, errno } => self.answer(key(endpoint), errno),
            NetworkEvent::Taken { endpoint, bytes } => {
                let result = Ok(bytes);
                self.report(key(endpoint), |connection| Completion::Sent {
                    connection,
                    sent: SendResult::copied(result),
                });
            }
            NetworkEvent::Reset { endpoint, errno } => self.reset_unless_cut(key(endpoint), errno),
            NetworkEvent::Disarm { endpoint, buffers } => {
                let end = if buffers { ReceiveEnd::NoBuffers } else { ReceiveEnd::Disarmed };
                if let Some(state) = self.endpoints.get_mut(key(endpoint))
                    && std::mem::replace(&mut state.armed, false)
                {
                    self.report(key(endpoint), |connection| Completion::ReceiveEnded { connection, end });
                }
            }
        }
    }

    pub(crate) fn take_completions(&mut self, place: (usize, usize), into: &mut VecDeque<Completion>) {
        if let Some(queue) = self.completions.get_mut(&place) {
            into.extend(queue.drain(..));
        }
    }

    pub(crate) fn has_completions(&self, place: (usize, usize)) -> bool {
        self.completions.get(&place).is_some_and(|queue| !queue.is_empty())
    }

    pub(crate) fn signal(&mut self, place: (usize, usize), number: i32) {
        self.completions.entry(place).or_default().push_back(Completion::Signal { number });
    }

    pub(super) fn report(&mut self, endpoint: SlabKey, completion: impl FnOnce(ConnectionId) -> Completion) {
        let Some(state) = self.endpoints.get(endpoint) else { return };
        let Some(connection) = state.connection else { return };
        let place = (state.place.process, state.place.core);
        self.completions.entry(place).or_default().push_back(completion(connection));
    }

    pub(super) fn by_socket(&self, socket: i32) -> Option<SlabKey> {
        self.endpoints.key_at(socket as u32)
    }

    pub(crate) fn by_connection(&self, place: (usize, usize), connection: ConnectionId) -> Option<i32> {
        let owned = |key: &SlabKey| {
            self.endpoints.get(*key).is_some_and(|state| {
                state.connection == Some(connection) && (state.place.process, state.place.core) == place
            })
        };
        self.endpoints.keys().into_iter().find(owned).map(|key| key.index as i32)
    }

    pub(crate) fn attach(&mut self, place: CoreAddress, connection: Option<ConnectionId>, socket: i32) {
        if let Some(key) = self.by_socket(socket)
            && let Some(state) = self.endpoints.get_mut(key)
        {
            state.place = place;
            state.connection = connection;
        }
    }

    pub(crate) fn arm_receive(&mut self, socket: i32) {
        let Some(endpoint) = self.by_socket(socket) else { return };
        let Some(state) = self.endpoints.get_mut(endpoint) else { return };
        state.armed = true;
        if self.random.chance(self.options.rearm_per_mille) {
            let at = self.now + Duration::from_micros(self.random.between(1, 2000));
            let buffers = self.random.chance(500);
            self.plan(at, NetworkEvent::Disarm { endpoint: pair(endpoint), buffers });
        }
        self.hand_over(endpoint);
    }

    pub(crate) fn cancel_receive(&mut self, socket: i32) {
        let Some(endpoint) = self.by_socket(socket) else { return };
        let Some(state) = self.endpoints.get_mut(endpoint) else { return };
        if std::mem::replace(&mut state.armed, false) {
            let end = ReceiveEnd::Disarmed;
            self.report(endpoint, |connection| Completion::ReceiveEnded { connection, end });
        }
    }

    /// Takes a send, or a part of it, or keeps it until there is room.
    pub(crate) fn send(&mut self, socket: i32, bytes: Vec<u8>) {
        let Some(endpoint) = self.by_socket(socket) else { return };
        let Some(state) = self.endpoints.get_mut(endpoint) else { return };
        let errno = state.failed.or((state.peer == Peer::Gone).then_some(libc::EPIPE));
        if let Some(errno) = errno {
            self.report(endpoint, |connection| Completion::Sent { connection, sent: SendResult::copied(Err(errno)) });
            return;
        }
        state.blocked_send = Some(bytes);
        self.unblock(endpoint);
        if self.random.chance(self.options.reset_per_mille) {
            self.reset_both(endpoint);
        }
    }

    fn unblock(&mut self, endpoint: SlabKey) {
        let Some(state) = self.endpoints.get_mut(endpoint) else { return };
        let Peer::Endpoint(peer) = state.peer else { return };
        let peer_process = state.peer_process;
        let Some(bytes) = state.blocked_send.take() else { return };
        if self.endpoints.get(peer).is_none() {
            self.send_to_nobody(endpoint, peer_process, bytes);
            return;
        }
        let room = self.endpoints.get(peer).map_or(0, Endpoint::room);
        let mut count = bytes.len().min(room);
        if count > 1 && self.random.chance(self.options.short_send_per_mille) {
            count = self.random.between(1, count as u64) as usize;
        }
        if count == 0 {
            if let Some(state) = self.endpoints.get_mut(endpoint) {
                state.blocked_send = Some(bytes);
            }
            return;
        }
        if let Some(peer_state) = self.endpoints.get_mut(peer) {
            peer_state.wire.extend(&bytes[..count]);
        }
        self.plan_move(peer);
        let at = self.now + Duration::from_micros(self.random.between(1, 20));
        self.plan(at, NetworkEvent::Taken { endpoint: pair(endpoint), bytes: count });
    }

    /// A send to an end that is not there any more: taken and lost, and answered by a reset (RFC 9293, section 3.5.2), if
    /// the host is up; if it is not, nobody answers.
    fn send_to_nobody(&mut self, endpoint: SlabKey, peer_process: usize, bytes: Vec<u8>) {
        if self.dead.contains(&peer_process) {
            if let Some(state) = self.endpoints.get_mut(endpoint) {
                state.blocked_send = Some(bytes);
            }
            return;
        }
        let at = self.now + Duration::from_micros(self.random.between(1, 20));
        self.plan(at, NetworkEvent::Taken { endpoint: pair(endpoint), bytes: bytes.len() });
        let at = at + self.delay();
        self.plan(at, NetworkEvent::Reset { endpoint: pair(endpoint), errno: libc::ECONNRESET });
    }

    pub(crate) fn cancel_send(&mut self, socket: i32) {
        let Some(endpoint) = self.by_socket(socket) else { return };
        let Some(state) = self.endpoints.get_mut(endpoint) else { return };
        if state.blocked_send.take().is_some() {
            let result = Err(libc::ECANCELED);
            self.report(endpoint, |connection| Completion::Sent { connection, sent: SendResult::copied(result) });
        }
    }

    pub(crate) fn shutdown_send(&mut self, socket: i32) {
        let Some(endpoint) = self.by_socket(socket) else { return };
        let Some(Peer::Endpoint(peer)) = self.endpoints.get(endpoint).map(|state| state.peer) else { return };
        if let Some(state) = self.endpoints.get_mut(peer) {
            state.fin_sent = true;
        }
        self.plan_move(peer);
    }

    /// Closes an end: the peer sees the end of the stream, or a reset when bytes were left unread (RFC 9293, 3.6).
    pub(crate) fn close(&mut self, socket: i32) {
        let Some(endpoint) = self.by_socket(socket) else { return };
        let is_reset =
            self.endpoints.get(endpoint).is_some_and(|state| !state.unread.is_empty() || state.reset_on_close);
        if is_reset {
            self.lose_unsent(endpoint);
            self.reset_peer_of(endpoint);
        } else {
            self.shutdown_send(socket);
        }
        let Some(state) = self.endpoints.remove(endpoint) else { return };
        if let Peer::Endpoint(peer) = state.peer
            && self.endpoints.get(peer).is_some_and(|state| state.blocked_send.is_some())
        {
            // What it is still sending finds nobody; it learns that when the news has travelled.
            let at = self.now + self.delay();
            self.plan(at, NetworkEvent::Reset { endpoint: pair(peer), errno: libc::ECONNRESET });
        }
    }

    fn plan_move(&mut self, endpoint: SlabKey) {
        let delay = self.delay();
        let now = self.now;
        let Some(state) = self.endpoints.get_mut(endpoint) else { return };
        if state.moving {
            return;
        }
        state.moving = true;
        let at = (now + delay).max(state.not_before);
        state.not_before = at;
        self.plan(at, NetworkEvent::Move(endpoint.index, endpoint.generation));
    }

    fn move_wire(&mut self, endpoint: SlabKey) {
        let Some(state) = self.endpoints.get_mut(endpoint) else { return };
        state.moving = false;
        let (from, to) = (state.peer_process, state.place.process);
        if self.is_cut(from, to) {
            self.plan_retry(endpoint);
            return;
        }
        let split = self.random.chance(self.options.split_per_mille);
        let Some(state) = self.endpoints.get_mut(endpoint) else { return };
        let all = state.wire.len();
        let count = if split && all > 1 { self.random.between(1, all as u64 - 1) as usize } else { all };
        state.arrive(count);
        if count < all {
            self.plan_move(endpoint);
        }
        self.hand_over(endpoint);
    }

    fn plan_retry(&mut self, endpoint: SlabKey) {
        let at = self.now + PARTITION_RETRY;
        if let Some(state) = self.endpoints.get_mut(endpoint) {
            state.moving = true;
            self.plan(at, NetworkEvent::Move(endpoint.index, endpoint.generation));
        }
    }

    /// Hands what has arrived to a receive that is armed.
    fn hand_over(&mut self, endpoint: SlabKey) {
        /// One buffer of the ring's pool.
        const PIECE_BYTES: usize = 2048;
        loop {
            let Some(state) = self.endpoints.get_mut(endpoint) else { return };
            if !state.armed || state.connection.is_none() || state.unread.is_empty() {
                break;
            }
            let count = state.unread.len().min(PIECE_BYTES);
            let piece: Vec<u8> = state.unread.drain(..count).collect();
            let data = Received::owned(piece);
            self.report(endpoint, |connection| Completion::Received { connection, data });
        }
        self.report_end(endpoint);
        if let Some(Peer::Endpoint(peer)) = self.endpoints.get(endpoint).map(|state| state.peer) {
            self.unblock(peer);
        }
    }

    pub(super) fn report_end(&mut self, endpoint: SlabKey) {
        let Some(state) = self.endpoints.get_mut(endpoint) else { return };
        if !state.armed || !state.unread.is_empty() {
            return;
        }
        let end = match state.failed {
            Some(errno) => ReceiveEnd::Failed(errno),
            None if state.fin_arrived => ReceiveEnd::EndOfStream,
            None => return,
        };
        state.armed = false;
        state.fin_reported = true;
        self.report(endpoint, |connection| Completion::ReceiveEnded { connection, end });
    }
}

fn mix(trace: u64, value: u64) -> u64 {
    (trace ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
}
