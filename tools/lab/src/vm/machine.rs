//! The machine: QEMU, and SSH into it.
//!
//! **Invariants**: QEMU ends when this is dropped, or with the process that started it. Writes to the disk go to a file without
//! a name. A wait ends early when QEMU has ended, and says so.
//!
//! **Source**: qemu-system-x86_64(1); ssh_config(5).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::image::GuestImage;
use super::network::{DATA_TAP, GUEST_MANAGEMENT, MANAGEMENT_TAP, create};
use crate::capture::{Captured, capture, capture_with_input};
use crate::child::ChildProcess;
use crate::namespace::TestNamespace;
use crate::poll::{self, Stop};
use crate::progress::{HEARTBEAT, ProgressLog};

/// From power on to SSH: 30 to 90 s in software emulation, more on a busy machine.
const BOOT_LIMIT: Duration = Duration::from_secs(600);
/// For an ordinary command in the guest.
pub(super) const COMMAND_LIMIT: Duration = Duration::from_secs(120);
/// For one attempt to get in: a handshake takes the guest 1 to 3 s.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(20);

/// What runs in the guest.
const GUEST_PROGRAMS: &[&str] = &["corelane", "corectl"];

/// The programs of ours that run in the guest, and the load generator that runs outside.
#[derive(Debug, Clone)]
pub struct GuestPrograms {
    /// The folder with `corelane`, `corectl` and `coreperf`.
    pub folder: PathBuf,
}

impl GuestPrograms {
    /// Copies ours into the guest, without what debuggers read.
    ///
    /// # Errors
    /// One of them was not built, or could not be copied.
    pub fn install(&self, machine: &GuestMachine) -> Result<()> {
        for name in GUEST_PROGRAMS {
            let stripped = std::env::temp_dir().join(format!("corelane-vm-{}.{name}", std::process::id()));
            let mut strip = Command::new("strip");
            strip.arg("-o").arg(&stripped).arg(self.folder.join(name));
            capture(&mut strip, COMMAND_LIMIT, &machine.stop)?.success("strip")?;
            let copied = machine.copy(&stripped, &format!("/usr/local/bin/{name}"), 0o755);
            std::fs::remove_file(&stripped)?;
            copied?;
        }
        Ok(())
    }
}

/// A running machine.
pub struct GuestMachine {
    qemu: ChildProcess,
    // Dropped after QEMU.
    namespace: TestNamespace,
    image: GuestImage,
    console: PathBuf,
    progress: ProgressLog,
    stop: Stop,
}

impl GuestMachine {
    /// Starts it and waits for SSH.
    ///
    /// # Errors
    /// QEMU ended, or SSH did not answer in time; the error has the end of the guest's console.
    pub fn boot(image: &GuestImage, progress: &ProgressLog, stop: &Stop) -> Result<Self> {
        let namespace = create()?;
        let console = std::env::temp_dir().join(format!("corelane-vm-{}.console", std::process::id()));
        progress.say("machine: power on");
        let qemu = ChildProcess::start(&mut qemu(&namespace, image, &console)?)?;
        let mut machine =
            Self { qemu, namespace, image: image.clone(), console, progress: *progress, stop: stop.clone() };
        let boot = machine.wait_for_boot(None)?;
        progress.say(&format!("machine: up, boot {boot}"));
        Ok(machine)
    }

    /// Restarts the guest and waits for SSH of the next boot.
    ///
    /// # Errors
    /// As [`GuestMachine::boot`].
    pub fn reboot(&mut self) -> Result<()> {
        let before = self.run(BOOT_ID)?;
        self.progress.say("machine: reboot");
        // The connection may end before the command does.
        let _ = self.try_run("systemctl reboot", ATTEMPT_LIMIT)?;
        let boot = self.wait_for_boot(Some(before.trim()))?;
        self.progress.say(&format!("machine: up, boot {boot}"));
        Ok(())
    }

    /// Runs a shell command in the guest and returns its standard output.
    ///
    /// # Errors
    /// It failed; the error has what it wrote.
    pub fn run(&self, command: &str) -> Result<String> {
        self.try_run(command, COMMAND_LIMIT)?.success(command)
    }

    /// Runs a shell command in the guest; its exit status may be any. SSH's own failures have status 255.
    ///
    /// # Errors
    /// SSH could not be started, or a stop was requested.
    pub fn try_run(&self, command: &str, limit: Duration) -> Result<Captured> {
        capture(self.ssh().arg(command), limit, &self.stop)
    }

    /// Writes a file of the guest.
    ///
    /// # Errors
    /// SSH's, or the guest's file system's.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let local = std::env::temp_dir().join(format!("corelane-vm-{}.file", std::process::id()));
        std::fs::write(&local, text)?;
        let copied = self.copy(&local, path, 0o644);
        std::fs::remove_file(&local)?;
        copied
    }

    /// Copies a file into the guest.
    ///
    /// # Errors
    /// As [`GuestMachine::write`].
    pub fn copy(&self, local: &Path, path: &str, mode: u32) -> Result<()> {
        let input = File::open(local).with_context(|| local.display().to_string())?;
        let folder = Path::new(path).parent().context("a path with a folder")?.display();
        let command =
            format!("mkdir -p {folder} && cat > {path}.new && chmod {mode:o} {path}.new && mv {path}.new {path}");
        let mut ssh = self.ssh();
        let copied = capture_with_input(ssh.arg(command), Stdio::from(input), COMMAND_LIMIT, &self.stop)?;
        copied.success(&format!("copying {}", local.display()))?;
        Ok(())
    }

    /// Calls `probe` until it returns a value; fails at the deadline, when QEMU ends, or when a stop is requested.
    ///
    /// # Errors
    /// Those, in the words of `what`.
    pub fn wait<T>(&mut self, what: &str, limit: Duration, mut probe: impl FnMut(&Self) -> Option<T>) -> Result<T> {
        let (began, stop) = (Instant::now(), self.stop.clone());
        let mut shown = began;
        let found = poll::until(began + limit, &stop, || {
            if self.qemu.exited().is_some() {
                return Some(None);
            }
            if shown.elapsed() >= HEARTBEAT {
                shown = Instant::now();
                self.progress.say(&format!("waiting for {what}: {} s", began.elapsed().as_secs()));
            }
            probe(self).map(Some)
        });
        match found {
            Some(Some(value)) => Ok(value),
            Some(None) => bail!("QEMU ended while waiting for {what}; the console ends with\n{}", self.console_end()),
            None if stop.requested() => bail!("stopped by a signal"),
            None => bail!("no {what} after {} s; the console ends with\n{}", limit.as_secs(), self.console_end()),
        }
    }

    /// The network that the guest's cards are in.
    #[must_use]
    pub fn namespace(&self) -> &TestNamespace {
        &self.namespace
    }

    /// What says that it is time to end.
    #[must_use]
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Where lines about long work go.
    #[must_use]
    pub fn progress(&self) -> &ProgressLog {
        &self.progress
    }

    /// The identity of the present boot, if SSH answers.
    #[must_use]
    pub fn boot_id(&self) -> Option<String> {
        let answer = self.try_run(BOOT_ID, ATTEMPT_LIMIT).ok()?;
        (answer.status == Some(0)).then(|| answer.stdout.trim().to_owned())
    }

    fn wait_for_boot(&mut self, before: Option<&str>) -> Result<String> {
        self.wait("SSH", BOOT_LIMIT, |machine| machine.boot_id().filter(|boot| Some(boot.as_str()) != before))
    }

    fn ssh(&self) -> Command {
        let mut command = self.namespace.command("ssh");
        command.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=10",
            "-o",
            "KexAlgorithms=curve25519-sha256",
        ]);
        command.args(["-o", "IdentitiesOnly=yes", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=4"]);
        let known = format!("UserKnownHostsFile={}", self.image.file("known_hosts").display());
        command.args(["-o", &known, "-i"]).arg(self.image.file("client"));
        command.arg(format!("root@{GUEST_MANAGEMENT}"));
        command
    }

    fn console_end(&self) -> String {
        let bytes = std::fs::read(&self.console).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for GuestMachine {
    fn drop(&mut self) {
        self.qemu.kill();
        // It may never have been written.
        let _ = std::fs::remove_file(&self.console);
    }
}

const BOOT_ID: &str = "cat /proc/sys/kernel/random/boot_id";

fn qemu(namespace: &TestNamespace, image: &GuestImage, console: &Path) -> Result<Command> {
    let disk = image.file("disk.img");
    ensure!(disk.is_file(), "{} is not there", disk.display());
    let mut command = namespace.command("nice");
    command.args(["-n", "10", "qemu-system-x86_64"]);
    // Software emulation everywhere: what the guest's kernel and drivers do is the same on every machine.
    command.args(["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "4", "-m", "1024"]);
    command.args(["-nodefaults", "-no-user-config", "-display", "none"]);
    command.arg("-serial").arg(format!("file:{}", console.display()));
    command.arg("-drive");
    command.arg(format!("file={},if=none,id=disk,format=raw,cache=unsafe,snapshot=on", disk.display()));
    command.args(["-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci"]);
    let tap = |id: &str, name: &str, more: &str| format!("tap,id={id},ifname={name},script=no,downscript=no{more}");
    command.args(["-netdev", &tap("mgmt", MANAGEMENT_TAP, ",queues=4")]);
    command.args(["-device", "virtio-net-pci,netdev=mgmt,mq=on,vectors=10,mac=52:54:00:00:00:01"]);
    command.args(["-netdev", &tap("data", DATA_TAP, "")]);
    command.args(["-device", "igb,netdev=data,mac=52:54:00:00:00:02"]);
    Ok(command)
}
