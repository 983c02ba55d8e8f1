//! What a core keeps of a listening socket: how it stands with the driver, and who has connected.
//!
//! **Not** acting on it; [`super::listener`] does.

use std::collections::VecDeque;

use crate::driver::{AcceptedSocket, Socket};
use crate::id::TaskId;

pub(crate) struct ListenerState {
    pub(super) socket: Socket,
    pub(super) pending: VecDeque<AcceptedSocket>,
    pub(super) waiter: Option<TaskId>,
    pub(super) armed: bool,
    /// The last accept failed: rest before the next.
    pub(super) failed: bool,
    pub(super) closing: bool,
    pub(super) closed: bool,
    /// Its handle is gone: free the slot when the accept is over.
    pub(super) abandoned: bool,
}

impl ListenerState {
    /// Of a socket whose accepts are armed.
    pub(super) fn new(socket: Socket) -> Self {
        ListenerState {
            socket,
            pending: VecDeque::new(),
            waiter: None,
            armed: true,
            failed: false,
            closing: false,
            closed: false,
            abandoned: false,
        }
    }
}
