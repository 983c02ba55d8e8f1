//! A host that fails: single writes, or everything from a step on, as when the process is killed there.

use std::cell::Cell;
use std::rc::Rc;

use corectl::host::{CommandOutput, DetachedProcess, FileTree, HeldLock, HostAccess, HostError, HostTime};

/// A host behind which another one is.
pub(crate) struct FailingHost<'h> {
    inner: &'h dyn HostAccess,
    steps: Cell<u64>,
    /// The step from which on nothing is done any more.
    stops_at: Option<u64>,
    /// Writes, counted from 0, that fail.
    failing_writes: Vec<u64>,
    writes: Cell<u64>,
    /// A folder in which no file can be written any more.
    full_folder: Option<&'static str>,
}

impl<'h> FailingHost<'h> {
    pub(crate) fn stopping(inner: &'h dyn HostAccess, stops_at: u64) -> Self {
        FailingHost { stops_at: Some(stops_at), ..Self::sound(inner) }
    }

    pub(crate) fn sound(inner: &'h dyn HostAccess) -> Self {
        FailingHost {
            inner,
            steps: Cell::new(0),
            stops_at: None,
            failing_writes: Vec::new(),
            writes: Cell::new(0),
            full_folder: None,
        }
    }

    pub(crate) fn with_failing_writes(inner: &'h dyn HostAccess, writes: &[u64]) -> Self {
        FailingHost { failing_writes: writes.to_vec(), ..Self::sound(inner) }
    }

    /// Without room in a folder.
    pub(crate) fn full(inner: &'h dyn HostAccess, folder: &'static str) -> Self {
        FailingHost { full_folder: Some(folder), ..Self::sound(inner) }
    }

    fn room(&self, path: &str) -> Result<(), HostError> {
        match self.full_folder {
            Some(folder) if path.starts_with(folder) => {
                Err(HostError::Refused { what: path.into(), why: "No space left on device".into() })
            }
            _ => Ok(()),
        }
    }

    /// Steps that changed something so far.
    pub(crate) fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// Writes of settings so far.
    pub(crate) fn writes(&self) -> u64 {
        self.writes.get()
    }

    fn is_gone(&self) -> bool {
        self.stops_at.is_some_and(|stop| self.steps.get() >= stop)
    }

    /// A step that changes something.
    fn step(&self) -> Result<(), HostError> {
        if self.is_gone() {
            return Err(HostError::Refused { what: "killed".into(), why: "the process is gone".into() });
        }
        self.steps.set(self.steps.get() + 1);
        Ok(())
    }

    fn write_step(&self) -> Result<(), HostError> {
        self.step()?;
        let number = self.writes.get();
        self.writes.set(number + 1);
        if self.failing_writes.contains(&number) {
            return Err(HostError::Refused { what: "write".into(), why: "Input/output error".into() });
        }
        Ok(())
    }
}

impl HostAccess for FailingHost<'_> {
    fn tree(&self) -> &dyn FileTree {
        self.inner.tree()
    }

    fn write(&self, path: &str, text: &str) -> Result<(), HostError> {
        self.write_step()?;
        self.inner.write(path, text)
    }

    fn link(&self, path: &str) -> Result<String, HostError> {
        self.inner.link(path)
    }

    fn store(&self, path: &str, text: &str) -> Result<(), HostError> {
        self.step()?;
        self.room(path)?;
        self.inner.store(path, text)
    }

    fn append(&self, path: &str, text: &str) -> Result<(), HostError> {
        self.step()?;
        self.room(path)?;
        self.inner.append(path, text)
    }

    fn remove(&self, path: &str) -> Result<(), HostError> {
        self.step()?;
        self.inner.remove(path)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<CommandOutput, HostError> {
        let shows = ["-i", "-l", "-g", "-c", "-k", "-x", "-a", "-n", "--show-priv-flags", "show"];
        if arguments.first().is_some_and(|option| shows.contains(option)) {
            return self.inner.run(program, arguments);
        }
        if arguments.first() == Some(&"-X") && arguments.last() == Some(&"default") {
            // Asked for before queues are changed, and not missed where it cannot be had.
            self.step()?;
            return self.inner.run(program, arguments);
        }
        self.write_step()?;
        self.inner.run(program, arguments)
    }

    fn lock(&self, path: &str) -> Result<Rc<dyn HeldLock>, HostError> {
        self.inner.lock(path)
    }

    fn now(&self) -> HostTime {
        self.inner.now()
    }

    fn detach(&self, arguments: &[String]) -> Result<DetachedProcess, HostError> {
        self.step()?;
        self.inner.detach(arguments)
    }

    fn end(&self, process: &DetachedProcess) {
        if !self.is_gone() {
            self.inner.end(process);
        }
    }

    fn has_systemd(&self) -> bool {
        self.inner.has_systemd()
    }
}

/// A host whose cards refuse an option of ethtool.
pub(crate) struct RefusingHost<'h> {
    pub(crate) inner: &'h dyn HostAccess,
    pub(crate) option: &'static str,
}

impl HostAccess for RefusingHost<'_> {
    fn tree(&self) -> &dyn FileTree {
        self.inner.tree()
    }

    fn link(&self, path: &str) -> Result<String, HostError> {
        self.inner.link(path)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<CommandOutput, HostError> {
        if arguments.first() == Some(&self.option) {
            return Ok(CommandOutput { status: 1, stdout: String::new(), stderr: "Input/output error".into() });
        }
        self.inner.run(program, arguments)
    }

    fn lock(&self, path: &str) -> Result<Rc<dyn HeldLock>, HostError> {
        self.inner.lock(path)
    }

    fn now(&self) -> HostTime {
        self.inner.now()
    }

    fn detach(&self, arguments: &[String]) -> Result<DetachedProcess, HostError> {
        self.inner.detach(arguments)
    }

    fn end(&self, process: &DetachedProcess) {
        self.inner.end(process);
    }

    fn has_systemd(&self) -> bool {
        self.inner.has_systemd()
    }
}
