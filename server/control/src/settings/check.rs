//! What must hold for settings made of any bytes; the body of the fuzz target `settings`.
//!
//! The first lines of the input, up to an empty one, are flags (they begin with `--`) and environment variables
//! (`NAME=VALUE`); the rest is the configuration file. Without an empty line all of it is the file.
//!
//! **Not**: part of what a binary does. **Invariants**: no panic; a refusal has one line for each of its errors; what is
//! accepted prints as a file that reads back as the same settings.
//!
//! **Source**: the promises of [`super`] and of docs/config.md.

use std::{ffi::OsString, fmt::Debug, path::Path};

use super::{EdgeSettings, Invocation, NodeSettings, Settings, Sources, load};

/// Checks the loader on the input, for each binary.
///
/// # Panics
///
/// When a promise of the loader does not hold.
pub fn settings(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    check::<EdgeSettings>(&text);
    check::<NodeSettings>(&text);
}

fn check<T: Settings + PartialEq + Debug>(input: &str) {
    let (head, file) = input.split_once("\n\n").unwrap_or(("", input));
    let (flags, variables): (Vec<&str>, Vec<&str>) = head.lines().partition(|line| line.starts_with("--"));
    let mut arguments: Vec<OsString> = flags.into_iter().map(OsString::from).collect();
    arguments.push("--config=/fuzz.toml".into());
    let environment = variables.iter().filter_map(|line| line.split_once('='));
    let environment = environment.map(|(name, value)| (name.into(), value.into())).collect();
    match load::<T>(&Sources { arguments, environment, read_file: &|_: &Path| Ok(file.to_owned()) }) {
        Ok(Invocation::Serve(loaded) | Invocation::Check(loaded)) => {
            let printed = loaded.effective.to_toml();
            assert_eq!(reloaded::<T>(&printed), loaded.settings, "{printed}");
            assert!(loaded.effective.to_json().is_object());
        }
        Ok(Invocation::Print(text)) => assert!(text.ends_with('\n')),
        Err(errors) => assert_eq!(errors.to_string().lines().count(), errors.errors().len(), "{errors}"),
    }
}

fn reloaded<T: Settings>(printed: &str) -> T {
    let arguments = vec!["--config=/printed.toml".into()];
    match load::<T>(&Sources { arguments, environment: Vec::new(), read_file: &|_: &Path| Ok(printed.to_owned()) }) {
        Ok(Invocation::Serve(loaded)) => loaded.settings,
        Ok(Invocation::Check(_)) => panic!("a file cannot ask for a check"),
        Ok(Invocation::Print(text)) => panic!("nothing was asked to be printed: {text}"),
        Err(errors) => panic!("printed settings are valid: {errors}\n{printed}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_seeds_hold() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/settings");
        let mut count = 0;
        for entry in fs::read_dir(seeds).expect("the seeds are committed") {
            let input = fs::read(entry.expect("an entry").path()).expect("a readable seed");
            super::settings(&input);
            // Every seed cut short is an input of its own.
            for end in 0..input.len() {
                super::settings(&input[..end]);
            }
            count += 1;
        }
        assert!(count >= 5, "only {count} seeds");
    }
}
