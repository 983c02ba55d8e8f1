//! The secrets of clients' connections, written to a file for debugging with Wireshark.
//!
//! ```text
//!  handshake on a data core ── a line, if there is room ──▶ the thread "key-log" ──▶ the file
//! ```
//!
//! **Not** for production: whoever has the file reads everything that was recorded. It is warned of at the start and in `/readyz`.
//!
//! **Invariants**: a data core never waits for the file; a line that finds no room is dropped. The file is this user's alone.
//!
//! **Source**: NSS Key Log Format (draft-ietf-tls-keylogfile).

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::Builder;

use corelane_tls::crypto::KeyLog;

/// Lines that wait for the file: those of some hundred handshakes.
const LINES_MAX: usize = 1024;

#[derive(Debug)]
struct KeyLogFile(SyncSender<String>);

/// Opens the file, to be appended to, and starts the thread that writes it.
///
/// # Errors
/// The operator's: the file cannot be opened, or no thread can be made; the text names the key.
pub fn start(path: Option<&Path>) -> io::Result<Option<Arc<dyn KeyLog>>> {
    let Some(path) = path else { return Ok(None) };
    let refused = |error: io::Error| {
        io::Error::new(error.kind(), format!("tls.key_log: {}: cannot be written: {error}", path.display()))
    };
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(refused)?;
    let (lines, queued) = sync_channel::<String>(LINES_MAX);
    Builder::new().name("key-log".to_owned()).spawn(move || write(file, queued.iter())).map_err(refused)?;
    Ok(Some(Arc::new(KeyLogFile(lines))))
}

/// Writes lines until the last handshake that could make one is gone, or the file takes no more.
fn write(mut file: File, lines: impl Iterator<Item = String>) {
    for line in lines {
        if file.write_all(line.as_bytes()).is_err() {
            return;
        }
    }
}

impl KeyLog for KeyLogFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        // Debugging is worth a dropped line, and no waiting core.
        let _ = self.0.try_send(line(label, client_random, secret));
    }
}

fn line(label: &str, client_random: &[u8], secret: &[u8]) -> String {
    let mut line = format!("{label} ");
    let hex = |line: &mut String, bytes: &[u8]| {
        for byte in bytes {
            write!(line, "{byte:02x}").expect("a string takes all that is written to it");
        }
    };
    hex(&mut line, client_random);
    line.push(' ');
    hex(&mut line, secret);
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_that_wireshark_reads() {
        assert_eq!(line("CLIENT_RANDOM", &[0x0a, 0xff], &[0x10]), "CLIENT_RANDOM 0aff 10\n");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named_with_its_key() {
        let error = start(Some(Path::new("/proc/nowhere/keys"))).expect_err("it is no place for files").to_string();
        assert!(error.starts_with("tls.key_log: /proc/nowhere/keys: cannot be written: "), "{error}");
        assert!(start(None).is_ok_and(|log| log.is_none()));
    }
}
