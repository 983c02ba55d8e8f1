//! wrk as the load generator of `peers`: closed loop, one thread, its output read and checked.
//!
//! **Not**: a latency measurement. wrk sends the next request when the answer to the last one is there, so that its latencies
//! hide what waits; they are not used.
//!
//! **Invariants**: a run with a refused request or a broken connection gives no figures, only why.
//!
//! **Source**: wrk 4.1 (output format, `wrk.format`, `init` and `request` of a script).

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::gates::WrkSample;
use crate::run::scenario::{Choose, Scenario};
use crate::servers::client::Client;
use crate::servers::{Server, TestBed};
use crate::system::child::Child;
use crate::system::cpu::CpuTime;

/// What wrk needs beyond the duration it is given: starting, connecting, and its default timeout of 2 s.
const OVERTIME: Duration = Duration::from_secs(15);

/// The paths that a scenario asks for, in turn.
///
/// # Errors
/// The operator's: wrk cannot do what the scenario says.
pub(super) fn paths(scenario: &Scenario) -> Result<Vec<String>> {
    let (mix, keys) = (&scenario.mix, &scenario.keys);
    let only_gets = mix.put + mix.delete + mix.conditional + mix.head + mix.range == 0.0 && !mix.fill_misses;
    let in_turn = keys.trace.is_none() && (keys.is_one() || keys.choose == Choose::Turn);
    ensure!(
        only_gets && in_turn && scenario.rate.is_none() && scenario.clients.count == 0,
        "wrk does nothing but GETs in a closed loop, of one key or of several in turn (keys.choose = \"turn\")"
    );
    let (before, after) = scenario.target()?.path;
    let key = |number| if keys.is_one() { String::new() } else { format!("{number}") };
    Ok((0..keys.count).map(|number| format!("{before}{}{after}", key(number))).collect())
}

/// Stores a value under each path.
///
/// # Errors
/// The server refused one.
pub(super) fn fill(server: &Server, paths: &[String], value_bytes: usize) -> Result<()> {
    let value = "x".repeat(value_bytes);
    let mut client = Client::connect(server.address).with_context(|| format!("{} is gone", server.name))?;
    for path in paths {
        let status = client.request("PUT", path, &value).with_context(|| format!("{}: PUT {path}", server.name))?;
        ensure!(matches!(status, 201 | 204), "{} answered a PUT of {path} with {status}", server.name);
    }
    Ok(())
}

/// Loads a server for the scenario's duration. The inner error says why the run is not valid.
///
/// # Errors
/// wrk could not be run or understood, or the server has ended.
pub(super) fn measure(
    bed: &TestBed,
    scenario: &Scenario,
    paths: &[String],
    server: &Server,
) -> Result<Result<WrkSample, String>> {
    let mut command = Command::new("taskset");
    command.args(["-c", &bed.client_cpu.to_string(), "wrk", "-t1"]);
    command.args([format!("-c{}", scenario.connections), format!("-d{}s", scenario.duration.as_secs())]);
    if let Some(script) = script(paths, scenario.pipeline) {
        command.arg("-s").arg(bed.scratch.write("wrk.lua", &script)?);
    }
    command.arg(format!("http://{}{}", server.address, paths[0]));
    let (before, began) = (server.cpu_time()?, Instant::now());
    let mut child = Child::start(&mut command, &bed.scratch.path("wrk.log"))?;
    let mut client = CpuTime::default();
    let limit = scenario.duration + OVERTIME;
    let status = bed.stop.until(limit, || {
        // The kernel forgets it with the process; what is lost after the last look is milliseconds.
        client = CpuTime::of_process(child.id()).unwrap_or_default().later(client);
        child.exited()
    });
    bed.stop.check()?;
    let Some(status) = status else { bail!("wrk did not end within {} s", limit.as_secs()) };
    ensure!(status.success(), "wrk failed ({status}):\n{}", child.output_end());
    let (time, elapsed) = (server.cpu_time()? - before, began.elapsed());
    let share = |part_ns: u64| part_ns as f64 / elapsed.as_nanos() as f64;
    Ok(match parse(&child.output())? {
        Ok((requests, rate)) => Ok(WrkSample {
            cpu_us: time.used_ns as f64 / 1e3 / requests as f64,
            rate,
            waited: share(time.waited_ns).max(share(client.waited_ns)),
        }),
        // Tells a server that hung from one that was kept from its CPU.
        Err(why) => {
            let percent = |part_ns| share(part_ns) * 100.0;
            let (used, waited) = (percent(time.used_ns), percent(time.waited_ns));
            Err(format!("{why}; the server used {used:.0} % of a CPU, and waited {waited:.0} % for one"))
        }
    })
}

/// The script that makes wrk send these, `depth` at once on a connection. One key, one at a time, takes none.
fn script(paths: &[String], depth: usize) -> Option<String> {
    let list = paths.iter().map(|path| format!("{path:?}")).collect::<Vec<_>>().join(",");
    // Formatted beforehand: the client's CPU is the one that has none to spare.
    (paths.len() > 1 || depth > 1).then(|| {
        format!(
            "local paths, all, n = {{{list}}}, {{}}, 0\ninit = function(args)\n  for i = 1, #paths do\n    \
             all[i] = string.rep(wrk.format(\"GET\", paths[i]), {depth})\n  end\nend\n\
             request = function() n = n % #all + 1; return all[n] end\n"
        )
    })
}

/// Requests that were answered, and how many a second, as wrk computes it.
fn parse(output: &str) -> Result<Result<(u64, f64), String>> {
    let lines: Vec<&str> = output.lines().map(str::trim).collect();
    let complaint = |start: &str| lines.iter().find(|line| line.starts_with(start));
    if let Some(why) = complaint("Socket errors:").or_else(|| complaint("Non-2xx or 3xx responses:")) {
        return Ok(Err((*why).to_owned()));
    }
    let total = lines.iter().find_map(|line| line.split_once(" requests in ")?.0.parse().ok());
    let rate = lines.iter().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
    let (Some(requests), Some(rate)) = (total, rate) else {
        return Err(anyhow::anyhow!(output.trim().to_owned())).context("the output of wrk is not understood");
    };
    Ok(if requests == 0 { Err("no request was answered".to_owned()) } else { Ok((requests, rate)) })
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
    const RATE: &str = "Requests/sec: 120400.51\nTransfer/sec:     29.70MB\n";

    #[test]
    fn figures_come_from_a_clean_run_only() {
        assert_eq!(parse(&format!("{OUTPUT}{RATE}")).expect("it is wrk's output"), Ok((361_234, 120_400.51)));
        for why in ["Socket errors: connect 0, read 0, write 0, timeout 3", "Non-2xx or 3xx responses: 17"] {
            assert_eq!(parse(&format!("{OUTPUT}  {why}\n{RATE}")).expect("it is wrk's output"), Err(why.to_owned()));
        }
        let silent = format!("{}{RATE}", OUTPUT.replace("361234", "0"));
        assert!(parse(&silent).expect("it is wrk's output").is_err());
        for output in ["", OUTPUT, RATE, "unable to connect to 127.0.0.1:1"] {
            assert!(parse(output).is_err(), "not guessed at: {output}");
        }
    }

    #[test]
    fn wrk_asks_what_the_scenario_says_or_refuses() {
        let paths = |more: &str| {
            let text = format!("url = \"http://127.0.0.1:1/k{more}");
            paths(&Scenario::parse(&text).expect("it is right"))
        };
        let one = paths("\"\n").expect("one key");
        assert_eq!((one.as_slice(), script(&one, 1)), (&["/k".to_owned()][..], None));
        assert!(script(&one, 16).expect("pipelining needs one").contains("paths[i]), 16)"));
        let all = paths("{key}\"\n[keys]\ncount = 3\nchoose = \"turn\"\n").expect("keys in turn");
        assert_eq!(all, ["/k0", "/k1", "/k2"]);
        assert!(script(&all, 1).expect("several keys need one").contains("{\"/k0\",\"/k1\",\"/k2\"}"));
        for refused in ["\"\nrate = 5\n", "\"\n[mix]\nput = 1\n", "{key}\"\n[keys]\ncount = 3\n"] {
            assert!(paths(refused).is_err(), "{refused}");
        }
    }
}
