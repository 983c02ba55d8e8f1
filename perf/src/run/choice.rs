//! What the next request is: its operation, drawn by lot from a seed, and its key, drawn likewise or the next of a trace.
//!
//! **Invariants**: the seed fixes the sequence; a key lies in `0..count`, or is one of the trace's.
//!
//! **Source**: Hörmann, Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions",
//! ACM TOMACS 1996 (Zipf, by the crate rand_distr).

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_distr::{Distribution, Zipf};

use super::protocol::Ask;
use super::scenario::{Choose, Clients, Keys, OperationMix};
use super::trace::TraceCursor;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Get,
    Put,
    Delete,
}

/// How a GET asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadKind {
    /// For the whole value.
    Whole,
    /// For the value unless it is the one that the client has.
    Conditional,
    /// For what is told of the value.
    Head,
    /// For a part of the value.
    Range,
}

/// All that can be drawn, in the order of their shares.
const DRAWN: [(Operation, ReadKind); 6] = [
    (Operation::Get, ReadKind::Whole),
    (Operation::Get, ReadKind::Conditional),
    (Operation::Put, ReadKind::Whole),
    (Operation::Delete, ReadKind::Whole),
    (Operation::Get, ReadKind::Head),
    (Operation::Get, ReadKind::Range),
];

/// Draws requests.
pub(super) struct Choice {
    random: Xoshiro256PlusPlus,
    keys: Keys,
    /// The sums of the shares up to each of `DRAWN`, of 2^32.
    below: [u64; DRAWN.len()],
    clients: Clients,
    zipf: Option<Zipf<f64>>,
    turn: u64,
    /// Says which keys, if there is a trace.
    trace: Option<TraceCursor>,
}

const WHOLE: f64 = (1u64 << 32) as f64;

impl Choice {
    /// Draws from these keys by this mix, and from so many clients.
    pub(super) fn new(keys: &Keys, mix: OperationMix, clients: Clients, seed: u64) -> Self {
        let shares = [mix.get, mix.conditional, mix.put, mix.delete, mix.head, mix.range];
        let all: f64 = shares.iter().sum();
        let mut sum = 0.0;
        let below = shares.map(|share| {
            sum += share;
            (sum / all * WHOLE).round() as u64
        });
        let zipf = (keys.choose == Choose::Zipf)
            .then(|| Zipf::new(keys.count as f64, keys.exponent).expect("a scenario's keys are checked"));
        let random = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self { random, keys: keys.clone(), below, clients, zipf, turn: 0, trace: None }
    }

    /// Takes the keys of a trace instead.
    pub(super) fn following(self, trace: Option<TraceCursor>) -> Self {
        Self { trace, ..self }
    }

    /// The next request of a connection, but for what its key says of it.
    #[inline]
    pub(super) fn next(&mut self, connection: usize) -> Ask {
        let (operation, read) = self.operation();
        let mut ask = Ask { operation, read, ..Ask::of(self.key()) };
        let Clients { count, mixed } = self.clients;
        if count > 0 {
            ask.ids = self.random.next_u64();
            ask.client = (if mixed { ask.ids as usize } else { connection } % count) as u16;
        }
        ask
    }

    #[inline]
    fn operation(&mut self) -> (Operation, ReadKind) {
        if self.below[0] == WHOLE as u64 {
            return DRAWN[0];
        }
        let drawn = self.random.next_u64() >> 32;
        // The last of them ends at the whole.
        let index = self.below.iter().position(|below| drawn < *below).unwrap_or(0);
        DRAWN[index]
    }

    #[inline]
    fn key(&mut self) -> u64 {
        if let Some(trace) = &mut self.trace {
            return trace.next();
        }
        let count = self.keys.count;
        if count == 1 {
            return 0;
        }
        let drawn = match self.keys.choose {
            Choose::Uniform => self.random.random_range(0..count),
            Choose::Turn => {
                self.turn = (self.turn + 1) % count;
                self.turn
            }
            Choose::Hot => self.hot(),
            Choose::Zipf => {
                let zipf = self.zipf.as_ref().expect("made with the choice");
                // Ranks count from 1.
                (zipf.sample(&mut self.random) as u64).clamp(1, count) - 1
            }
        };
        self.keys.number(drawn)
    }

    fn hot(&mut self) -> u64 {
        let count = self.keys.count;
        let hot = ((count as f64 * self.keys.hot_keys) as u64).clamp(1, count);
        let is_hot = (self.random.next_u64() >> 32) < (self.keys.hot_requests * WHOLE) as u64;
        if is_hot || hot == count { self.random.random_range(0..hot) } else { self.random.random_range(hot..count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 200_000;

    fn counts(keys: &Keys) -> Vec<f64> {
        let mut choice = Choice::new(keys, OperationMix::default(), Clients::default(), 3);
        let mut counts = vec![0.0; keys.count as usize];
        for _ in 0..DRAWS {
            counts[choice.next(0).key as usize] += 1.0;
        }
        counts
    }

    #[test]
    fn keys_are_asked_for_as_said() {
        let keys = |choose| Keys { count: 100, choose, ..Keys::default() };
        let uniform = counts(&keys(Choose::Uniform));
        assert!(uniform.iter().all(|count| (count / 2_000.0 - 1.0).abs() < 0.15), "{uniform:?}");
        let turn = counts(&keys(Choose::Turn));
        assert!(turn.iter().all(|count| *count == 2_000.0));
        let hot: f64 = counts(&keys(Choose::Hot))[..10].iter().sum();
        assert!((hot / DRAWS as f64 - 0.9).abs() < 0.01, "{hot} hot");
        let zipf = counts(&keys(Choose::Zipf));
        for rank in [2.0f64, 5.0, 20.0] {
            let ratio = zipf[0] / zipf[rank as usize - 1];
            assert!((ratio / rank.powf(0.99) - 1.0).abs() < 0.1, "rank {rank}: {ratio}");
        }
    }

    #[test]
    fn operations_have_their_shares() {
        let mix = OperationMix {
            get: 85.0,
            conditional: 5.0,
            put: 6.0,
            delete: 1.0,
            head: 1.0,
            range: 2.0,
            ..OperationMix::default()
        };
        let mut choice = Choice::new(&Keys::default(), mix, Clients { count: 3, mixed: true }, 5);
        let drawn: Vec<Ask> = (0..DRAWS).map(|_| choice.next(7)).collect();
        let share = |is: &dyn Fn(&Ask) -> bool| drawn.iter().filter(|ask| is(ask)).count() as f64 / DRAWS as f64;
        for (expected, share) in DRAWN.into_iter().zip([0.85, 0.05, 0.06, 0.01, 0.01, 0.02]) {
            let found = drawn.iter().filter(|ask| (ask.operation, ask.read) == expected).count() as f64 / DRAWS as f64;
            assert!((found - share).abs() < 0.003, "{expected:?}: {found}");
        }
        for client in 0..3 {
            let found = share(&|ask| ask.client == client);
            assert!((found - 1.0 / 3.0).abs() < 0.01, "client {client}: {found}");
        }
        let mut alone = Choice::new(&Keys::default(), mix, Clients { count: 3, mixed: false }, 5);
        assert!((0..9).all(|connection| usize::from(alone.next(connection).client) == connection % 3));
        assert!(drawn.windows(2).all(|pair| pair[0].ids != pair[1].ids));
    }
}
