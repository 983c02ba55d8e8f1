//! The pool against a model that knows where every credit is.

use std::cell::RefCell;
use std::rc::Rc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Writes down who was notified.
struct Noted(u32, Rc<RefCell<Vec<u32>>>);

impl CreditWaker for Noted {
    fn wake(self) {
        self.1.borrow_mut().push(self.0);
    }
}

type Log = Rc<RefCell<Vec<u32>>>;

fn pool(requests: u32, bytes: u32) -> (CreditPool<Noted>, Log) {
    let mut pool = CreditPool::default();
    pool.open(Credits::granted(requests, bytes));
    (pool, Log::default())
}

fn granted(claim: Claim) -> CreditGrant {
    match claim {
        Claim::Granted(grant) => grant,
        other => panic!("not granted: {other:?}"),
    }
}

#[test]
fn a_large_request_gets_its_turn_before_small_ones_that_came_later() {
    let (mut pool, log) = pool(8, 1000);
    let (first, second) = (pool.take(600).unwrap(), pool.take(100).unwrap());
    let large = pool.wait(950, Noted(950, Rc::clone(&log)));
    assert!(pool.take(100).is_none(), "nobody overtakes");
    let small = pool.wait(50, Noted(50, Rc::clone(&log)));
    assert_eq!((pool.claim(large), pool.claim(small)), (Claim::Waiting, Claim::Waiting));
    pool.release(first, 1);
    assert!(log.borrow().is_empty(), "950 do not fit beside 100");
    pool.release(second, 1);
    assert_eq!(*log.borrow(), [950, 50]);
    let (large, small) = (granted(pool.claim(large)), granted(pool.claim(small)));
    assert!(pool.take(1).is_none(), "all bytes are spent");
    pool.refund(large);
    pool.refund(small);
    assert!(pool.take(1000).is_some());
}

#[test]
fn a_waiter_that_leaves_lets_the_next_one_go() {
    let (mut pool, log) = pool(8, 1000);
    let held = pool.take(600).unwrap();
    let large = pool.wait(950, Noted(950, Rc::clone(&log)));
    let small = pool.wait(50, Noted(50, Rc::clone(&log)));
    pool.cancel(large);
    assert_eq!((pool.claim(large), &*log.borrow()), (Claim::Dismissed, &vec![50]));
    let small = granted(pool.claim(small));
    pool.refund(small);
    pool.refund(held);
}

#[test]
fn credit_that_was_set_aside_for_a_waiter_that_leaves_comes_back() {
    let (mut pool, log) = pool(1, 1000);
    let held = pool.take(1).unwrap();
    let first = pool.wait(1, Noted(1, Rc::clone(&log)));
    let second = pool.wait(1, Noted(2, Rc::clone(&log)));
    pool.release(held, 1);
    assert_eq!(*log.borrow(), [1]);
    pool.cancel(first);
    assert_eq!(*log.borrow(), [1, 2], "its credit goes to the next one");
    pool.cancel(second);
    pool.cancel(second);
    assert!(pool.take(1).is_some(), "and back to the pool");
    assert!(pool.take(1).is_none(), "once");
}

#[test]
fn waiters_stay_queued_for_the_next_connection_and_old_grants_count_for_nothing() {
    let (mut pool, log) = pool(2, 1000);
    let old = pool.take(10).unwrap();
    let kept = pool.take(10).unwrap();
    let outlived = pool.wait(10, Noted(10, Rc::clone(&log)));
    pool.release(kept, 1);
    assert_eq!(*log.borrow(), [10], "it has credit, and does not know yet");
    pool.close();
    assert_eq!(pool.take(10), None);
    let waiting = pool.wait(20, Noted(20, Rc::clone(&log)));
    pool.open(Credits::granted(1, 1000));
    assert_eq!(pool.claim(outlived), Claim::Outlived);
    pool.release(old, 9);
    let grant = granted(pool.claim(waiting));
    assert!(pool.take(1).is_none(), "one request at a time on the second connection");
    pool.release(grant, 0);
    assert!(pool.is_exhausted());
}

#[test]
fn the_dismissed_are_told_and_credit_is_not_touched() {
    let (mut pool, log) = pool(1, 1000);
    let held = pool.take(1).unwrap();
    let waiting = pool.wait(1, Noted(1, Rc::clone(&log)));
    pool.dismiss();
    assert_eq!((pool.claim(waiting), &*log.borrow()), (Claim::Dismissed, &vec![1]));
    assert!(!pool.is_exhausted(), "an answer will bring credit");
    pool.release(held, 1);
    assert!(pool.take(1).is_some());
}

/// What the model knows.
#[derive(Default)]
struct Model {
    grants: Vec<CreditGrant>,
    queued: Vec<WaiterId>,
    connections: u64,
    is_open: bool,
}

const REQUESTS: u32 = 4;
const BYTES: u32 = 1000;

proptest! {
    /// Whatever happens in whatever order, no credit is lost and none is made: at the end all of it is free.
    #[test]
    fn credit_never_leaks(steps in vec((0..9_u8, 1..600_u32, any::<prop::sample::Index>()), 1..200)) {
        let (mut pool, log) = (CreditPool::default(), Log::default());
        let mut model = Model::default();
        for (action, bytes, which) in steps {
            match action {
                0 | 1 => {
                    let taken = pool.take(bytes);
                    prop_assert!(taken.is_none() || pool.waiters.is_empty(), "nobody overtakes a waiter");
                    model.grants.extend(taken);
                }
                2 | 3 => model.queued.push(pool.wait(bytes, Noted(bytes, Rc::clone(&log)))),
                4 if !model.queued.is_empty() => {
                    let id = model.queued[which.index(model.queued.len())];
                    match pool.claim(id) {
                        Claim::Waiting => {}
                        claim => {
                            model.queued.retain(|queued| *queued != id);
                            if let Claim::Granted(grant) = claim {
                                model.grants.push(grant);
                            }
                        }
                    }
                }
                5 if !model.queued.is_empty() => {
                    pool.cancel(model.queued.swap_remove(which.index(model.queued.len())));
                }
                6 if !model.grants.is_empty() => {
                    let grant = model.grants.swap_remove(which.index(model.grants.len()));
                    if bytes % 2 == 0 { pool.release(grant, 1) } else { pool.refund(grant) }
                }
                7 if model.is_open => {
                    pool.close();
                    model.is_open = false;
                }
                8 if !model.is_open => {
                    pool.open(Credits::granted(REQUESTS, BYTES));
                    model.is_open = true;
                    model.connections += 1;
                }
                _ => {}
            }
            if let Some(credits) = pool.credits {
                let current = |grant: &CreditGrant| grant.connection == model.connections;
                let held = model.grants.iter().chain(pool.set_aside.iter().map(|(_, grant)| grant));
                let held: Vec<_> = held.filter(|grant| current(grant)).map(|grant| grant.spent.bytes()).collect();
                prop_assert_eq!(credits.requests_in_flight() as usize, held.len());
                prop_assert_eq!(credits.requests_free() as usize + held.len(), REQUESTS as usize);
                let bytes: u32 = held.iter().sum();
                prop_assert_eq!(credits.bytes_free(), u64::from(BYTES.saturating_sub(bytes)));
                let fits = |waiter: &Waiter<Noted>| bytes == 0 || bytes + waiter.bytes <= BYTES;
                let could_go = credits.requests_free() > 0 && pool.waiters.front().is_some_and(fits);
                prop_assert!(!could_go, "whose turn it is goes");
            }
            prop_assert!(pool.waiters.iter().is_sorted_by_key(|waiter| waiter.id.0));
        }
        model.queued.drain(..).for_each(|id| pool.cancel(id));
        model.grants.drain(..).for_each(|grant| pool.release(grant, 1));
        prop_assert!(pool.waiters.is_empty() && pool.set_aside.is_empty());
        if let Some(credits) = pool.credits {
            prop_assert_eq!((credits.requests_free(), credits.requests_in_flight()), (REQUESTS, 0));
        }
    }
}
