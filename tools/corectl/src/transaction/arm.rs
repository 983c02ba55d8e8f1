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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::host::{CommandOutput, FakeHost, FileTree, HeldLock, HostTime, MemoryTree};

    /// A host with systemd that keeps the commands it is given.
    struct SystemdHost {
        inner: FakeHost<MemoryTree>,
        takes_timers: bool,
        ran: RefCell<Vec<String>>,
    }

    impl SystemdHost {
        fn new(takes_timers: bool) -> Self {
            SystemdHost { inner: FakeHost::new(MemoryTree::default()), takes_timers, ran: RefCell::default() }
        }

        fn armed(&self) -> ArmedTimer {
            let command = RevertCommand { program: "/bin/corectl".into(), arguments: vec!["tune".into()] };
            ArmedTimer::arm(self, &command, "7-0", 120).unwrap()
        }
    }

    impl HostAccess for SystemdHost {
        fn tree(&self) -> &dyn FileTree {
            self.inner.tree()
        }

        fn link(&self, path: &str) -> Result<String, HostError> {
            self.inner.link(path)
        }

        fn run(&self, program: &str, arguments: &[&str]) -> Result<CommandOutput, HostError> {
            self.ran.borrow_mut().push(format!("{program} {}", arguments.join(" ")));
            let status = i32::from(!self.takes_timers);
            Ok(CommandOutput { status, ..CommandOutput::default() })
        }

        fn lock(&self, path: &str) -> Result<Rc<dyn HeldLock>, HostError> {
            self.inner.lock(path)
        }

        fn now(&self) -> HostTime {
            self.inner.now()
        }

        fn detach(&self, arguments: &[String]) -> Result<DetachedProcess, HostError> {
            self.ran.borrow_mut().push(arguments.join(" "));
            self.inner.detach(arguments)
        }

        fn end(&self, process: &DetachedProcess) {
            self.ran.borrow_mut().push("end".into());
            self.inner.end(process);
        }

        fn has_systemd(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_timer_of_systemd_is_started_and_stopped_by_its_unit() {
        let host = SystemdHost::new(true);
        let timer = host.armed();
        assert_eq!(timer, ArmedTimer::Systemd { unit: "corectl-tune-expire-7-0".into() });
        timer.disarm(&host);
        let ran = host.ran.take();
        assert!(ran[0].starts_with("systemd-run --unit=corectl-tune-expire-7-0 --on-active=120s "), "{ran:?}");
        assert!(ran[0].ends_with(" -- /bin/corectl tune expire --id 7-0"), "{ran:?}");
        assert_eq!(ran[1..], ["systemctl stop corectl-tune-expire-7-0.timer"]);
    }

    #[test]
    fn where_systemd_refuses_a_process_of_our_own_waits() {
        let host = SystemdHost::new(false);
        let timer = host.armed();
        assert!(matches!(timer, ArmedTimer::Process(_)), "{timer:?}");
        timer.disarm(&host);
        assert_eq!(host.ran.take()[1..], ["tune expire --id 7-0 --wait 120", "end"]);
    }
}
