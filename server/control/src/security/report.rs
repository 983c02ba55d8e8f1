//! What operators are told of certificates and of the keys of tickets: metrics, status, warnings.
//!
//! **Not** secrets: of a key only its age is known here.

use std::time::Duration;

use corelane_tls::store::{CertificateFacts, ServerSnapshot};
use serde_json::{Value, json};

use crate::metrics::{Family, Label, Text};

const EXPIRY: Family = Family::gauge(
    "corelane_tls_certificate_expiry_timestamp_seconds",
    &[Label::open("name")],
    "When the certificate, or one of those that lead from it to an authority, ends, in Unix time.",
);

/// What is told of certificates.
pub(crate) const FAMILIES: [&Family; 1] = [&EXPIRY];

/// Writes when certificates end.
pub fn certificate_metrics<'a>(certificates: impl Iterator<Item = &'a CertificateFacts>, text: &mut Text) {
    for facts in certificates {
        // What ended before 1970 has ended.
        text.sample(&EXPIRY, &[("name", &facts.name)], u64::try_from(facts.not_after).unwrap_or_default());
    }
}

/// What is to be done about certificates that end within `warning` of `now_s`, or have ended; sentences without a full stop.
#[must_use]
pub fn certificate_warnings<'a>(
    certificates: impl Iterator<Item = &'a CertificateFacts>,
    now_s: u64,
    warning: Duration,
) -> Vec<String> {
    let now = i64::try_from(now_s).unwrap_or(i64::MAX);
    let soon = now.saturating_add(i64::try_from(warning.as_secs()).unwrap_or(i64::MAX));
    let warned = certificates.filter(|facts| facts.not_after <= soon);
    warned
        .map(|facts| match facts.not_after - now {
            ..=0 => format!("certificate {} has ended, and peers refuse it; renew it", facts.name),
            left @ 1..86_400 => format!("certificate {} ends in {} h; renew it", facts.name, left / 3_600),
            left => format!("certificate {} ends in {} days; renew it", facts.name, left / 86_400),
        })
        .collect()
}

/// What status shows of certificates.
pub fn certificate_status<'a>(certificates: impl Iterator<Item = &'a CertificateFacts>) -> Value {
    let shown = certificates.map(|facts| {
        json!({
            "name": facts.name,
            "subject": facts.subject,
            "dns_names": facts.dns_names,
            "other_names": facts.other_names,
            "issuer": facts.issuer,
            "serial": facts.serial,
            "fingerprint_sha256": facts.fingerprint,
            "key": facts.key.to_string(),
            "not_before_s": facts.not_before,
            "not_after_s": facts.not_after,
            "chain_length": facts.chain_length,
            "stapled": facts.is_stapled,
            "since_s": facts.since,
            "advice": facts.advice,
        })
    });
    shown.collect()
}

/// What status shows of the keys of tickets.
#[must_use]
pub fn ticket_key_status(snapshot: &ServerSnapshot) -> Value {
    let keys = snapshot.ticket_keys();
    keys.iter().map(|key| json!({ "name": key.name, "phase": key.phase.name(), "since_s": key.since })).collect()
}

#[cfg(test)]
mod tests {
    use corelane_tls::store::KeyKind;

    use super::*;

    fn certificate(name: &str, not_after: i64) -> CertificateFacts {
        CertificateFacts {
            name: name.to_owned(),
            dns_names: vec!["a.example".to_owned()],
            other_names: Vec::new(),
            not_before: 0,
            not_after,
            fingerprint: "ab".to_owned(),
            key: KeyKind::P256,
            subject: "CN=a".to_owned(),
            issuer: "CN=ca".to_owned(),
            serial: "1".to_owned(),
            chain_length: 1,
            is_stapled: false,
            since: 5,
            advice: Vec::new(),
        }
    }

    #[test]
    fn what_ends_soon_is_warned_of_in_words_that_say_when() {
        let now = 1_000_000;
        let ends = [(now - 1, Some("has ended")), (now, Some("has ended")), (now + 7_200, Some("ends in 2 h"))];
        let later = [(now + 2 * 86_400, Some("ends in 2 days")), (now + 7 * 86_400 + 1, None)];
        for (not_after, expected) in ends.into_iter().chain(later) {
            let certificates = [certificate("web", not_after)];
            let warnings = certificate_warnings(certificates.iter(), now as u64, Duration::from_secs(7 * 86_400));
            match (expected, warnings.as_slice()) {
                (None, []) => {}
                (Some(part), [warning]) => {
                    assert!(warning.starts_with(&format!("certificate web {part}")), "{warning}");
                }
                (expected, found) => panic!("{not_after}: {found:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn scrapers_learn_the_end_of_each_by_its_name() {
        let mut text = Text::new();
        certificate_metrics([certificate("web", 7), certificate("api", 9)].iter(), &mut text);
        let text = text.finish();
        for line in ["{name=\"web\"} 7", "{name=\"api\"} 9"] {
            assert!(text.contains(&format!("corelane_tls_certificate_expiry_timestamp_seconds{line}\n")), "{text}");
        }
    }

    #[test]
    fn status_shows_what_a_person_looks_for() {
        let status = certificate_status([certificate("web", 7)].iter());
        let of_first = |key: &str| status[0][key].clone();
        assert_eq!(
            (of_first("name"), of_first("not_after_s"), of_first("since_s")),
            (json!("web"), json!(7), json!(5))
        );
        assert_eq!((of_first("key"), of_first("dns_names")), (json!("P-256"), json!(["a.example"])));
    }
}
