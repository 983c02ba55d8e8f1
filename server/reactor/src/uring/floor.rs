//! The floor: the cheapest server the kernel allows, as the reference that every measurement is set beside.
//!
//! A bare loop with the flags of our rings, multishot accept and receive, and direct descriptors. It does not look at
//! what it gets: it learns the length of a client's first request and answers as many times as requests of that length
//! have come.
//!
//! Whoever wants a server that is slower by a known amount gives it work to do for each request; it is called once a request,
//! between the receive and the send, and without it nothing is.
//!
//! **Not** a server: a client whose requests differ in length is answered wrongly. `coreperf floor` runs it.
//!
//! **Invariants**: one core, one ring, no task, no parser, no clock.

use std::io;
use std::os::fd::AsRawFd;
use std::rc::Rc;

use io_uring::{cqueue, opcode, types};

use super::buffer_ring::{BufferRing, SMALL};
use super::ring::Ring;
use super::socket;
use super::tag::{Kind, pack, unpack};
use super::unavailable::RingUnavailable;
use crate::address::Address;
use crate::driver::ListenOptions;
use crate::id::SlabKey;

/// Connections the floor serves at most: what load generators open, with room.
const CLIENTS_MAX: u32 = 16_384;
/// Answers in one send at most, if they are small.
const ANSWERS_MAX: usize = 256;
/// Memory of all answers in one send at most, beyond one.
const ANSWERS_BYTES_MAX: usize = 1 << 20;

/// What the floor serves, and how.
#[derive(Clone, Copy, Debug)]
pub struct FloorOptions {
    /// The CPU to pin the calling thread to.
    pub cpu: Option<usize>,
    /// How sockets are named to the kernel.
    pub descriptors: Descriptors,
    /// Bytes of every body.
    pub body_bytes: usize,
}

/// The answer: a head that a client accepts, and a body.
fn answer(body_bytes: usize) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {body_bytes}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + body_bytes, b'x');
    answer
}

#[derive(Clone, Copy, Default)]
struct Client {
    sending: bool,
    /// Answers owed.
    owed: usize,
    /// Bytes of a request that has come in part.
    partial: usize,
    /// Length of this client's requests; 0 until the first has come.
    request_bytes: usize,
}

struct Floor<'a> {
    each_request: Option<&'a dyn Fn()>,
    ring: Ring,
    buffers: BufferRing,
    clients: Vec<Client>,
    answers: Vec<u8>,
    answers_max: usize,
    answer_bytes: usize,
    descriptors: Descriptors,
}

/// How the floor names its sockets to the kernel; what the difference costs is the subject of ADR 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Descriptors {
    /// Registered with the ring: no look-up per operation. The floor proper.
    Direct,
    /// Ordinary file descriptors, as the product has them.
    Plain,
}

/// Serves the floor on `address` from the calling thread until the process is ended; calls `each_request`, if there is one,
/// for every request.
///
/// # Errors
/// The operator's: the address or the CPU cannot be had, or io_uring is refused.
pub fn serve_floor(address: &Address, options: FloorOptions, each_request: Option<&dyn Fn()>) -> io::Result<()> {
    let FloorOptions { cpu, descriptors, body_bytes } = options;
    if let Some(cpu) = cpu {
        crate::cpu::pin_to(cpu)?;
    }
    let (listener, _) = socket::listen(address, &ListenOptions::default())?;
    let buffers = BufferRing::new(SMALL)?;
    let ring = Ring::new(|submitter| {
        submitter.register_files_sparse(CLIENTS_MAX)?;
        // SAFETY: the mapping holds that many entries and outlives the ring, which is dropped first.
        unsafe { submitter.register_buf_ring_with_flags(buffers.address(), buffers.buffers(), 0, 0) }
    });
    let ring = ring.map_err(|refusal: RingUnavailable| io::Error::other(refusal))?;
    let one = answer(body_bytes);
    let answers_max = (ANSWERS_BYTES_MAX / one.len()).clamp(1, ANSWERS_MAX);
    let mut floor = Floor {
        each_request,
        ring,
        buffers,
        clients: vec![Client::default(); CLIENTS_MAX as usize],
        answers: one.repeat(answers_max),
        answers_max,
        answer_bytes: one.len(),
        descriptors,
    };
    let direct = descriptors == Descriptors::Direct;
    let accept = opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd())).allocate_file_index(direct).build();
    floor.push(accept, Kind::Accept, 0);
    let _keep_open = Rc::new(listener);
    loop {
        floor.ring.enter(Some(None))?;
        while let Some(entry) = floor.ring.next_completion() {
            floor.handle(&entry);
        }
    }
}

impl Floor<'_> {
    fn push(&mut self, entry: io_uring::squeue::Entry, kind: Kind, client: u32) {
        let entry = entry.user_data(pack(kind, SlabKey { index: client, generation: 0 }));
        // SAFETY: sends point into `answers`, which is never changed and lives as long as the ring.
        unsafe { self.ring.push(&entry) };
    }

    fn handle(&mut self, entry: &cqueue::Entry) {
        let (kind, key) = unpack(entry.user_data());
        let result = entry.result();
        match kind {
            Kind::Accept if (0..CLIENTS_MAX as i32).contains(&result) => {
                self.clients[result as usize] = Client::default();
                self.arm_receive(result as u32);
            }
            Kind::Receive => self.received(key.index, entry),
            Kind::Send => {
                self.clients[key.index as usize].sending = false;
                self.send(key.index);
            }
            _ => {}
        }
    }

    fn arm_receive(&mut self, client: u32) {
        let entry = match self.descriptors {
            Descriptors::Direct => opcode::RecvMulti::new(types::Fixed(client), 0).build(),
            Descriptors::Plain => opcode::RecvMulti::new(types::Fd(client as i32), 0).build(),
        };
        self.push(entry, Kind::Receive, client);
    }

    fn received(&mut self, client: u32, entry: &cqueue::Entry) {
        if let Some(buffer) = cqueue::buffer_select(entry.flags()) {
            self.buffers.note_lent();
            let len = entry.result().max(0) as usize;
            let state = &mut self.clients[client as usize];
            if state.request_bytes == 0 {
                let bytes = &self.buffers.bytes(buffer)[..len];
                let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
                state.request_bytes = end.map_or(len, |end| end + 4);
            }
            self.buffers.give_back(buffer);
            let bytes = state.partial + len;
            let requests = bytes / state.request_bytes;
            state.owed += requests;
            state.partial = bytes % state.request_bytes;
            if let Some(each_request) = self.each_request {
                (0..requests).for_each(|_| each_request());
            }
            self.send(client);
        }
        if !cqueue::more(entry.flags()) {
            if entry.result() > 0 || entry.result() == -libc::ENOBUFS {
                self.arm_receive(client);
            } else {
                let entry = match self.descriptors {
                    Descriptors::Direct => opcode::Close::new(types::Fixed(client)).build(),
                    Descriptors::Plain => opcode::Close::new(types::Fd(client as i32)).build(),
                };
                self.push(entry, Kind::Ignored, client);
            }
        }
    }

    fn send(&mut self, client: u32) {
        let state = &mut self.clients[client as usize];
        if state.sending || state.owed == 0 {
            return;
        }
        let count = state.owed.min(self.answers_max);
        state.owed -= count;
        state.sending = true;
        let len = (count * self.answer_bytes) as u32;
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let answers = self.answers.as_ptr();
        let entry = match self.descriptors {
            Descriptors::Direct => opcode::Send::new(types::Fixed(client), answers, len).flags(flags).build(),
            Descriptors::Plain => opcode::Send::new(types::Fd(client as i32), answers, len).flags(flags).build(),
        };
        self.push(entry, Kind::Send, client);
    }
}
