//! Known truths: a server whose delays are scripted must come back as the right percentiles.
//!
//! Generator and server run on simulated cores, with virtual time and a network that takes next to nothing, so that what is
//! measured is the generator's arithmetic and nothing of the host's.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use reactor::sim::{NetworkOptions, World};
use reactor::{Address, Connection, CoreId, CoreSpec, Host, Instant, ListenOptions, Reactor};

use super::conduct::start_generator;
use super::dispatch::Report;
use super::generator::{Generator, RunPlan, Team};
use super::outcome::LatencyPercentiles;
use super::scenario::Scenario;
use super::tally::RequestTally;
use crate::system::stop::StopSignal;

const BODY: &str = "xxxxxxxx";

/// When a request that comes at this instant is answered; the number is that of the request on its connection.
type Script = fn(Instant, u64) -> Instant;

/// A network in which the scripted delays are all that takes time.
pub(super) fn quick() -> NetworkOptions {
    NetworkOptions {
        delay_us_min: 1,
        delay_us_max: 1,
        loss_per_mille: 0,
        reset_per_mille: 0,
        split_per_mille: 200,
        short_send_per_mille: 0,
        rearm_per_mille: 0,
    }
}

async fn serve(reactor: Reactor, connection: Connection, script: Script, status: &'static str) {
    let (mut partial, mut number) = (Vec::new(), 0);
    while let Ok(Some(data)) = connection.receive().await {
        partial.extend_from_slice(&data);
        while let Some(end) = partial.windows(4).position(|window| window == b"\r\n\r\n") {
            partial.drain(..end + 4);
            reactor.sleep_precisely(script(reactor.now(), number)).await;
            number += 1;
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len());
            connection.write().extend_from_slice(answer.as_bytes());
        }
    }
}

fn start_server(host: &mut dyn Host, script: Script, status: &'static str) {
    start_serving(host, move |reactor, connection| serve(reactor, connection, script, status));
}

/// Starts a server that serves every connection as `serve` does.
pub(super) fn start_serving<F: Future<Output = ()> + 'static>(
    host: &mut dyn Host,
    serve: impl Fn(Reactor, Connection) -> F + Send + 'static,
) {
    let doorbells = host.doorbells(1).expect("simulated doorbells cost nothing");
    let spec = CoreSpec { id: CoreId(0), cpu: None, name: "server".to_owned(), doorbells };
    let body = move |reactor: Reactor| {
        let address = Address::Tcp("10.0.0.1:80".parse().expect("an address"));
        let listener = reactor.listen(&address, &ListenOptions::default()).expect("nobody else listens");
        let spawner = reactor.clone();
        let accept = async move {
            while let Ok(connection) = listener.accept().await {
                spawner.spawn(serve(spawner.clone(), connection)).expect("there is room");
            }
        };
        reactor.spawn(accept).expect("there is room");
    };
    host.start_core(spec, Box::new(body)).expect("simulated cores start");
}

/// Runs a scenario against a scripted server and returns what was measured.
fn measure(scenario: &str, script: Script, status: &'static str) -> RequestTally {
    let scenario = format!("url = \"http://10.0.0.1:80/\"\n{scenario}");
    let scenario = Scenario::parse(&scenario).expect("the test's scenario is right");
    let mut world = World::new(11, quick());
    let server = world.add_process("server");
    start_server(&mut world.host(server), script, status);
    let from = world.now() + Duration::from_secs(1);
    run(&mut world, scenario, from)
}

/// Runs a scenario on a core of its own and returns what was measured, from this instant on.
pub(super) fn run(world: &mut World, scenario: Scenario, from: Instant) -> RequestTally {
    let plan =
        RunPlan::read(scenario, Team::alone(1, false), &StopSignal::never()).expect("the test's files are right");
    run_plan(world, &plan, from)
}

/// Runs a plan against a server that `start` starts, and returns what was measured.
pub(super) fn measure_plan(plan: &Arc<RunPlan>, start: impl FnOnce(&mut dyn Host)) -> RequestTally {
    let mut world = World::new(11, quick());
    let server = world.add_process("server");
    start(&mut world.host(server));
    let from = world.now() + Duration::from_secs(1);
    run_plan(&mut world, plan, from)
}

fn run_plan(world: &mut World, plan: &Arc<RunPlan>, from: Instant) -> RequestTally {
    let client = world.add_process("client");
    let (sender, reports) = channel();
    plan.phases.measure(from, from + plan.scenario.duration);
    {
        let mut host = world.host(client);
        let doorbells = host.doorbells(1).expect("simulated doorbells cost nothing");
        let spec = CoreSpec { id: CoreId(0), cpu: None, name: "load".to_owned(), doorbells };
        let shared = Arc::clone(plan);
        let body = move |reactor: Reactor| start_generator(&reactor, shared, sender);
        host.start_core(spec, Box::new(body)).expect("simulated cores start");
    }
    let deadline = world.now() + Duration::from_secs(3600);
    assert!(world.run_until(deadline, |world| !world.is_running(client)), "the run does not end");
    let result = reports.try_iter().find_map(|report| match report {
        Report::Result(tally) => Some(*tally),
        Report::Window(..) | Report::Lost(_) => None,
    });
    result.expect("the core has reported its result")
}

fn close_to(measured_us: f64, truth_us: f64, what: &str) {
    let off = (measured_us - truth_us).abs() / truth_us;
    assert!(off <= 0.02, "{what}: {measured_us:.1} us measured, {truth_us:.1} us is true ({:.2} % off)", off * 100.0);
}

/// A stall of 100 ms at the start of every second; an answer takes 1 ms besides.
fn stalls(now: Instant, _: u64) -> Instant {
    const SECOND_NS: u64 = 1_000_000_000;
    let (second, within) = (now.as_nanos() / SECOND_NS, now.as_nanos() % SECOND_NS);
    let free = if within < 100_000_000 { Instant::from_nanos(second * SECOND_NS + 100_000_000) } else { now };
    free + Duration::from_millis(1)
}

#[test]
fn a_fixed_service_time_comes_back() {
    let tally = measure("rate = 500\nduration = \"20s\"\n", |now, _| now + Duration::from_millis(1), "200 OK");
    let latency = LatencyPercentiles::of(&tally.latency);
    for (what, measured) in [("p50", latency.p50_us), ("p99", latency.p99_us), ("p99.9", latency.p999_us)] {
        close_to(measured, 1_000.0, what);
    }
    assert_eq!((tally.failures.total(), tally.outstanding()), (0, 0));
    assert!((tally.due as f64 / 10_000.0 - 1.0).abs() < 0.03, "{} due", tally.due);
}

/// Every tenth request of a connection takes ten times as long.
#[test]
fn a_bimodal_service_time_comes_back() {
    let script: Script = |now, number| now + Duration::from_millis(if number % 10 == 9 { 20 } else { 2 });
    let tally =
        measure("rate = 1000\narrivals = \"uniform\"\nduration = \"20s\"\nconnections = 100\n", script, "200 OK");
    let latency = LatencyPercentiles::of(&tally.latency);
    for (what, measured, truth) in [
        ("p50", latency.p50_us, 2_000.0),
        ("p99", latency.p99_us, 20_000.0),
        ("p99.9", latency.p999_us, 20_000.0),
        ("mean", latency.mean_us, 0.9 * 2_000.0 + 0.1 * 20_000.0),
    ] {
        close_to(measured, truth, what);
    }
}

/// A tenth of the time is stalled, and what is due then waits up to 100 ms: percentile 90 + x of all is 10 x ms.
#[test]
fn stalls_are_charged_to_all_that_they_keep_waiting() {
    let scenario = "rate = 2000\narrivals = \"uniform\"\nduration = \"20s\"\nconnections = 250\n";
    let tally = measure(scenario, stalls, "200 OK");
    let us = |quantile| tally.latency.value_at_quantile(quantile) as f64 / 1e3;
    for (what, measured, truth) in [
        ("p50", us(0.5), 1_000.0),
        ("p95", us(0.95), 51_000.0),
        ("p99", us(0.99), 91_000.0),
        ("p99.9", us(0.999), 100_000.0),
    ] {
        close_to(measured, truth, what);
    }
    assert_eq!((tally.waited, tally.outstanding()), (0, 0));
    // Fewer connections than come in a stall: latencies count from the instant due all the same, and the waiting is told.
    let tally = measure(&scenario.replace("250", "50"), stalls, "200 OK");
    close_to(tally.latency.value_at_quantile(0.99) as f64 / 1e3, 91_000.0, "p99 over few connections");
    assert!(tally.waited > 1_000, "{} waited", tally.waited);
}

/// What the open loop is for: the same server, asked by a closed loop, seems never to stall.
#[test]
fn a_closed_loop_hides_the_stalls() {
    let tally = measure("connections = 4\nduration = \"5s\"\n", stalls, "200 OK");
    let latency = LatencyPercentiles::of(&tally.latency);
    assert!(latency.p99_us < 1_100.0, "p99 {} us, which is wrong by a factor of 80", latency.p99_us);
    assert!(latency.max_us > 90_000.0, "though it was there: max {} us", latency.max_us);
}

#[test]
fn wrong_answers_are_counted_by_kind() {
    let now: Script = |now, _| now;
    let status = measure("rate = 100\nduration = \"2s\"\n", now, "500 Oops");
    assert!(status.answered == 0 && status.failures.status == status.due && status.due > 100);
    assert_eq!(status.statuses, [(500, status.due)]);
    let value = "rate = 100\nduration = \"2s\"\n[values]\nbytes = 8\n[expect]\nbody = \"value\"\n";
    let body = measure(value, now, "200 OK");
    assert!(body.answered == 0 && body.failures.body == body.due && body.due > 100);
    let length = measure(&value.replace("\"value\"", "\"length\""), now, "200 OK");
    assert!(length.answered == length.due && length.failures.total() == 0);
}

/// A server that never answers: every request is accounted for as failed, none is lost.
#[test]
fn requests_without_an_answer_are_failures() {
    let never: Script = |_, _| Instant::NEVER;
    let tally = measure("rate = 100\nduration = \"5s\"\ntimeout = \"500ms\"\nconnections = 100\n", never, "200 OK");
    assert_eq!(tally.answered, 0);
    assert!(tally.failures.timed_out > 300, "{:?} of {}", tally.failures, tally.due);
    assert_eq!(tally.failures.total() + tally.outstanding(), tally.due);
    assert!((400..=600).contains(&tally.due), "{} due", tally.due);
}

/// All connections are used, not only the first few.
#[test]
fn requests_are_spread_over_the_connections() {
    let script: Script = |now, number| now + Duration::from_micros(if number < 40 { 10 } else { 50_000 });
    let tally =
        measure("rate = 1000\nduration = \"2s\"\nconnections = 100\narrivals = \"uniform\"\n", script, "200 OK");
    // 3,000 requests over 100 connections are 30 each: no connection comes to its 41st.
    assert!(LatencyPercentiles::of(&tally.latency).max_us < 1_000.0, "some connection had more than its share");
}

/// A pass that received a part of a large answer, and no end of one, was no idle one.
#[test]
fn receiving_a_part_of_an_answer_is_work() {
    let scenario = Scenario::parse("url = \"http://10.0.0.1:80/\"\n").expect("the test's scenario is right");
    let plan = RunPlan::read(scenario, Team::alone(1, true), &StopSignal::never()).expect("the test's files are right");
    let mut world = World::new(11, quick());
    let client = world.add_process("client");
    let (sender, moved) = channel();
    {
        let mut host = world.host(client);
        let doorbells = host.doorbells(1).expect("simulated doorbells cost nothing");
        let spec = CoreSpec { id: CoreId(0), cpu: None, name: "load".to_owned(), doorbells };
        let body = move |reactor: Reactor| {
            let generator = Generator::new(reactor, plan);
            let before = generator.activity();
            generator.with_listener(0, |_| ());
            sender.send(generator.activity() - before).expect("the test listens");
        };
        host.start_core(spec, Box::new(body)).expect("simulated cores start");
    }
    assert!(moved.try_recv().expect("the core has begun") > 0);
}
