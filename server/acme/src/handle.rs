//! The control thread's side: events out, settings in, nothing that blocks.
//!
//! **Not** any decision.
//!
//! **Invariants**: both channels are bounded; who drops the handle ends the thread, at the latest with its current request.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use thiserror::Error;

use crate::challenge::Challenges;
use crate::clock::UnixMillis;
use crate::failure::AcmeFailure;
use crate::settings::{AcmeSettings, AcmeSettingsFault};
use crate::thread::AcmeThread;

/// Events that wait for the control thread; with one more the thread waits.
const EVENTS_MAX: usize = 64;

/// Requests of the control thread that wait; reloads and confirmations come seconds apart.
const REQUESTS_MAX: usize = 64;

/// What has happened.
#[derive(Clone, Debug)]
pub enum AcmeEvent {
    /// From now on these are to be answered, and no others. [`AcmeHandle::in_force`] says when they are.
    Challenges(Arc<Challenges>),
    /// `NAME/chain.pem` and `NAME/key.pem` are new.
    Stored {
        /// The certificate.
        name: String,
        /// When it ends.
        not_after: UnixMillis,
    },
    /// There is no new certificate.
    Failed {
        /// The certificate.
        name: String,
        /// Why.
        reason: AcmeFailure,
        /// When it is tried again.
        next_try: UnixMillis,
    },
}

/// What the control thread asks of the thread.
#[derive(Debug)]
pub(crate) enum HandleRequest {
    Settings(Box<AcmeSettings>),
    InForce(u64),
}

/// Why the thread was not started.
#[derive(Debug, Error)]
pub enum StartFault {
    /// The settings are wrong: the operator's.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings(Vec<AcmeSettingsFault>),
    /// The host gives no thread.
    #[error("no thread for ACME: {0}")]
    Thread(#[from] io::Error),
}

/// Where orders begin.
#[derive(Debug)]
pub struct Acme;

/// The control thread's side of the thread that orders certificates.
#[derive(Debug)]
pub struct AcmeHandle {
    events: Receiver<AcmeEvent>,
    requests: SyncSender<HandleRequest>,
    thread: JoinHandle<()>,
}

impl Acme {
    /// Starts the thread. Nothing is waited for: the folder is opened and the authority asked by the thread.
    ///
    /// # Errors
    /// The operator's: wrong settings, all of them. The host's: no thread.
    pub fn start(settings: AcmeSettings) -> Result<AcmeHandle, StartFault> {
        let faults = settings.check();
        if !faults.is_empty() {
            return Err(StartFault::Settings(faults));
        }
        let (event_sender, events) = sync_channel(EVENTS_MAX);
        let (requests, request_receiver) = sync_channel(REQUESTS_MAX);
        let thread = AcmeThread::new(settings, event_sender, request_receiver);
        let thread = Builder::new().name("acme".to_owned()).spawn(move || thread.run())?;
        Ok(AcmeHandle { events, requests, thread })
    }
}

impl AcmeHandle {
    /// The next event, if there is one. Never blocks.
    pub fn poll(&self) -> Option<AcmeEvent> {
        self.events.try_recv().ok()
    }

    /// The next event, waited for. `None` where none comes within the time, or the thread has ended.
    pub fn next(&self, within: Duration) -> Option<AcmeEvent> {
        self.events.recv_timeout(within).ok()
    }

    /// Says that every listener answers the challenges of this generation, so that the authority may look. Returns false where the thread
    /// did not take it; the order then fails and is tried again.
    pub fn in_force(&self, generation: u64) -> bool {
        self.requests.try_send(HandleRequest::InForce(generation)).is_ok()
    }

    /// Hands over settings of a reload. What failed before is tried at once; an order under way is finished first. Returns false where the
    /// thread has not taken earlier ones yet: to be tried at the next turn.
    ///
    /// # Errors
    /// The operator's: wrong settings; those before stay.
    pub fn update(&self, settings: AcmeSettings) -> Result<bool, StartFault> {
        let faults = settings.check();
        if !faults.is_empty() {
            return Err(StartFault::Settings(faults));
        }
        match self.requests.try_send(HandleRequest::Settings(Box::new(settings))) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(_)) => Ok(false),
            Err(TrySendError::Disconnected(_)) => Err(StartFault::Thread(io::Error::other("the thread has ended"))),
        }
    }

    /// Whether the thread has ended, which it does by itself only through a defect.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the thread and waits for it: as long as its current request may take ([`AcmePace::request_time`](crate::AcmePace)). Dropping the
    /// handle ends it, too, without waiting; files are whole either way.
    pub fn stop(self) {
        let AcmeHandle { events, requests, thread } = self;
        drop((events, requests));
        // A thread that panicked has said so.
        let _ = thread.join();
    }
}
