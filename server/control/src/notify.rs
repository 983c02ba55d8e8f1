//! What the service manager is told: that the process is ready, reads its settings again, ends, is alive, and what it does.
//!
//! ```text
//!  Serving ─▶ READY=1   SIGHUP ─▶ RELOADING=1 … READY=1   SIGTERM ─▶ STOPPING=1   every data core has passed ─▶ WATCHDOG=1
//!      each a datagram to NOTIFY_SOCKET; what it does not take now is sent with the next second
//! ```
//!
//! **Not** deciding any of it, which [`crate::lifecycle`] does.
//!
//! **Invariants**: nothing here waits. For a manager that does not read, what the process is stays until it is taken, at most
//! `UNSENT_MAX` messages, and of the sentences about what it does the newest. A sign of life is never kept, since it would be one
//! of the past.
//!
//! **Source**: sd_notify(3), systemd.service(5) (`Type=notify-reload`, `WatchdogSec=`), sd_watchdog_enabled(3).

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    ffi::{OsStr, OsString},
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

use reactor::Instant;

use crate::{lame_duck::LameDuck, lifecycle::LifecycleState};

/// Variables of the environment that say who is told, and how often it wants to hear of the process.
const SOCKET: &str = "NOTIFY_SOCKET";
const WATCHDOG: &str = "WATCHDOG_USEC";
const WATCHDOG_PROCESS: &str = "WATCHDOG_PID";

/// Messages about the state that wait for a manager that does not read. A start, the last reload with its end, and the end of the
/// process are four; what no life of a process has is bounded too.
const UNSENT_MAX: usize = 8;

/// How often the sentence about what the process does is sent at most, while nothing else is.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// How much longer than it may take by the settings an end is given by the manager.
const STOP_SLACK: Duration = Duration::from_secs(5);

/// Who is to be told, as the environment says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyPlan {
    socket: OsString,
    /// Time without a sign of life after which the manager ends the process.
    watchdog: Option<Duration>,
}

impl NotifyPlan {
    /// What `variable` reads of the environment of process `id`; `None` where nobody is to be told. Also what of it cannot be
    /// followed, a sentence each.
    #[must_use]
    pub fn of(variable: impl Fn(&str) -> Option<OsString>, id: u32) -> (Option<Self>, Vec<String>) {
        let Some(socket) = variable(SOCKET).filter(|socket| !socket.is_empty()) else { return (None, Vec::new()) };
        let mut faults = Vec::new();
        if let Err(error) = address(&socket) {
            faults
                .push(format!("{SOCKET}: {socket:?} cannot be used: {error}; nothing is told to the service manager"));
            return (None, faults);
        }
        let number =
            |name: &str| variable(name).map(|text| text.to_str().and_then(|text| text.parse::<u64>().ok()).ok_or(text));
        let is_ours = !matches!(number(WATCHDOG_PROCESS), Some(Ok(process)) if process != u64::from(id));
        let watchdog = match number(WATCHDOG).filter(|_| is_ours) {
            None => None,
            Some(Ok(0)) => None,
            Some(Ok(microseconds)) => Some(Duration::from_micros(microseconds)),
            Some(Err(text)) => {
                faults.push(format!(
                    "{WATCHDOG}: found {text:?}, allowed: a number of microseconds; no sign of life is sent"
                ));
                None
            }
        };
        (Some(Self { socket, watchdog }), faults)
    }
}

/// Where the socket is: a path, or with `@` in front a name of the kernel's.
fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(socket),
        _ => Err(io::Error::other("it is neither an absolute path nor a name behind @")),
    }
}

pub(crate) type SendMessage = Box<dyn Fn(&[u8]) -> io::Result<()>>;

/// What a message says that the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ToldState {
    Ready,
    Reloading,
    Stopping,
}

/// What the manager has not taken yet.
#[derive(Debug, Default)]
struct Unsent {
    /// In order; sent before the sentence.
    states: VecDeque<(ToldState, String)>,
    /// The newest sentence that came without a state.
    status: Option<String>,
}

impl Unsent {
    fn put(&mut self, state: ToldState, message: String) {
        match state {
            // A reload makes up for those before it, whose ends go with them; the end of the start stays.
            ToldState::Reloading => {
                let first = self.states.iter().position(|(state, _)| *state == ToldState::Reloading);
                self.states.truncate(first.unwrap_or(self.states.len()));
            }
            _ if self.states.back().is_some_and(|(last, _)| *last == state) => drop(self.states.pop_back()),
            _ => {}
        }
        if self.states.len() == UNSENT_MAX {
            self.states.pop_front();
        }
        self.states.push_back((state, message));
    }

    fn next(&self) -> Option<&str> {
        self.states.front().map(|(_, message)| message).or(self.status.as_ref()).map(String::as_str)
    }

    fn drop_next(&mut self) {
        if self.states.pop_front().is_none() {
            self.status = None;
        }
    }
}

/// The manager of a process, told by its control core.
pub struct ServiceManager {
    /// `None` where nobody is to be told.
    send: Option<SendMessage>,
    unsent: RefCell<Unsent>,
    /// The sentence that was sent last, and when.
    said: RefCell<(String, Instant)>,
    ping_interval: Option<Duration>,
    next_ping: Cell<Instant>,
    fault: RefCell<Option<io::Error>>,
}

impl ServiceManager {
    /// The one that the plan names, if it does.
    ///
    /// # Errors
    ///
    /// The operator's: no descriptor is left for a socket.
    pub fn connect(plan: Option<&NotifyPlan>, now: Instant) -> io::Result<Self> {
        let Some(NotifyPlan { socket, watchdog }) = plan else { return Ok(Self::new(None, None, now)) };
        let (to, from) = (address(socket)?, UnixDatagram::unbound()?);
        from.set_nonblocking(true)?;
        let send = move |message: &[u8]| from.send_to_addr(message, &to).map(drop);
        Ok(Self::new(Some(Box::new(send)), *watchdog, now))
    }

    pub(crate) fn new(send: Option<SendMessage>, watchdog: Option<Duration>, now: Instant) -> Self {
        Self {
            send,
            unsent: RefCell::default(),
            said: RefCell::new((String::new(), now)),
            ping_interval: watchdog.map(|time| time / 2),
            next_ping: Cell::new(now),
            fault: RefCell::new(None),
        }
    }

    /// The process serves, or does so by what it has read again.
    pub fn ready(&self, status: &str, now: Instant) {
        self.tell(ToldState::Ready, "READY=1", status, now);
    }

    /// The process reads its settings again; `ready` says that it has.
    pub fn reloading(&self, now: Instant) {
        self.put(ToldState::Reloading, format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_nanos() / 1000));
    }

    /// The process ends, which may take so long by its settings.
    pub fn stopping(&self, within: Duration, status: &str, now: Instant) {
        let microseconds = (within + STOP_SLACK).as_micros();
        self.tell(ToldState::Stopping, &format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={microseconds}"), status, now);
    }

    /// Once a second: sends what was not taken, and `status` where it is news.
    pub fn tick(&self, status: &str, now: Instant) {
        self.flush();
        let is_due = {
            let said = self.said.borrow();
            now >= said.1 + STATUS_INTERVAL && said.0 != status
        };
        if is_due && self.send.is_some() {
            self.unsent.borrow_mut().status = Some(format!("STATUS={}", self.say(status, now)));
            self.flush();
        }
    }

    /// When the next sign of life is due; `None` where none is wanted.
    #[must_use]
    pub fn next_ping(&self) -> Option<Instant> {
        self.ping_interval.map(|_| self.next_ping.get())
    }

    /// Gives a sign of life if one is due and the process `lives`.
    pub fn ping(&self, now: Instant, lives: impl Fn() -> bool) {
        let (Some(interval), Some(send)) = (self.ping_interval, &self.send) else { return };
        if now < self.next_ping.get() {
            return;
        }
        self.next_ping.set(now + interval);
        if lives() {
            // One that is not taken is one of a manager that has enough to read.
            let _ = send(b"WATCHDOG=1");
        }
    }

    /// Why the manager could not be told, once.
    pub fn take_fault(&self) -> Option<io::Error> {
        self.fault.take()
    }

    fn tell(&self, state: ToldState, text: &str, status: &str, now: Instant) {
        let message = format!("{text}\nSTATUS={}", self.say(status, now));
        // Sentences that wait are older than the one in this message.
        self.unsent.borrow_mut().status = None;
        self.put(state, message);
    }

    /// Notes a sentence as said; it, on one line.
    fn say(&self, status: &str, now: Instant) -> String {
        self.said.replace((status.to_owned(), now));
        status.replace('\n', " ")
    }

    fn put(&self, state: ToldState, message: String) {
        if self.send.is_none() {
            return;
        }
        self.unsent.borrow_mut().put(state, message);
        self.flush();
    }

    fn flush(&self) {
        let Some(send) = &self.send else { return };
        let mut unsent = self.unsent.borrow_mut();
        while let Some(message) = unsent.next() {
            match send(message.as_bytes()) {
                Ok(()) => unsent.drop_next(),
                Err(error) if is_full(&error) => return,
                Err(error) => {
                    // Nobody is there: what comes later may find somebody, who then is not told of the past.
                    self.fault.replace(Some(error));
                    *unsent = Unsent::default();
                }
            }
        }
    }
}

/// What a process does, a sentence for `systemctl status`; `activity` is how much of it.
#[must_use]
pub fn sentence(state: LifecycleState, duck: &LameDuck, cores_run: bool, activity: &str) -> String {
    let hangs = if cores_run { "" } else { ", but a data core hangs" };
    let state = match (state, duck.reason()) {
        (LifecycleState::Starting, _) => return "Starting".to_owned(),
        (LifecycleState::Stopped(_), _) => return "Stopped".to_owned(),
        (LifecycleState::Serving, None) => "Serving".to_owned(),
        (LifecycleState::Serving, Some(reason)) => format!("Serving, {reason}"),
        (LifecycleState::LameDuck { .. }, _) => "Ending, connections are still taken".to_owned(),
        (LifecycleState::Draining { .. }, _) => "Ending, no connection is taken any more".to_owned(),
    };
    format!("{state}{hangs}: {activity}")
}

/// Whether the manager has not read what it was sent before.
fn is_full(error: &io::Error) -> bool {
    const NO_BUFFERS: i32 = 105;
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(NO_BUFFERS)
}

#[cfg(test)]
mod tests;
