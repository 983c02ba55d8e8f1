//! When requests are due: instants fixed beforehand, whatever the server does with earlier ones.
//!
//! **Not** a clock: it says when, others look whether it is time.
//!
//! **Invariants**: instants never go back; their mean distance is 1 / rate.
//!
//! **Source**: Schroeder, Wierman, Harchol-Balter, "Open versus closed: a cautionary tale", NSDI 2006.

use reactor::Random;

use super::scenario::Arrivals;

const NANOS_PER_SECOND: f64 = 1e9;

/// An endless sequence of instants, in nanoseconds.
#[derive(Debug)]
pub(super) struct Pacer {
    arrivals: Arrivals,
    gap_ns: f64,
    random: Random,
    /// Kept as a fraction: at a million a second, whole nanoseconds would be off by a part in a thousand.
    next_ns: f64,
    start_ns: u64,
}

impl Pacer {
    /// Instants from `start_ns` on, `rate` a second.
    pub(super) fn new(arrivals: Arrivals, rate: f64, start_ns: u64, seed: u64) -> Self {
        assert!(rate > 0.0, "a scenario's rate is checked");
        let mut pacer =
            Self { arrivals, gap_ns: NANOS_PER_SECOND / rate, random: Random::new(seed), next_ns: 0.0, start_ns };
        // Cores that start together must not send together.
        pacer.next_ns = pacer.gap_ns * pacer.unit();
        pacer
    }

    /// The next instant.
    #[inline]
    pub(super) fn due_ns(&self) -> u64 {
        self.start_ns + self.next_ns as u64
    }

    /// Goes on to the one after it.
    #[inline]
    pub(super) fn advance(&mut self) {
        self.next_ns += match self.arrivals {
            Arrivals::Uniform => self.gap_ns,
            Arrivals::Poisson => -self.unit().ln() * self.gap_ns,
        };
    }

    /// A number above 0, at most 1.
    fn unit(&mut self) -> f64 {
        ((self.random.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(arrivals: Arrivals, rate: f64, count: usize) -> Vec<f64> {
        let mut pacer = Pacer::new(arrivals, rate, 1 << 40, 7);
        let mut instants = Vec::new();
        for _ in 0..=count {
            instants.push(pacer.due_ns());
            pacer.advance();
        }
        instants.windows(2).map(|pair| (pair[1].checked_sub(pair[0]).expect("they never go back")) as f64).collect()
    }

    #[test]
    fn uniform_gaps_are_alike_and_add_up() {
        for rate in [1.0, 333.0, 1_234_567.0] {
            let gaps = gaps(Arrivals::Uniform, rate, 10_000);
            assert!(gaps.iter().all(|gap| (gap - 1e9 / rate).abs() <= 1.0), "rate {rate}");
            let sum: f64 = gaps.iter().sum();
            assert!((sum - 1e13 / rate).abs() < 2.0, "rate {rate}: no drift");
        }
    }

    /// Exponential gaps: mean and standard deviation are the same, and 1/e of them are longer than the mean.
    #[test]
    fn poisson_gaps_are_exponential() {
        let (rate, count) = (50_000.0, 200_000);
        let gaps = gaps(Arrivals::Poisson, rate, count);
        let mean = gaps.iter().sum::<f64>() / count as f64;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count as f64).sqrt();
        let longer = gaps.iter().filter(|gap| **gap > mean).count() as f64 / count as f64;
        assert!((mean * rate / 1e9 - 1.0).abs() < 0.01, "mean {mean}");
        assert!((deviation / mean - 1.0).abs() < 0.02, "deviation {deviation}");
        assert!((longer - (-1.0f64).exp()).abs() < 0.01, "{longer} are longer than the mean");
    }
}
