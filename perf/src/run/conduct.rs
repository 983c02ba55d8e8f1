//! Conducts a run: fills, warms up until the load is steady, measures, and collects what the cores have seen.
//!
//! **Not** the load itself: that is on the reactors' threads, which this one only listens to.
//!
//! **Invariants**: every wait has an end; an interrupted run still hands over what it has measured.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result};
use reactor::{CoreId, CoreSpec, Host, Instant, Reactor, Threads};

use super::dispatch::{self, Report, Reports};
use super::generator::{Generator, RunPlan, WINDOW, duration_ns};
use super::lane;
use super::steady::SteadyMark;
use super::tally::RequestTally;
use crate::agents::coordinator::Agents;
use crate::system::calls;
use crate::system::clock::now;
use crate::system::host::{HostCounters, Softnet};
use crate::system::listening::{ListeningProcesses, Usage};
use crate::system::stop::StopSignal;

/// A warm-up that does not become steady ends after this many times its length.
const WARMUPS_MAX: u32 = 5;

/// From the decision to measure to the first instant measured: every core has seen it by then.
const LEAD: Duration = Duration::from_millis(20);

/// For how long system calls are counted: enough to count some on a server that sleeps, and little of a second that counting slows.
const CALLS_SPAN: Duration = Duration::from_millis(100);

/// How long the last reports may take beyond the last answers.
const OVERTIME: Duration = Duration::from_secs(5);

/// A second of a run, all cores together.
pub(super) struct Second {
    pub(super) tally: RequestTally,
    /// Whether the measured span had begun when it ended.
    pub(super) is_measured: bool,
    /// What the server's processes used in it.
    pub(super) server: Option<Usage>,
    /// How long it was: from one look at server and host to the next.
    pub(super) length: Duration,
    /// How busy each CPU of this host was, by its number.
    pub(super) cpu_busy: Vec<Option<f64>>,
}

/// What a run brought.
pub(super) struct Conducted {
    pub(super) measured: RequestTally,
    pub(super) seconds: Vec<Second>,
    pub(super) is_steady: bool,
    pub(super) is_interrupted: bool,
    /// The agent that was lost on the way.
    pub(super) lost: Option<String>,
    /// Length of the measured span.
    pub(super) span: Duration,
    /// What the server's processes used in it, if they are on this host.
    pub(super) server: Option<Usage>,
    /// The CPUs that they are bound to.
    pub(super) server_cpus: Vec<usize>,
    /// What this host's network stack could not take in it.
    pub(super) softnet: Option<Softnet>,
    /// The server's system calls per request, counted during the warm-up.
    pub(super) system_calls: Option<f64>,
    /// Time threads of this process waited for a CPU in it, as a share.
    pub(super) waited: f64,
}

/// Starts a core's generator on its reactor.
pub(super) fn start_generator(reactor: &Reactor, plan: Arc<RunPlan>, reports: Reports) {
    let generator = Rc::new(Generator::new(reactor.clone(), plan));
    const ROOM: &str = "a core has room for the tasks of its connections";
    for index in 0..generator.lanes() {
        reactor.spawn(lane::run(Rc::clone(&generator), index)).expect(ROOM);
    }
    reactor.spawn(dispatch::run(generator, reports)).expect(ROOM);
}

/// The cores of this process that load.
pub(crate) struct LoadCores(Threads);

impl LoadCores {
    /// Starts one on each CPU.
    pub(crate) fn start(plan: &Arc<RunPlan>, cpus: &[usize], reports: &Reports) -> Result<Self> {
        let mut threads = Threads::new(None);
        let doorbells = threads.doorbells(cpus.len()).context("the generator's cores could not be prepared")?;
        for (index, cpu) in cpus.iter().enumerate() {
            let id = CoreId(u16::try_from(index).context("there are more CPUs than cores")?);
            let spec = CoreSpec { id, cpu: Some(*cpu), name: format!("load-{index}"), doorbells: doorbells.clone() };
            let (plan, reports) = (Arc::clone(plan), reports.clone());
            let body = move |reactor: Reactor| start_generator(&reactor, plan, reports);
            threads.start_core(spec, Box::new(body)).with_context(|| format!("no generator on CPU {cpu}"))?;
        }
        Ok(Self(threads))
    }

    /// Waits until all have ended.
    pub(crate) fn join(self) {
        self.0.join();
    }
}

/// Who loads: cores of this process, or agents elsewhere.
pub(crate) enum Workers<'a> {
    Here(&'a [usize]),
    Agents(Agents),
}

impl Workers<'_> {
    fn measure(&self, plan: &RunPlan, from: Instant, until: Instant) {
        plan.phases.measure(from, until);
        if let Self::Agents(agents) = self {
            agents.measure(from, until);
        }
    }

    fn end(&self, plan: &RunPlan) {
        plan.phases.end();
        if let Self::Agents(agents) = self {
            agents.end();
        }
    }
}

/// Runs the plan against a server to which the processes `beside` those that listen belong too; `each_second` sees every second as
/// it passes.
pub(super) fn run(
    plan: &Arc<RunPlan>,
    mut workers: Workers<'_>,
    (beside, stop): (&[u32], &StopSignal),
    mut each_second: impl FnMut(&Second, &Conduct<'_>),
) -> Result<Conducted> {
    let (sender, reports) = channel();
    let (cores, count) = match &mut workers {
        Workers::Here(cpus) => (Some(LoadCores::start(plan, cpus, &sender)?), cpus.len()),
        Workers::Agents(agents) => {
            agents.begin(&sender)?;
            (None, agents.cores())
        }
    };
    // The cores' copies are the last ones: when they are gone, nothing more will be reported.
    drop(sender);
    let mut server = match &plan.address {
        reactor::Address::Tcp(address) => ListeningProcesses::at(*address),
        reactor::Address::Unix(_) => ListeningProcesses { processes: Vec::new() },
    };
    server.processes.extend(beside);
    let mut conduct = Conduct::new(plan, &workers, stop, (reports, count), server);
    let conducted = conduct.until_over(&mut each_second);
    workers.end(plan);
    if let Some(cores) = cores {
        cores.join();
    }
    Ok(conducted)
}

/// A run under way.
pub(super) struct Conduct<'a> {
    plan: &'a RunPlan,
    workers: &'a Workers<'a>,
    stop: &'a StopSignal,
    reports: Receiver<Report>,
    cores: usize,
    /// Windows of each core whose second is not whole.
    waiting: Vec<VecDeque<RequestTally>>,
    seconds: Vec<Second>,
    results: Vec<RequestTally>,
    server: ListeningProcesses,
    last_usage: Option<Usage>,
    last_counted: HostCounters,
    last_look: Instant,
    began: Instant,
    span: Option<MeasuredSpan>,
    is_steady: bool,
    is_interrupted: bool,
    lost: Option<String>,
    lost_at: Option<Instant>,
    /// The server's system calls per second, and the index of the second in which they were counted.
    system_calls: Option<(f64, usize)>,
}

/// The measured span, with what had been used at its start and its end.
struct MeasuredSpan {
    from: Instant,
    until: Instant,
    at_start: Option<UsageSnapshot>,
    at_end: Option<UsageSnapshot>,
}

#[derive(Clone, Copy)]
struct UsageSnapshot {
    server: Option<Usage>,
    own: crate::system::cpu::CpuTime,
    softnet: Softnet,
}

impl<'a> Conduct<'a> {
    fn new(
        plan: &'a RunPlan,
        workers: &'a Workers<'a>,
        stop: &'a StopSignal,
        (reports, cores): (Receiver<Report>, usize),
        server: ListeningProcesses,
    ) -> Self {
        Self {
            plan,
            workers,
            stop,
            reports,
            cores,
            waiting: (0..cores).map(|_| VecDeque::new()).collect(),
            seconds: Vec::new(),
            results: Vec::new(),
            last_usage: server.usage(),
            last_counted: HostCounters::take(),
            last_look: now(),
            server,
            began: now(),
            span: None,
            is_steady: false,
            is_interrupted: false,
            lost: None,
            lost_at: None,
            system_calls: None,
        }
    }

    /// Seconds since the start of the warm-up.
    pub(super) fn elapsed(&self) -> Duration {
        now().since(self.began)
    }

    fn until_over(&mut self, each_second: &mut impl FnMut(&Second, &Conduct<'_>)) -> Conducted {
        while self.results.len() < self.cores {
            let wait = self.next_step().since(now()).clamp(Duration::from_millis(1), Duration::from_millis(100));
            match self.reports.recv_timeout(wait) {
                Ok(Report::Window(core, tally)) => self.take_window(core.index(), *tally, each_second),
                Ok(Report::Result(tally)) => self.results.push(*tally),
                Ok(Report::Lost(who)) => self.lose(who),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.take_snapshots();
            if !self.is_interrupted && self.stop.check().is_err() {
                self.interrupt();
            }
            let ends = self.span.as_ref().map(|span| span.until).into_iter().chain(self.lost_at).min();
            if ends.is_some_and(|ends| now() > ends + self.plan.scenario.timeout + OVERTIME) {
                break;
            }
        }
        self.conducted()
    }

    /// Goes on without an agent, as far as that takes.
    fn lose(&mut self, who: String) {
        if self.lost.is_none() {
            (self.lost, self.lost_at) = (Some(who), Some(now()));
            self.interrupt();
        }
    }

    /// Ends the measured span now, or the run if it has not begun.
    fn interrupt(&mut self) {
        self.is_interrupted = true;
        let instant = now();
        match &mut self.span {
            Some(span) if span.from < instant => {
                span.until = span.until.min(instant);
                self.workers.measure(self.plan, span.from, span.until);
            }
            _ => self.workers.end(self.plan),
        }
    }

    /// The instant at which a snapshot is due.
    fn next_step(&self) -> Instant {
        match &self.span {
            Some(span) if span.at_start.is_none() => span.from,
            Some(span) if span.at_end.is_none() => span.until,
            _ => Instant::NEVER,
        }
    }

    fn take_snapshots(&mut self) {
        let instant = now();
        let due = |taken: &Option<UsageSnapshot>, at: Instant| taken.is_none() && instant >= at;
        let Some(span) = &self.span else { return };
        let (start_due, end_due) = (due(&span.at_start, span.from), due(&span.at_end, span.until));
        if start_due || end_due {
            let own = crate::system::cpu::CpuTime::of_process(std::process::id()).unwrap_or_default();
            let snapshot = UsageSnapshot { server: self.server.usage(), own, softnet: HostCounters::take().softnet };
            let span = self.span.as_mut().expect("looked at above");
            if start_due {
                span.at_start = Some(snapshot);
            }
            if end_due {
                span.at_end = Some(snapshot);
            }
        }
    }

    /// Takes a core's window; the second is whole when all cores have told theirs.
    fn take_window(&mut self, core: usize, tally: RequestTally, each_second: &mut impl FnMut(&Second, &Conduct<'_>)) {
        self.waiting[core].push_back(tally);
        while self.waiting.iter().all(|windows| !windows.is_empty()) {
            let mut all = RequestTally::default();
            self.waiting.iter_mut().filter_map(VecDeque::pop_front).for_each(|window| all.add(&window));
            self.end_second(all, each_second);
        }
    }

    fn end_second(&mut self, tally: RequestTally, each_second: &mut impl FnMut(&Second, &Conduct<'_>)) {
        let (usage, counted, instant) = (self.server.usage(), HostCounters::take(), now());
        let server = self.last_usage.zip(usage).map(|(before, after)| after.since(&before));
        let cpu_busy = counted.busy_since(&self.last_counted);
        let length = instant.since(self.last_look);
        (self.last_usage, self.last_counted, self.last_look) = (usage, counted, instant);
        let is_measured = self.span.as_ref().is_some_and(|span| span.from + self.plan.team.window <= now() + LEAD);
        let second = Second { tally, is_measured, server, length, cpu_busy };
        each_second(&second, self);
        self.seconds.push(second);
        if self.span.is_none() && !self.is_interrupted {
            self.decide_to_measure();
            self.count_system_calls();
        }
    }

    /// Counts them in a second of the warm-up, the second one: the first has the connections made in it.
    fn count_system_calls(&mut self) {
        // In a shorter window it would take too large a part.
        let is_second = self.plan.team.window >= WINDOW;
        if is_second && self.span.is_none() && self.seconds.len() == 1 {
            let counted = calls::per_second(&self.server.processes, CALLS_SPAN);
            self.system_calls = counted.map(|per_second| (per_second, self.seconds.len()));
        }
    }

    /// The server's system calls for each request of the second in which they were counted.
    fn system_calls_per_request(&self) -> Option<f64> {
        let (per_second, index) = self.system_calls?;
        let second = self.seconds.get(index)?;
        (second.tally.answered > 0).then(|| per_second * second.length.as_secs_f64() / second.tally.answered as f64)
    }

    fn decide_to_measure(&mut self) {
        let warmup = self.plan.scenario.warmup;
        let elapsed = self.elapsed();
        // The windows at which connections were made do not count.
        if elapsed < warmup {
            return;
        }
        self.is_steady = match self.seconds.as_slice() {
            [.., earlier, later] => SteadyMark::of(&later.tally).is_steady_after(SteadyMark::of(&earlier.tally)),
            _ => false,
        };
        let longest = (warmup * WARMUPS_MAX).max(self.plan.team.window * 3);
        if self.is_steady || elapsed >= longest {
            let from = now() + LEAD;
            let until = from + self.plan.scenario.duration;
            self.workers.measure(self.plan, from, until);
            self.span = Some(MeasuredSpan { from, until, at_start: None, at_end: None });
        }
    }

    fn conducted(&mut self) -> Conducted {
        let mut measured = RequestTally::default();
        self.results.iter().for_each(|result| measured.add(result));
        let span = self.span.as_ref().map_or(Duration::ZERO, |span| span.until.since(span.from));
        let snapshots = self.span.as_ref().and_then(|span| span.at_start.zip(span.at_end));
        let server = snapshots.and_then(|(start, end)| Some(end.server?.since(&start.server?)));
        let waited = snapshots.map_or(0.0, |(start, end)| {
            // Of all its threads, some of which are no load cores.
            let waited_ns = (end.own - start.own).waited_ns as f64;
            (waited_ns / (duration_ns(span).max(1) * self.cores as u64) as f64).min(1.0)
        });
        let waited = match self.workers {
            Workers::Here(_) => waited,
            Workers::Agents(_) => measured.cpu_waited,
        };
        let system_calls = self.system_calls_per_request();
        Conducted {
            measured,
            seconds: std::mem::take(&mut self.seconds),
            is_steady: self.is_steady,
            is_interrupted: self.is_interrupted,
            lost: self.lost.take(),
            span,
            server,
            server_cpus: self.server.cpus().into_iter().collect(),
            softnet: snapshots.map(|(start, end)| end.softnet.since(start.softnet)),
            system_calls,
            waited,
        }
    }
}
