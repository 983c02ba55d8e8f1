use std::sync::atomic::{AtomicU64, Ordering};

use rustls::pki_types::UnixTime;

use super::*;

#[derive(Debug, Default)]
struct SetClock(AtomicU64);

impl TimeProvider for SetClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
    }
}

struct Store {
    clock: Arc<SetClock>,
    sessions: Arc<Sessions>,
}

impl Store {
    fn new(capacity: usize) -> Self {
        Self { clock: Arc::default(), sessions: Arc::new(Sessions::new(capacity)) }
    }

    fn view(&self, context: u8) -> SessionView {
        SessionView {
            sessions: Arc::clone(&self.sessions),
            context: [context; 32],
            ticket_time: Duration::from_secs(100),
            time: Arc::clone(&self.clock) as Arc<dyn TimeProvider>,
        }
    }
}

fn id(number: u8) -> Vec<u8> {
    vec![number; ID_BYTES]
}

#[test]
fn a_session_is_taken_once_whoever_takes_it() {
    let store = Store::new(8);
    let (one, other) = (store.view(0), store.view(0));
    assert!(one.can_cache() && one.put(id(1), b"secret".to_vec()));
    // TLS 1.2 looks and leaves it.
    assert_eq!(other.get(&id(1)).unwrap(), b"secret");
    assert_eq!(other.take(&id(1)).unwrap(), b"secret");
    assert_eq!((one.take(&id(1)), one.get(&id(1)), other.take(&id(1))), (None, None, None));
    assert!(store.sessions.is_empty());
}

#[test]
fn threads_that_take_one_session_share_it_among_them_once() {
    let store = Store::new(8);
    for round in 0..50 {
        assert!(store.view(0).put(id(round), vec![round]));
        let taken = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..4).map(|_| scope.spawn(|| store.view(0).take(&id(round)).is_some())).collect();
            takers.into_iter().map(|taker| usize::from(taker.join().unwrap())).sum::<usize>()
        });
        assert_eq!(taken, 1);
    }
}

#[test]
fn the_oldest_goes_first() {
    let store = Store::new(3);
    let view = store.view(0);
    for number in 1..=5 {
        assert!(view.put(id(number), vec![number]));
        assert!(store.sessions.len() <= 3);
    }
    let held = |number| view.get(&id(number)).is_some();
    assert_eq!([1, 2, 3, 4, 5].map(held), [false, false, true, true, true]);
    // A place that is free is used before the oldest of the others goes, in its turn.
    view.take(&id(3)).unwrap();
    view.put(id(6), vec![6]);
    assert_eq!([4, 5, 6].map(held), [true, true, true]);
    view.put(id(7), vec![7]);
    assert_eq!([4, 5, 6, 7].map(held), [false, true, true, true]);
}

#[test]
fn the_same_id_again_replaces() {
    let store = Store::new(2);
    let view = store.view(0);
    for value in 0..5 {
        view.put(id(1), vec![value]);
    }
    assert_eq!(store.sessions.len(), 1);
    assert_eq!(view.take(&id(1)).unwrap(), [4]);
}

#[test]
fn sessions_have_their_time_size_and_context() {
    let store = Store::new(8);
    let view = store.view(0);
    view.put(id(1), vec![1]);
    view.put(id(2), vec![2]);
    assert_eq!(store.view(1).take(&id(1)), None);
    store.clock.0.store(99, Ordering::Relaxed);
    assert!(view.take(&id(1)).is_some());
    store.clock.0.store(100, Ordering::Relaxed);
    assert_eq!((view.get(&id(2)), view.take(&id(2))), (None, None));
    assert!(!view.put(id(3), vec![0; SESSION_BYTES_MAX + 1]));
    assert!(!view.put(vec![1], vec![1]));
    assert_eq!(view.take(b"short"), None);
    assert_eq!([0, 1, usize::MAX].map(|capacity| Sessions::new(capacity).capacity()), [1, 1, SESSIONS_MAX]);
}
