//! Whatever records come, and however the wire is cut, the text is the same.

use proptest::prelude::*;

use super::super::forger::Forger;
use super::super::rig::AGREED;
use super::{client, open, seal, server, text};

#[derive(Debug, Clone)]
enum Step {
    Data(usize),
    Padded(usize, usize),
    Empty,
    KeyUpdate(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..600_usize).prop_map(Step::Data),
        1 => (4000..16_385_usize).prop_map(Step::Data),
        1 => (1..400_usize, 0..400_usize).prop_map(|(text, zeros)| Step::Padded(text, zeros)),
        1 => Just(Step::Empty),
        1 => any::<bool>().prop_map(Step::KeyUpdate),
    ];
    prop::collection::vec(step, 1..30)
}

fn send(forger: &mut Forger, step: &Step, is_13: bool, sent: &mut Vec<u8>) -> Vec<u8> {
    match *step {
        Step::Padded(length, zeros) if is_13 => {
            sent.extend(text(length));
            forger.inner(&[&text(length)[..], &[23], &vec![0; zeros]].concat())
        }
        Step::Data(length) | Step::Padded(length, _) => {
            sent.extend(text(length));
            forger.data(&text(length))
        }
        Step::KeyUpdate(is_requested) if is_13 => forger.key_update(is_requested),
        Step::Empty | Step::KeyUpdate(_) => forger.data(&[]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_split_gives_the_same_text(
        steps in steps(),
        agreed in 0..AGREED.len(),
        is_client in any::<bool>(),
        lengths in prop::collection::vec(prop_oneof![1..40_usize, 1..20_000_usize], 0..40),
    ) {
        let connect = if is_client { client } else { server };
        let (mut layer, mut forger) = connect(AGREED[agreed]);
        let mut sent = Vec::new();
        let wire: Vec<u8> = steps.iter().flat_map(|step| send(&mut forger, step, agreed < 3, &mut sent)).collect();
        let came = open(&mut layer, &wire, &lengths);
        prop_assert_eq!(came.fault, None);
        prop_assert_eq!(came.text, sent);
        prop_assert_eq!(layer.kept_bytes(), 0);
    }

    #[test]
    fn any_pieces_are_sealed_in_order(
        lengths in prop::collection::vec(prop_oneof![0..500_usize, 3000..5000_usize, 10_000..40_000_usize], 1..12),
        agreed in 0..AGREED.len(),
    ) {
        let (mut layer, mut forger) = server(AGREED[agreed]);
        let pieces: Vec<_> = lengths.iter().map(|&length| text(length)).collect();
        let wire = seal(&mut layer, &pieces.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let read: Vec<u8> = forger.read(&wire).into_iter().flat_map(|(_, text)| text).collect();
        prop_assert_eq!(read, pieces.concat());
    }
}
