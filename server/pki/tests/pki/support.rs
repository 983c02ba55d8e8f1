//! An authority, and what it issues.

use std::time::Duration;

use corelane_pki::{Authority, CertificateRequest, HolderRole, Issued, KeySource, PkiError, SubjectNames, Validity};

/// 2026-01-01, in seconds since 1970.
pub(crate) const NOW: u64 = 1_767_225_600;

/// A day.
pub(crate) const DAY: u64 = 86_400;

/// A lifetime that begins at [`NOW`].
pub(crate) fn days(count: u64) -> Validity {
    Validity::starting(NOW, Duration::from_secs(count * DAY))
}

/// An authority of ten years.
pub(crate) fn authority(cluster: &str) -> Authority {
    Authority::create(cluster, days(3650), &mut KeySource::P256).unwrap()
}

/// A certificate of 90 days for `host.example` and 127.0.0.1.
pub(crate) fn issue(authority: &Authority, role: HolderRole, id: &str) -> Issued {
    try_issue(authority, role, id, days(90)).unwrap()
}

/// As [`issue`], for another time.
pub(crate) fn try_issue(
    authority: &Authority,
    role: HolderRole,
    id: &str,
    validity: Validity,
) -> Result<Issued, PkiError> {
    let names = SubjectNames::new(&["host.example"], &["127.0.0.1".parse().unwrap()]).unwrap();
    authority.issue(&CertificateRequest { role, id: id.to_owned(), names, validity }, &mut KeySource::P256)
}
