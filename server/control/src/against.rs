//! `--check --against ADDRESS`: how the settings given differ from those of a process that runs.
//!
//! **Not** on a reactor: there is none yet when settings are checked.
//!
//! **Source**: `/v1/config` of docs/config.md.

use std::{io, time::Duration};

use serde_json::Value;

use crate::{
    admin_client,
    reload::{Difference, differences},
    settings::{Against, ListenAddress, SettingsTree},
};

/// How long asking may take, from the connection to the end of the response: the process is on this host or near.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

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
pub(crate) fn compare(program: &str, given: &SettingsTree, against: &Against) -> Result<(String, u8), String> {
    let Against { admin, operator } = against;
    let page = admin_client::ask(admin, operator.as_ref(), "/v1/config", ASK_TIMEOUT);
    let of_a_process = |page: Vec<u8>| {
        settings_in(&page).ok_or_else(|| io::Error::other("its response is not the settings of a process"))
    };
    let running = page.and_then(of_a_process).map_err(|error| {
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

/// The settings in a page.
fn settings_in(page: &[u8]) -> Option<Value> {
    let settings: Value = serde_json::from_slice(page).ok()?;
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
            ("{\"memory\": {\"value\": \"1GiB\", \"from\": \"default\"}}", true),
            ("{\"memory\": {\"value\": \"1GiB\"}}", false),
            ("[]", false),
            ("{}", false),
            ("{\"\\u001b[2J\": {\"from\": \"default\"}}", false),
            ("{", false),
            ("", false),
        ] {
            assert_eq!(settings_in(answer.as_bytes()).is_some(), is_taken, "{answer}");
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
