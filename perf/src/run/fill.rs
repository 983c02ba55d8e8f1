//! Writes keys of a scenario before it is run, so that reads find what they expect.
//!
//! **Invariants**: when it returns, every key that was to be stored is; a server that refuses one is named with its status.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result};
use reactor::{Connection, CoreId, CoreSpec, Host, Reactor, Threads};

use super::plan::{KeysPart, RunPlan};
use super::protocol::{AnswerListener, Ask, Granted};
use crate::system::stop::StopSignal;

/// Writes under way at once.
const DEPTH: u64 = 64;

/// Bytes queued at once, beyond which the next write waits.
const QUEUED_BYTES_MAX: usize = 4 << 20;

/// From this many keys on progress is told.
const MANY: u64 = 100_000;

enum News {
    Stored(u64),
    Done(Result<(), String>),
}

/// Stores the values of these keys, from a core on `cpu`.
pub(crate) fn run(plan: &Arc<RunPlan>, part: KeysPart, cpu: usize, stop: &StopSignal) -> Result<()> {
    let (sender, news) = channel();
    let mut threads = Threads::new(None);
    let doorbells = threads.doorbells(1).context("the generator's core could not be prepared")?;
    let spec = CoreSpec { id: CoreId(0), cpu: Some(cpu), name: "fill".to_owned(), doorbells };
    let numbers: Vec<u64> = plan.numbers(part).collect();
    let count = numbers.len();
    let (filled, shared) = (Arc::clone(plan), sender.clone());
    let body = move |reactor: Reactor| {
        let task = reactor.clone();
        let fill = async move {
            let outcome = fill(&task, (&filled, &numbers), &shared).await;
            let _ = shared.send(News::Done(outcome));
            task.stop();
        };
        reactor.spawn(fill).expect("the first task of a core has room");
    };
    threads.start_core(spec, Box::new(body)).with_context(|| format!("no generator on CPU {cpu}"))?;
    drop(sender);
    let outcome = loop {
        match news.recv_timeout(Duration::from_millis(100)) {
            Ok(News::Stored(stored)) => eprintln!("stored {stored} of {count} values"),
            Ok(News::Done(outcome)) => break outcome,
            Err(_) if stop.check().is_err() => {
                plan.phases.end();
                break Err("stopped by a signal".to_owned());
            }
            Err(_) => {}
        }
    };
    threads.join();
    outcome.map_err(|why| anyhow::anyhow!(why)).context("the values could not be stored before the run")
}

/// What has been answered.
#[derive(Default)]
struct StoredCount {
    answers: u64,
    refused: Option<u16>,
}

impl AnswerListener for StoredCount {
    fn body(&mut self, _: usize, _: u16, _: usize, _: &[u8]) -> bool {
        true
    }

    fn answer(&mut self, _: usize, status: u16, _: usize, _: bool) {
        self.answers += 1;
        if !(200..300).contains(&status) {
            self.refused = Some(status);
        }
    }
}

async fn fill(reactor: &Reactor, (plan, numbers): (&RunPlan, &[u64]), news: &Sender<News>) -> Result<(), String> {
    let timeout = plan.scenario.timeout;
    let connected = reactor.connect(&plan.address, reactor.now() + timeout).await;
    let connection = connected.map_err(|error| format!("no connection to {}: {error}", plan.address))?;
    connection.set_deadline(reactor.now() + timeout);
    let (allowance, mut answers) = plan.requests.open(&connection, 0).await.map_err(|error| error.to_string())?;
    let stored = RefCell::new(StoredCount::default());
    let (mut sent, count) = (0, numbers.len() as u64);
    while stored.borrow().answers < count && !plan.phases.is_over() {
        send((&connection, &allowance), plan, numbers, (&mut sent, stored.borrow().answers));
        connection.set_deadline(reactor.now() + timeout);
        let data = match connection.receive().await {
            Ok(Some(data)) => data,
            Ok(None) => return Err("the server closed the connection".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        let before = stored.borrow().answers;
        answers.read(&data, &mut *stored.borrow_mut()).map_err(|error| error.to_string())?;
        let after = stored.borrow().answers;
        if let Some(status) = stored.borrow().refused {
            return Err(format!("the server answered with {status}"));
        }
        if after / MANY > before / MANY {
            let _ = news.send(News::Stored(after));
        }
    }
    Ok(())
}

fn send(
    (connection, allowance): (&Connection, &Granted),
    plan: &RunPlan,
    numbers: &[u64],
    (sent, answered): (&mut u64, u64),
) {
    let values = &plan.values;
    while *sent - answered < DEPTH && connection.queued_bytes() < QUEUED_BYTES_MAX {
        let Some(number) = numbers.get(*sent as usize).copied() else { return };
        let ask = if plan.scenario.values.fill_by_get { Ask::of(number) } else { Ask::put(number, values) };
        if !plan.requests.write(&mut connection.write(), allowance, ask, values) {
            return;
        }
        *sent += 1;
    }
}
