//! The file of ticket keys that a fleet shares.
//!
//! ```text
//!  # made 2026-12-01T00:00:00Z     age, for people and for `show`
//!  <64 hexadecimal digits>         newest first: next, current, previous
//! ```
//!
//! A new key goes in front and does nothing but open tickets; it seals them from the next rotation on. So hosts may take a new file
//! one after another: what one seals with, each other opens.
//!
//! **Not** the use of the keys: that is the servers'.
//!
//! **Invariants**: at most three keys, and never fewer than before.
//!
//! **Source**: docs/tls.md.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::rand::{GetRandomFlags, getrandom};

use super::disk;
use super::error::PkiFault;

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// Keys of a file: next, current, previous.
const KEYS_MAX: usize = 3;

/// What stands before the time in a key's comment.
const MADE: &str = "# made ";

/// What is done to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketKeyChange {
    /// It is made; there is none.
    Make,
    /// A new key goes in front, and the oldest of more than three is dropped.
    Rotate,
}

/// A key, and when it was made, in seconds since 1970.
struct KeyLine {
    digits: String,
    made: Option<u64>,
}

/// Makes the file or rotates its keys; makes the folder if it is not there. Returns how many keys it has now.
///
/// # Errors
/// It is there, is not, or has something else in it; or another process is at work.
pub fn change_ticket_keys(path: &Path, change: TicketKeyChange, now: u64) -> Result<usize, PkiFault> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.exists() {
        disk::make_folder(folder)?;
    }
    let _lock = disk::lock(folder)?;
    let found = disk::read(path)?;
    let mut keys = match (change, found) {
        (TicketKeyChange::Make, Some(_)) => {
            let remedy = "--rotate puts a new key in front of those in it";
            return Err(PkiFault::Exists { path: path.to_owned(), remedy });
        }
        (TicketKeyChange::Rotate, None) => {
            let why = format!("{}: there is no such file; make it with `corectl pki ticket-keys`", path.display());
            return Err(PkiFault::Refused(why));
        }
        // With one key the first rotation would change nothing that is sealed.
        (TicketKeyChange::Make, None) => vec![made(now)?],
        (TicketKeyChange::Rotate, Some(text)) => parse(path, &text)?,
    };
    keys.insert(0, made(now)?);
    keys.truncate(KEYS_MAX);
    disk::store(path, &text_of(&keys), disk::SECRET)?;
    Ok(keys.len())
}

/// How many keys a file has, and when the newest was made, in seconds since 1970, if it says so.
pub(super) fn summary(path: &Path) -> Result<Option<(usize, Option<u64>)>, PkiFault> {
    let Some(text) = disk::read(path)? else { return Ok(None) };
    let keys = parse(path, &text)?;
    Ok(Some((keys.len(), keys.first().and_then(|key| key.made))))
}

fn made(now: u64) -> Result<KeyLine, PkiFault> {
    let mut bytes = [0_u8; KEY_BYTES];
    let count = getrandom(&mut bytes, GetRandomFlags::empty());
    // The kernel gives up to 256 bytes at once.
    if count != Ok(KEY_BYTES) {
        return Err(PkiFault::Refused("the kernel gave no random bytes".to_owned()));
    }
    Ok(KeyLine { digits: bytes.iter().map(|byte| format!("{byte:02x}")).collect(), made: Some(now) })
}

fn text_of(keys: &[KeyLine]) -> String {
    let mut text =
        String::from("# Ticket keys of a fleet, newest first: next, current, previous. The same file on every host.\n");
    for key in keys {
        if let Some(made) = key.made {
            let time = UNIX_EPOCH + Duration::from_secs(made);
            text += &format!("{MADE}{}\n", humantime::format_rfc3339_seconds(time));
        }
        text += &key.digits;
        text.push('\n');
    }
    text
}

fn parse(path: &Path, text: &str) -> Result<Vec<KeyLine>, PkiFault> {
    let wrong = |line: usize, why: &str| {
        let path = path.display();
        PkiFault::Refused(format!(
            "{path}, line {line}: {why}; a ticket key is a line of 64 hexadecimal digits, 1 to 3 of them"
        ))
    };
    let mut keys: Vec<KeyLine> = Vec::new();
    let mut made = None;
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            made = line.strip_prefix(MADE).and_then(seconds).or(made);
            continue;
        }
        if line.len() != 2 * KEY_BYTES || !line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong(index + 1, "no key"));
        }
        if keys.iter().any(|key| key.digits.eq_ignore_ascii_case(line)) {
            return Err(wrong(index + 1, "the same key twice"));
        }
        keys.push(KeyLine { digits: line.to_owned(), made: made.take() });
    }
    if (1..=KEYS_MAX).contains(&keys.len()) { Ok(keys) } else { Err(wrong(1, &format!("{} keys", keys.len()))) }
}

fn seconds(time: &str) -> Option<u64> {
    let time: SystemTime = humantime::parse_rfc3339(time.trim()).ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}
