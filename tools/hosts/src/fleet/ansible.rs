//! The controller: ansible-playbook in the bridge's namespace, with processes of its own.
//!
//! **Invariants**: nothing that a run has started on this machine is left when it has ended or was killed: it is process 1 of a
//! namespace of processes. What it had sent to hosts runs on there.
//!
//! **Source**: unshare(1), `--kill-child`; ansible-core 2.19, "Ansible Configuration Settings".

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use corelane_lab::child::ChildProcess;
use corelane_lab::poll::{self, Stop};

use super::balancer::in_namespace;
use super::layout::{KEY, KNOWN_HOSTS};
use super::recap::PlayRun;
use super::rollout_state::RolloutState;
use super::{LabReleases, Options};

/// A playbook for the whole fleet takes a minute on two idle cores.
pub(crate) const PLAY_LIMIT: Duration = Duration::from_secs(10 * 60);

/// From the start of a playbook, or one of its steps, to the next: the preflight of a fleet and the plan, on a busy machine.
const STEP_LIMIT: Duration = Duration::from_secs(180);

/// Runs playbooks.
pub(crate) struct Controller {
    namespace: String,
    folder: PathBuf,
    ansible: PathBuf,
    bin: PathBuf,
    stop: Stop,
}

/// A playbook, and what it is given.
#[derive(Clone, Debug)]
pub(crate) struct Play {
    playbook: String,
    inventory: Option<PathBuf>,
    arguments: Vec<String>,
}

impl Play {
    /// `NAME` is that of a file in `playbooks`.
    pub(crate) fn of(name: &str) -> Self {
        Self { playbook: format!("playbooks/{name}.yml"), inventory: None, arguments: Vec::new() }
    }

    /// With a variable that wins over the inventory's; `value` is YAML or JSON.
    pub(crate) fn var(self, name: &str, value: &str) -> Self {
        let json = format!("{{{name:?}: {value}}}");
        self.argument("--extra-vars").argument(&json)
    }

    /// With a text as a variable.
    pub(crate) fn text(self, name: &str, value: &str) -> Self {
        let quoted = format!("{value:?}");
        self.var(name, &quoted)
    }

    /// With one more argument of ansible-playbook.
    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// With another inventory than that of the lab.
    pub(crate) fn inventory(mut self, folder: &Path) -> Self {
        self.inventory = Some(folder.to_path_buf());
        self
    }
}

impl Controller {
    pub(super) fn new(options: &Options, folder: &Path, namespace: &str, stop: &Stop) -> Result<Self> {
        let absolute = |path: &Path| fs::canonicalize(path).with_context(|| path.display().to_string());
        let bin = absolute(&options.ansible_bin)?;
        ensure!(bin.join("ansible-playbook").exists(), "{} has no ansible-playbook", bin.display());
        Ok(Self {
            namespace: namespace.to_owned(),
            folder: folder.to_path_buf(),
            ansible: absolute(&options.ansible)?,
            bin,
            stop: stop.clone(),
        })
    }

    /// The folder of inventories that the project has.
    pub(crate) fn inventories(&self) -> PathBuf {
        self.ansible.join("inventories")
    }

    /// The namespace of the bridge.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Runs a playbook to its end.
    ///
    /// # Errors
    /// It cannot be started, or a stop was requested.
    pub(crate) fn run(&self, play: &Play) -> Result<PlayRun> {
        self.start(play)?.finish(PLAY_LIMIT)
    }

    /// Starts a playbook.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(&self, play: &Play) -> Result<RunningPlay> {
        let path = self.folder.join("play.log");
        let log = fs::File::create(&path).context("no file for what ansible-playbook prints")?;
        let mut command = in_namespace(&self.namespace, "unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(self.bin.join("ansible-playbook"));
        let inventory = play.inventory.clone().unwrap_or_else(|| self.inventories().join("lab"));
        command.arg("--inventory").arg(inventory).arg(&play.playbook).args(&play.arguments);
        for (name, value) in self.environment() {
            command.env(name, value);
        }
        command.current_dir(&self.ansible).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = ChildProcess::start(&mut command)?;
        Ok(RunningPlay { child, log: path, began: Instant::now(), stop: self.stop.clone() })
    }

    /// Nothing of the user's is read, and nothing is written outside the folder of the run.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let path = std::env::var("PATH").unwrap_or_default();
        let in_folder = |name: &str| self.folder.join(name).display().to_string();
        vec![
            ("PATH", format!("{}:{path}", self.bin.display())),
            ("ANSIBLE_CONFIG", self.ansible.join("ansible.cfg").display().to_string()),
            ("ANSIBLE_HOME", in_folder("ansible")),
            // Not below it by itself: a connection that another run has left open leads to hosts that are gone, under the same addresses.
            ("ANSIBLE_SSH_CONTROL_PATH_DIR", in_folder("cp")),
            ("ANSIBLE_NOCOLOR", "1".to_owned()),
            ("ANSIBLE_PRIVATE_KEY_FILE", in_folder(KEY)),
            ("ANSIBLE_SSH_EXTRA_ARGS", format!("-F none -o UserKnownHostsFile={}", in_folder(KNOWN_HOSTS))),
            ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
        ]
    }

    /// How a person runs playbooks on this fleet.
    pub(super) fn by_hand(&self, releases: &LabReleases) -> Result<String> {
        let mut text = String::from("the fleet is up until Ctrl-C; in another shell:\n\n");
        let _ = writeln!(text, "cd {}", self.ansible.display());
        for (name, value) in self.environment() {
            let _ = writeln!(text, "export {name}='{value}'");
        }
        let _ = writeln!(
            text,
            "ip netns exec {} ansible-playbook -i inventories/lab playbooks/site.yml \\\n  -e corelane_release={} \\\n  -e \
             corelane_release_public_key={} -e corelane_rollout_state_dir={} -e corelane_pki_dir={}",
            self.namespace,
            releases.archive("good")?.display(),
            releases.key().display(),
            self.state_folder().display(),
            self.pki_folder().display(),
        );
        Ok(text)
    }

    /// The folder of the authorities of clusters.
    pub(crate) fn pki_folder(&self) -> PathBuf {
        self.folder.join("pki")
    }

    /// The folder of the authority of the fleet.
    pub(crate) fn pki_of_lab(&self) -> PathBuf {
        self.pki_folder().join("lab")
    }

    /// The folder of states of rollouts.
    pub(crate) fn state_folder(&self) -> PathBuf {
        self.folder.join("rollouts")
    }

    /// The state of the last rollout.
    ///
    /// # Errors
    /// None has begun.
    pub(crate) fn rollout_state(&self) -> Result<RolloutState> {
        RolloutState::last_in(&self.state_folder())
    }
}

/// A playbook under way. Dropping it kills the controller, as a loss of its power would.
pub(crate) struct RunningPlay {
    child: ChildProcess,
    log: PathBuf,
    began: Instant,
    stop: Stop,
}

impl RunningPlay {
    /// What it has printed so far.
    pub(crate) fn printed(&self) -> String {
        printed(&self.log)
    }

    /// Waits until `probe` returns a value, which is called `what`.
    ///
    /// # Errors
    /// The playbook ended before, or it did not happen within [`STEP_LIMIT`].
    pub(crate) fn wait_until<T>(&mut self, what: &str, mut probe: impl FnMut() -> Option<T>) -> Result<T> {
        let found = poll::until(Instant::now() + STEP_LIMIT, &self.stop, || {
            let ended = self.child.exited().is_some();
            let found = probe();
            (found.is_some() || ended).then_some(found)
        });
        found.flatten().with_context(|| format!("{what}: not before the playbook's end\n{}", self.printed()))
    }

    /// Kills the controller with all it has started here.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill();
        self.printed()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// A stop was requested; it is killed at `limit`.
    pub(crate) fn finish(mut self, limit: Duration) -> Result<PlayRun> {
        let status = poll::until(self.began + limit, &self.stop, || self.child.exited());
        self.child.kill();
        ensure!(!self.stop.requested(), "stopped by a signal");
        Ok(PlayRun { status: status.and_then(|status| status.code()), text: self.printed() })
    }
}

fn printed(log: &Path) -> String {
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()
}
