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

/// Few buckets and the same beginning of every id, so that chains are long.
#[test]
fn a_store_is_a_ring_of_keys_whatever_is_put_and_taken() {
    for capacity in [1, 2, 7, 16] {
        let store = Store::new(capacity);
        let view = store.view(0);
        // What is held, by slot, as the simplest store would.
        let mut ring: Vec<Option<(u8, u8)>> = Vec::new();
        let (mut next, mut state) = (0, capacity as u64);
        for step in 0..5_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (number, is_put) = ((state >> 33) as u8 % 24, state >> 60 < 9);
            let id: Vec<u8> = (0..ID_BYTES as u8).map(|at| if at < 4 { number % 3 } else { number }).collect();
            let held = ring.iter().position(|held| held.is_some_and(|(of, _)| of == number));
            let value = held.and_then(|slot| ring[slot].take()).map(|(_, value)| vec![value]);
            if !is_put {
                assert_eq!(view.take(&id), value, "step {step}");
                continue;
            }
            assert_eq!(view.get(&id), value, "step {step}");
            assert!(view.put(id, vec![step as u8]));
            if ring.len() < capacity {
                next = ring.len();
                ring.push(None);
            }
            ring[next] = Some((number, step as u8));
            next = (next + 1) % capacity;
            assert_eq!(store.sessions.len(), ring.iter().flatten().count());
        }
    }
}
