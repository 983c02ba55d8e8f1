//! Ids, credit and what is pending, whatever order answers come in.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::key::SlotId;
use crate::session::testing::{edge_hello, node_hello};
use crate::wire::checksum;
use crate::wire::frame::{self, Decoded};
use crate::wire::request::Set;
use crate::wire::terms::negotiate;

type Session = CallerSession<u32, NeverWaits>;

fn terms() -> SessionTerms {
    negotiate(&edge_hello(), &node_hello()).unwrap()
}

fn session() -> Session {
    let mut session = Session::default();
    session.open(terms());
    session
}

fn begin(session: &mut Session, state: u32) -> CorrelationId {
    let grant = session.credit.take(100).unwrap();
    session.begin(grant, state)
}

#[test]
fn an_answer_finds_its_request() {
    let mut session = session();
    assert_eq!(session.terms(), Some(&terms()));
    let ids: Vec<_> = (10..15).map(|state| begin(&mut session, state)).collect();
    assert!(ids.is_sorted() && session.position(CorrelationId(99)).is_none());
    for (id, state) in [(ids[2], 12), (ids[0], 10), (ids[4], 14)] {
        *session.pending_mut(id).unwrap() += 100;
        let at = session.position(id).unwrap();
        assert_eq!(session.complete(at, 1), Some(state + 100));
        assert_eq!(session.position(id), None, "an answer is taken once");
    }
    assert_eq!((session.position(ids[1]), session.position(ids[3])), (Some(0), Some(1)));
    assert_eq!(session.complete(2, 1), None);
    assert!(!session.is_idle());
    assert_eq!(session.close().collect::<Vec<_>>(), [11, 13], "what nobody will answer");
    assert!(session.is_idle() && session.terms().is_none());
}

#[test]
fn a_late_answer_reaches_nobody_on_the_next_connection() {
    let mut session = session();
    let old = begin(&mut session, 1);
    assert_eq!(session.close().count(), 1);
    session.open(terms());
    let new = begin(&mut session, 2);
    assert_ne!(old, new, "ids are used once");
    assert_eq!(session.position(old), None);
}

#[test]
#[should_panic(expected = "credit was taken of a connection that is open")]
fn nothing_begins_without_a_connection() {
    let mut session = session();
    let grant = session.credit.take(1).unwrap();
    assert_eq!(session.close().count(), 0);
    session.begin(grant, 1);
}

proptest! {
    /// Requests are begun while there is credit and answered in any order; connections end in between. Everything that
    /// began comes out once, and all credit is free at the end.
    #[test]
    fn what_begins_ends_once(steps in vec((0..6_u8, any::<prop::sample::Index>()), 1..200)) {
        let mut session = session();
        let (mut pending, mut next) = (Vec::new(), 0);
        for (action, which) in steps {
            match action {
                0..3 => {
                    let Some(grant) = session.credit.take(1000) else {
                        prop_assert_eq!(pending.len(), node_hello().credit_requests as usize);
                        continue;
                    };
                    pending.push((session.begin(grant, next), next));
                    next += 1;
                }
                3 | 4 if !pending.is_empty() => {
                    let (id, state) = pending.swap_remove(which.index(pending.len()));
                    let at = session.position(id).unwrap();
                    prop_assert_eq!(session.complete(at, 1), Some(state));
                }
                5 if which.index(4) == 0 => {
                    let lost: Vec<u32> = session.close().collect();
                    pending.sort_unstable();
                    prop_assert_eq!(lost, pending.drain(..).map(|(_, state)| state).collect::<Vec<_>>());
                    session.open(terms());
                }
                _ => {}
            }
            prop_assert_eq!(session.is_idle(), pending.is_empty());
        }
        while !session.is_idle() {
            prop_assert!(session.complete(0, 1).is_some());
        }
        let grants: Vec<_> = std::iter::from_fn(|| session.credit.take(1)).collect();
        prop_assert_eq!(grants.len(), node_hello().credit_requests as usize);
    }

    /// What a request costs is what its frames take.
    #[test]
    fn a_request_costs_what_its_frames_take(
        value_bytes in prop_oneof![0..10_usize, 4090..4100_usize, 0..20_000_usize],
        metadata in vec(any::<u8>(), 0..40),
        condition in 0..4_u8,
        deletes in any::<bool>(),
    ) {
        let (session, value) = (session(), vec![7; value_bytes]);
        let condition = match condition {
            0 => Condition::Any,
            1 => Condition::Absent,
            2 => Condition::Present,
            _ => Condition::VersionEquals(crate::session::testing::VERSION),
        };
        let key = b"\0key";
        let op = if deletes {
            Op::Delete { key, version: 0, condition }
        } else {
            let value_crc32c = checksum(&value);
            Op::Set(Set { key, value: &value, metadata: &metadata, value_crc32c, ttl_ms: 0, version: 0, condition })
        };
        let mut out = Vec::new();
        session.write(&Request::new(3, SlotId::ZERO, 0, op), &mut out);
        prop_assert_eq!(wire_bytes(&op, terms().limits.frame_value_bytes_max) as usize, out.len());
        let (mut rest, mut come) = (out.as_slice(), Vec::new());
        while !rest.is_empty() {
            let Ok(Decoded::Frame(frame)) = frame::decode(rest, &terms().limits) else { panic!("a frame is not whole") };
            prop_assert_eq!(frame.header.request_id, 3);
            come.extend_from_slice(frame.value);
            rest = &rest[frame.wire_bytes()..];
        }
        prop_assert_eq!(come, op.value());
    }
}
