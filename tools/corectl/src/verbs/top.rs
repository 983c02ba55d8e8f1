//! `corectl top`: asking a process once a second, and showing what it says.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use control::admin_client;
use control::settings::ListenAddress;
use corectl::top::{RateHistory, Sample, TopView, draw, drawn};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use rustix::event::{Timespec, poll};

/// How long the process may take to answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// Columns and lines of a picture that goes to no terminal.
const PLAIN_SIZE: (u16, u16) = (100, 60);

/// Show a running edge or node, live: rates, latency, hit ratio, cores, nodes, hot keys. `q` ends it.
#[derive(Args)]
pub(crate) struct Options {
    /// Admin listener of the process: HOST:PORT, or unix: and a path
    #[arg(long, env = "CORELANE_ADMIN", default_value = "127.0.0.1:9180")]
    admin: ListenAddress,
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
    let admin = &options.admin;
    let ask = |path| {
        admin_client::ask(admin, path, ASK_TIMEOUT).with_context(|| {
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
    let mut terminal = ratatui::try_init().context("the terminal")?;
    let shown = show(options, before, &mut terminal);
    ratatui::restore();
    shown
}

/// Until somebody ends it. A process that does not answer for a while is shown as it was, with the error.
fn show(options: &Options, mut before: Sample, terminal: &mut ratatui::DefaultTerminal) -> Result<()> {
    let mut history = RateHistory::default();
    let mut view = TopView::between(None, before.clone());
    let mut lost = None;
    loop {
        terminal.draw(|frame| {
            draw(frame, &view, &history);
            if let Some(error) = &lost {
                let text = format!(" no answer: {error} ");
                let area = ratatui::layout::Rect { height: 1, ..frame.area() };
                frame.render_widget(ratatui::style::Stylize::on_red(ratatui::text::Line::raw(text)), area);
            }
        })?;
        if is_ended_within(options.interval)? {
            return Ok(());
        }
        match sample(options) {
            Ok(sample) => {
                view = TopView::between(Some(&before), sample.clone());
                history.push(&view);
                (before, lost) = (sample, None);
            }
            Err(error) => lost = Some(format!("{error:#}")),
        }
    }
}

/// Waits so long; whether a key has ended it.
fn is_ended_within(time: Duration) -> Result<bool> {
    if !event::poll(time)? {
        return Ok(false);
    }
    let Event::Key(key) = event::read()? else { return Ok(false) };
    let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    Ok(key.kind == KeyEventKind::Press && (is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)))
}
