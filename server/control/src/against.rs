//! `--check --against ADDRESS`: how the settings given differ from those of a process that runs.
//!
//! **Not** on a reactor: there is none yet when settings are checked, so this asks with a plain socket, and a deadline.
//!
//! **Invariants**: at most [`ANSWER_BYTES_MAX`] bytes are read.
//!
//! **Source**: RFC 9112; `/v1/config` of docs/config.md.

#![expect(clippy::disallowed_types, reason = "before any core runs there is no reactor to ask")]

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    time::Duration,
};

use serde_json::Value;

use crate::{
    reload::{Difference, differences},
    settings::{ListenAddress, SettingsTree},
};

/// Longest answer, in bytes: a thousand tables of a few keys.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// How long each step of asking may take: the process is on this host or near.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);

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
    let running = ask(admin).map_err(|error| {
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

fn ask(admin: &ListenAddress) -> io::Result<Value> {
    match admin {
        ListenAddress::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, STEP_TIMEOUT)?;
            stream.set_read_timeout(Some(STEP_TIMEOUT))?;
            stream.set_write_timeout(Some(STEP_TIMEOUT))?;
            converse(stream)
        }
        ListenAddress::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(STEP_TIMEOUT))?;
            stream.set_write_timeout(Some(STEP_TIMEOUT))?;
            converse(stream)
        }
    }
}

fn converse(mut stream: impl Read + Write) -> io::Result<Value> {
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
    let shows_settings =
        |settings: &serde_json::Map<String, Value>| settings.values().all(|it| it.get("from").is_some());
    settings.as_object().is_some_and(shows_settings).then_some(settings)
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
            ("HTTP/1.1 200 OK\r\n\r\n{", false),
            ("HTTP/1.1 200 OK\r\n", false),
        ] {
            assert_eq!(config_in(answer.as_bytes()).is_some(), is_taken, "{answer}");
        }
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
