//! What of a scenario says which keys are asked for, what is stored under them, and what is done with them.
//!
//! **Not** drawing, reading or writing any of it: `choice`, `trace` and `values` do.
//!
//! **Invariants**: what `check` lets pass can be asked for; an error names the key and the remedy.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::protocol::key::{NAME_BYTES_MAX, NAME_BYTES_MIN};
use perf_basis::random::mixed;
use perf_basis::sizes::Sizes;
use perf_basis::trace::format::Format;

/// Largest value, as the product takes it.
pub(super) const VALUE_BYTES_MAX: usize = 64 << 20;

/// Which keys are asked for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Keys {
    /// How many there are, numbered from 0.
    pub(crate) count: u64,
    /// Shortest and longest name that stands for a number, instead of its digits.
    pub(crate) bytes: Option<[usize; 2]>,
    pub(crate) choose: Choose,
    /// Exponent of `zipf`.
    pub(crate) exponent: f64,
    /// Share of the keys that is hot, and share of the requests that goes there: for `hot`.
    pub(crate) hot_keys: f64,
    pub(crate) hot_requests: f64,
    /// Recorded requests whose keys are asked for in their order, instead of all that is above.
    pub(crate) trace: Option<PathBuf>,
    /// How they are written.
    pub(crate) format: Option<Format>,
    /// Share of the keys that are not in the store when a run begins; another run asks for others in their place.
    pub(crate) absent: f64,
    /// Which run this is, from 0: `coreperf peers` counts.
    pub(crate) run: u32,
}

/// How a key is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Choose {
    /// All alike.
    #[default]
    Uniform,
    /// By Zipf's law; key 0 is asked for most.
    Zipf,
    /// A part of the keys gets a part of the requests.
    Hot,
    /// One after the other, round and round.
    Turn,
}

/// What is stored under them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ValueOptions {
    /// Bytes of a value, if all have the same.
    pub(crate) bytes: usize,
    /// Sizes with their weights, instead: `[[128, 9], [4096, 1]]`.
    pub(crate) sizes: Vec<(usize, f64)>,
    /// A histogram of sizes, instead.
    pub(crate) histogram: Option<PathBuf>,
    /// The sizes that the trace tells, instead.
    pub(crate) from_trace: bool,
    /// Times to live with their weights: `[["60s", 9], ["none", 1]]`.
    pub(crate) ttls: Vec<(Ttl, f64)>,
    /// Whether every key is written before the run.
    pub(crate) fill: bool,
    /// Whether it is asked for instead: of a cache in front of an origin that has all of them.
    pub(crate) fill_by_get: bool,
}

/// Shares of the operations; only their ratio counts.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OperationMix {
    pub(crate) get: f64,
    pub(crate) put: f64,
    pub(crate) delete: f64,
    /// Of HTTP: GETs with `If-None-Match`, HEADs, and GETs of a part. Key-value servers are asked for the whole value instead.
    pub(crate) conditional: f64,
    pub(crate) head: f64,
    pub(crate) range: f64,
    /// Whether a GET that is answered 404 is followed by a PUT of its key, which is none of the shares.
    pub(crate) fill_misses: bool,
}

/// Who asks; of HTTP.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Clients {
    /// Clients with heads of their own, browsers and libraries in turn; 0: heads with `Host` alone.
    pub(crate) count: usize,
    /// Whether each request of a connection is from another client, as behind a proxy; else a connection is one client's.
    pub(crate) mixed: bool,
}

/// Sets the lot for keys that are absent apart from that for their names and sizes.
const ABSENT_SEED: u64 = 0xAB5E;

/// Clients at most: their heads should stay in the generator's cache.
const CLIENTS_MAX: usize = 1024;

/// A time to live in whole seconds, as `Cache-Control: max-age` carries it; 0: none of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Ttl(pub(crate) u32);

/// How a scenario writes the time to live of a value that has none.
const NO_TTL: &str = "none";

impl TryFrom<String> for Ttl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const REMEDY: &str = "write a time to live as \"60s\" or \"1h\", or \"none\"";
        if text == NO_TTL {
            return Ok(Self(0));
        }
        let duration = humantime::parse_duration(&text).map_err(|error| format!("{text}: {error}; {REMEDY}"))?;
        let seconds = u32::try_from(duration.as_secs()).ok().filter(|seconds| *seconds > 0);
        let whole = seconds.filter(|_| duration.subsec_nanos() == 0);
        whole.map(Self).ok_or_else(|| format!("{text}: it is 1 to {} whole seconds; {REMEDY}", u32::MAX))
    }
}

impl From<Ttl> for String {
    fn from(ttl: Ttl) -> Self {
        match ttl.0 {
            0 => NO_TTL.to_owned(),
            seconds => humantime::format_duration(Duration::from_secs(seconds.into())).to_string(),
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            count: 1,
            bytes: None,
            choose: Choose::Uniform,
            exponent: 0.99,
            hot_keys: 0.1,
            hot_requests: 0.9,
            trace: None,
            format: None,
            absent: 0.0,
            run: 0,
        }
    }
}

impl Default for ValueOptions {
    fn default() -> Self {
        Self {
            bytes: 128,
            sizes: Vec::new(),
            histogram: None,
            from_trace: false,
            ttls: Vec::new(),
            fill: false,
            fill_by_get: false,
        }
    }
}

impl Default for OperationMix {
    fn default() -> Self {
        Self { get: 1.0, put: 0.0, delete: 0.0, conditional: 0.0, head: 0.0, range: 0.0, fill_misses: false }
    }
}

impl Keys {
    /// Whether one key is all there is.
    pub(crate) const fn is_one(&self) -> bool {
        self.count == 1 && self.trace.is_none()
    }

    /// Whether a key drawn from `0..count` is one of those that are not in the store. It is so in every run.
    #[inline]
    pub(super) fn is_absent(&self, drawn: u64) -> bool {
        self.absent > 0.0 && (mixed(drawn ^ ABSENT_SEED) as f64) < self.absent * u64::MAX as f64
    }

    /// The number under which a drawn key is asked for: an absent one has another in each run.
    #[inline]
    pub(super) fn number(&self, drawn: u64) -> u64 {
        if self.is_absent(drawn) { drawn + self.count * (1 + u64::from(self.run)) } else { drawn }
    }

    pub(super) fn check(&self) -> Result<()> {
        ensure!(self.count > 0, "keys.count = 0: there is at least one key");
        if let Some([shortest, longest]) = self.bytes {
            ensure!(
                NAME_BYTES_MIN <= shortest && shortest <= longest && longest <= NAME_BYTES_MAX,
                "keys.bytes = [{shortest}, {longest}]: the shortest and the longest, from {NAME_BYTES_MIN} to {NAME_BYTES_MAX}"
            );
        }
        ensure!(self.exponent > 0.0, "keys.exponent = {}: it is above 0", self.exponent);
        let shares =
            [("keys.hot_keys", self.hot_keys), ("keys.hot_requests", self.hot_requests), ("keys.absent", self.absent)];
        for (name, share) in shares {
            ensure!((0.0..=1.0).contains(&share), "{name} = {share}: it is a share, from 0 to 1");
        }
        ensure!(
            self.trace.is_some() == self.format.is_some(),
            "keys.trace and keys.format belong together: the file, and how its requests are written"
        );
        ensure!(
            self.trace.is_none() || self.count == 1 && self.choose == Choose::Uniform,
            "keys.trace says which keys there are and how they follow each other: remove keys.count and keys.choose"
        );
        ensure!(
            self.absent == 0.0 || self.trace.is_none() && self.count > 1,
            "keys.absent is a share of keys.count, which is above 1: a trace says itself what comes for the first time"
        );
        Ok(())
    }
}

impl ValueOptions {
    /// Whether all have the same size.
    pub(crate) const fn are_alike(&self) -> bool {
        self.sizes.is_empty() && self.histogram.is_none() && !self.from_trace
    }

    /// Bytes of the largest, as far as the scenario says.
    pub(crate) fn largest(&self) -> Result<usize> {
        if let Some(path) = &self.histogram {
            return Ok(Sizes::read(path)?.largest() as usize);
        }
        Ok(self.sizes.iter().map(|(bytes, _)| *bytes).chain([self.bytes]).max().unwrap_or_default())
    }

    pub(super) fn check(&self, keys: &Keys) -> Result<()> {
        for bytes in self.sizes.iter().map(|(bytes, _)| *bytes).chain([self.bytes]) {
            ensure!(bytes <= VALUE_BYTES_MAX, "values: {bytes} bytes; a value has up to {VALUE_BYTES_MAX}");
        }
        let weigh = |weight: f64| weight.is_finite() && weight > 0.0;
        ensure!(self.sizes.iter().all(|(_, weight)| weigh(*weight)), "values.sizes: every weight is above 0");
        ensure!(self.ttls.iter().all(|(_, weight)| weigh(*weight)), "values.ttls: every weight is above 0");
        let sources = [!self.sizes.is_empty(), self.histogram.is_some(), self.from_trace];
        ensure!(
            sources.iter().filter(|is_given| **is_given).count() <= 1,
            "values.sizes, values.histogram and values.from_trace each say how large values are: keep one of them"
        );
        ensure!(
            !self.from_trace || keys.format.is_some_and(Format::has_sizes),
            "values.from_trace: the sizes are those of keys.trace, and only traces with keys.format = \"oracle\" tell \
             any; give values.bytes, values.sizes or values.histogram instead"
        );
        Ok(())
    }
}

impl Clients {
    pub(super) fn check(self) -> Result<()> {
        ensure!(self.count <= CLIENTS_MAX, "clients.count = {}: at most {CLIENTS_MAX}", self.count);
        Ok(())
    }
}

impl OperationMix {
    pub(super) fn check(self) -> Result<()> {
        let shares = [self.get, self.put, self.delete, self.conditional, self.head, self.range];
        ensure!(
            shares.iter().all(|share| share.is_finite() && *share >= 0.0) && shares.iter().sum::<f64>() > 0.0,
            "mix: shares are 0 or more, and one of them is above 0"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::scenario::Scenario;
    use super::*;

    fn parse(more: &str) -> Result<Scenario> {
        Scenario::parse(&format!("url = \"http://127.0.0.1:1/{{key}}\"\n{more}"))
    }

    #[test]
    fn times_to_live_come_back_as_they_were_written() {
        let scenario = parse("[values]\nttls = [[\"60s\", 9], [\"1h\", 0.5], [\"none\", 1]]\n").unwrap();
        assert_eq!(scenario.values.ttls, [(Ttl(60), 9.0), (Ttl(3600), 0.5), (Ttl(0), 1.0)]);
        let json = serde_json::to_string(&scenario).unwrap();
        let told: Scenario = serde_json::from_str(&json).unwrap();
        assert_eq!(told.values.ttls, scenario.values.ttls, "{json}");
    }

    /// A tenth is absent; in every run the same keys are, and each run asks for numbers that no other has asked for.
    #[test]
    fn absent_keys_are_new_in_every_run() {
        let keys = |run| Keys { count: 100_000, absent: 0.1, run, ..Keys::default() };
        let numbers = |run| (0..100_000).map(|drawn| keys(run).number(drawn)).collect::<HashSet<_>>();
        let runs = [0, 1, 7].map(numbers);
        let present = (0..100_000).filter(|drawn| !keys(3).is_absent(*drawn)).count();
        assert!((89_500..90_500).contains(&present), "{present} of 90,000");
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            assert_eq!(runs[one].len(), 100_000);
            assert_eq!(runs[one].intersection(&runs[other]).count(), present);
        }
        assert!((0..1_000).all(|drawn| Keys::default().number(drawn) == drawn));
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        for (text, expected) in [
            ("[keys]\ntrace = \"t\"\n", "keys.format"),
            ("[keys]\nformat = \"text\"\n", "keys.trace"),
            ("[keys]\ntrace = \"t\"\nformat = \"csv\"\n", "line 4"),
            ("[keys]\ntrace = \"t\"\nformat = \"csv\"\n", "oracle"),
            ("[keys]\ntrace = \"t\"\nformat = \"text\"\ncount = 7\n", "remove keys.count"),
            ("[keys]\ntrace = \"t\"\nformat = \"text\"\nchoose = \"zipf\"\n", "keys.choose"),
            ("[keys]\ntrace = \"t\"\nformat = \"text\"\nabsent = 0.1\n", "keys.absent"),
            ("[keys]\ncount = 9\nabsent = 1.5\n", "keys.absent"),
            ("[keys]\ncount = 2\nbytes = [8, 60]\n", "keys.bytes"),
            ("[keys]\ncount = 2\nbytes = [40, 24]\n", "the shortest and the longest"),
            ("[clients]\ncount = 5000\n", "clients.count"),
            ("[mix]\nhead = -1\n", "shares are 0 or more"),
            ("[values]\nfrom_trace = true\n", "keys.trace"),
            ("[keys]\ntrace = \"t\"\nformat = \"arc\"\n[values]\nfrom_trace = true\n", "\"oracle\""),
            ("[values]\nhistogram = \"h\"\nsizes = [[1, 1]]\n", "keep one"),
            ("[values]\nsizes = [[1, inf]]\n", "every weight"),
            ("[values]\nttls = [[\"500ms\", 1]]\n", "whole seconds"),
            ("[values]\nttls = [[\"60\", 1]]\n", "60s"),
            ("[values]\nttls = [[\"60s\", 0]]\n", "every weight"),
            ("[mix]\nfill_misses = true\n", "[200, 201, 204, 404]"),
        ] {
            let error = format!("{:#}", parse(text).expect_err(text));
            assert!(error.contains(expected), "{text}: {error}");
        }
        let trace = "url = \"http://127.0.0.1:1/\"\n[keys]\ntrace = \"t\"\nformat = \"text\"\n";
        assert!(format!("{:#}", Scenario::parse(trace).unwrap_err()).contains("{key}"));
    }
}
