//! A host: systemd as process 1, with files, network and cgroup of its own.
//!
//! **Not**: kernel settings. `/sys` and most of `/proc/sys` are read-only inside, and limits of memory and CPU have no effect.
//!
//! **Invariants**: a host that is dropped is gone: its processes, then its mount, its files and its cgroup. Whatever is done on it has a deadline.
//!
//! **Source**: systemd-nspawn(1). Killing systemd-nspawn leaves the host running, so it is the host's process 1 that is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::cgroup::HostCgroup;
use crate::image::HostImage;
use crate::overlay::OverlayMount;
use crate::run::{Printed, run, wait};
use crate::thread_stop::StoppedThread;
use corelane_lab::poll::Stop;

/// A start takes one to four seconds on a quiet machine.
const START_LIMIT: Duration = Duration::from_secs(90);

/// The end of a host, by its own or by force.
const END_LIMIT: Duration = Duration::from_secs(60);

/// What is asked of a host's systemd.
const ASK_LIMIT: Duration = Duration::from_secs(20);

/// Joins the cgroups whose files come before `--`, and becomes the program after it, which gets SIGTERM when this tool is killed: the
/// container then shuts its host down.
const JOIN: &str =
    r#"while [ "$1" != -- ]; do echo $$ > "$1"; shift; done; shift; exec setsid setpriv --pdeathsig TERM "$@""#;

/// A host of a lab.
pub(crate) struct ContainerHost {
    name: String,
    namespace: String,
    stop: Stop,
    /// The container's process, once it was started and until it has ended.
    container: Option<Child>,
    files: OverlayMount,
    cgroup: HostCgroup,
}

impl ContainerHost {
    /// Makes a host and starts it; `namespace` is its network.
    ///
    /// # Errors
    /// The machine refuses, or systemd does not come up.
    pub(crate) fn start(image: &HostImage, name: &str, namespace: &str, stop: &Stop) -> Result<Self> {
        let mut host = Self::new(image, name, namespace, stop)?;
        host.boot()?;
        Ok(host)
    }

    /// Makes a host that is not started yet.
    ///
    /// # Errors
    /// The machine refuses.
    pub(crate) fn new(image: &HostImage, name: &str, namespace: &str, stop: &Stop) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            stop: stop.clone(),
            container: None,
            files: OverlayMount::new(&image.root, name, stop)?,
            cgroup: HostCgroup::new(name)?,
        })
    }

    /// Where the host's files are seen from outside.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.files.root().join(path.trim_start_matches('/'))
    }

    /// A file of the running host as seen from outside, also where it lies in memory (/run).
    ///
    /// # Errors
    /// The host is not running.
    pub(crate) fn live_path(&self, path: &str) -> Result<PathBuf> {
        Ok(PathBuf::from(format!("/proc/{}/root{path}", self.leader()?.as_raw_nonzero())))
    }

    /// Paths, sizes and times of all files that the host has changed below a folder, in order.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn changed_files(&self, folder: &str) -> Result<Vec<String>> {
        self.files.changed(folder)
    }

    /// Runs a script of the shell on the host, as a service of its systemd would be: its environment, its cgroup.
    ///
    /// # Errors
    /// The host is not running, or the script does not end in time.
    pub(crate) fn shell(&self, script: &str, limit: Duration) -> Result<Printed> {
        let mut command = self.on_host()?;
        command.args([
            "systemd-run",
            "--quiet",
            "--wait",
            "--pipe",
            "--collect",
            "--setenv=DEBIAN_FRONTEND=noninteractive",
        ]);
        // systemd replaces variables in arguments; two dollars are one.
        command.args(["bash", "-euo", "pipefail", "-c", &script.replace('$', "$$")]);
        run(&mut command, limit, &self.stop)
    }

    /// As [`Self::shell`], where the script must succeed.
    ///
    /// # Errors
    /// It did not; the error has what it printed.
    pub(crate) fn must(&self, script: &str, limit: Duration) -> Result<String> {
        self.shell(script, limit)?.success(script)
    }

    /// A property of a unit.
    ///
    /// # Errors
    /// As [`Self::shell`].
    pub(crate) fn property(&self, unit: &str, property: &str) -> Result<String> {
        let mut command = self.on_host()?;
        command.args(["systemctl", "show", "--value", "--property", property, unit]);
        Ok(run(&mut command, ASK_LIMIT, &self.stop)?.success("systemctl show")?.trim().to_owned())
    }

    /// Waits until a property of a unit is `wanted`.
    ///
    /// # Errors
    /// It is not within `limit`; the error has the unit's journal.
    pub(crate) fn wait_for(&self, unit: &str, property: &str, wanted: &str, limit: Duration) -> Result<()> {
        let reached = || self.property(unit, property).is_ok_and(|value| value == wanted).then_some(());
        wait(&self.stop, limit, &format!("{unit}: {property}={wanted}"), reached).with_context(|| {
            let found = self.property(unit, property).unwrap_or_default();
            format!("found {property}={found}\n{}", self.journal(unit))
        })
    }

    /// Stops a thread of a unit's main process, by its name, until what is returned is dropped.
    ///
    /// # Errors
    /// There is no such thread.
    pub(crate) fn stop_thread(&self, unit: &str, thread: &str) -> Result<StoppedThread> {
        let main = self.property(unit, "MainPID")?;
        // The ids of the machine, not those that the host counts: the last field of NSpid is the host's.
        let processes = fs::read_dir("/proc").context("/proc cannot be read")?.flatten();
        let is_main = |status: &str| {
            let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            ids.is_some_and(|ids| {
                ids.split_whitespace().count() > 1 && ids.split_whitespace().next_back() == Some(&main)
            })
        };
        for process in processes.filter(|process| self.has(&process.path())) {
            let status = fs::read_to_string(process.path().join("status")).unwrap_or_default();
            if !is_main(&status) {
                continue;
            }
            for task in fs::read_dir(process.path().join("task"))?.flatten() {
                let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
                if name.trim() == thread {
                    return StoppedThread::stop(task.file_name().to_string_lossy().parse()?);
                }
            }
        }
        anyhow::bail!("{unit} has no thread {thread}")
    }

    /// Whether a process of the machine is one of this host: they share the namespace of process 1.
    fn has(&self, process: &Path) -> bool {
        let namespace = |process: &Path| fs::read_link(process.join("ns/pid")).ok();
        let leader = self.leader().ok().map(|leader| format!("/proc/{}", leader.as_raw_nonzero()));
        leader.is_some_and(|leader| {
            let of_host = namespace(Path::new(&leader));
            of_host.is_some() && of_host == namespace(process)
        })
    }

    /// The last lines of a unit's journal; for messages.
    pub(crate) fn journal(&self, unit: &str) -> String {
        let script = format!("journalctl --no-pager --output=cat --lines=40 --unit={unit}");
        self.shell(&script, ASK_LIMIT).map_or_else(|error| error.to_string(), |printed| printed.text)
    }

    /// Takes the power away; [`Self::boot`] brings the host back with the files it had.
    ///
    /// # Errors
    /// The host is not running.
    pub(crate) fn power_loss(&mut self) -> Result<()> {
        let leader = self.leader()?;
        kill_process(leader, Signal::KILL).context("process 1 of the host could not be killed")?;
        self.wait_for_end()
    }

    /// Restarts the host by its own command.
    ///
    /// # Errors
    /// It does not end, or does not come up again.
    pub(crate) fn reboot(&mut self) -> Result<()> {
        let mut command = self.on_host()?;
        command.args(["systemctl", "--no-block", "reboot"]);
        run(&mut command, END_LIMIT, &self.stop)?.success("systemctl reboot")?;
        self.wait_for_end()?;
        self.boot()
    }

    /// Starts the host, and waits until systemd has started all that it was to start.
    ///
    /// # Errors
    /// Something of it failed, or it takes too long.
    pub(crate) fn boot(&mut self) -> Result<()> {
        self.power_on()?;
        self.wait_until_running()
    }

    /// Starts the host. Call it on a thread that lives as long as the host: the host ends with the thread.
    ///
    /// # Errors
    /// The container could not be started.
    pub(crate) fn power_on(&mut self) -> Result<()> {
        let console = fs::File::create(self.files.beside("console")).context("no file for the console")?;
        let mut command = Command::new("sh");
        command.args(["-c", JOIN, "sh"]).args(self.cgroup.members()).args([
            "--",
            "systemd-nspawn",
            "--quiet",
            "--boot",
        ]);
        command.args(["--register=no", "--keep-unit", "--resolv-conf=off", "--kill-signal=SIGRTMIN+3"]);
        command.arg(format!("--machine={}", self.name)).arg("-D").arg(self.path("/"));
        command
            .arg(format!("--network-namespace-path=/run/netns/{}", self.namespace))
            .arg("--capability=CAP_NET_ADMIN");
        command.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1").env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "network");
        let outputs = (console.try_clone()?, console);
        let container = command.stdin(Stdio::null()).stdout(outputs.0).stderr(outputs.1).spawn()?;
        self.container = Some(container);
        Ok(())
    }

    /// Waits until systemd has started all that it was to start.
    ///
    /// # Errors
    /// Something of it failed, or it takes too long.
    pub(crate) fn wait_until_running(&self) -> Result<()> {
        let state = || {
            let mut command = self.on_host().ok()?;
            command.args(["systemctl", "is-system-running"]);
            let state = run(&mut command, ASK_LIMIT, &self.stop).ok()?.text;
            ["running", "degraded"].into_iter().find(|ended| state.trim() == *ended)
        };
        let state = wait(&self.stop, START_LIMIT, "systemd on the host", state).with_context(|| self.console())?;
        anyhow::ensure!(
            state == "running",
            "units of the image fail: {}",
            self.must("systemctl --failed --no-pager", ASK_LIMIT)?
        );
        Ok(())
    }

    fn console(&self) -> String {
        fs::read_to_string(self.files.beside("console")).unwrap_or_default()
    }

    /// The host's process 1. Looked up each time: while the container starts, others stand in its place.
    fn leader(&self) -> Result<Pid> {
        let container = self.container.as_ref().context("the host is not running")?;
        leader_of(container).context("the host has no process 1 yet, or not any more")
    }

    /// A command that is run in all namespaces of the host.
    fn on_host(&self) -> Result<Command> {
        let mut command = Command::new("nsenter");
        command.args(["--all", "--target", &self.leader()?.as_raw_nonzero().to_string(), "--"]);
        Ok(command)
    }

    fn wait_for_end(&mut self) -> Result<()> {
        let Some(mut container) = self.container.take() else { return Ok(()) };
        // A host is removed also after a signal has ended all other waits.
        let ended = wait(&Stop::never(), END_LIMIT, "the end of the host", || container.try_wait().ok().flatten());
        if ended.is_err() {
            // What could not be ended from inside; it may have ended meanwhile.
            let _ = container.kill();
            let _ = container.wait();
        }
        ended.map(drop)
    }
}

impl Drop for ContainerHost {
    fn drop(&mut self) {
        if self.container.is_some() && self.power_loss().is_err() {
            // It has ended by itself, or never came up.
            let _ = self.wait_for_end();
        }
        let _ = fs::remove_dir_all(Path::new("/run/systemd/nspawn/propagate").join(&self.name));
    }
}

/// The host's process 1: the only child of the container's process.
fn leader_of(container: &Child) -> Option<Pid> {
    let id = container.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
}
