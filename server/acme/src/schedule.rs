//! When the next order of a certificate is due: renewal, waits after failures, limits within a day.
//!
//! ```text
//!  not_before ───────────────────────── 2/3 ── ends
//!                               [ luck ]│            without the authority's window: up to 1/20 of the lifetime earlier
//!                    [  window  ]                    with one (RFC 9773): somewhere in it, but while 1/12 is left
//! ```
//!
//! **Not** I/O and not the clock: all that counts is handed in.
//!
//! **Invariants**: the log of orders is no longer than a day's limit; no wait is longer than [`RETRY_AFTER_MAX`] after its cause, also where
//! the clock was wrong.
//!
//! **Source**: RFC 8555 section 6.6, RFC 9773 section 4.2; Let's Encrypt's limits of 2026.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::certificate::StoredCertificate;
use crate::clock::UnixMillis;
use crate::settings::AcmePace;

/// Longest wait that an authority can wish for.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// For how long orders count towards the limit of a certificate.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Orders of one account within [`ACCOUNT_SPAN`]. Let's Encrypt refuses the 301st.
pub(crate) const ACCOUNT_ORDERS_MAX: usize = 250;

/// For how long orders count towards the limit of the account.
pub(crate) const ACCOUNT_SPAN: Duration = Duration::from_secs(3 * 3600);

/// How often the authority is asked for its window at least and at most (RFC 9773 section 4.3.2), and after a failure.
pub(crate) const WINDOW_ASK_MIN: Duration = Duration::from_secs(3600);
pub(crate) const WINDOW_ASK_MAX: Duration = Duration::from_secs(24 * 3600);
pub(crate) const WINDOW_ASK_FAILED: Duration = Duration::from_secs(6 * 3600);

/// Where a host stands among all that have the same certificate's lifetime: 0 to `u32::MAX`, the same at every start.
pub(crate) fn luck(account: &str, name: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    (account, name).hash(&mut hasher);
    u32::try_from(hasher.finish() >> 32).expect("a half of 64 bits fits")
}

/// The part of `span` that `luck` means.
fn part(span: Duration, luck: u32) -> Duration {
    let millis = span.as_millis() * u128::from(luck) / u128::from(u32::MAX);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// When the authority would like a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RenewalWindow {
    pub(crate) start: UnixMillis,
    pub(crate) end: UnixMillis,
}

/// What is remembered of a certificate's orders across restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct OrderHistory {
    /// The directory that the stored certificate is from.
    pub(crate) directory: String,
    /// When orders were sent within the last day, oldest first.
    pub(crate) orders: Vec<UnixMillis>,
    /// Failures since the last success.
    pub(crate) failures: u32,
    /// Not before this: set by a failure.
    pub(crate) next_try: Option<UnixMillis>,
    /// What the authority said last of the stored certificate.
    pub(crate) window: Option<RenewalWindow>,
    /// When it is asked again.
    pub(crate) window_ask: Option<UnixMillis>,
}

/// What should be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderGoal<'a> {
    pub(crate) directory: &'a str,
    pub(crate) domains: &'a BTreeSet<String>,
    /// Where this host stands among all: [`luck`].
    pub(crate) luck: u32,
}

impl OrderHistory {
    /// Drops what cannot be: times that the clock has not reached, waits that nobody can have wished for.
    pub(crate) fn mend(&mut self, now: UnixMillis) {
        self.forget(now);
        self.next_try = self.next_try.map(|next| next.min(now.plus(RETRY_AFTER_MAX)));
        self.window_ask = self.window_ask.map(|next| next.min(now.plus(WINDOW_ASK_MAX)));
    }

    fn forget(&mut self, now: UnixMillis) {
        self.orders.retain(|&order| order <= now && now.since(order) < DAY);
    }

    /// Counts an order that is about to be sent.
    pub(crate) fn begin(&mut self, now: UnixMillis) {
        self.forget(now);
        self.orders.push(now);
    }

    /// After a success: what is known of the certificate before does not count for the new one.
    pub(crate) fn succeed(&mut self, directory: &str) {
        *self = OrderHistory {
            directory: directory.to_owned(),
            orders: std::mem::take(&mut self.orders),
            ..OrderHistory::default()
        };
    }

    /// After a failure: the time of the next try, at the authority's wish or later.
    pub(crate) fn fail(
        &mut self,
        retry_after: Option<Duration>,
        luck: u32,
        pace: &AcmePace,
        now: UnixMillis,
    ) -> UnixMillis {
        self.failures = self.failures.saturating_add(1);
        let doubled = pace.first_retry.saturating_mul(1 << (self.failures - 1).min(20)).min(pace.retry_max);
        let own = doubled + part(doubled / 4, luck);
        let wait = own.max(retry_after.unwrap_or_default()).min(RETRY_AFTER_MAX);
        let next = now.plus(wait);
        self.next_try = Some(next);
        next
    }

    /// The operator says that something has changed: failures do not hold the next try up. Orders of the day still count.
    pub(crate) fn pardon(&mut self) {
        self.failures = 0;
        self.next_try = None;
    }

    /// When the next order is due; not after `now`: at once.
    pub(crate) fn due(
        &self,
        stored: Option<&StoredCertificate>,
        goal: OrderGoal<'_>,
        pace: &AcmePace,
        now: UnixMillis,
    ) -> UnixMillis {
        let wanted = match stored {
            Some(stored) if self.directory == goal.directory && stored.domains == *goal.domains => {
                renewal(stored, self.window, goal.luck)
            }
            _ => now,
        };
        let allowed = self.allowed(pace.orders_per_day, DAY, now);
        wanted.max(self.next_try.unwrap_or_default()).max(allowed)
    }

    /// When one more order keeps to `most` within `span`.
    fn allowed(&self, most: usize, span: Duration, now: UnixMillis) -> UnixMillis {
        allowed(&self.orders, most, span, now)
    }

    /// Whether the authority's window should be asked for now.
    pub(crate) fn asks_window(&self, now: UnixMillis) -> bool {
        self.window_ask.is_none_or(|next| next <= now)
    }
}

/// When one more order keeps to `most` within `span`, of `orders` in order of time.
pub(crate) fn allowed(orders: &[UnixMillis], most: usize, span: Duration, now: UnixMillis) -> UnixMillis {
    let counted: Vec<UnixMillis> =
        orders.iter().copied().filter(|&order| order <= now && now.since(order) < span).collect();
    match counted.len().checked_sub(most) {
        // As many as exceed the limit must have left before one more.
        Some(excess) => counted.get(excess).map_or(now.plus(span), |order| order.plus(span)),
        None => UnixMillis::default(),
    }
}

/// When a certificate is renewed.
fn renewal(stored: &StoredCertificate, window: Option<RenewalWindow>, luck: u32) -> UnixMillis {
    let lifetime = stored.not_after.since(stored.not_before);
    match window {
        Some(window) => {
            let chosen = window.start.plus(part(window.end.since(window.start), luck));
            chosen.min(stored.not_after.minus(lifetime / 12))
        }
        None => stored.not_after.minus(lifetime / 3).minus(part(lifetime / 20, luck)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::certificate::tests::made;

    const HOUR: Duration = Duration::from_secs(3600);

    fn ninety_days() -> StoredCertificate {
        StoredCertificate::read(made(&["a.example"], 30, 60).0.as_bytes()).unwrap()
    }

    fn goal(domains: &BTreeSet<String>, luck: u32) -> OrderGoal<'_> {
        OrderGoal { directory: "d", domains, luck }
    }

    fn of_d() -> OrderHistory {
        OrderHistory { directory: "d".into(), ..OrderHistory::default() }
    }

    #[test]
    fn a_certificate_is_renewed_with_a_third_of_its_life_left_or_a_little_earlier() {
        let (stored, pace) = (ninety_days(), AcmePace::default());
        let due = |luck| of_d().due(Some(&stored), goal(&stored.domains, luck), &pace, stored.not_before);
        assert_eq!(stored.not_after.since(due(0)), DAY * 30);
        assert_eq!(stored.not_after.since(due(u32::MAX)), DAY * 30 + HOUR * 108);
        assert!((0..40).map(|host| luck(&format!("account {host}"), "a")).any(|luck| luck > u32::MAX / 2));
        assert!((0..40).map(|host| luck(&format!("account {host}"), "a")).any(|luck| luck < u32::MAX / 2));
    }

    #[test]
    fn the_authoritys_window_counts_while_it_is_not_too_late() {
        let (stored, pace) = (ninety_days(), AcmePace::default());
        let due = |start: Duration, luck| {
            let start = stored.not_before.plus(start);
            let history = OrderHistory { window: Some(RenewalWindow { start, end: start.plus(HOUR) }), ..of_d() };
            history.due(Some(&stored), goal(&stored.domains, luck), &pace, stored.not_before).since(stored.not_before)
        };
        assert_eq!(due(DAY, 0), DAY);
        assert_eq!(due(DAY, u32::MAX), DAY + HOUR);
        assert_eq!(due(DAY * 300, 0), DAY * 90 - DAY * 90 / 12);
    }

    #[test]
    fn what_is_not_what_should_be_is_ordered_at_once() {
        let (stored, pace, now) = (ninety_days(), AcmePace::default(), UnixMillis::now());
        let others = BTreeSet::from(["b.example".to_owned()]);
        assert_eq!(of_d().due(None, goal(&stored.domains, 0), &pace, now), now);
        assert_eq!(of_d().due(Some(&stored), goal(&others, 0), &pace, now), now);
        assert_eq!(OrderHistory::default().due(Some(&stored), goal(&stored.domains, 0), &pace, now), now);
        assert!(of_d().due(Some(&stored), goal(&stored.domains, 0), &pace, now) > now);
    }

    #[test]
    fn failures_wait_longer_each_time_and_as_long_as_the_authority_wishes() {
        let (pace, now) = (AcmePace::default(), UnixMillis::now());
        let mut history = OrderHistory::default();
        let mut waits = Vec::new();
        for _ in 0..10 {
            waits.push(history.fail(None, 0, &pace, now).since(now).as_secs() / 60);
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 360, 360, 360]);
        assert_eq!(history.fail(None, u32::MAX, &pace, now).since(now), HOUR * 6 + HOUR * 6 / 4);
        assert_eq!(history.fail(Some(HOUR * 20), 0, &pace, now).since(now), HOUR * 20);
        assert_eq!(history.fail(Some(Duration::MAX), 0, &pace, now).since(now), RETRY_AFTER_MAX);
        let domains = BTreeSet::new();
        assert_eq!(history.due(None, goal(&domains, 0), &pace, now).since(now), RETRY_AFTER_MAX);
        history.pardon();
        assert_eq!(history.due(None, goal(&domains, 0), &pace, now), now);
    }

    #[test]
    fn a_day_has_so_many_orders_and_the_account_three_hours() {
        let (pace, start) = (AcmePace::default(), UnixMillis::now());
        let (mut history, mut now) = (OrderHistory::default(), start);
        let domains = BTreeSet::new();
        for _ in 0..pace.orders_per_day {
            assert!(history.due(None, goal(&domains, 0), &pace, now) <= now);
            history.begin(now);
            now = now.plus(HOUR);
        }
        assert_eq!(history.due(None, goal(&domains, 0), &pace, now), start.plus(DAY));
        history.begin(start.plus(DAY));
        assert_eq!(history.orders.len(), pace.orders_per_day);
        assert_eq!(
            allowed(&[start; ACCOUNT_ORDERS_MAX], ACCOUNT_ORDERS_MAX, ACCOUNT_SPAN, start),
            start.plus(ACCOUNT_SPAN)
        );
        assert_eq!(
            allowed(&[start; ACCOUNT_ORDERS_MAX - 1], ACCOUNT_ORDERS_MAX, ACCOUNT_SPAN, start),
            UnixMillis::default()
        );
    }

    #[test]
    fn a_clock_that_was_wrong_holds_nothing_up_for_long() {
        let now = UnixMillis::now();
        let later = now.plus(DAY * 3650);
        let mut history =
            OrderHistory { orders: vec![later; 20], next_try: Some(later), window_ask: Some(later), ..of_d() };
        history.mend(now);
        assert!(history.orders.is_empty());
        assert_eq!(history.next_try, Some(now.plus(RETRY_AFTER_MAX)));
        assert_eq!(history.window_ask, Some(now.plus(WINDOW_ASK_MAX)));
    }

    proptest! {
        /// However orders and failures follow, no day has more orders than its limit, and there is always a next try.
        #[test]
        fn no_day_has_more_orders_than_its_limit(steps in proptest::collection::vec((0_u64..20_000, any::<bool>(), any::<u32>()), 1..200)) {
            let pace = AcmePace { orders_per_day: 5, ..AcmePace::default() };
            let domains = BTreeSet::new();
            let (mut history, mut now, mut sent) = (OrderHistory::default(), UnixMillis(1 << 40), Vec::new());
            for (seconds, is_success, luck) in steps {
                let due = history.due(None, goal(&domains, luck), &pace, now);
                prop_assert!(due.since(now) <= DAY + HOUR);
                now = now.max(due).plus(Duration::from_secs(seconds));
                history.begin(now);
                sent.push(now);
                let within = sent.iter().filter(|&&one| now.since(one) < DAY).count();
                prop_assert!(within <= 5, "{within} orders within a day");
                if is_success { history.succeed("other"); } else { history.fail(None, luck, &pace, now); }
            }
        }
    }
}
