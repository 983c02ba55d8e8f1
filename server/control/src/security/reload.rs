//! Those files while a process runs: when they are read again, and what becomes of what was read.
//!
//! ```text
//!  SIGHUP, change ──┐
//!  other settings ──┴─▶ read ─▶ SecurityUser::put_security ─┬─▶ in force
//!                                                           ├─▶ may be half replaced: read again each second, for 10 s
//!                                                           └─▶ refused: log with file and reason, counter; what was stays
//! ```
//!
//! **Not** what is made of them, which is the binary's.
//!
//! **Invariants**: what is refused changes nothing; one refusal is logged once, until something of it changes.
//!
//! **Source**: docs/tls.md.

use std::{
    cell::{Cell, RefCell},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use corelane_tls::crypto::WallClock;
use corelane_tls::store::{StoreError, TlsParts};
use reactor::Instant;

use super::{SecurityAtStart, SecurityFiles, SecuritySource};
use crate::{
    lifecycle::{PendingRead, ReloadCause},
    log::{LogFields, LogLevel},
    metrics::SecurityMetrics,
    reading::PendingFiles,
    watch::Mark,
};

/// How long files that do not fit each other may be in the middle of being replaced: they are not replaced together.
const REPLACE_TIME: Duration = Duration::from_secs(10);

/// How often they are read meanwhile.
const REPLACE_LOOK: Duration = Duration::from_secs(1);

/// Why nothing was made of a file. The operator's to correct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityFault {
    /// Its name, what is wrong, and what to do.
    pub text: String,
    /// Whether the reason may be that only one of two files was replaced until now.
    pub may_be_half_replaced: bool,
}

impl SecurityFault {
    /// One that no later look will find gone.
    #[must_use]
    pub const fn lasting(text: String) -> Self {
        Self { text, may_be_half_replaced: false }
    }

    /// One that the store has found.
    #[must_use]
    pub fn of(error: &StoreError) -> Self {
        Self { text: error.to_string(), may_be_half_replaced: error.may_be_half_replaced() }
    }
}

/// All of them, a line each.
#[must_use]
pub fn lines_of(faults: &[SecurityFault]) -> String {
    faults.iter().map(|fault| &*fault.text).collect::<Vec<_>>().join("\n")
}

/// A process that is somebody by its files, on its control core.
pub trait SecurityUser {
    /// The files that its settings name, in a fixed order.
    fn security_names(&self) -> Vec<PathBuf>;

    /// Puts what was read in force; whether anything is other than before.
    ///
    /// # Errors
    ///
    /// All that is wrong. What has no fault is in force nevertheless.
    fn put_security(&self, files: &SecurityFiles) -> Result<bool, Vec<SecurityFault>>;

    /// Logs an event.
    fn log_security(&self, level: LogLevel, event: &str, fields: LogFields<'_>);
}

/// The files of a running process. Owned by the control core.
pub struct SecurityReloader {
    source: SecuritySource,
    marks_at_start: Vec<Mark>,
    /// When they are to be read though they may not have changed.
    wanted_at: Cell<Option<Instant>>,
    /// Since when they do not fit each other.
    unfit_since: Cell<Option<Instant>>,
    /// What was refused last.
    refused: RefCell<Vec<SecurityFault>>,
    parts: TlsParts,
    clock: Arc<WallClock>,
    metrics: SecurityMetrics,
}

impl SecurityReloader {
    /// A reloader of the files that a process started with.
    #[must_use]
    pub fn new(at_start: SecurityAtStart) -> Self {
        Self {
            parts: at_start.parts(),
            clock: at_start.clock,
            source: at_start.source,
            marks_at_start: at_start.marks,
            wanted_at: Cell::new(None),
            unfit_since: Cell::new(None),
            refused: RefCell::default(),
            metrics: SecurityMetrics::default(),
        }
    }

    /// The marks of the files before they were read at the start.
    #[must_use]
    pub fn marks_at_start(&self) -> Vec<Mark> {
        self.marks_at_start.clone()
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &SecurityMetrics {
        &self.metrics
    }

    /// What snapshots are made of besides files.
    #[must_use]
    pub fn parts(&self) -> &TlsParts {
        &self.parts
    }

    /// The wall time by which certificates are valid.
    #[must_use]
    pub fn clock(&self) -> &Arc<WallClock> {
        &self.clock
    }

    /// Says what time it is, in milliseconds of Unix time: once a second.
    pub fn tell_time(&self, wall_ms: u64) {
        self.clock.set_wall_ms(wall_ms);
    }

    /// Looks at the files: their marks.
    pub fn look(&self, user: &dyn SecurityUser) -> PendingFiles<Vec<Mark>> {
        self.source.look(user.security_names())
    }

    /// Reads the files.
    pub fn read<C: Send + 'static>(&self, user: &dyn SecurityUser) -> PendingRead<C> {
        self.source.read(user.security_names())
    }

    /// Has them read at once: other settings are in force.
    pub fn want(&self, now: Instant) {
        self.wanted_at.set(Some(now));
    }

    /// Whether they are to be read now; true once.
    pub fn take_wanted(&self, now: Instant) -> bool {
        let is_due = self.wanted_at.get().is_some_and(|at| at <= now);
        if is_due {
            self.wanted_at.set(None);
        }
        is_due
    }

    /// Takes what was read.
    pub fn adopt(&self, files: &SecurityFiles, cause: ReloadCause, user: &dyn SecurityUser, now: Instant) {
        match user.put_security(files) {
            Ok(changed) => {
                self.unfit_since.set(None);
                self.refused.borrow_mut().clear();
                if changed {
                    self.metrics.applied.increment();
                    user.log_security(LogLevel::Info, "certificates_in_force", &[("cause", &cause)]);
                }
            }
            Err(faults) => self.refuse(faults, cause, user, now),
        }
    }

    fn refuse(&self, faults: Vec<SecurityFault>, cause: ReloadCause, user: &dyn SecurityUser, now: Instant) {
        let since = self.unfit_since.get().unwrap_or(now);
        self.unfit_since.set(Some(since));
        if faults.iter().any(|fault| fault.may_be_half_replaced) && now < since + REPLACE_TIME {
            self.wanted_at.set(Some(now + REPLACE_LOOK));
            return;
        }
        self.unfit_since.set(None);
        // What a person asks for is answered, as often as it is asked.
        if cause != ReloadCause::Signal && *self.refused.borrow() == faults {
            return;
        }
        self.metrics.refused.increment();
        for fault in &faults {
            user.log_security(LogLevel::Error, "certificate_refused", &[("error", &fault.text)]);
        }
        self.refused.replace(faults);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake {
        outcome: RefCell<Result<bool, Vec<SecurityFault>>>,
        logged: RefCell<Vec<String>>,
    }

    impl SecurityUser for Fake {
        fn security_names(&self) -> Vec<PathBuf> {
            Vec::new()
        }

        fn put_security(&self, _: &SecurityFiles) -> Result<bool, Vec<SecurityFault>> {
            self.outcome.borrow().clone()
        }

        fn log_security(&self, _: LogLevel, event: &str, _: LogFields<'_>) {
            self.logged.borrow_mut().push(event.to_owned());
        }
    }

    fn fake(may_be_half_replaced: bool) -> Fake {
        let fault = SecurityFault { text: "a.pem: no".to_owned(), may_be_half_replaced };
        Fake { outcome: RefCell::new(Err(vec![fault])), logged: RefCell::default() }
    }

    fn second(second: u64) -> Instant {
        Instant::from_nanos(second * 1_000_000_000)
    }

    fn reloader() -> SecurityReloader {
        SecurityReloader::new(SecurityAtStart::none())
    }

    #[test]
    fn a_pair_that_is_half_replaced_is_read_again_until_it_fits() {
        let (reloader, user) = (reloader(), fake(true));
        reloader.adopt(&SecurityFiles::default(), ReloadCause::Change, &user, second(1));
        assert!(user.logged.borrow().is_empty());
        assert_eq!([reloader.take_wanted(second(1)), reloader.take_wanted(second(2))], [false, true]);
        assert!(!reloader.take_wanted(second(3)), "a wish is one read");
        *user.outcome.borrow_mut() = Ok(true);
        reloader.adopt(&SecurityFiles::default(), ReloadCause::Change, &user, second(3));
        assert_eq!(*user.logged.borrow(), ["certificates_in_force"]);
        assert_eq!((reloader.metrics.applied.value(), reloader.metrics.refused.value()), (1, 0));
    }

    #[test]
    fn a_pair_that_never_fits_is_refused_after_ten_seconds() {
        let (reloader, user) = (reloader(), fake(true));
        for at in 1..11 {
            reloader.adopt(&SecurityFiles::default(), ReloadCause::Change, &user, second(at));
            assert!(reloader.take_wanted(second(at + 1)), "second {at}");
        }
        reloader.adopt(&SecurityFiles::default(), ReloadCause::Change, &user, second(11));
        assert_eq!((user.logged.borrow().len(), reloader.metrics.refused.value()), (1, 1));
        assert!(!reloader.take_wanted(second(60)), "until a file changes");
    }

    #[test]
    fn what_is_wrong_in_itself_is_refused_at_once_and_said_once_unless_a_person_asks() {
        let (reloader, user) = (reloader(), fake(false));
        let causes = [ReloadCause::Change, ReloadCause::Change, ReloadCause::Signal];
        let logged: Vec<usize> = causes
            .into_iter()
            .map(|cause| {
                reloader.adopt(&SecurityFiles::default(), cause, &user, second(1));
                user.logged.borrow().len()
            })
            .collect();
        assert_eq!(logged, [1, 1, 2]);
    }

    #[test]
    fn what_is_the_same_as_before_is_no_event() {
        let (reloader, user) = (reloader(), fake(false));
        *user.outcome.borrow_mut() = Ok(false);
        reloader.adopt(&SecurityFiles::default(), ReloadCause::Signal, &user, second(1));
        assert!(user.logged.borrow().is_empty() && reloader.metrics.applied.value() == 0);
    }
}
