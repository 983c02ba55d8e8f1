//! Reading files without waiting for them: a thread of their own, and what it has found.
//!
//! ```text
//!  control thread ── work ──▶ file thread ── open, stat, read ──▶ PendingFiles ── looked at, never waited for
//!  main thread, before the process serves ── work ──▶ file thread ──▶ waited for, until a deadline
//! ```
//!
//! **Not** for the access log, which has a writer. **Not** deciding how long is too long, which is [`crate::lifecycle`]'s.
//!
//! **Invariants**: one piece of work at a time and thread, so that nothing queues behind a file system that hangs; only regular
//! files are read, and no more than [`FILE_BYTES_MAX`] of one.
//!
//! **Source**: open(2), `O_NONBLOCK`: a named pipe without a writer does not hold up whoever opens it to read.

use std::{
    fs::{FileType, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread::Builder,
    time::Duration,
};

/// Longest file that is read, in bytes: a topology that gives every slot alone is 1 MiB.
pub const FILE_BYTES_MAX: u64 = 16 << 20;

/// `O_NONBLOCK` of fcntl.h, on every architecture that io_uring servers run on.
const NONBLOCKING: i32 = 0o4000;

type FileJob = Box<dyn FnOnce() + Send>;

/// Where files are read.
pub enum ReadingPlace {
    /// Where it is asked for: in a simulation, whose files are memory.
    InPlace,
    /// On a thread of its own.
    Thread(SyncSender<FileJob>),
}

impl ReadingPlace {
    /// Starts a thread that reads files; its name is at most 15 bytes.
    ///
    /// # Errors
    ///
    /// The operator's: no thread can be made.
    pub fn start(name: &str) -> io::Result<Self> {
        let (works, queued) = sync_channel::<FileJob>(1);
        Builder::new().name(name.to_owned()).spawn(move || queued.iter().for_each(|work| work()))?;
        Ok(Self::Thread(works))
    }

    /// Has `work` done. What was begun before must be over, or it finds no room and is never done.
    pub fn begin<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> PendingFiles<T> {
        let (result, pending) = sync_channel(1);
        let work: FileJob = Box::new(move || {
            // Nobody may wait for it any more.
            let _ = result.send(work());
        });
        match self {
            Self::InPlace => work(),
            Self::Thread(works) => drop(works.try_send(work)),
        }
        PendingFiles(pending)
    }

    /// Has `work` done and waits for it. Only before the process serves: nothing else is served meanwhile.
    ///
    /// # Errors
    ///
    /// `work` has not ended within `timeout`; it may never end.
    pub fn within<T: Send + 'static>(
        &self,
        timeout: Duration,
        work: impl FnOnce(&LookingAt) -> T + Send + 'static,
    ) -> Result<T, FilesHang> {
        let (looking, looked_at) = channel();
        let pending = self.begin(move || work(&LookingAt(looking)));
        let late = |_| FilesHang { path: looked_at.try_iter().last().unwrap_or_default(), waited: timeout };
        pending.0.recv_timeout(timeout).map_err(late)
    }
}

/// Where work on files says which one it is about to look at: the last one is where it hangs. One path for each file of a start.
pub struct LookingAt(Sender<PathBuf>);

impl LookingAt {
    /// Says that `path` is looked at next.
    pub fn note(&self, path: &Path) {
        // Nobody may wait for the work any more.
        let _ = self.0.send(path.to_owned());
    }
}

/// A file system does not answer. It may later.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: its file system has not answered for {} s; look at what is mounted there (/proc/mounts), and start again when it answers",
    path.display(),
    waited.as_secs()
)]
pub struct FilesHang {
    path: PathBuf,
    waited: Duration,
}

/// What will have been found.
pub struct PendingFiles<T>(Receiver<T>);

impl<T> PendingFiles<T> {
    /// What was found already.
    #[must_use]
    pub fn ready(value: T) -> Self {
        let (result, pending) = sync_channel(1);
        result.send(value).expect("the receiver is here, and there is room for one");
        Self(pending)
    }

    /// What somebody else will send.
    #[must_use]
    pub const fn from_receiver(receiver: Receiver<T>) -> Self {
        Self(receiver)
    }

    /// It, once, when it is there.
    pub fn take(&self) -> Option<T> {
        self.0.try_recv().ok()
    }
}

/// The text of a regular file.
///
/// # Errors
///
/// It is not there, is no regular file, is longer than [`FILE_BYTES_MAX`] or no UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_bytes(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

/// What a regular file holds.
///
/// # Errors
///
/// It is not there, is no regular file, or is longer than [`FILE_BYTES_MAX`].
pub fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(NONBLOCKING).open(path)?;
    let kind = file.metadata()?.file_type();
    if !kind.is_file() {
        return Err(io::Error::other(format!("it is {}; a regular file is needed", word(kind))));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it is longer than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    Ok(bytes)
}

/// What a file is that is no regular one.
fn word(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_fifo() => "a named pipe (FIFO)",
        kind if kind.is_dir() => "a folder",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        kind if kind.is_socket() => "a socket",
        _ => "no regular file",
    }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, process::Command, sync::mpsc::channel};

    use super::*;

    fn own_folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("corelane-reading-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn only_regular_files_are_read() {
        let folder = own_folder("kinds");
        let pipe = folder.join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::fs::write(folder.join("text"), "a = 1\n").unwrap();
        let long = std::fs::File::create(folder.join("long")).unwrap();
        long.set_len(FILE_BYTES_MAX + 1).unwrap();
        assert_eq!(read_text(&folder.join("text")).unwrap(), "a = 1\n");
        for (path, part) in [
            (pipe, "a named pipe (FIFO); a regular file is needed"),
            (folder.clone(), "a folder; a regular file"),
            (PathBuf::from("/dev/zero"), "a device; a regular file"),
            (folder.join("long"), "longer than 16 MiB"),
            (folder.join("missing"), "No such file"),
        ] {
            let error = read_text(&path).unwrap_err().to_string();
            assert!(error.contains(part), "{}: {error}", path.display());
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_start_does_not_wait_for_work_that_hangs() {
        let reader = ReadingPlace::start("files").unwrap();
        assert_eq!(reader.within(Duration::MAX, |_| 4).unwrap(), 4);
        let (go_on, gate) = channel::<()>();
        let (begun, has_begun) = channel();
        let hang = reader.within(Duration::from_secs(1), move |looking| {
            ["/a", "/b"].iter().for_each(|path| looking.note(Path::new(path)));
            begun.send(()).unwrap();
            gate.recv().is_ok()
        });
        has_begun.recv().unwrap();
        let text = hang.unwrap_err().to_string();
        assert!(text.starts_with("/b: its file system has not answered for 1 s; "), "{text}");
        drop(go_on);
    }

    #[test]
    fn work_that_hangs_holds_up_nobody() {
        let reader = ReadingPlace::start("files").unwrap();
        let (go_on, gate) = channel::<()>();
        let first = reader.begin(move || gate.recv().is_ok());
        assert_eq!(first.take(), None);
        go_on.send(()).unwrap();
        while first.take() != Some(true) {
            std::thread::yield_now();
        }
        let second = reader.begin(|| 2);
        while second.take() != Some(2) {
            std::thread::yield_now();
        }
        assert_eq!(ReadingPlace::InPlace.begin(|| 3).take(), Some(3));
    }
}
