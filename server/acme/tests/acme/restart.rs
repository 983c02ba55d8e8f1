//! Processes that end in the middle, and folders that cannot be used.

use std::fs;
use std::time::Duration;

use corelane_acme::AcmeEvent;
use corelane_acme::ChallengeKind::{Http01, TlsAlpn01};

use crate::run::{Run, Told, certificate, fits};
use acme_directory::{AcmeStep, Trouble};

/// The process ends while the authority owes an answer; the next one gets its certificate, with the same account.
#[test]
fn a_process_that_ends_at_any_step_is_followed_by_one_that_goes_on() {
    let steps = [
        AcmeStep::Directory,
        AcmeStep::Account,
        AcmeStep::NewOrder,
        AcmeStep::Authorization,
        AcmeStep::Order,
        AcmeStep::Finalize,
        AcmeStep::Certificate,
    ];
    for step in steps {
        let mut run = Run::prepare(Http01, &["a.example"]);
        run.settings.pace.request_time = Duration::from_millis(500);
        run.directory.script(step, Trouble::Silence, usize::MAX);
        run.start();
        // The step was reached, and failed once: the client is at it again, or waits.
        loop {
            if let AcmeEvent::Failed { .. } = run.event() {
                break;
            }
        }
        run.stop();
        run.directory.book.lock().unwrap().script.clear();
        run.settings.pace.request_time = Duration::from_secs(20);
        run.start();
        run.stored_at_last();
        assert!(fits(&run.settings.folder.join("shop")));
        assert_eq!(run.directory.book.lock().unwrap().account_count(), 1, "{step:?}");
    }
}

#[test]
fn a_pair_whose_second_half_was_not_put_in_place_is_finished_and_told() {
    let mut run = Run::begin(Http01, &["a.example"]);
    run.stored();
    run.stop();
    let folder = run.settings.folder.join("shop");
    fs::rename(folder.join("chain.pem"), folder.join("chain.pem.new")).unwrap();
    run.start();
    run.stored();
    assert!(fits(&folder));
    assert_eq!(run.directory.count(AcmeStep::NewOrder), 1);
}

#[test]
fn what_was_waited_for_is_waited_for_after_a_restart() {
    let mut run = Run::prepare(Http01, &["a.example"]);
    // Only the authority's wish holds the next try up.
    run.settings.pace.first_retry = Duration::ZERO;
    run.directory.script(AcmeStep::NewOrder, Trouble::Problem(429, "rateLimited", Some("3600")), 1);
    run.start();
    run.failed();
    run.stop();
    run.settings.certificates.push(certificate("zoo", &["zoo.example"], Http01));
    run.start();
    assert!(matches!(run.told(), Told::Stored(name, _) if name == "zoo"));
    assert_eq!(run.directory.count(AcmeStep::NewOrder), 2);
}

#[test]
fn a_folder_that_another_process_uses_is_waited_for() {
    let mut run = Run::prepare(TlsAlpn01, &["a.example"]);
    run.start();
    run.stored();
    let mut other = Run::prepare(TlsAlpn01, &["a.example"]);
    other.settings.folder = run.settings.folder.clone();
    other.start();
    assert_eq!(other.failed().0.label(), "folder_in_use");
    run.stop();
    // Another directory's certificate is none of this one's.
    other.stored();
}

#[test]
fn a_folder_that_cannot_be_made_is_named_and_tried_again() {
    let mut run = Run::prepare(Http01, &["a.example"]);
    fs::write(&run.settings.folder, "a file").unwrap();
    run.start();
    let (failure, _) = run.failed();
    assert!(failure.to_string().contains(&run.settings.folder.display().to_string()), "{failure}");
    fs::remove_file(&run.settings.folder).unwrap();
    run.stored();
}

#[test]
fn a_key_that_is_no_key_is_left_alone_and_named() {
    let mut run = Run::begin(Http01, &["a.example"]);
    run.stored();
    run.stop();
    let is_account = |name: &str| name.starts_with("account-");
    let mut names =
        fs::read_dir(&run.settings.folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let file = run.settings.folder.join(names.find(|name| is_account(name)).unwrap());
    let good = fs::read(&file).unwrap();
    fs::write(&file, "not a key").unwrap();
    run.settings.certificates.push(certificate("zoo", &["zoo.example"], Http01));
    run.start();
    let (failure, _) = run.failed();
    assert!(failure.to_string().contains("account-"), "{failure}");
    assert_eq!(fs::read(&file).unwrap(), b"not a key");
    fs::write(&file, good).unwrap();
    run.stored_at_last();
    assert_eq!(run.directory.book.lock().unwrap().account_count(), 1);
}
