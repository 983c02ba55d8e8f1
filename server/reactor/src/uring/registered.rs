//! Which connections' sockets are registered with the ring, so that the kernel need not look them up for every send.
//!
//! A registered socket keeps its descriptor (docs/adr/0001-plain-descriptors.md says what for). Registering costs two
//! system calls in a connection's life and saves a look-up per send, so it is done for connections that send a lot. The
//! place in the ring's table is the connection's own index.
//!
//! **Not** talking to the kernel: the driver does what [`RegisteredSockets::next_send`] says.
//!
//! **Invariants**: a place in the table belongs to the connection that holds its index, and is empty before another does.

/// Sends after which a connection is worth registering: more than a client that fetches a page or two causes.
const BUSY_SENDS: u8 = 16;
const REGISTERED: u8 = u8::MAX;

/// How a send names its socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Name {
    /// By its place in the ring's table.
    Place,
    /// By its descriptor.
    Descriptor,
    /// By its place, once it has been registered, which is to be done now.
    Register,
}

pub(crate) struct RegisteredSockets {
    /// Sends of each connection, or that it is registered. Connections of higher indices are never registered.
    sends: Vec<u8>,
}

impl RegisteredSockets {
    /// None yet; the ring's table has room for `places`.
    pub(crate) fn new(places: u32) -> Self {
        RegisteredSockets { sends: vec![0; places as usize] }
    }

    /// How the next send of a connection names its socket. Counts the send.
    #[inline]
    pub(crate) fn next_send(&mut self, index: u32) -> Name {
        match self.sends.get_mut(index as usize) {
            Some(&mut REGISTERED) => Name::Place,
            Some(&mut BUSY_SENDS) => Name::Register,
            Some(sends) => {
                *sends += 1;
                Name::Descriptor
            }
            None => Name::Descriptor,
        }
    }

    /// Notes how [`Name::Register`] has gone. After a failure it is tried again, but not at once.
    pub(crate) fn note(&mut self, index: u32, is_registered: bool) {
        self.sends[index as usize] = if is_registered { REGISTERED } else { 0 };
    }

    /// Forgets a connection whose socket goes; whether its place in the table must be emptied.
    pub(crate) fn forget(&mut self, index: u32) -> bool {
        let sends = self.sends.get_mut(index as usize).map(std::mem::take);
        sends == Some(REGISTERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_connection_is_registered_and_its_successor_is_not() {
        let mut registered = RegisteredSockets::new(2);
        for _ in 0..BUSY_SENDS {
            assert_eq!(registered.next_send(1), Name::Descriptor);
        }
        assert_eq!(registered.next_send(1), Name::Register);
        registered.note(1, true);
        assert_eq!(registered.next_send(1), Name::Place);
        assert!(registered.forget(1), "the table still names it");
        assert!(!registered.forget(1));
        assert_eq!(registered.next_send(1), Name::Descriptor);
    }

    #[test]
    fn a_failure_is_tried_again_later() {
        let mut registered = RegisteredSockets::new(1);
        for round in 0..2 {
            let before = (0..).find(|_| registered.next_send(0) == Name::Register);
            assert_eq!(before, Some(usize::from(BUSY_SENDS)), "round {round}");
            registered.note(0, false);
        }
        assert!(!registered.forget(0));
    }

    #[test]
    fn beyond_the_table_there_are_descriptors_only() {
        let mut registered = RegisteredSockets::new(1);
        assert!((0..1000).all(|_| registered.next_send(1) == Name::Descriptor));
        assert!(!registered.forget(1));
    }
}
