//! Ansible and its checkers: a virtual environment of Python with the versions of `ansible/requirements.txt`, made once and kept
//! outside the repository.
//!
//! ```text
//!  ${XDG_CACHE_HOME:-~/.cache}/corelane-python/
//!      lock               held while one is made
//!      <fingerprint>/     bin/ansible-playbook, bin/ansible-lint, …; complete where it has the file `complete`
//! ```
//!
//! **Invariants**: another requirement, or another Python, is another environment.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use corelane_lab::cache::fingerprint;
use corelane_lab::capture::capture;
use corelane_lab::poll::Stop;
use rustix::fs::{FlockOperation, flock};

use crate::packages;

/// What is installed.
const REQUIREMENTS: &str = "ansible/requirements.txt";

/// Says that an environment is whole.
const COMPLETE: &str = "complete";

/// Downloading and unpacking on a slow line.
const INSTALL_LIMIT: Duration = Duration::from_secs(10 * 60);

/// A program that answers at once, on a busy machine.
const ASK_LIMIT: Duration = Duration::from_secs(60);

/// A check of `ansible/` without any host.
pub(crate) struct PythonCheck {
    pub(crate) name: &'static str,
    /// The program and its arguments, run in the folder.
    words: &'static [&'static str],
    pub(crate) limit: Duration,
}

/// All of them.
pub(crate) const CHECKS: &[PythonCheck] = &[
    PythonCheck { name: "yamllint", words: &["yamllint", "--strict", "."], limit: CHECK_LIMIT },
    PythonCheck { name: "ansible-lint", words: &["ansible-lint", "--offline"], limit: CHECK_LIMIT },
    PythonCheck { name: "ansible unit tests", words: &["python", "-m", "unittest", "discover"], limit: CHECK_LIMIT },
];

/// Seconds, on a machine that does nothing else.
const CHECK_LIMIT: Duration = Duration::from_secs(5 * 60);

impl PythonCheck {
    /// What is run.
    pub(crate) fn command(&self, root: &Path, python: &PythonEnv) -> Command {
        let mut command = python.command(self.words[0]);
        command.args(&self.words[1..]).current_dir(root.join("ansible"));
        command
    }
}

/// An environment that is ready.
pub(crate) struct PythonEnv {
    /// The folder of its programs.
    pub(crate) bin: PathBuf,
}

impl PythonEnv {
    /// Takes it from the cache or makes it.
    ///
    /// # Errors
    /// The operator's: no Python, no package index.
    pub(crate) fn ready(root: &Path, stop: &Stop) -> Result<Self> {
        let requirements = root.join(REQUIREMENTS);
        let wanted = fs::read_to_string(&requirements).context(REQUIREMENTS)?;
        let python =
            must(Command::new("python3").args(["-c", "import sys; print(sys.version, sys.base_prefix)"]), stop)?;
        let cache = cache()?;
        fs::create_dir_all(&cache).with_context(|| cache.display().to_string())?;
        let lock = File::create(cache.join("lock")).context("the lock of the cache")?;
        flock(&lock, FlockOperation::LockExclusive).context("the lock of the cache")?;
        let folder = cache.join(fingerprint(&[&wanted, &python]));
        if !folder.join(COMPLETE).exists() {
            println!("making {}", folder.display());
            make(&folder, &requirements, stop)?;
        }
        Ok(Self { bin: folder.join("bin") })
    }

    /// One of its programs, which finds the others.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.bin.display())).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

fn make(folder: &Path, requirements: &Path, stop: &Stop) -> Result<()> {
    if folder.exists() {
        // One that was not finished.
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let has_venv = capture(Command::new("python3").args(["-c", "import venv, ensurepip"]), ASK_LIMIT, stop)?;
    if has_venv.status != Some(0) {
        packages::install_python_venv()?;
    }
    must(Command::new("python3").args(["-m", "venv"]).arg(folder), stop)?;
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(requirements);
    must(&mut pip, stop)?;
    fs::write(folder.join(COMPLETE), "").context(COMPLETE)
}

fn must(command: &mut Command, stop: &Stop) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let captured = capture(command, INSTALL_LIMIT, stop)?;
    ensure!(captured.status == Some(0), "{program}: status {:?}\n{}", captured.status, captured.stderr.trim_end());
    Ok(captured.stdout)
}

fn cache() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    Ok(cache.context("neither XDG_CACHE_HOME nor HOME is set")?.join("corelane-python"))
}
