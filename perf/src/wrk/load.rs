//! One run of wrk: 64 connections from the client CPU, its output read and checked.
//!
//! **Not**: an open loop. wrk sends the next request when the answer to the last one is there, so that its latencies
//! hide what waits; they are not used.
//!
//! **Invariants**: a run with a refused request or a broken connection gives no figures, only why.
//!
//! **Source**: wrk 4.1 (output format, `wrk.format`, `init` and `request` of a script).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::servers::{KEY_COUNT, KEY_PATH, Rig};
use crate::system::child::Child;
use crate::system::cpu::CpuTime;

/// Connections of every load, as the gates state.
pub(crate) const CONNECTIONS: usize = 64;

/// Requests sent at once on a connection by the pipelined load, as the gates state.
pub(crate) const PIPELINE_DEPTH: usize = 16;

/// What wrk needs beyond the duration it is given: starting, connecting, and its default timeout of 2 s.
const OVERTIME: Duration = Duration::from_secs(15);

/// What the requests of a run are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requests {
    /// One GET after the other, all of one key.
    Single,
    /// GETs of one key, 16 at once.
    Pipelined,
    /// One GET after the other, 1000 keys in turn.
    RoundRobin,
}

impl Requests {
    /// The script that makes wrk send them, if it needs one.
    fn script(self) -> Option<String> {
        match self {
            Self::Single => None,
            Self::Pipelined => Some(format!(
                "init = function(args)\n  local all = {{}}\n  \
                 for i = 1, {PIPELINE_DEPTH} do all[i] = wrk.format(\"GET\") end\n  \
                 batch = table.concat(all)\nend\nrequest = function() return batch end\n"
            )),
            // Formatted beforehand: the client's CPU is the one that has none to spare.
            Self::RoundRobin => Some(format!(
                "local all, n = {{}}, 0\ninit = function(args)\n  \
                 for i = 1, {KEY_COUNT} do all[i] = wrk.format(\"GET\", \"{KEY_PATH}\" .. (i - 1)) end\nend\n\
                 request = function() n = n % {KEY_COUNT} + 1; return all[n] end\n"
            )),
        }
    }
}

/// What one valid run of wrk reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// Requests answered.
    pub(crate) requests: u64,
    /// Requests answered per second, as wrk computes it.
    pub(crate) requests_per_second: f64,
    /// CPU time of wrk, as last seen before it ended.
    pub(crate) client: CpuTime,
}

/// Loads the server at `address` for `duration`. The inner error says why the run is not valid.
///
/// # Errors
/// wrk could not be run or understood.
pub(crate) fn run(
    rig: &Rig,
    requests: Requests,
    address: SocketAddr,
    duration: Duration,
) -> Result<Result<Outcome, String>> {
    let mut command = Command::new("taskset");
    command.args(["-c", &rig.client_cpu.to_string(), "wrk", "-t1"]);
    command.args([format!("-c{CONNECTIONS}"), format!("-d{}s", duration.as_secs())]);
    if let Some(script) = script_file(rig, requests)? {
        command.arg("-s").arg(script);
    }
    command.arg(format!("http://{address}{KEY_PATH}"));

    let mut child = Child::start(&mut command, &rig.scratch.path("wrk.log"))?;
    let mut client = CpuTime::default();
    let status = rig.stop.until(duration + OVERTIME, || {
        // The kernel forgets it with the process; what is lost after the last look is milliseconds.
        client = CpuTime::of_process(child.id()).unwrap_or_default().later(client);
        child.exited()
    });
    rig.stop.check()?;
    match status {
        Some(status) if status.success() => Ok(parse(&child.output())?.map(|outcome| Outcome { client, ..outcome })),
        Some(status) => bail!("wrk failed ({status}):\n{}", child.output_end()),
        None => bail!("wrk did not end within {} s", (duration + OVERTIME).as_secs()),
    }
}

fn script_file(rig: &Rig, requests: Requests) -> Result<Option<PathBuf>> {
    requests.script().map(|text| rig.scratch.write(&format!("{requests:?}.lua"), &text)).transpose()
}

fn parse(output: &str) -> Result<Result<Outcome, String>> {
    let lines: Vec<&str> = output.lines().map(str::trim).collect();
    let complaint = |start: &str| lines.iter().find(|line| line.starts_with(start));
    if let Some(why) = complaint("Socket errors:").or_else(|| complaint("Non-2xx or 3xx responses:")) {
        return Ok(Err((*why).to_owned()));
    }
    let total = lines.iter().find_map(|line| line.split_once(" requests in ")?.0.parse().ok());
    let rate = lines.iter().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
    let (Some(requests), Some(requests_per_second)) = (total, rate) else {
        return Err(anyhow::anyhow!(output.trim().to_owned())).context("the output of wrk is not understood");
    };
    if requests == 0 {
        return Ok(Err("no request was answered".to_owned()));
    }
    Ok(Ok(Outcome { requests, requests_per_second, client: CpuTime::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "Running 3s test @ http://127.0.0.1:8080/v1/kv/default/k
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   523.11us  101.23us   3.10ms   88.50%
    Req/Sec   121.10k     3.02k  125.60k    70.00%
  361234 requests in 3.00s, 89.10MB read
";

    #[test]
    fn figures_come_from_a_clean_run_only() {
        let rate = "Requests/sec: 120400.51\nTransfer/sec:     29.70MB\n";
        let outcome = parse(&format!("{OUTPUT}{rate}")).expect("it is wrk's output").expect("the run is valid");
        assert_eq!(outcome, Outcome { requests: 361_234, requests_per_second: 120_400.51, client: CpuTime::default() });
        for why in ["Socket errors: connect 0, read 0, write 0, timeout 3", "Non-2xx or 3xx responses: 17"] {
            let output = format!("{OUTPUT}  {why}\n{rate}");
            assert_eq!(parse(&output).expect("it is wrk's output"), Err(why.to_owned()));
        }
        let silent = format!("{}{rate}", OUTPUT.replace("361234", "0"));
        assert!(parse(&silent).expect("it is wrk's output").is_err());
    }

    #[test]
    fn other_output_is_not_guessed_at() {
        for output in ["", OUTPUT, "Requests/sec: 120400.51\n", "unable to connect to 127.0.0.1:1"] {
            assert!(parse(output).is_err(), "{output}");
        }
    }

    #[test]
    fn scripts_send_what_the_gates_state() {
        assert_eq!(Requests::Single.script(), None);
        assert!(Requests::Pipelined.script().expect("pipelining needs one").contains("for i = 1, 16 do"));
        assert!(Requests::RoundRobin.script().expect("keys in turn need one").contains("for i = 1, 1000 do"));
    }
}
