//! What all verbs of `tune` have: the host, its state, and the look for what was left unfinished.

use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context, Result};
use corectl::host::{DiskTree, FakeHost, HeldLock, HostAccess, RealHost};
use corectl::transaction::{RevertCommand, STATE_FOLDER, StateStore, recover};

#[derive(clap::Args)]
pub(crate) struct HostOptions {
    /// A folder that stands for a host: its files are those of the folder, and programs are emulated
    #[arg(long, value_name = "DIR", global = true)]
    root: Option<PathBuf>,
    /// Where prior values, the confirmed state and the lock are; a path of the host
    #[arg(long, value_name = "DIR", default_value = STATE_FOLDER, global = true)]
    state: String,
}

pub(crate) struct TuneSession {
    host: Box<dyn HostAccess>,
    options: HostOptions,
}

impl TuneSession {
    pub(crate) fn new(options: HostOptions) -> Self {
        let host: Box<dyn HostAccess> = match &options.root {
            Some(root) => Box::new(FakeHost::new(DiskTree::new(root))),
            None => Box::new(RealHost::new()),
        };
        TuneSession { host, options }
    }

    pub(crate) fn host(&self) -> &dyn HostAccess {
        &*self.host
    }

    /// Whether a folder stands for the host.
    pub(super) fn is_fake(&self) -> bool {
        self.options.root.is_some()
    }

    pub(crate) fn store(&self) -> StateStore<'_> {
        StateStore::new(self.host(), &self.options.state)
    }

    /// Takes the lock and finishes what somebody left; says so on standard error.
    pub(super) fn begin(&self) -> Result<(StateStore<'_>, Rc<dyn HeldLock>)> {
        let store = self.store();
        let lock = store.lock()?;
        if let Some(recovery) = recover(&store)? {
            eprintln!("{}", recovery.said);
        }
        Ok((store, lock))
    }

    /// How this program is called to take a change back.
    pub(super) fn revert_command(&self) -> Result<RevertCommand> {
        let program = std::env::current_exe().context("the path of this program")?;
        let mut arguments = vec!["tune".to_owned(), "--state".into(), self.options.state.clone()];
        if let Some(root) = &self.options.root {
            let root = root.canonicalize().with_context(|| format!("--root {}", root.display()))?;
            arguments.extend(["--root".into(), root.display().to_string()]);
        }
        Ok(RevertCommand { program: program.display().to_string(), arguments })
    }
}
