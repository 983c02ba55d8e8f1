//! `corectl top`: asking a process once a second, and showing what it says.

use std::ffi::c_int;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use control::admin_client;
use corectl::printable::printable;
use corectl::top::{Asker, RateHistory, Sample, TopView, draw, drawn};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use rustix::event::{Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::low_level::emulate_default_handler;

use super::admin::AdminOptions;

/// How long the process may take to answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// Between looks at what ends the picture, while something is waited for: a person does not notice it.
const LOOK: Duration = Duration::from_millis(50);

/// Columns and lines of a picture that goes to no terminal.
const PLAIN_SIZE: (u16, u16) = (100, 60);

/// Show a running edge or node, live: rates, latency, hit ratio, cores, nodes, hot keys. `q` ends it.
#[derive(Clone, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    asked: AdminOptions,
    /// Time between two looks, such as 500ms
    #[arg(long, default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// Print one picture as plain text and end; also where the output is no terminal
    #[arg(long)]
    once: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let is_fit = (Duration::from_millis(100)..=Duration::from_secs(60)).contains(&interval);
    if is_fit { Ok(interval) } else { Err("100ms to 60s".to_owned()) }
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.once || !std::io::stdout().is_terminal() {
        once(options)?;
    } else {
        live(options)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn sample(options: &Options) -> Result<Sample> {
    let (admin, operator) = (&options.asked.admin, options.asked.operator());
    let ask = |path| {
        admin_client::ask(admin, operator.as_ref(), path, ASK_TIMEOUT).with_context(|| {
            format!("cannot ask {admin}; --admin names the admin listener of a running corelane or shardstored")
        })
    };
    let (status, metrics) = (ask("/v1/status")?, ask("/metrics")?);
    Sample::of(&status, &metrics).with_context(|| format!("{admin} answers, but"))
}

fn once(options: &Options) -> Result<()> {
    let before = sample(options)?;
    poll(&mut [], Some(&Timespec::try_from(options.interval)?))?;
    let view = TopView::between(Some(&before), sample(options)?);
    let mut history = RateHistory::default();
    history.push(&view);
    let text = drawn(&view, &history, PLAIN_SIZE.0, PLAIN_SIZE.1)?;
    // A reader that has seen enough is no error.
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => bail!(error),
        _ => Ok(()),
    }
}

fn live(options: &Options) -> Result<()> {
    let before = sample(options)?;
    let signals = EndSignals::taken()?;
    let asked = options.clone();
    let asker = Asker::start(move || sample(&asked))?;
    let mut terminal = ratatui::try_init().context("the terminal")?;
    let shown = show(options.interval, before, asker, &signals, &mut terminal);
    ratatui::restore();
    signals.pass_on()?;
    shown
}

/// Until somebody ends it. A process that does not answer for a while is shown as it was, with the error.
fn show(
    interval: Duration,
    mut before: Sample,
    mut asker: Asker<Result<Sample>>,
    signals: &EndSignals,
    terminal: &mut ratatui::DefaultTerminal,
) -> Result<()> {
    let mut history = RateHistory::default();
    let mut view = TopView::between(None, before.clone());
    let mut lost = None;
    let (mut left, mut is_stale) = (interval, true);
    loop {
        if is_stale {
            terminal.draw(|frame| {
                draw(frame, &view, &history);
                if let Some(error) = &lost {
                    let text = format!(" no answer: {error} ");
                    let area = ratatui::layout::Rect { height: 1, ..frame.area() };
                    frame.render_widget(ratatui::style::Stylize::on_red(ratatui::text::Line::raw(text)), area);
                }
            })?;
        }
        let pause = if asker.is_waiting() { LOOK } else { left.min(LOOK) };
        let event = if event::poll(pause)? { Some(event::read()?) } else { None };
        if signals.have_come() || event.as_ref().is_some_and(is_end) {
            return Ok(());
        }
        is_stale = matches!(event, Some(Event::Resize(..)));
        if !asker.is_waiting() {
            left = left.saturating_sub(pause);
            if left.is_zero() {
                asker.ask();
            }
        }
        let Some(answer) = asker.take() else { continue };
        (left, is_stale) = (interval, true);
        match answer {
            Ok(sample) => {
                view = TopView::between(Some(&before), sample.clone());
                history.push(&view);
                (before, lost) = (sample, None);
            }
            Err(error) => lost = Some(printable(&format!("{error:#}")).replace('\n', " ")),
        }
    }
}

fn is_end(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press && (is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}

/// The signals that end a process, taken over so that the terminal is put back first.
struct EndSignals(Vec<(c_int, Arc<AtomicBool>)>);

impl EndSignals {
    fn taken() -> Result<Self> {
        let take = |signal| {
            let flag = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal, Arc::clone(&flag)).context("signals")?;
            Ok((signal, flag))
        };
        [SIGHUP, SIGINT, SIGQUIT, SIGTERM].map(take).into_iter().collect::<Result<_>>().map(EndSignals)
    }

    fn come(&self) -> Option<c_int> {
        self.0.iter().find(|(_, flag)| flag.load(Ordering::Relaxed)).map(|(signal, _)| *signal)
    }

    fn have_come(&self) -> bool {
        self.come().is_some()
    }

    /// Ends the process by the signal that has come, if one has: whoever sent it sees it ended so.
    fn pass_on(&self) -> Result<()> {
        self.come().map_or(Ok(()), |signal| emulate_default_handler(signal).context("signals"))
    }
}
