//! A scenario: what is asked of whom, how often, for how long, and what a right answer is.
//!
//! **Not** a measurement: nothing here touches the network. Every key is documented in docs/perf-scenarios.md.
//!
//! **Invariants**: a scenario that [`Scenario::parse`] returns can be run as it is; an error names file, line and remedy.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::protocol::{LoadTarget, Scheme, relocated};
pub(crate) use super::workload::{Choose, Clients, Keys, OperationMix, ValueOptions};

/// Connections of a scenario at most: what the ports of one client address allow.
const CONNECTIONS_MAX: usize = 60_000;

/// Requests under way on one connection at most: their answers must fit what is kept of them.
const PIPELINE_MAX: usize = 1024;

/// The key of what the web asks, wherever it is.
const WEB_KEY: &str = "redis://127.0.0.1/{key}";

/// The status of a GET whose key is not there.
pub(super) const MISS: u16 = 404;

/// What a file of `perf/scenarios` says.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it shows, in one line.
    #[serde(default)]
    pub(crate) title: String,
    /// Where the requests go, and in which protocol: `http://HOST:PORT/PATH`, `redis://`, `memcached://`, `shard://`; with
    /// `{key}` where the number of the key belongs.
    pub(crate) url: String,
    /// Requests per second that are due, whatever the server does. Left out: a closed loop.
    pub(crate) rate: Option<f64>,
    #[serde(default)]
    pub(crate) arrivals: Arrivals,
    #[serde(default = "default_connections")]
    pub(crate) connections: usize,
    /// Requests under way on a connection at most.
    #[serde(default = "default_pipeline")]
    pub(crate) pipeline: usize,
    #[serde(with = "humantime_text", default = "default_warmup")]
    pub(crate) warmup: Duration,
    #[serde(with = "humantime_text", default = "default_duration")]
    pub(crate) duration: Duration,
    /// How long an answer may take; then it counts as an error, and its connection is closed.
    #[serde(with = "humantime_text", default = "default_timeout")]
    pub(crate) timeout: Duration,
    /// CPUs of the generator, a core each. Left out: the last CPU of the host.
    #[serde(default)]
    pub(crate) cpus: Vec<usize>,
    /// Seed of all that is drawn by lot.
    #[serde(default = "default_seed")]
    pub(crate) seed: u64,
    #[serde(default)]
    pub(crate) keys: Keys,
    #[serde(default)]
    pub(crate) values: ValueOptions,
    #[serde(default)]
    pub(crate) mix: OperationMix,
    #[serde(default)]
    pub(crate) clients: Clients,
    #[serde(default)]
    pub(crate) expect: Expect,
    #[serde(default)]
    pub(crate) bounds: ErrorBounds,
}

/// How the instants at which requests are due follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arrivals {
    /// As independent users come: exponential gaps.
    #[default]
    Poisson,
    /// All the same distance apart.
    Uniform,
}

/// What a right answer is.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Expect {
    /// Status codes that are no error.
    pub(crate) status: Vec<u16>,
    pub(crate) body: ExpectedBody,
}

/// What the body of an answer to GET must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ExpectedBody {
    /// The value that was stored under the key, byte by byte, if the status is 200.
    Value,
    /// As long as the value, whatever it is: for servers that were filled by others.
    Length,
    /// Anything.
    #[default]
    Any,
}

/// What a run may show and still be valid.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ErrorBounds {
    /// Share of requests that may fail.
    pub(crate) errors: f64,
}

impl Default for Expect {
    fn default() -> Self {
        Self { status: vec![200], body: ExpectedBody::Any }
    }
}

impl Default for ErrorBounds {
    fn default() -> Self {
        Self { errors: 0.0 }
    }
}

const fn default_connections() -> usize {
    64
}

const fn default_pipeline() -> usize {
    1
}

const fn default_warmup() -> Duration {
    Duration::from_secs(2)
}

const fn default_duration() -> Duration {
    Duration::from_secs(10)
}

const fn default_timeout() -> Duration {
    Duration::from_secs(2)
}

const fn default_seed() -> u64 {
    1
}

/// Durations as `"10s"`, `"500ms"`.
mod humantime_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|error| D::Error::custom(format!("{error}; write it as \"10s\"")))
    }

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&humantime::format_duration(*duration).to_string())
    }
}

impl Scenario {
    /// Reads a scenario from a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("{} could not be read", path.display()))?;
        let mut scenario = Self::parse(&text).with_context(|| format!("{} is no scenario", path.display()))?;
        // So that a scenario and its files can be moved together. A path that is absolute stays as it is.
        let folder = path.parent().unwrap_or(Path::new(""));
        let files = scenario.keys.trace.iter_mut().chain(&mut scenario.values.histogram);
        files.for_each(|file| *file = folder.join(&*file));
        Ok(scenario)
    }

    /// Reads a scenario from text.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let scenario: Self = toml::from_str(text)?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Whether what was changed after the file was read still makes sense.
    pub(crate) fn check(&self) -> Result<()> {
        let within = |what: &str, value: usize, max: usize| {
            ensure!((1..=max).contains(&value), "{what} = {value}: it lies between 1 and {max}");
            Ok(())
        };
        within("connections", self.connections, CONNECTIONS_MAX)?;
        within("pipeline", self.pipeline, PIPELINE_MAX)?;
        if let Some(rate) = self.rate {
            ensure!(rate.is_finite() && rate > 0.0, "rate = {rate}: it is a number of requests per second above 0");
        }
        ensure!(self.duration >= Duration::from_secs(1), "duration: it is at least 1s, as a window is");
        ensure!(!self.timeout.is_zero(), "timeout: it is above 0");
        let errors = self.bounds.errors;
        ensure!((0.0..=1.0).contains(&errors), "bounds.errors = {errors}: it is a share, from 0 to 1");
        self.keys.check()?;
        self.values.check(&self.keys)?;
        self.mix.check()?;
        self.clients.check()?;
        ensure!(!self.expect.status.is_empty(), "expect.status is empty: no answer would be right");
        ensure!(
            !self.mix.fill_misses || self.expect.status.contains(&MISS),
            "mix.fill_misses waits for answers 404, which expect.status has not: write [200, 201, 204, 404], or what the \
             server answers to GET and PUT"
        );
        let target = self.target()?;
        ensure!(
            target.has_key || self.keys.is_one(),
            "url has no {{key}}, but there are more keys than one: write {{key}} where the number belongs"
        );
        Ok(())
    }

    /// The same scenario, asked of another server in the same protocol.
    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        self.scheme().and_then(|scheme| self.spoken(scheme, address)).unwrap_or_else(|_| self.clone())
    }

    /// The same scenario, asked of another server in its protocol. Of what the web asks, a key-value server gets the key alone.
    pub(crate) fn spoken(&self, scheme: Scheme, address: SocketAddr) -> Result<Self> {
        let url = if self.is_web() && scheme.is_key_value() { WEB_KEY } else { &self.url };
        Ok(Self { url: relocated(url, scheme, address)?, ..self.clone() })
    }

    /// Whether it asks what the web asks: of HTTP, by many clients.
    pub(crate) fn is_web(&self) -> bool {
        self.clients.count > 0 && self.scheme().is_ok_and(|scheme| !scheme.is_key_value())
    }

    /// Whether some of its keys are not in the store when it begins, so that somebody behind the server is asked for them.
    pub(crate) fn is_cold(&self) -> bool {
        self.keys.absent > 0.0
    }

    /// The protocol that its URL names.
    pub(crate) fn scheme(&self) -> Result<Scheme> {
        Ok(Scheme::of(&self.url)?.0)
    }

    /// Where the requests go. Looks names up.
    pub(crate) fn target(&self) -> Result<LoadTarget> {
        LoadTarget::parse(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "url = \"http://127.0.0.1:8080/v1/kv/default/k\"\nrate = 1000\n";

    #[test]
    fn the_smallest_scenario_has_sane_defaults() {
        let scenario = Scenario::parse(SMALLEST).expect("it is right");
        assert_eq!((scenario.connections, scenario.pipeline, scenario.keys.count), (64, 1, 1));
        assert_eq!(scenario.duration, Duration::from_secs(10));
        let target = scenario.target().expect("it has an address");
        assert_eq!(target.address, "127.0.0.1:8080".parse().expect("an address"));
        assert_eq!(target.path, ("/v1/kv/default/k".to_owned(), String::new()));
    }

    #[test]
    fn a_key_has_its_place_in_the_path() {
        let text = "url = \"http://localhost:1/a{key}/b\"\n[keys]\ncount = 9\n";
        let target = Scenario::parse(text).and_then(|scenario| scenario.target()).expect("it is right");
        assert_eq!((target.path, target.has_key), (("/a".to_owned(), "/b".to_owned()), true));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("rate = 5\n", "url"),
            ("url = \"https://h/\"\n", "http://"),
            ("url = \"http://127.0.0.1:1/ a\"\n", "blank"),
            ("url = \"http://127.0.0.1:1/\"\nrate = -1\n", "rate"),
            ("url = \"http://127.0.0.1:1/\"\nduration = \"10\"\n", "10s"),
            ("url = \"http://127.0.0.1:1/\"\nconnexions = 1\n", "connexions"),
            ("url = \"http://127.0.0.1:1/\"\nconnections = 0\n", "connections"),
            ("url = \"http://127.0.0.1:1/\"\n[keys]\ncount = 2\n", "{key}"),
            ("url = \"http://127.0.0.1:1/\"\n[mix]\nget = 0\n", "mix"),
            ("url = \"http://127.0.0.1:1/\"\n[bounds]\nerrors = 2.0\n", "bounds.errors"),
        ];
        for (text, expected) in cases {
            let error = format!("{:#}", Scenario::parse(text).expect_err(text));
            assert!(error.contains(expected), "{text}: {error}");
        }
        let error =
            format!("{:#}", Scenario::parse("url = \"http://127.0.0.1:1/\"\nrate = \"x\"\n").expect_err("text"));
        assert!(error.contains("line 2"), "{error}");
    }
}
