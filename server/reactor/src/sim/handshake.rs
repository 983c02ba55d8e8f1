//! Listening and connecting on the simulated network.
//!
//! **Not** accepting for anybody: a connection waits in the backlog until a listener is armed.
//!
//! **Invariants**: who knocks is answered, refused, or (behind a partition) kept waiting; never forgotten.

use std::collections::VecDeque;

use super::endpoint::{CoreAddress, Endpoint, Peer};
use super::network::{ENDPOINTS_MAX, Listening, Network, NetworkEvent, RETRANSMISSION, pair};
use crate::address::Address;
use crate::driver::{AcceptedSocket, Completion, Errno, Socket};
use crate::id::{ConnectionId, ListenerId, SlabKey};

impl Network {
    pub(crate) fn listen(&mut self, place: CoreAddress, address: &Address, shared: bool) -> Result<i32, Errno> {
        self.revive(place.process);
        let entry = self.listening.entry(address.to_string()).or_default();
        let foreign = entry.iter().any(|(_, other)| other.place.process != place.process);
        if foreign || (!shared && !entry.is_empty()) {
            return Err(libc::EADDRINUSE);
        }
        let socket = self.next_listener;
        self.next_listener += 1;
        entry.push((socket, Listening { place, listener: None, backlog: VecDeque::new() }));
        Ok(socket)
    }

    fn listening_by_socket(&mut self, socket: i32) -> Option<&mut Listening> {
        self.listening.values_mut().flatten().find(|(number, _)| *number == socket).map(|(_, listening)| listening)
    }

    pub(crate) fn arm_accept(&mut self, listener: ListenerId, socket: i32) {
        let Some(listening) = self.listening_by_socket(socket) else { return };
        listening.listener = Some(listener);
        let place = (listening.place.process, listening.place.core);
        let waiting: Vec<SlabKey> = listening.backlog.drain(..).collect();
        for endpoint in waiting {
            let result = Ok(AcceptedSocket { socket: Socket(endpoint.index as i32) });
            self.completions.entry(place).or_default().push_back(Completion::Accepted { listener, result });
        }
    }

    pub(crate) fn cancel_accept(&mut self, place: (usize, usize), listener: ListenerId) {
        for (_, listening) in self.listening.values_mut().flatten() {
            if listening.listener == Some(listener) && (listening.place.process, listening.place.core) == place {
                listening.listener = None;
            }
        }
        self.completions.entry(place).or_default().push_back(Completion::AcceptEnded { listener });
    }

    /// Stops listening; gives what waits in the backlog.
    pub(crate) fn close_listener(&mut self, socket: i32) -> Vec<AcceptedSocket> {
        let backlog = self.listening_by_socket(socket).map(|listening| std::mem::take(&mut listening.backlog));
        for group in self.listening.values_mut() {
            group.retain(|(number, _)| *number != socket);
        }
        self.listening.retain(|_, group| !group.is_empty());
        let backlog = backlog.unwrap_or_default();
        backlog.into_iter().map(|endpoint| AcceptedSocket { socket: Socket(endpoint.index as i32) }).collect()
    }

    pub(crate) fn connect(&mut self, place: CoreAddress, connection: ConnectionId, address: &Address) -> i32 {
        let Ok(endpoint) = self.endpoints.insert(Endpoint::new(place, Some(connection))) else {
            panic!("more than {ENDPOINTS_MAX} simulated endpoints")
        };
        let at = self.now + self.delay();
        self.plan(at, NetworkEvent::Knock { endpoint: pair(endpoint), address: address.to_string() });
        endpoint.index as i32
    }

    pub(super) fn knock(&mut self, endpoint: SlabKey, address: String) {
        let Some(client) = self.endpoints.get(endpoint) else { return };
        let from = client.place.process;
        let group = self.listening.get(&address).map_or(0, Vec::len);
        let pick = self.random.below(group as u64) as usize;
        let target = self.listening.get(&address).and_then(|group| group.get(pick));
        let Some(place) = target.map(|(_, listening)| listening.place) else {
            let at = self.now + self.delay();
            self.plan(at, NetworkEvent::Answer { endpoint: pair(endpoint), errno: libc::ECONNREFUSED });
            return;
        };
        if self.is_cut(from, place.process) {
            let at = self.now + RETRANSMISSION;
            self.plan(at, NetworkEvent::Knock { endpoint: pair(endpoint), address });
            return;
        }
        let mut server = Endpoint::new(place, None);
        server.peer = Peer::Endpoint(endpoint);
        server.peer_process = from;
        let Ok(server) = self.endpoints.insert(server) else { return };
        if let Some(client) = self.endpoints.get_mut(endpoint) {
            client.peer = Peer::Endpoint(server);
            client.peer_process = place.process;
        }
        let listening = self.listening.get_mut(&address).and_then(|group| group.get_mut(pick));
        let (_, listening) = listening.expect("it was there just above");
        match listening.listener {
            Some(listener) => {
                let result = Ok(AcceptedSocket { socket: Socket(server.index as i32) });
                let place = (place.process, place.core);
                self.completions.entry(place).or_default().push_back(Completion::Accepted { listener, result });
            }
            None => listening.backlog.push_back(server),
        }
        let at = self.now + self.delay();
        self.plan(at, NetworkEvent::Answer { endpoint: pair(endpoint), errno: 0 });
    }

    /// The other end of a connection: a process has an address by its number, and an end a port by its own.
    pub(crate) fn peer(&self, socket: i32) -> Option<Address> {
        let Peer::Endpoint(peer) = self.endpoints.get(self.by_socket(socket)?)?.peer else { return None };
        let process = u16::try_from(self.endpoints.get(peer)?.place.process).ok()?.to_be_bytes();
        let port = 1024 + (peer.index % 60_000) as u16;
        Some(Address::Tcp(([10, 255, process[0], process[1]], port).into()))
    }

    pub(super) fn answer(&mut self, endpoint: SlabKey, errno: Errno) {
        let result = if errno == 0 { Ok(()) } else { Err(errno) };
        if let (Err(errno), Some(state)) = (result, self.endpoints.get_mut(endpoint)) {
            state.failed = Some(errno);
        }
        self.report(endpoint, |connection| Completion::Connected { connection, result });
    }

    pub(crate) fn cancel_connect(&mut self, socket: i32) {
        if let Some(endpoint) = self.by_socket(socket) {
            self.report(endpoint, |connection| Completion::Connected { connection, result: Err(libc::ECANCELED) });
        }
    }
}
