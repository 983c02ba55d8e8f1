//! A process that serves and wants to be left: balancers are told not to send it anything new, clients to connect elsewhere.
//!
//! ```text
//!  POST /v1/drain ─┐                lame_duck / 2                    lame_duck
//!  SIGTERM ────────┴─▶ /readyz 503 ───────────────▶ every response ends its connection ───▶ SIGTERM: listeners close
//!                      connections are taken                                          POST /v1/drain: until SIGTERM or /v1/undrain
//! ```
//!
//! **Not** closing listeners or ending the process, which the lifecycle does ([`crate::lifecycle`]).
//!
//! **Invariants**: whoever connects is served all the time; time that has passed since a request counts when SIGTERM comes; once
//! SIGTERM has come, nothing takes it back; a reload changes nothing but the times.
//!
//! **Source**: docs/config.md (`lame_duck`); docs/operations.md, "Restart without a failed request".

use std::{cell::Cell, time::Duration};

use corelane_http::{Status, problem::Problem};
use reactor::{Instant, Reactor};
use serde_json::{Value, json};

use crate::{
    admin::{AdminPage, DrainCommand},
    log::{LogFields, LogLevel, push_time},
    metrics::{Gauge, Text},
};

/// After this part of the time responses end their connections. The first half is for balancers, which look every second or two and
/// want two looks: whoever is told to connect elsewhere before that comes back here.
const CLOSE_PART: u32 = 2;

crate::metrics! {
    /// Whether a process wants to be left.
    pub struct LameDuckMetrics {
        /// Unix time since which the process has not been ready because it is to be left (`POST /v1/drain`, SIGTERM); 0 while it is not.
        since: Gauge = "corelane_drain_start_time_seconds",
    }
}

/// Why a process wants to be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LameDuckCause {
    /// `POST /v1/drain`.
    Request,
    /// SIGTERM or SIGINT.
    Signal,
}

impl LameDuckCause {
    /// The word in `/v1/status`, in the log, and behind "by" in sentences.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Signal => "signal",
        }
    }
}

#[derive(Clone, Copy)]
struct Since {
    at: Instant,
    wall_s: u64,
    cause: LameDuckCause,
}

/// Whether a process wants to be left, and since when. Owned by its control core.
#[derive(Default)]
pub struct LameDuck {
    since: Cell<Option<Since>>,
    metrics: LameDuckMetrics,
}

impl LameDuck {
    /// It wants to be left from `now` on, `wall_ms` by the calendar. Whether that is news: it keeps the time since which it does.
    pub fn begin(&self, cause: LameDuckCause, now: Instant, wall_ms: u64) -> bool {
        let before = self.since.get();
        let since = match before {
            Some(since) => {
                Since { cause: if since.cause == LameDuckCause::Signal { since.cause } else { cause }, ..since }
            }
            None => Since { at: now, wall_s: wall_ms / 1000, cause },
        };
        self.since.set(Some(since));
        self.metrics.since.set(since.wall_s);
        before.is_none()
    }

    /// It does not any more; for how long it did, if it did.
    ///
    /// # Errors
    ///
    /// A signal ends it, which nothing takes back.
    pub fn end(&self, now: Instant) -> Result<Option<Duration>, EndingForGood> {
        let Some(since) = self.since.get() else { return Ok(None) };
        if since.cause == LameDuckCause::Signal {
            return Err(EndingForGood);
        }
        self.since.set(None);
        self.metrics.since.set(0);
        Ok(Some(now.since(since.at)))
    }

    /// How much of `lame_duck` is left.
    #[must_use]
    pub fn left(&self, now: Instant, lame_duck: Duration) -> Duration {
        self.since.get().map_or(lame_duck, |since| lame_duck.saturating_sub(now.since(since.at)))
    }

    /// When responses begin to end their connections; `None` while the process does not want to be left.
    #[must_use]
    pub fn closes_at(&self, lame_duck: Duration) -> Option<Instant> {
        self.since.get().map(|since| since.at + lame_duck / CLOSE_PART)
    }

    /// Why the process is not ready, as `/readyz` says it.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let since = self.since.get()?;
        Some(format!("draining by {} since {}", since.cause.word(), time(since)))
    }

    /// The object `drain` of `/v1/status`; null while the process does not want to be left.
    #[must_use]
    pub fn to_json(&self, now: Instant, lame_duck: Duration) -> Value {
        self.since.get().map_or(Value::Null, |since| {
            json!({
                "cause": since.cause.word(),
                "since": time(since),
                "seconds": now.since(since.at).as_secs(),
                "closes_connections": now >= since.at + lame_duck / CLOSE_PART,
            })
        })
    }

    /// Writes its family.
    pub fn metrics(&self, text: &mut Text) {
        text.group(&[], &self.metrics);
    }
}

/// A process that is told to be left, or not any more.
pub struct DrainScene<'a> {
    /// Its control core.
    pub reactor: &'a Reactor,
    /// `lame_duck`.
    pub lame_duck: Duration,
    /// Connections that are open.
    pub connections: u64,
    /// Logs.
    pub event: &'a dyn Fn(LogLevel, &str, LogFields<'_>),
}

impl LameDuck {
    /// Does what an operator asks for, logs it if it is news, and says how things are now.
    #[must_use]
    pub fn command(&self, command: DrainCommand, scene: &DrainScene<'_>) -> AdminPage {
        let now = scene.reactor.now();
        match command {
            DrainCommand::Drain => {
                if self.begin(LameDuckCause::Request, now, scene.reactor.wall_ms()) {
                    let seconds = scene.lame_duck.as_secs_f64();
                    (scene.event)(
                        LogLevel::Info,
                        "drain_requested",
                        &[("connections", &scene.connections), ("lame_duck_s", &seconds)],
                    );
                }
            }
            DrainCommand::Undrain => match self.end(now) {
                Ok(None) => {}
                Ok(Some(time)) => (scene.event)(LogLevel::Info, "drain_withdrawn", &[("seconds", &time.as_secs())]),
                Err(EndingForGood) => {
                    let detail = "the process ends by a signal, which cannot be taken back";
                    let problem = Problem { limit: None, status: Status::Conflict, slug: "ending", detail };
                    return AdminPage::problem(&problem);
                }
            },
        }
        let drain = self.to_json(now, scene.lame_duck);
        AdminPage::json(Status::Ok, &json!({ "drain": drain, "connections": scene.connections }))
    }
}

/// SIGTERM has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndingForGood;

fn time(since: Since) -> String {
    let mut text = String::new();
    push_time(&mut text, since.wall_s);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    fn at(second: u64) -> Instant {
        Instant::from_nanos(second * 1_000_000_000)
    }

    fn since_metric(duck: &LameDuck) -> u64 {
        duck.metrics.since.value()
    }

    #[test]
    fn a_request_is_taken_back_and_keeps_its_beginning() {
        let duck = LameDuck::default();
        assert_eq!((duck.reason(), duck.closes_at(TIME), duck.end(at(1))), (None, None, Ok(None)));
        assert_eq!((duck.left(at(1), TIME), duck.to_json(at(1), TIME)), (TIME, Value::Null));
        assert!(duck.begin(LameDuckCause::Request, at(20), 86_400_999));
        assert!(!duck.begin(LameDuckCause::Request, at(25), 86_405_000), "once");
        assert_eq!(duck.reason().unwrap(), "draining by request since 1970-01-02T00:00:00Z");
        assert_eq!((duck.closes_at(TIME), since_metric(&duck)), (Some(at(25)), 86_400));
        let status = duck.to_json(at(24), TIME);
        let expected =
            json!({"cause": "request", "since": "1970-01-02T00:00:00Z", "seconds": 4, "closes_connections": false});
        assert_eq!(status, expected);
        assert_eq!(duck.to_json(at(25), TIME)["closes_connections"], true);
        assert_eq!(duck.end(at(27)), Ok(Some(Duration::from_secs(7))));
        assert_eq!((duck.reason(), since_metric(&duck)), (None, 0));
    }

    #[test]
    fn a_signal_counts_what_has_passed_and_is_for_good() {
        let duck = LameDuck::default();
        duck.begin(LameDuckCause::Request, at(20), 0);
        assert!(!duck.begin(LameDuckCause::Signal, at(26), 0));
        assert_eq!(duck.left(at(26), TIME), Duration::from_secs(4));
        assert_eq!(duck.left(at(31), TIME), Duration::ZERO);
        assert_eq!(duck.end(at(26)), Err(EndingForGood));
        assert!(!duck.begin(LameDuckCause::Request, at(27), 0));
        assert_eq!(duck.reason().unwrap(), "draining by signal since 1970-01-01T00:00:00Z", "a request is no way back");
    }
}
