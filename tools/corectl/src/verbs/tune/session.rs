//! What all verbs of `tune` have: the host, its state, and the look for what was left unfinished.

use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context, Result};
use corectl::host::{DiskTree, FakeHost, HeldLock, HostAccess, RealHost};
use corectl::transaction::{Recovery, RevertCommand, STATE_FOLDER, StateStore, TransactionError, recover};

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
    ///
    /// Nothing is printed while the lock is held, here and by callers: a terminal that takes no text (a connection that died, a
    /// pager) would keep the timer from taking a change back.
    pub(super) fn begin(&self) -> Result<(StateStore<'_>, Rc<dyn HeldLock>)> {
        self.begin_with(|recovery| eprintln!("{}", recovery.said))
    }

    /// The same; what was finished is told to `said` before the lock is taken again.
    pub(super) fn begin_with(&self, mut said: impl FnMut(&Recovery)) -> Result<(StateStore<'_>, Rc<dyn HeldLock>)> {
        let store = self.store();
        loop {
            let lock = store.lock()?;
            let Some(recovery) = recover(&store)? else { return Ok((store, lock)) };
            drop(lock);
            said(&recovery);
        }
    }

    /// For verbs that only look: what could not be taken back is said, and looked at all the same.
    pub(super) fn look(&self) -> Result<StateStore<'_>> {
        match self.begin() {
            Ok((store, _lock)) => Ok(store),
            Err(error) => match error.downcast_ref() {
                Some(TransactionError::NotBack { .. } | TransactionError::NotForgotten { .. }) => {
                    eprintln!("error: {error}");
                    Ok(self.store())
                }
                _ => Err(error),
            },
        }
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
