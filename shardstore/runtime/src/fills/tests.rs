use reactor::Reactor;
use reactor::local::one;

use super::*;
use crate::rig;

const BOUNDS: FillBounds = FillBounds { fills_max: 2, waiters_max: 2, edge_ttl: Duration::from_secs(1) };

/// Runs a test with a core's means to wait.
fn on_a_core(test: impl Fn(&Reactor, Fills) + Clone + Send + 'static) {
    rig::run::<()>(1, 1, move |reactor, _| {
        test(&reactor, Fills::new(BOUNDS));
        reactor.stop();
    });
}

fn coalesce(fills: &mut Fills, reactor: &Reactor, key: &[u8], ms: u64) -> Coalesced {
    fills.coalesce(key, (one(reactor).0, true), Instant::from_nanos(ms * 1_000_000))
}

fn begin(fills: &mut Fills, reactor: &Reactor, key: &[u8], ms: u64) -> Rc<Fill> {
    match coalesce(fills, reactor, key, ms) {
        Coalesced::Start(fill) => fill,
        Coalesced::Waiting | Coalesced::Full => panic!("nobody has asked for {key:?}"),
    }
}

#[test]
fn reads_wait_for_a_fill_that_is_young_enough() {
    on_a_core(|reactor, mut fills| {
        let first = begin(&mut fills, reactor, b"a", 0);
        assert!(matches!(coalesce(&mut fills, reactor, b"a", 1_000), Coalesced::Waiting));
        let second = begin(&mut fills, reactor, b"a", 1_001);
        let finished = fills.finish(b"a", &first);
        assert_eq!((finished.may_keep, finished.waiters.len()), (false, 2), "a younger one will bring the copy");
        assert!(matches!(coalesce(&mut fills, reactor, b"a", 1_002), Coalesced::Waiting), "for the second");
        let finished = fills.finish(b"a", &second);
        assert_eq!((finished.may_keep, finished.waiters.len(), fills.len()), (true, 2, 0));
        fills.set_bounds(FillBounds { edge_ttl: Duration::ZERO, ..BOUNDS });
        begin(&mut fills, reactor, b"a", 2_000);
        assert!(matches!(coalesce(&mut fills, reactor, b"a", 2_050), Coalesced::Waiting), "also where nothing is kept");
        begin(&mut fills, reactor, b"a", 2_051);
    });
}

#[test]
fn bounds_hold() {
    on_a_core(|reactor, mut fills| {
        let _a = begin(&mut fills, reactor, b"a", 0);
        let _b = begin(&mut fills, reactor, b"b", 0);
        assert!(matches!(coalesce(&mut fills, reactor, b"c", 0), Coalesced::Full));
        assert!(matches!(coalesce(&mut fills, reactor, b"a", 0), Coalesced::Waiting));
        assert!(matches!(coalesce(&mut fills, reactor, b"a", 0), Coalesced::Full));
        fills.set_bounds(FillBounds { fills_max: 3, ..BOUNDS });
        begin(&mut fills, reactor, b"c", 0);
    });
}

#[test]
fn an_answer_is_kept_unless_a_write_came_between() {
    on_a_core(|reactor, mut fills| {
        let fill = begin(&mut fills, reactor, b"a", 0);
        fills.invalidate_inflight(b"b");
        assert!(fills.finish(b"a", &fill).may_keep, "the write was to another key");

        let fill = begin(&mut fills, reactor, b"a", 0);
        fills.invalidate_inflight(b"a");
        let younger = begin(&mut fills, reactor, b"a", 0);
        let finished = fills.finish(b"a", &fill);
        assert_eq!((finished.may_keep, finished.waiters.len()), (false, 1));
        assert!(fills.finish(b"a", &younger).may_keep, "the older one has not ended the younger");

        let fill = begin(&mut fills, reactor, b"a", 0);
        fill.do_not_keep();
        assert!(!fills.finish(b"a", &fill).may_keep, "it began while a write was under way");
    });
}
