//! The timer that takes a change back: it lives on when this process, its shell and its SSH session are gone.
//!
//! | where | what waits |
//! |---|---|
//! | PID 1 is systemd, and this is the host's network | a transient timer (`systemd-run --on-active`) |
//! | elsewhere, or systemd-run fails | a process of our own, in a session of its own |
//!
//! **Invariants**: it is armed before the first write. It takes back only the change it was armed for; when that is confirmed or gone,
//! it does nothing.
//!
//! **Source**: systemd-run(1), setsid(2).

use serde::{Deserialize, Serialize};

use crate::host::{DetachedProcess, HostAccess, HostError};

/// What was armed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ArmedTimer {
    /// A transient timer of systemd.
    Systemd {
        /// Its unit, without `.timer`.
        unit: String,
    },
    /// A process of our own.
    Process(DetachedProcess),
}

/// How corectl is called to take a change back.
#[derive(Debug, Clone)]
pub struct RevertCommand {
    /// The program, for systemd.
    pub program: String,
    /// Its arguments up to the verb: `tune --state …`.
    pub arguments: Vec<String>,
}

impl ArmedTimer {
    /// Arms a timer for a change.
    ///
    /// # Errors
    /// Neither way works; the change must not be made then.
    pub(super) fn arm(
        host: &dyn HostAccess,
        command: &RevertCommand,
        id: &str,
        seconds: u64,
    ) -> Result<Self, HostError> {
        let verb = ["expire", "--id", id].map(str::to_owned);
        let arguments: Vec<String> = command.arguments.iter().cloned().chain(verb).collect();
        if host.has_systemd()
            && let Ok(unit) = by_systemd(host, &command.program, &arguments, (id, seconds))
        {
            return Ok(ArmedTimer::Systemd { unit });
        }
        let wait = ["--wait".to_owned(), seconds.to_string()];
        let arguments: Vec<String> = arguments.into_iter().chain(wait).collect();
        host.detach(&arguments).map(ArmedTimer::Process)
    }

    /// Lets go of it. It would do nothing any more, so a failure is no error.
    pub(super) fn disarm(&self, host: &dyn HostAccess) {
        match self {
            ArmedTimer::Systemd { unit } => {
                let _ = host.run("systemctl", &["stop", &format!("{unit}.timer")]);
            }
            ArmedTimer::Process(process) => host.end(process),
        }
    }
}

fn by_systemd(
    host: &dyn HostAccess,
    program: &str,
    arguments: &[String],
    (id, seconds): (&str, u64),
) -> Result<String, HostError> {
    let unit = format!("corectl-tune-expire-{id}");
    let (unit_option, after) = (format!("--unit={unit}"), format!("--on-active={seconds}s"));
    let mut words = vec![
        unit_option.as_str(),
        &after,
        "--timer-property=AccuracySec=100ms",
        "--description=corectl takes an unconfirmed change back",
        "--quiet",
        "--",
        program,
    ];
    words.extend(arguments.iter().map(String::as_str));
    host.run("systemd-run", &words)?.success("systemd-run")?;
    Ok(unit)
}
