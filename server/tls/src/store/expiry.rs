//! How long certificates are valid yet, and what an operator has to be told of it.

use rustls::pki_types::UnixTime;

use super::facts::CertificateFacts;

/// Below this many days an operator is told. Whoever renews at 30 days, as is usual, has had three weeks.
pub const EXPIRY_WARNING_DAYS: i64 = 7;

const DAY_SECONDS: i64 = 24 * 3600;

/// A certificate that ends soon, or has ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpiryNotice {
    /// Within [`EXPIRY_WARNING_DAYS`].
    #[error("certificate {name} expires in {days} days; renew it")]
    Soon {
        /// NAME of its table.
        name: String,
        /// Whole days that are left.
        days: i64,
    },
    /// Clients refuse it.
    #[error("certificate {name} has expired, and clients refuse it; renew it")]
    Expired {
        /// NAME of its table.
        name: String,
    },
}

/// Whole days until the certificate or one of its chain ends; negative from its end on.
#[must_use]
pub fn days_left(facts: &CertificateFacts, now: UnixTime) -> i64 {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    facts.not_after.saturating_sub(now).div_euclid(DAY_SECONDS)
}

/// What an operator has to be told at `now`.
pub fn notices<'a>(
    certificates: impl IntoIterator<Item = &'a CertificateFacts>,
    now: UnixTime,
) -> impl Iterator<Item = ExpiryNotice> {
    certificates.into_iter().filter_map(move |facts| match days_left(facts, now) {
        ..0 => Some(ExpiryNotice::Expired { name: facts.name.clone() }),
        days @ 0..EXPIRY_WARNING_DAYS => Some(ExpiryNotice::Soon { name: facts.name.clone(), days }),
        _ => None,
    })
}
