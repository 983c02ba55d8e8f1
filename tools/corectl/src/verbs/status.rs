//! `corectl status`: the picture of a host.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use corectl::facts::Facts;
use corectl::host::HostAccess;
use corectl::layout::{Layout, QueueCount, lay_out};
use corectl::picture::{CpuSample, HostPicture, PictureParts, render};
use corectl::profile::Profile;
use corectl::status::{TuneState, TuneStatus};
use rustix::event::{Timespec, poll};
use rustix::time::{ClockId, clock_gettime};

use super::tune::{HostOptions, OVERRIDES_FILE, TuneSession};

/// Below this a tick of 10 ms is a tenth of what is shown.
const SPAN_MIN: Duration = Duration::from_millis(100);

/// Longer is a matter of a collector of metrics.
const SPAN_MAX: Duration = Duration::from_secs(60);

/// Moves the cursor home and clears the terminal.
const CLEAR: &str = "\x1b[H\x1b[2J";

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    host: HostOptions,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Draw anew after every span, until it is ended
    #[arg(long)]
    watch: bool,
    /// The time over which load and interrupts are counted: 100ms to 1m
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    span: Duration,
}

pub(crate) fn run(options: Options) -> Result<ExitCode> {
    if !(SPAN_MIN..=SPAN_MAX).contains(&options.span) {
        bail!("--span: found {}, allowed: 100ms to 1m", humantime::format_duration(options.span));
    }
    let session = TuneSession::new(options.host);
    let state = one(&session, options.span, options.json, "")?;
    if options.watch {
        let clear = if std::io::stdout().is_terminal() { CLEAR } else { "\n" };
        loop {
            // Ended by a signal, or by whoever no longer reads.
            one(&session, options.span, options.json, clear)?;
        }
    }
    Ok(match state {
        TuneState::Untouched | TuneState::Confirmed => ExitCode::SUCCESS,
        TuneState::Drifted => ExitCode::FAILURE,
        TuneState::Pending => ExitCode::from(3),
    })
}

/// One picture, after one span.
fn one(session: &TuneSession, span: Duration, as_json: bool, before: &str) -> Result<TuneState> {
    let host = session.host();
    let first = CpuSample::take(host);
    let seconds = wait(span)?;
    let second = CpuSample::take(host);
    let facts = Facts::gather(host);
    let status = TuneStatus::of(&session.store())?;
    let layout = layout(host, &facts, &status)?;
    let parts = PictureParts { status: &status, layout: layout.as_ref(), samples: (&first, &second, seconds) };
    let picture = HostPicture::of(host, &facts, &parts);
    let text = if as_json { serde_json::to_string_pretty(&picture)? + "\n" } else { render(&picture) };
    let mut output = std::io::stdout().lock();
    output.write_all(before.as_bytes()).and_then(|()| output.write_all(text.as_bytes())).context("standard output")?;
    output.flush().context("standard output")?;
    Ok(status.state())
}

/// What the profile in force says CPUs are for; none where none is.
fn layout(host: &dyn HostAccess, facts: &Facts, status: &TuneStatus) -> Result<Option<Layout>> {
    let pending = status.pending.as_ref().map(|pending| &pending.profile);
    let Some(name) = pending.or(status.confirmed.as_ref().map(|confirmed| &confirmed.profile)) else {
        return Ok(None);
    };
    let mut profile = Profile::named(name)?;
    if let Ok(text) = host.read(OVERRIDES_FILE)
        && let Err(error) = profile.override_with(OVERRIDES_FILE, &text)
    {
        // The host is to be seen all the same; only the marks of the layout are those of the profile alone.
        eprintln!("warning: {error}");
    }
    Ok(Some(lay_out(facts, &profile.layout, QueueCount::AsIs)))
}

/// Waits; the seconds that have passed.
fn wait(span: Duration) -> Result<f64> {
    let now = || {
        let time = clock_gettime(ClockId::Monotonic);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let begun = now();
    let limit =
        Timespec { tv_sec: i64::try_from(span.as_secs()).context("--span")?, tv_nsec: i64::from(span.subsec_nanos()) };
    poll(&mut [], Some(&limit)).context("waiting")?;
    Ok(now() - begun)
}
