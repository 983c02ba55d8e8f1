use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

#[derive(Debug, Default)]
struct SetClock(AtomicU64);

impl TimeProvider for SetClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
    }
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn random() -> &'static dyn SecureRandom {
    rustls::crypto::aws_lc_rs::default_provider().secure_random
}

fn file(text: &str) -> NamedFile<'_> {
    NamedFile { setting: "tls.ticket_keys", path: "keys", bytes: text.as_bytes() }
}

fn read(text: &str) -> Result<TicketKeys, Vec<StoreError>> {
    TicketKeys::read(&file(text), None, at(100))
}

fn key(number: u8) -> String {
    format!("{number:02x}{}", "3C".repeat(31))
}

fn tickets(keys: &TicketKeys, context: u8, time: &Arc<SetClock>) -> Tickets {
    Tickets {
        keys: keys.clone(),
        ticket_time: Duration::from_secs(1000),
        context: [context; 32],
        random: random(),
        time: Arc::clone(time) as Arc<dyn TimeProvider>,
    }
}

#[test]
fn files_of_keys_are_read_by_line() {
    use TicketKeyPhase::{Current, Next, Previous};
    for (text, expected) in [
        (key(1), vec![Current]),
        (format!("{}\n{}\n", key(1), key(2)), vec![Next, Current]),
        (format!("# newest\r\n{}\r\n\r\n  {}\t\n{}", key(1), key(2), key(3)), vec![Next, Current, Previous]),
    ] {
        let keys = read(&text).unwrap();
        assert_eq!(keys.facts().iter().map(|key| key.phase).collect::<Vec<_>>(), expected);
        assert!(keys.facts().iter().all(|key| key.since == 100 && key.name.len() == 16));
        assert_eq!(keys.rotation_due(Duration::from_secs(10)), None);
    }
    assert_eq!(read(&key(1)).unwrap().facts(), read(&key(1).to_uppercase()).unwrap().facts());
}

#[test]
fn every_bad_line_is_named() {
    let text = format!("{}\nabc\n{}\n{}\n{}\n{}\n", key(1), "g".repeat(64), "00".repeat(32), key(1), key(2) + "0");
    let errors = read(&text).unwrap_err();
    let lines: Vec<_> = errors
        .iter()
        .map(|error| match error.fault {
            StoreFault::BadTicketKey { line, reason } => (line, reason),
            _ => panic!("{error}"),
        })
        .collect();
    assert_eq!(
        lines,
        [
            (2, "it does not have 64 digits"),
            (3, "a digit is not hexadecimal"),
            (4, "the key is not random"),
            (5, "the key stands in the file twice"),
            (6, "it does not have 64 digits"),
        ]
    );
    assert!(errors[0].to_string().contains("tls.ticket_keys: keys: line 2:"));
    let four: String = (1..=4).map(|number| key(number) + "\n").collect();
    assert!(read(&four).unwrap_err()[0].to_string().contains("line 4: it is one key more"));
    assert_eq!(read("\n# none\n").unwrap_err()[0].fault, StoreFault::Empty);
}

#[test]
fn a_ticket_opens_with_its_key_and_where_it_belongs() {
    let clock = Arc::new(SetClock::default());
    let keys = read(&key(1)).unwrap();
    let here = tickets(&keys, 0, &clock);
    let ticket = here.encrypt(b"a session").unwrap();
    assert_eq!(here.decrypt(&ticket).unwrap(), b"a session");
    assert_ne!(here.encrypt(b"a session").unwrap(), ticket, "no ticket is like another");
    assert!(!ticket.windows(9).any(|part| part == b"a session"));
    assert_eq!(tickets(&read(&key(2)).unwrap(), 0, &clock).decrypt(&ticket), None);
    assert_eq!(tickets(&keys, 1, &clock).decrypt(&ticket), None);
}

#[test]
fn what_is_not_a_ticket_opens_nothing() {
    let clock = Arc::new(SetClock::default());
    let here = tickets(&read(&key(1)).unwrap(), 0, &clock);
    let ticket = here.encrypt(b"a session").unwrap();
    for length in 0..ticket.len() {
        assert_eq!(here.decrypt(&ticket[..length]), None, "{length} bytes");
    }
    for place in 0..ticket.len() {
        let mut changed = ticket.clone();
        changed[place] ^= 1;
        assert_eq!(here.decrypt(&changed), None, "byte {place}");
    }
    let longer = [ticket.as_slice(), &[0]].concat();
    assert_eq!(here.decrypt(&longer), None);
}

#[test]
fn a_ticket_has_its_time_by_any_hosts_clock() {
    let clock = Arc::new(SetClock::default());
    clock.0.store(5000, Ordering::Relaxed);
    let here = tickets(&read(&key(1)).unwrap(), 0, &clock);
    assert_eq!(here.lifetime(), 1000);
    let ticket = here.encrypt(b"").unwrap();
    for (now, opens) in [(4699, false), (4700, true), (5000, true), (5999, true), (6000, false), (u64::MAX, false)] {
        clock.0.store(now, Ordering::Relaxed);
        assert_eq!(here.decrypt(&ticket).is_some(), opens, "at {now}");
    }
}

#[test]
fn rotation_is_due_at_half_of_the_time_and_late_ones_are_one() {
    let life = Duration::from_secs(1000);
    let keys = TicketKeys::made(random(), at(100)).unwrap();
    assert_eq!(keys.rotation_due(life), Some(at(600)));
    let late = keys.rotated(random(), life, at(9000)).unwrap();
    assert_eq!(late.rotation_due(life), Some(at(9500)));
    // The last ticket of the key that was current may be of now.
    let held = |keys: &TicketKeys| keys.facts().len();
    assert_eq!([held(&keys), held(&late)], [2, 3]);
    let names: Vec<_> = late.facts().into_iter().map(|key| key.name).collect();
    assert!(keys.facts().iter().all(|key| names.contains(&key.name)));
    let mut keys = keys;
    for step in 1..50 {
        keys = keys.rotated(random(), life, at(100 + 500 * step)).unwrap();
        assert!(held(&keys) <= 4, "keys do not pile up");
    }
}

#[test]
fn debug_text_has_names_only() {
    let keys = read(&key(1)).unwrap();
    let text = format!("{keys:?} {:?}", tickets(&keys, 0, &Arc::default()));
    assert!(text.contains(&keys.facts()[0].name) && !text.to_lowercase().contains("3c3c"), "{text}");
}
