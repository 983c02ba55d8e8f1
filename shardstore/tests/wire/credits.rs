//! Credits against a model that counts what is in flight.

use proptest::collection::vec;
use proptest::prelude::*;
use shardstore::wire::credits::{CREDIT_REQUESTS_MAX, Credits};

#[test]
fn a_request_waits_when_either_credit_is_spent() {
    let mut credits = Credits::granted(2, 1000);
    let first = credits.spend(900).unwrap();
    assert!(credits.spend(101).is_none(), "out of bytes");
    let second = credits.spend(100).unwrap();
    assert!(credits.spend(0).is_none(), "out of requests");
    credits.complete(first, 1);
    credits.refund(second);
    assert_eq!((credits.requests_free(), credits.bytes_free(), credits.requests_in_flight()), (2, 1000, 0));
    let large = credits.spend(5000).expect("alone, a request larger than the window goes");
    assert_eq!(credits.bytes_free(), 0);
    assert!(credits.spend(1).is_none());
    credits.complete(large, 0);
    assert_eq!(credits.requests_free(), 1, "a response that grants nothing shrinks the window");
    credits.grant_requests(u16::MAX);
    credits.grant_requests(u16::MAX);
    assert_eq!(credits.requests_free(), CREDIT_REQUESTS_MAX, "grants are bounded");
}

proptest! {
    #[test]
    fn it_does_what_the_model_does(steps in vec((0..4_u8, 0..2000_u32, any::<prop::sample::Index>()), 1..300)) {
        let (requests, window) = (5_u32, 4000_u64);
        let mut credits = Credits::granted(requests, window as u32);
        let mut free = requests;
        let mut in_flight = Vec::new();
        for (action, bytes, which) in steps {
            if action < 2 {
                let sum: u64 = in_flight.iter().map(|spent: &shardstore::wire::credits::Spent| u64::from(spent.bytes())).sum();
                let may = free > 0 && (sum == 0 || sum + u64::from(bytes) <= window);
                let spent = credits.spend(bytes);
                prop_assert_eq!(spent.is_some(), may);
                if let Some(spent) = spent {
                    free -= 1;
                    in_flight.push(spent);
                }
            } else if !in_flight.is_empty() {
                let spent = in_flight.swap_remove(which.index(in_flight.len()));
                free += 1;
                if action == 2 { credits.complete(spent, 1) } else { credits.refund(spent) }
            }
            prop_assert_eq!(credits.requests_free(), free);
            prop_assert_eq!(credits.requests_in_flight() as usize, in_flight.len());
        }
    }
}
