//! Large values: split, interleaved, put together, refused.

use proptest::collection::vec;
use proptest::prelude::*;
use shardstore::wire::frame::{self, Decoded};
use shardstore::wire::reassembly::{Progress, Reassembler, ReassemblyError, ValuePart, split};
use shardstore::wire::{Frame, Op, Request, Response, Status, checksum};

use crate::corpus::{dialect, limits, request, set};

fn chunks(id: u64, value: &[u8], part_bytes: u32) -> Vec<Vec<u8>> {
    split(value.len() as u32, part_bytes)
        .map(|part| {
            let mut bytes = Vec::new();
            request(id, Op::Set(set(value))).encode_head(dialect(), part, &mut bytes);
            bytes.extend_from_slice(&value[part.range()]);
            bytes
        })
        .collect()
}

fn decode(bytes: &[u8]) -> Frame<'_> {
    match frame::decode(bytes, &limits()) {
        Ok(Decoded::Frame(frame)) => frame,
        other => panic!("not a frame: {other:?}"),
    }
}

fn feed(reassembler: &mut Reassembler, bytes: &[u8]) -> Result<Progress, ReassemblyError> {
    let frame = decode(bytes);
    let chunk = Reassembler::chunk_of(&frame)?.expect("the frame carries a chunk");
    reassembler.accept(&frame, chunk)
}

proptest! {
    #[test]
    fn interleaved_values_come_out_whole(
        lengths in vec(4097..20_000_usize, 1..4),
        part_bytes in 1000..4096_u32,
        order in vec(any::<prop::sample::Index>(), 100),
    ) {
        let values: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(n, &length)| vec![n as u8 + 1; length]).collect();
        let mut queues: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(n, value)| chunks(n as u64, value, part_bytes).into_iter())
            .collect();
        let mut reassembler = Reassembler::new(1 << 20, 4, 1 << 20);
        let mut whole = 0;
        let mut turn = order.iter().cycle();
        while whole < values.len() {
            let count = queues.len();
            let start = turn.next().unwrap().index(count);
            // A queue that is empty lets the next one go, so that every order ends.
            let next = (start..start + count).map(|k| k % count).find_map(|k| Some((k, queues[k].next()?)));
            let Some((n, bytes)) = next else { break };
            if let Progress::Whole(assembled) = feed(&mut reassembler, &bytes).unwrap() {
                let frame = assembled.frame();
                let read = Request::parse(&frame).unwrap();
                prop_assert_eq!(read, request(n as u64, Op::Set(set(&values[n]))));
                whole += 1;
            }
        }
        prop_assert_eq!(whole, values.len());
        prop_assert_eq!((reassembler.unfinished(), reassembler.bytes_claimed()), (0, 0));
    }

    #[test]
    fn parts_cover_the_value_exactly(total in 0..100_000_u32, part_bytes in 1..10_000_u32) {
        let parts: Vec<ValuePart> = split(total, part_bytes).collect();
        let mut due = 0;
        for (n, part) in parts.iter().enumerate() {
            prop_assert_eq!((part.offset, part.total), (due, total));
            prop_assert!(part.length <= part_bytes && (part.length > 0 || total == 0));
            prop_assert_eq!(part.has_more(), n + 1 < parts.len());
            prop_assert_eq!(part.chunk().is_some(), parts.len() > 1);
            due += part.length;
        }
        prop_assert_eq!(due, total);
    }
}

#[test]
fn a_response_in_chunks_grants_its_credit_once() {
    let value = vec![7; 10_000];
    let sent = Response {
        value: &value,
        value_crc32c: Some(checksum(&value)),
        metadata: b"a/b",
        credits: 3,
        ..Response::new(9, Status::Ok)
    };
    let mut reassembler = Reassembler::new(1 << 20, 4, 1 << 20);
    let mut last = None;
    for part in split(10_000, 4096) {
        let mut bytes = Vec::new();
        sent.encode_head(dialect(), part, &mut bytes);
        bytes.extend_from_slice(&value[part.range()]);
        last = Some(feed(&mut reassembler, &bytes).unwrap());
    }
    let Some(Progress::Whole(assembled)) = last else { panic!("not whole") };
    assert_eq!(Response::parse(&assembled.frame()).unwrap(), sent);
    assert_eq!(assembled.into_value(), value);
}

#[test]
fn bounds_and_disorder_are_refused_and_the_rest_is_skipped() {
    let value = vec![1; 9000];
    let parts = chunks(1, &value, 4096);
    let mut small = Reassembler::new(8999, 4, 1 << 20);
    assert_eq!(feed(&mut small, &parts[0]), Err(ReassemblyError::TooLarge { total: 9000, limit: 8999 }));
    assert_eq!(feed(&mut small, &parts[1]), Ok(Progress::Skipped));
    assert_eq!(feed(&mut small, &parts[2]), Ok(Progress::Skipped));
    assert_eq!(feed(&mut small, &parts[1]).unwrap_err().name(), "chunk_out_of_order", "the id is free again");

    let mut crowded = Reassembler::new(1 << 20, 1, 1 << 20);
    assert_eq!(feed(&mut crowded, &parts[0]), Ok(Progress::Partial));
    assert_eq!(feed(&mut crowded, &chunks(2, &value, 4096)[0]), Err(ReassemblyError::Busy));
    let mut tight = Reassembler::new(1 << 20, 4, 17_999);
    assert_eq!(feed(&mut tight, &parts[0]), Ok(Progress::Partial));
    assert_eq!(feed(&mut tight, &chunks(2, &value, 4096)[0]), Err(ReassemblyError::Busy));
    assert_eq!(ReassemblyError::Busy.answer(), Some(Status::Busy));

    let cases: &[(&[usize], &str)] = &[(&[0, 0], "chunk_out_of_order"), (&[0, 2], "chunk_out_of_order")];
    for (order, name) in cases {
        let mut reassembler = Reassembler::new(1 << 20, 4, 1 << 20);
        let error = order.iter().find_map(|&n| feed(&mut reassembler, &parts[n]).err()).unwrap();
        assert_eq!((error.name(), error.answer()), (*name, None));
        assert_eq!((reassembler.unfinished(), reassembler.bytes_claimed()), (0, 0), "nothing is kept after an error");
    }

    let mut reassembler = Reassembler::new(1 << 20, 4, 1 << 20);
    feed(&mut reassembler, &parts[0]).unwrap();
    reassembler.discard(1);
    assert_eq!(reassembler.bytes_claimed(), 0);
    assert_eq!(feed(&mut reassembler, &parts[1]), Ok(Progress::Skipped));
    assert_eq!(feed(&mut reassembler, &parts[2]), Ok(Progress::Skipped));
}

#[test]
fn contradictions_and_wrong_bytes_are_noticed() {
    let value = vec![1; 9000];
    let parts = chunks(1, &value, 4096);
    let longer = chunks(1, &vec![1; 9001], 4096);
    let mut reassembler = Reassembler::new(1 << 20, 4, 1 << 20);
    feed(&mut reassembler, &parts[0]).unwrap();
    assert_eq!(feed(&mut reassembler, &longer[1]), Err(ReassemblyError::Contradiction));

    let mut damaged = parts[1].clone();
    *damaged.last_mut().unwrap() ^= 1;
    let mut reassembler = Reassembler::new(1 << 20, 4, 1 << 20);
    feed(&mut reassembler, &parts[0]).unwrap();
    feed(&mut reassembler, &damaged).unwrap();
    assert_eq!(feed(&mut reassembler, &parts[2]), Err(ReassemblyError::Corrupt));
    assert_eq!(ReassemblyError::Corrupt.answer(), Some(Status::Corrupt));
}
