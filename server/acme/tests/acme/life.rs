//! From nothing to a certificate, and on to the next.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use corelane_acme::ChallengeKind::{Http01, TlsAlpn01};
use corelane_acme::{Acme, AcmeEvent, StartFault, UnixMillis};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::*;

use crate::run::{Run, Told, certificate};
use acme_directory::AcmeStep;

fn now() -> UnixMillis {
    UnixMillis::from_duration(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap())
}

fn names(pem: &str) -> Vec<String> {
    let leaf = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let (_, parsed) = X509Certificate::from_der(&leaf).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn both_challenges_lead_to_a_certificate_for_all_names() {
    for challenge in [Http01, TlsAlpn01] {
        let mut run = Run::prepare(challenge, &["a.example", "B.example"]);
        run.settings.contact = vec!["mailto:ops@a.example".into()];
        run.start();
        let not_after = run.stored();
        assert!(not_after > now().plus(Duration::from_secs(88 * 86_400)));
        assert_eq!(names(&run.file("chain.pem")), ["DNSName(a.example)", "DNSName(b.example)"]);
        assert_eq!(run.file("chain.pem").matches("BEGIN CERTIFICATE").count(), 2);
        let key = run.settings.folder.join("shop/key.pem");
        assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(run.edge.challenges().is_empty(), "challenges are withdrawn");
        assert_eq!(run.directory.book.lock().unwrap().contacts, [serde_json::json!(["mailto:ops@a.example"])]);
        run.check_manners();
    }
}

#[test]
fn a_restart_orders_nothing_and_the_account_stays() {
    let mut run = Run::begin(Http01, &["a.example"]);
    run.stored();
    let chain = run.file("chain.pem");
    run.stop();
    // What is added is ordered, so when it is there, the other would have been, too.
    run.settings.certificates.push(certificate("other", &["c.example"], Http01));
    run.start();
    assert!(matches!(run.told(), Told::Stored(name, _) if name == "other"));
    assert_eq!(run.directory.book.lock().unwrap().ordered.len(), 2);
    assert_eq!(run.directory.book.lock().unwrap().account_count(), 1);
    assert_eq!(run.file("chain.pem"), chain);
    run.check_manners();
}

#[test]
fn a_certificate_that_is_about_to_end_is_renewed_with_another_key() {
    let mut run = Run::prepare(Http01, &["a.example"]);
    run.directory.book.lock().unwrap().validity = vec![(61, 29), (1, 89)];
    run.start();
    run.stored();
    let key = run.file("key.pem");
    run.stored();
    assert_ne!(run.file("key.pem"), key);
    assert_eq!(run.directory.book.lock().unwrap().ordered.len(), 2);
}

#[test]
fn the_authoritys_window_renews_early_and_names_what_is_replaced() {
    let mut run = Run::prepare(TlsAlpn01, &["a.example"]);
    // After the second it asks for nothing soon.
    run.directory.book.lock().unwrap().windows = vec![(-2, -1), (60, 61)];
    run.start();
    run.stored();
    run.stored();
    let replaces: Vec<bool> =
        run.directory.book.lock().unwrap().ordered.iter().map(|(_, replaces)| *replaces).collect();
    assert_eq!(replaces, [false, true]);
    run.check_manners();
}

#[test]
fn other_names_are_ordered_at_a_reload() {
    let mut run = Run::begin(Http01, &["a.example"]);
    run.stored();
    run.settings.certificates = vec![certificate("shop", &["a.example", "d.example"], TlsAlpn01)];
    assert!(run.handle().update(run.settings.clone()).unwrap());
    run.stored();
    assert_eq!(names(&run.file("chain.pem")), ["DNSName(a.example)", "DNSName(d.example)"]);
}

#[test]
fn settings_that_are_wrong_start_nothing() {
    let mut run = Run::prepare(Http01, &["a.example"]);
    run.settings.agree_terms = false;
    let fault = Acme::start(run.settings.clone()).unwrap_err();
    assert!(matches!(&fault, StartFault::Settings(faults) if faults.len() == 1), "{fault:?}");
    assert!(fault.to_string().contains("agree_terms"), "{fault}");
    assert!(!run.settings.folder.exists());
    run.settings.agree_terms = true;
    run.start();
    run.stored();
    let mut wrong = run.settings.clone();
    wrong.certificates[0].names = vec!["*.example".into()];
    assert!(run.handle().update(wrong).is_err());
    assert_eq!(run.directory.count(AcmeStep::NewOrder), 1);
}

#[test]
fn challenges_are_told_before_the_authority_looks_and_withdrawn_after() {
    let mut run = Run::begin(Http01, &["a.example"]);
    let AcmeEvent::Challenges(first) = run.event() else { panic!("challenges first") };
    assert_eq!((first.count(), first.generation), (1, 1));
    let AcmeEvent::Challenges(second) = run.event() else { panic!("withdrawn") };
    assert!(second.is_empty());
    assert!(second.generation > first.generation);
    run.stored();
}
