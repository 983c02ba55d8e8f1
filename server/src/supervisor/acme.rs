//! Certificates that are ordered: the control core's side of the thread that orders them.
//!
//! ```text
//!  thread "acme" ── Challenges ─▶ snapshot to all data cores ── InForce from each ─▶ in_force(generation): the authority may look
//!                ── Stored ─────▶ the files are read at once, like any that have changed
//!                ── Failed ─────▶ log, metric, /readyz, status; the thread tries again
//!  settings, SIGHUP ─▶ update ─▶ thread
//! ```
//!
//! **Not** ordering, and no wait: the thread is asked every second, and oftener while an order is under way.
//!
//! **Invariants**: an authority is told to look when every data core answers; challenges end with the thread that asked for them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use control::log::LogLevel;
use control::metrics::{Counter, Gauge};
use corelane_acme::{
    AcmeEvent, AcmeFailure, AcmeHandle, AcmeSettings, ChallengeKind, Challenges, StartFault, UnixMillis,
};
use reactor::{CoreId, Instant, Reactor};
use serde_json::{Value, json};

use super::Supervisor;
use crate::settings::EdgeSettings;

/// How the thread is started.
pub type StartOrders = fn(AcmeSettings) -> Result<AcmeHandle, StartFault>;

/// How often the thread is asked for news.
const LOOK: Duration = Duration::from_secs(1);

/// The same while an order is under way.
const LOOK_BUSY: Duration = Duration::from_millis(20);

/// How long an order is taken to be under way after the last that was heard of it.
const BUSY_TIME: Duration = Duration::from_secs(60);

/// How long a thread that has ended, or could not be started, is not started again.
const START_AGAIN: Duration = Duration::from_secs(60);

control::metrics! {
    /// Certificates that are ordered by ACME. One for the process.
    pub(crate) struct AcmeMetrics {
        /// Certificates that the authority has issued and that were stored.
        stored: Counter = "corelane_acme_certificates_stored_total",
        /// Orders that failed, by why, and were or will be tried again. docs/tls.md says what each means.
        failures: [Counter; AcmeFailure::LABELS.len()] = "corelane_acme_failures_total" by "cause" in AcmeFailure::LABELS,
        /// Certificates that are ordered and have failed since they were stored last.
        failing: Gauge = "corelane_acme_certificates_failing",
        /// Certificates that are ordered and not there yet: clients get one that they refuse.
        missing: Gauge = "corelane_acme_certificates_missing",
        /// Challenges that are answered.
        challenges: Gauge = "corelane_acme_challenges",
    }
}

/// A failure that stands until the certificate is there.
struct StandingFailure {
    cause: &'static str,
    error: String,
    next_try: UnixMillis,
}

/// What waits until every data core has it in force.
#[derive(Clone, Copy)]
struct Unconfirmed {
    snapshot_generation: u64,
    challenges_generation: u64,
}

/// The thread that orders, and what is known of it.
pub(super) struct AcmeControl {
    /// `None` where nothing is ordered whatever the settings say.
    start: Option<StartOrders>,
    handle: RefCell<Option<AcmeHandle>>,
    /// What the thread is to be told and was not yet.
    wanted: RefCell<Option<AcmeSettings>>,
    start_at: Cell<Instant>,
    busy_until: Cell<Instant>,
    unconfirmed: Cell<Option<Unconfirmed>>,
    /// The generation of the last snapshot with challenges that each data core has told of.
    in_force: RefCell<Vec<u64>>,
    failures: RefCell<BTreeMap<String, StandingFailure>>,
    metrics: AcmeMetrics,
}

impl AcmeControl {
    pub(super) fn new(start: Option<StartOrders>, settings: &EdgeSettings, cores: usize, reactor: &Reactor) -> Self {
        AcmeControl {
            start,
            handle: RefCell::default(),
            wanted: RefCell::new(settings.orders()),
            start_at: Cell::new(reactor.now()),
            busy_until: Cell::new(reactor.now()),
            unconfirmed: Cell::default(),
            in_force: RefCell::new(vec![0; cores]),
            failures: RefCell::default(),
            metrics: AcmeMetrics::default(),
        }
    }

    /// Whether certificates are ordered at all.
    pub(super) fn is_possible(&self) -> bool {
        self.start.is_some()
    }

    /// When to ask for news next.
    pub(super) fn look_time(&self, now: Instant) -> Duration {
        if now < self.busy_until.get() || self.unconfirmed.get().is_some() { LOOK_BUSY } else { LOOK }
    }

    /// Has the thread told of settings: other ones, or the same that a person wants tried again.
    pub(super) fn want(&self, settings: &EdgeSettings) {
        let orders = settings.orders();
        let is_ordered =
            |name: &String| orders.iter().flat_map(|orders| &orders.certificates).any(|it| it.name == *name);
        self.failures.borrow_mut().retain(|name, _| is_ordered(name));
        if orders.is_none() {
            // Its files are whole; what it asks at this moment is nobody's concern any more.
            drop(self.handle.take());
        }
        self.wanted.replace(orders);
    }

    /// Takes a data core's word that a snapshot is in force there.
    pub(super) fn note_in_force(&self, core: CoreId, generation: u64) {
        if let Some(known) = self.in_force.borrow_mut().get_mut(usize::from(core.0)) {
            *known = generation;
        }
        let least = self.in_force.borrow().iter().copied().min().unwrap_or_default();
        let Some(waiting) = self.unconfirmed.get().filter(|waiting| waiting.snapshot_generation <= least) else {
            return;
        };
        self.unconfirmed.set(None);
        if let Some(handle) = &*self.handle.borrow() {
            // Where the thread does not take it the order fails, and is tried again.
            let _ = handle.in_force(waiting.challenges_generation);
        }
    }

    /// What is counted, with what is true now.
    pub(super) fn metrics(&self, missing: usize) -> &AcmeMetrics {
        self.metrics.missing.set(missing as u64);
        self.metrics.failing.set(self.failures.borrow().len() as u64);
        &self.metrics
    }

    /// What is to be looked at: sentences without a full stop.
    pub(super) fn warnings(&self, is_missing: impl Fn(&str) -> bool, ordered: Option<&AcmeSettings>) -> Vec<String> {
        let failures = self.failures.borrow();
        let names = ordered.into_iter().flat_map(|ordered| &ordered.certificates).map(|it| it.name.as_str());
        let told = names.filter_map(|name| match (is_missing(name), failures.get(name)) {
            (true, None) => Some(format!("certificate {name} is ordered and not there yet; clients refuse the one that stands for it")),
            (true, Some(failure)) => Some(format!(
                "certificate {name} is ordered and not there yet; clients refuse the one that stands for it; the last try failed: {}",
                failure.error
            )),
            (false, Some(failure)) => Some(format!("certificate {name} could not be renewed: {}", failure.error)),
            (false, None) => None,
        });
        told.collect()
    }

    /// What status shows.
    pub(super) fn status(&self, is_missing: impl Fn(&str) -> bool, ordered: &AcmeSettings) -> Value {
        let failures = self.failures.borrow();
        let of = |name: &str| {
            failures.get(name).map(|failure| {
                json!({"cause": failure.cause, "error": failure.error, "next_try_s": failure.next_try.0 / 1_000})
            })
        };
        let certificates = ordered.certificates.iter().map(|it| {
            json!({
                "name": it.name,
                "domains": it.names,
                "challenge": match it.challenge {
                    ChallengeKind::Http01 => "http-01",
                    ChallengeKind::TlsAlpn01 => "tls-alpn-01",
                },
                "missing": is_missing(&it.name),
                "failure": of(&it.name),
            })
        });
        json!({"directory": ordered.directory, "certificates": certificates.collect::<Vec<_>>()})
    }
}

impl Supervisor {
    /// Asks the thread for news for as long as the process lives.
    pub(super) async fn watch_orders(&self) {
        loop {
            self.attend_orders();
            self.reactor.sleep(self.acme.look_time(self.reactor.now())).await;
        }
    }

    /// Tells the thread what it is to know, and takes what has happened.
    fn attend_orders(&self) {
        self.tell_orders();
        loop {
            let event = self.acme.handle.borrow().as_ref().and_then(AcmeHandle::poll);
            let Some(event) = event else { break };
            self.acme.busy_until.set(self.reactor.now() + BUSY_TIME);
            self.take_order_event(event);
        }
        if self.acme.handle.borrow().as_ref().is_some_and(AcmeHandle::has_ended) {
            // A defect of ours, which must not keep certificates from being renewed.
            self.event(LogLevel::Error, "acme_thread_ended", &[("again_s", &START_AGAIN.as_secs())]);
            self.acme.handle.take();
            self.acme.wanted.replace(self.snapshot().settings.orders());
            self.acme.start_at.set(self.reactor.now() + START_AGAIN);
        }
        if self.acme.handle.borrow().is_none() && self.acme.metrics.challenges.value() > 0 {
            self.put_challenges(&Arc::default());
        }
    }

    fn tell_orders(&self) {
        let Some(wanted) = self.acme.wanted.take() else { return };
        let told = match &*self.acme.handle.borrow() {
            Some(handle) => handle.update(wanted.clone()).map(|is_taken| (is_taken, None)),
            None if self.reactor.now() < self.acme.start_at.get() => Ok((false, None)),
            None => self.start_orders(&wanted).map(|handle| (true, handle)),
        };
        match told {
            Ok((true, started)) => {
                self.acme.busy_until.set(self.reactor.now() + BUSY_TIME);
                if started.is_some() {
                    self.acme.handle.replace(started);
                }
            }
            Ok((false, _)) => {
                self.acme.wanted.replace(Some(wanted));
            }
            Err(fault) => {
                self.event(LogLevel::Error, "acme_start_failed", &[("error", &fault)]);
                self.acme.start_at.set(self.reactor.now() + START_AGAIN);
                self.acme.wanted.replace(Some(wanted));
            }
        }
    }

    fn start_orders(&self, wanted: &AcmeSettings) -> Result<Option<AcmeHandle>, StartFault> {
        let started = self.acme.start.map(|start| start(wanted.clone())).transpose()?;
        let names: Vec<&str> = wanted.certificates.iter().map(|it| it.name.as_str()).collect();
        let names = names.join(",");
        let fields: [(&'static str, &dyn Display); 2] = [("certificates", &names), ("directory", &wanted.directory)];
        self.event(LogLevel::Info, "acme_started", &fields);
        Ok(started)
    }

    fn take_order_event(&self, event: AcmeEvent) {
        match event {
            AcmeEvent::Challenges(challenges) => self.put_challenges(&challenges),
            AcmeEvent::Stored { name, not_after } => {
                self.acme.metrics.stored.increment();
                self.acme.failures.borrow_mut().remove(&name);
                let fields: [(&'static str, &dyn Display); 2] =
                    [("certificate", &name), ("not_after_s", &(not_after.0 / 1_000))];
                self.event(LogLevel::Info, "acme_stored", &fields);
                self.security.want(self.reactor.now());
            }
            AcmeEvent::Failed { name, reason, next_try } => self.take_failure(name, &reason, next_try),
        }
    }

    fn take_failure(&self, name: String, reason: &AcmeFailure, next_try: UnixMillis) {
        let cause = reason.label();
        if let Some(index) = AcmeFailure::LABELS.iter().position(|label| *label == cause) {
            self.acme.metrics.failures[index].increment();
        }
        let wait_s = next_try.0.saturating_sub(self.reactor.wall_ms()) / 1_000;
        let fields: [(&'static str, &dyn Display); 4] =
            [("certificate", &name), ("cause", &cause), ("error", reason), ("next_try_in_s", &wait_s)];
        self.event(LogLevel::Warn, "acme_failed", &fields);
        let failure = StandingFailure { cause, error: reason.to_string(), next_try };
        self.acme.failures.borrow_mut().insert(name, failure);
    }

    /// Has every data core answer these challenges, and no others.
    fn put_challenges(&self, challenges: &Arc<Challenges>) {
        let before = self.snapshot();
        match before.security.with_challenges(Arc::clone(challenges), self.security.parts()) {
            Ok(security) => {
                self.acme.metrics.challenges.set(challenges.count() as u64);
                self.put_in_force(before.settings.clone(), before.topology.clone(), Arc::new(security));
                let snapshot_generation = self.snapshot().generation;
                let challenges_generation = challenges.generation;
                self.acme.unconfirmed.set(Some(Unconfirmed { snapshot_generation, challenges_generation }));
            }
            // The order fails, since they are not in force, and is tried again.
            Err(fault) => self.event(LogLevel::Error, "acme_challenges_refused", &[("error", &fault)]),
        }
    }
}
