//! Where cores run: threads of this process, or the simulator. What starts cores is written against [`Host`] once.
//!
//! **Not** a supervisor: a core that panics ends the process (`panic = "abort"` in releases), and the service manager
//! starts it anew.
//!
//! **Invariants**: a core's reactor is made on the thread that runs it.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::core::{CoreSeed, Reactor};
use crate::cpu;
use crate::driver::{AnyDriver, Wait};
use crate::id::CoreId;
use crate::mailbox::{Doorbells, WakeMethod};
use crate::uring::UringDriver;

/// One core to start.
pub struct CoreSpec {
    /// Its index among the process's cores.
    pub id: CoreId,
    /// The CPU to pin it to; `None` leaves it to the scheduler (the control thread).
    pub cpu: Option<usize>,
    /// The thread's name, as `top -H` shows it: 15 bytes at most.
    pub name: String,
    /// All doorbells of the process.
    pub doorbells: Doorbells,
}

/// Something that cores can be started on.
pub trait Host {
    /// Makes doorbells for a process of `cores` cores.
    ///
    /// # Errors
    /// The operator's: not enough file descriptors.
    fn doorbells(&mut self, cores: usize) -> io::Result<Doorbells>;

    /// Starts a core: runs `body` on it, which spawns its first tasks, then its event loop until all tasks have ended
    /// or [`Reactor::stop`] was called.
    ///
    /// # Errors
    /// The operator's: no thread, no ring, or no such CPU.
    fn start_core(&mut self, spec: CoreSpec, body: Box<dyn FnOnce(Reactor) + Send>) -> io::Result<()>;
}

/// Cores as threads of this process.
#[derive(Default)]
pub struct Threads {
    handles: Vec<JoinHandle<()>>,
    wake_method: Option<WakeMethod>,
}

impl Threads {
    /// No cores yet. Cores wake each other by `method`; `None` chooses the one that measured better.
    pub fn new(method: Option<WakeMethod>) -> Self {
        Threads { handles: Vec::new(), wake_method: method }
    }

    /// Waits until every core has ended.
    ///
    /// # Panics
    /// When a core has.
    pub fn join(self) {
        for handle in self.handles {
            handle.join().expect("a core ends by its own decision or takes the process with it");
        }
    }
}

impl Host for Threads {
    fn doorbells(&mut self, cores: usize) -> io::Result<Doorbells> {
        // An eventfd write reaches a parked core in the middle of the sender's pass; see docs/performance.md.
        Doorbells::for_rings(cores, self.wake_method.unwrap_or(WakeMethod::EventFd))
    }

    fn start_core(&mut self, spec: CoreSpec, body: Box<dyn FnOnce(Reactor) + Send>) -> io::Result<()> {
        let (ready, is_ready) = sync_channel(1);
        let builder = std::thread::Builder::new().name(spec.name.clone());
        let handle = builder.spawn(move || run_core(&spec, body, &ready))?;
        match is_ready.recv() {
            Ok(Ok(())) => {
                self.handles.push(handle);
                Ok(())
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::Error::other("the core's thread died while it started")),
        }
    }
}

fn run_core(spec: &CoreSpec, body: Box<dyn FnOnce(Reactor) + Send>, ready: &SyncSender<io::Result<()>>) {
    let reactor = match start_reactor(spec) {
        Ok(reactor) => reactor,
        Err(error) => {
            // The starter waits for this; if it has returned already, the result has no reader.
            let _ = ready.send(Err(error));
            return;
        }
    };
    body(reactor.clone());
    let _ = ready.send(Ok(()));
    while !reactor.is_stopping() && reactor.has_tasks() {
        step(&reactor, None);
    }
    wind_up(&reactor);
}

fn start_reactor(spec: &CoreSpec) -> io::Result<Reactor> {
    if let Some(cpu) = spec.cpu {
        cpu::pin_to(cpu)?;
    }
    let doorbell = spec.doorbells.of(spec.id);
    let driver = UringDriver::new(&doorbell).map_err(io::Error::other)?;
    // Without it jitter is the same at each start, which harms nothing.
    let seed = CoreSeed { random: entropy().unwrap_or_default(), shuffle_tasks: false };
    Ok(Reactor::new(spec.id, AnyDriver::Uring(Box::new(driver)), doorbell, seed))
}

fn step(reactor: &Reactor, wait: Option<Wait>) {
    reactor.pass();
    let wait = wait.unwrap_or_else(|| reactor.park());
    reactor.enter(wait);
}

/// Sends what is queued, drops the tasks, and gives the kernel a moment to finish what they had under way.
fn wind_up(reactor: &Reactor) {
    const ROUNDS_MAX: usize = 50;
    step(reactor, Some(Wait::No));
    reactor.drop_tasks();
    for _ in 0..ROUNDS_MAX {
        step(reactor, Some(Wait::Until(reactor.now() + std::time::Duration::from_millis(2))));
        let holdings = reactor.holdings();
        if holdings.connections == 0 && holdings.listeners == 0 {
            return;
        }
    }
}

/// Eight bytes from the kernel's generator.
///
/// # Errors
/// The operator's: a security policy refuses getrandom(2), or the host has only just booted.
pub fn entropy() -> io::Result<u64> {
    let mut bytes = [0u8; 8];
    // SAFETY: `bytes` is 8 writable bytes.
    let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) };
    if count != bytes.len() as isize {
        let error = io::Error::last_os_error();
        return Err(io::Error::new(error.kind(), format!("no random numbers from the kernel (getrandom): {error}")));
    }
    Ok(u64::from_ne_bytes(bytes))
}
