//! What people see while a run goes on: a line a second.
//!
//! **Not** the result.

use std::io::{Write, stderr};

use super::outcome::TimelineSample;

/// Prints seconds as they pass.
#[derive(Default)]
pub(super) struct Live {
    has_headed: bool,
}

const HEAD: &str =
    "  second  phase        due/s     sent/s  answered/s    p50 us    p99 us  p99.9 us  failed  server us/req   hits %";

impl Live {
    /// Shows one second.
    pub(super) fn show(&mut self, elapsed_secs: f64, moment: &TimelineSample) {
        let mut out = stderr().lock();
        if !self.has_headed {
            let _ = writeln!(out, "{HEAD}");
            self.has_headed = true;
        }
        let line = line(elapsed_secs, moment);
        // Nobody to tell is no reason to stop measuring.
        let _ = writeln!(out, "{line}");
    }
}

fn line(elapsed_secs: f64, moment: &TimelineSample) -> String {
    let phase = if moment.measured { "measure" } else { "warm-up" };
    let cpu = moment.server_cpu_us_per_request.map_or("-".to_owned(), |us| format!("{us:.2}"));
    let hits = moment.hit_ratio.map_or("-".to_owned(), |ratio| format!("{:.2}", ratio * 100.0));
    format!(
        "{elapsed_secs:>8.0}  {phase:<7} {:>10} {:>10} {:>11} {:>9.1} {:>9.1} {:>9.1} {:>7} {cpu:>14} {hits:>8}",
        moment.due, moment.sent, moment.answered, moment.p50_us, moment.p99_us, moment.p999_us, moment.failed
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_heads() {
        let moment = TimelineSample {
            measured: true,
            due: 1_000_000,
            sent: 999_999,
            answered: 999_998,
            failed: 1,
            p50_us: 21.5,
            p99_us: 310.0,
            p999_us: 1_234.5,
            server_cpu_us_per_request: Some(3.25),
            hit_ratio: Some(0.987),
            ..TimelineSample::default()
        };
        let line = line(12.0, &moment);
        for (word, under) in [("1000000", "due/s"), ("310.0", "p99 us"), ("3.25", "server us/req"), ("98.70", "hits %")]
        {
            let end = |text: &str, of: &str| text.find(of).map(|at| at + of.len());
            assert_eq!(end(&line, word), end(HEAD, under), "{word}\n{HEAD}\n{line}");
        }
    }
}
