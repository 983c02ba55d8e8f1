//! Whatever goes wrong is told with its cause, and tried again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use corelane_acme::ChallengeKind::{Http01, TlsAlpn01};
use corelane_acme::{AcmeFailure, UnixMillis};
use serde_json::json;

use crate::edge::TestEdge;
use crate::run::{Run, Told, certificate};
use acme_directory::{AcmeStep, ScriptedDirectory, Trouble};

fn now() -> UnixMillis {
    UnixMillis::from_duration(SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
}

const STEPS: [AcmeStep; 9] = [
    AcmeStep::Directory,
    AcmeStep::Nonce,
    AcmeStep::Account,
    AcmeStep::NewOrder,
    AcmeStep::Authorization,
    AcmeStep::Challenge,
    AcmeStep::Order,
    AcmeStep::Finalize,
    AcmeStep::Certificate,
];

/// Every trouble at every step: told, tried again, and a certificate in the end.
fn each_step(trouble: &Trouble, labels: &[&str]) {
    for step in STEPS {
        let mut run = Run::prepare(Http01, &["a.example"]);
        if matches!(trouble, Trouble::Silence) {
            run.settings.pace.request_time = Duration::from_millis(300);
        }
        run.directory.script(step, trouble.clone(), 1);
        run.start();
        let failures = run.stored_at_last();
        assert_eq!(run.directory.book.lock().unwrap().script[0].2, 0, "{step:?} {trouble:?} happened");
        // A nonce is in the head of an answer, so nobody looks at the body.
        let is_seen = !(step == AcmeStep::Nonce && matches!(trouble, Trouble::Garbage));
        assert_eq!(!failures.is_empty(), is_seen, "{step:?} {trouble:?}: {failures:?}");
        if !matches!(trouble, Trouble::Silence) {
            assert!(
                failures.iter().all(|failure| labels.contains(&failure.label())),
                "{step:?} {trouble:?}: {failures:?}"
            );
            assert!(failures.len() <= 1, "{step:?} {trouble:?}: {failures:?}");
        }
        assert!(run.edge.challenges().is_empty());
        run.check_manners();
    }
}

#[test]
fn a_connection_that_is_cut_at_any_step() {
    each_step(&Trouble::Cut, &["unreachable"]);
}

#[test]
fn a_connection_that_is_cut_within_any_answer() {
    each_step(&Trouble::CutHalf, &["unreachable"]);
}

#[test]
fn an_answer_that_makes_no_sense_at_any_step() {
    each_step(&Trouble::Garbage, &["garbled", "unfit"]);
}

#[test]
fn no_answer_at_any_step() {
    each_step(&Trouble::Silence, &["unreachable"]);
}

#[test]
fn a_gateway_that_fails_at_any_step() {
    each_step(&Trouble::Gateway(503, Some("0")), &["garbled"]);
}

#[test]
fn an_answer_without_end() {
    let mut run = Run::prepare(Http01, &["a.example"]);
    run.directory.script(AcmeStep::Certificate, Trouble::Huge, 1);
    run.start();
    assert_eq!(run.failed().0.label(), "unreachable");
    run.stored();
}

#[test]
fn a_nonce_that_is_refused_is_no_failure_until_it_always_is() {
    let mut run = Run::prepare(Http01, &["a.example"]);
    for step in [
        AcmeStep::Account,
        AcmeStep::NewOrder,
        AcmeStep::Authorization,
        AcmeStep::Challenge,
        AcmeStep::Finalize,
        AcmeStep::Certificate,
    ] {
        run.directory.script(step, Trouble::BadNonce, 2);
    }
    run.start();
    run.stored();
    run.check_manners();

    let mut run = Run::prepare(Http01, &["a.example"]);
    run.directory.script(AcmeStep::NewOrder, Trouble::BadNonce, 3);
    run.start();
    let (failure, _) = run.failed();
    assert!(
        matches!(&failure, AcmeFailure::Refused { step: "order", detail } if detail.contains("badNonce")),
        "{failure:?}"
    );
    run.stored();
}

#[test]
fn a_limit_is_waited_for_until_the_operator_reloads() {
    let mut run = Run::prepare(Http01, &["a.example"]);
    run.directory.script(AcmeStep::NewOrder, Trouble::Problem(429, "rateLimited", Some("3600")), 1);
    let before = now();
    run.start();
    let (failure, next_try) = run.failed();
    assert!(
        matches!(&failure, AcmeFailure::RateLimited { detail, .. } if detail.contains("as the script says")),
        "{failure:?}"
    );
    assert!(next_try >= before.plus(Duration::from_secs(3600)));
    assert!(run.handle().update(run.settings.clone()).unwrap());
    run.stored();
}

#[test]
fn a_refusal_is_told_in_the_authoritys_words() {
    for (step, word) in
        [(AcmeStep::Account, "account"), (AcmeStep::NewOrder, "order"), (AcmeStep::Finalize, "finalize")]
    {
        let mut run = Run::prepare(Http01, &["a.example"]);
        run.directory.script(step, Trouble::Problem(403, "unauthorized", None), 1);
        run.start();
        let (failure, _) = run.failed();
        let AcmeFailure::Refused { step, detail } = failure else { panic!("{failure:?}") };
        assert_eq!((step, detail.as_str()), (word, "as the script says (unauthorized)"));
        run.stored();
    }
}

#[test]
fn a_domain_that_is_not_proved_is_named() {
    for challenge in [Http01, TlsAlpn01] {
        let mut run = Run::prepare(challenge, &["a.example", "b.example"]);
        run.answers = false;
        run.start();
        let (failure, _) = run.failed();
        let AcmeFailure::NotProved { domain, detail } = failure else { panic!("{failure:?}") };
        assert_eq!((domain.as_str(), detail.as_str()), ("a.example", "the proof was not there (unauthorized)"));
        run.answers = true;
        let failures = run.stored_at_last();
        assert!(failures.iter().all(|failure| failure.label() == "not_proved"), "{failures:?}");
    }
}

#[test]
fn a_challenge_that_cannot_be_answered_is_named() {
    let mut run = Run::prepare(TlsAlpn01, &["a.example"]);
    run.directory.book.lock().unwrap().offered = vec!["dns-01", "http-01"];
    run.start();
    let (failure, _) = run.failed();
    assert!(
        matches!(&failure, AcmeFailure::NotOffered { domain, challenge: "tls-alpn-01" } if domain == "a.example"),
        "{failure:?}"
    );
    run.directory.book.lock().unwrap().offered = vec!["tls-alpn-01"];
    run.stored_at_last();

    let mut run = Run::prepare(Http01, &["a.example"]);
    run.directory.book.lock().unwrap().token = Some("../../etc/passwd");
    run.start();
    let (failure, _) = run.failed();
    assert!(failure.to_string().contains("token"), "{failure:?}");
    run.directory.book.lock().unwrap().token = None;
    run.stored_at_last();
}

#[test]
fn listeners_that_take_no_challenges_are_named() {
    let mut run = Run::prepare(Http01, &["a.example"]);
    run.settings.pace.in_force_time = Duration::from_millis(100);
    run.confirms = false;
    run.start();
    assert_eq!(run.failed().0, AcmeFailure::NotInForce);
    assert_eq!(run.directory.count(AcmeStep::Challenge), 0, "the authority was not asked to look");
    run.confirms = true;
    run.settings.pace.in_force_time = Duration::from_secs(20);
    assert!(run.handle().update(run.settings.clone()).unwrap());
    run.stored_at_last();
}

#[test]
fn a_certificate_that_was_not_ordered_is_not_stored() {
    let other = ScriptedDirectory::start(TestEdge::start().domains());
    let mut run = Run::prepare(Http01, &["a.example"]);
    run.directory.script(AcmeStep::Certificate, Trouble::Body(other.root.clone()), 1);
    run.directory.script(AcmeStep::Certificate, Trouble::Body(String::new()), 1);
    run.directory.script(AcmeStep::Certificate, Trouble::Body(other.root[..200].to_owned()), 1);
    run.directory.book.lock().unwrap().validity = vec![(1, 89), (1, 89), (1, 89), (10, 0), (1, 89)];
    run.start();
    for _ in 0..4 {
        assert_eq!(run.failed().0.label(), "unfit");
        assert!(!run.settings.folder.join("shop/key.pem").exists());
    }
    run.stored();
}

#[test]
fn an_order_that_is_never_done_ends() {
    let mut run = Run::prepare(Http01, &["a.example"]);
    run.settings.pace.order_time = Duration::from_millis(500);
    run.directory.book.lock().unwrap().processing = usize::MAX;
    run.start();
    let (failure, _) = run.failed();
    assert_eq!(failure, AcmeFailure::TimedOut { step: "finalize" });
    run.directory.book.lock().unwrap().processing = 0;
    run.stored_at_last();
}

#[test]
fn a_directory_with_a_foreign_certificate_is_not_spoken_to() {
    let mut run = Run::prepare(Http01, &["a.example"]);
    let foreign = ScriptedDirectory::start(TestEdge::start().domains());
    let good = run.settings.ca.clone();
    std::fs::write(run.place.0.join("foreign.pem"), &foreign.root).unwrap();
    run.settings.ca = Some(run.place.0.join("foreign.pem"));
    run.start();
    let (failure, _) = run.failed();
    assert!(matches!(&failure, AcmeFailure::Unreachable { error, .. } if error.contains("certificate")), "{failure:?}");
    assert_eq!(run.directory.count(AcmeStep::Directory), 0);
    run.settings.ca = good;
    assert!(run.handle().update(run.settings.clone()).unwrap());
    run.stored_at_last();
}

#[test]
fn one_certificate_that_fails_holds_no_other_up() {
    let mut run = Run::prepare(Http01, &["a.example"]);
    run.settings.certificates.push(certificate("zoo", &["zoo.example"], TlsAlpn01));
    run.directory.script(AcmeStep::NewOrder, Trouble::Problem(403, "rejectedIdentifier", Some("7200")), 1);
    run.start();
    assert!(matches!(run.told(), Told::Failed(name, ..) if name == "shop"));
    assert!(matches!(run.told(), Told::Stored(name, _) if name == "zoo"));
}

#[test]
fn a_day_has_no_more_orders_than_its_limit() {
    let mut run = Run::prepare(Http01, &["a.example"]);
    run.settings.pace.orders_per_day = 3;
    run.answers = false;
    let before = now();
    run.start();
    for _ in 0..2 {
        assert!(run.failed().1 < before.plus(Duration::from_secs(3600)));
    }
    assert!(run.failed().1 >= before.plus(Duration::from_secs(24 * 3600)));
    // Not even where the operator reloads.
    run.settings.certificates.push(certificate("zoo", &["zoo.example"], Http01));
    run.answers = true;
    assert!(run.handle().update(run.settings.clone()).unwrap());
    assert!(matches!(run.told(), Told::Stored(name, _) if name == "zoo"));
    assert_eq!(run.directory.count(AcmeStep::NewOrder), 4);
}

/// The protocol's crate takes these for granted; what a directory says must not end the process.
#[test]
fn a_directory_that_names_no_addresses_is_a_failure_like_any_other() {
    for nonce in ["http://[", "\u{1}", "", "ftp://ca.example/nonce", "http://127.0.0.1:1/nonce", "no URL"] {
        let mut run = Run::prepare(Http01, &["a.example"]);
        run.directory.script(AcmeStep::Directory, Trouble::Body(directory_with(&run, "newNonce", nonce)), 1);
        run.start();
        let (failure, _) = run.failed();
        assert!(failure.to_string().contains("newNonce"), "{nonce:?}: {failure}");
        run.stored();
    }
    for field in ["newAccount", "newOrder"] {
        let mut run = Run::prepare(Http01, &["a.example"]);
        run.directory.script(AcmeStep::Directory, Trouble::Body(directory_with(&run, field, "http://[")), 1);
        run.start();
        run.failed();
        run.stored();
    }
}

fn directory_with(run: &Run, field: &str, value: &str) -> String {
    let url = |path: &str| format!("{}/{path}", run.directory.url.trim_end_matches("/directory"));
    let mut directory = json!({ "newNonce": url("nonce"), "newAccount": url("account"), "newOrder": url("new-order") });
    directory[field] = json!(value);
    directory.to_string()
}

/// Waits that would overflow the time of day, in every answer whose wait is looked at.
#[test]
fn no_wait_that_an_authority_names_ends_the_process() {
    let longest = "18446744073709551615";
    let mut run = Run::prepare(Http01, &["a.example"]);
    run.settings.pace.order_time = Duration::from_secs(2);
    run.directory.book.lock().unwrap().windows = vec![(60, 61)];
    for step in [AcmeStep::RenewalInfo, AcmeStep::Order, AcmeStep::Finalize] {
        run.directory.script(step, Trouble::RetryAfter(longest), 1);
    }
    run.start();
    run.stored_at_last();
    run.settings.certificates.push(certificate("zoo", &["zoo.example"], Http01));
    assert!(run.handle().update(run.settings.clone()).unwrap());
    run.stored_at_last();
    assert!(!run.handle().has_ended());
    assert!(run.directory.count(AcmeStep::RenewalInfo) >= 1);
}
