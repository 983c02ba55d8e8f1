//! `--check --against ADDRESS`: how the settings given differ from those of a process that runs.
//!
//! **Not** on a reactor: there is none yet when settings are checked, so this asks with a plain socket.
//!
//! **Invariants**: at most [`ANSWER_BYTES_MAX`] bytes are read, and [`ASK_TIMEOUT`] passes, whatever answers or does not.
//!
//! **Source**: RFC 9112; `/v1/config` of docs/config.md.

#![expect(clippy::disallowed_types, reason = "before any core runs there is no reactor to ask")]

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    sync::mpsc::sync_channel,
    thread::Builder,
    time::Duration,
};

use serde_json::Value;

use crate::{
    reload::{Difference, differences},
    settings::{ListenAddress, SettingsTree},
};

/// Longest answer, in bytes: a thousand tables of a few keys.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// How long asking may take, from the connection to the end of the response: the process is on this host or near.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

const REQUEST: &[u8] = b"GET /v1/config HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n";

/// Nothing differs.
const SAME: u8 = 0;
/// Something differs, and a reload is enough.
const RELOAD: u8 = 3;
/// Something differs that needs a restart.
const RESTART: u8 = 4;

/// What is printed about the differences, a line each, and the exit status.
///
/// # Errors
/// The operator's: there is no response, or none of a process of this kind.
pub(crate) fn compare(program: &str, given: &SettingsTree, admin: &ListenAddress) -> Result<(String, u8), String> {
    let running = ask(admin, ASK_TIMEOUT).map_err(|error| {
        format!("--against: cannot ask {admin}: {error}; ADDRESS is the admin listener of a running {program}")
    })?;
    Ok(report(&differences(&running, &given.to_json()), admin))
}

fn report(differences: &[Difference], admin: &ListenAddress) -> (String, u8) {
    if differences.is_empty() {
        return (format!("the process at {admin} has these settings\n"), SAME);
    }
    let lines = differences.iter().map(|difference| format!("{difference}\n")).collect();
    let needs_restart = differences.iter().any(|difference| difference.needs_restart);
    (lines, if needs_restart { RESTART } else { RELOAD })
}

/// Asks, on a thread of its own: whatever a step waits for, a connection too, ends with `timeout`.
fn ask(admin: &ListenAddress, timeout: Duration) -> io::Result<Value> {
    let (answering, answered) = sync_channel(1);
    let admin = admin.clone();
    Builder::new().name("against".to_owned()).spawn(move || {
        // Nobody waits any more if this comes too late.
        let _ = answering.send(ask_and_wait(&admin));
    })?;
    let late = |_| Err(io::Error::other(format!("no response within {} s", timeout.as_secs_f32())));
    answered.recv_timeout(timeout).unwrap_or_else(late)
}

fn ask_and_wait(admin: &ListenAddress) -> io::Result<Value> {
    match admin {
        ListenAddress::Tcp(address) => read_settings(TcpStream::connect(address)?),
        ListenAddress::Unix(path) => read_settings(UnixStream::connect(path)?),
    }
}

fn read_settings(mut stream: impl Read + Write) -> io::Result<Value> {
    stream.write_all(REQUEST)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    config_in(&answer).ok_or_else(|| io::Error::other("its response is not the settings of a process"))
}

/// The settings in a whole response: a 200 whose body ends with the connection, or of a length that is said.
fn config_in(answer: &[u8]) -> Option<Value> {
    let head_bytes = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let (head, body) = answer.split_at(head_bytes);
    let settings: Value = serde_json::from_slice(body).ok().filter(|_| head.starts_with(b"HTTP/1.1 200 "))?;
    let is_setting = |(key, it): (&String, &Value)| {
        // Keys are printed as they are.
        key.bytes().all(|byte| byte.is_ascii_graphic()) && it.get("from").is_some()
    };
    let shown = settings.as_object()?;
    (!shown.is_empty() && shown.iter().all(is_setting)).then_some(settings)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_an_answer_with_settings_is_taken() {
        for (answer, is_taken) in [
            ("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{\"memory\": {\"value\": \"1GiB\", \"from\": \"default\"}}", true),
            ("HTTP/1.1 200 OK\r\n\r\n{\"memory\": {\"value\": \"1GiB\"}}", false),
            ("HTTP/1.1 404 Not Found\r\n\r\n{}", false),
            ("HTTP/1.1 200 OK\r\n\r\n[]", false),
            ("HTTP/1.1 200 OK\r\n\r\n{}", false),
            ("HTTP/1.1 200 OK\r\n\r\n{\"\\u001b[2J\": {\"from\": \"default\"}}", false),
            ("HTTP/1.1 200 OK\r\n\r\n{", false),
            ("HTTP/1.1 200 OK\r\n", false),
        ] {
            assert_eq!(config_in(answer.as_bytes()).is_some(), is_taken, "{answer}");
        }
    }

    #[test]
    fn what_never_ends_its_answer_is_not_waited_for() {
        let folder = std::env::temp_dir().join(format!("corelane-against-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("admin");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        // A byte for every one that is taken, without an end.
        Builder::new()
            .spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                while stream.write_all(b" ").is_ok() && stream.flush().is_ok() {
                    std::thread::yield_now();
                }
            })
            .unwrap();
        let error = ask(&ListenAddress::Unix(path), Duration::from_millis(50)).unwrap_err().to_string();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(error, "no response within 0.05 s");
    }

    #[test]
    fn the_status_says_what_it_takes() {
        let difference = |needs_restart| Difference { key: "k".into(), old: json!(1), new: json!("2s"), needs_restart };
        let admin = "127.0.0.1:1".parse().unwrap();
        let (text, status) = report(&[difference(false)], &admin);
        assert_eq!((text.as_str(), status), ("k: 1 -> \"2s\" (takes effect by a reload)\n", 3));
        let (text, status) = report(&[difference(false), difference(true)], &admin);
        assert_eq!((text.lines().count(), status), (2, 4));
        assert!(text.ends_with("k: 1 -> \"2s\" (needs a restart)\n"), "{text}");
        assert_eq!(report(&[], &admin).1, 0);
    }
}
