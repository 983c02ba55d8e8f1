//! Batches: bounds, cuts, and the order of answers.

use shardstore::key::STORED_KEY_BYTES_MAX;
use shardstore::wire::batch::{BATCH_ENTRIES_MAX, BatchAnswers, MgetKeys, MsetItems};
use shardstore::wire::frame::{self, Decoded};
use shardstore::wire::{FrameError, Op, Request, Response};

use crate::corpus::{KEY, limits, samples};

fn value_of(name: &str) -> Vec<u8> {
    let sample = samples().into_iter().find(|sample| sample.name == name).unwrap();
    let Ok(Decoded::Frame(frame)) = frame::decode(&sample.bytes, &limits()) else { panic!("{name} is no frame") };
    frame.value.to_vec()
}

#[test]
fn every_cut_and_every_extra_byte_is_refused() {
    let refused = |name: &str, payload: &[u8]| match name {
        "mget" => MgetKeys::parse(payload, BATCH_ENTRIES_MAX).is_err(),
        "mset" => MsetItems::parse(payload, BATCH_ENTRIES_MAX).is_err(),
        _ => BatchAnswers::parse(payload, BATCH_ENTRIES_MAX).is_err(),
    };
    for name in ["mget", "mset", "batch_answers"] {
        let payload = value_of(name);
        assert!(!refused(name, &payload));
        for cut in 0..payload.len() {
            assert!(refused(name, &payload[..cut]), "{name} cut at {cut}");
        }
        assert!(refused(name, &[payload.as_slice(), &[0]].concat()), "{name} with a byte too many");
    }
}

#[test]
fn entries_come_out_as_they_went_in() {
    let payload = value_of("mget");
    let keys: Vec<_> = MgetKeys::parse(&payload, 3).unwrap().iter().collect();
    assert_eq!(keys, [KEY, b"\0user:2", b"\x02ksx"]);
    let payload = value_of("mset");
    let items: Vec<_> = MsetItems::parse(&payload, 2).unwrap().iter().collect();
    let mut again = Vec::new();
    assert_eq!(MsetItems::write(&mut again, &items).unwrap().payload(), payload);
    let payload = value_of("batch_answers");
    let answers: Vec<_> = BatchAnswers::parse(&payload, 3).unwrap().iter().collect();
    assert_eq!(answers.iter().map(|answer| answer.status.name()).collect::<Vec<_>>(), ["ok", "not_found", "ok"]);
    assert_eq!((answers[0].value, answers[0].metadata, answers[2].replaced), (&b"one"[..], &b"a/b"[..], true));
}

#[test]
fn bounds_hold() {
    let bad = Err(FrameError::BadPayload);
    let mut out = Vec::new();
    assert_eq!(MgetKeys::write(&mut out, &[]).map(|_| ()), bad);
    assert_eq!(MgetKeys::write(&mut out, &[&[]]).map(|_| ()), bad);
    assert_eq!(MgetKeys::write(&mut out, &[&vec![0; STORED_KEY_BYTES_MAX + 1]]).map(|_| ()), bad);
    assert_eq!(MgetKeys::write(&mut out, &vec![KEY; usize::from(BATCH_ENTRIES_MAX) + 1]).map(|_| ()), bad);
    let keys = vec![KEY; usize::from(BATCH_ENTRIES_MAX)];
    let payload = MgetKeys::write(&mut out, &keys).unwrap().payload().to_vec();
    assert_eq!(MgetKeys::parse(&payload, BATCH_ENTRIES_MAX - 1).map(|_| ()), bad, "the negotiated bound counts");
    // A value length that claims more than there is must not be believed.
    let mut payload = value_of("mset");
    payload[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(MsetItems::parse(&payload, BATCH_ENTRIES_MAX).map(|_| ()), bad);
}

#[test]
fn batches_travel_in_frames() {
    let samples = samples();
    let bytes = |name: &str| &samples.iter().find(|sample| sample.name == name).unwrap().bytes;
    let Ok(Decoded::Frame(frame)) = frame::decode(bytes("mset"), &limits()) else { panic!() };
    assert!(matches!(Request::parse(&frame).unwrap().op, Op::Mset(items) if items.count() == 2));
    let Ok(Decoded::Frame(frame)) = frame::decode(bytes("batch_answers"), &limits()) else { panic!() };
    let response = Response::parse(&frame).unwrap();
    assert_eq!(BatchAnswers::parse(response.value, BATCH_ENTRIES_MAX).unwrap().count(), 3);
}
