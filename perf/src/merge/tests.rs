//! Merging small folders of results.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Options, run};
use crate::report::tests::{result, write};
use crate::system::scratch::ScratchFolder;

fn options(scratch: &ScratchFolder, names: &[&str]) -> Options {
    let folders: Vec<PathBuf> = names.iter().map(|name| scratch.path(name)).collect();
    Options { folders, out: scratch.path("out"), include_invalid: false, force: false }
}

fn merged(scratch: &ScratchFolder) -> Value {
    let text = std::fs::read_to_string(scratch.path("out").join("latency.json")).expect("it was written");
    serde_json::from_str(&text).expect("it is JSON")
}

fn error(options: &Options) -> String {
    format!("{:#}", run(options).expect_err("it is refused"))
}

fn damage(path: &Path) {
    let bytes = std::fs::read(path).expect("it is there");
    std::fs::write(path, &bytes[..bytes.len() / 2]).expect("it is writable");
}

#[test]
fn percentiles_of_all_are_those_of_one_histogram() {
    let scratch = ScratchFolder::new("merge-two").expect("the temporary folder is writable");
    write(&scratch.path("a"), &result("t", 1.0, &[]), 100);
    write(&scratch.path("b"), &result("t", 1.0, &[]), 700);
    run(&options(&scratch, &["a", "b"])).expect("both are whole");
    let mut all =
        hdrhistogram::Histogram::<u64>::new_with_bounds(1, 100_000_000_000, 3).expect("the bounds make sense");
    (100..120).chain(700..720).for_each(|us| all.saturating_record(us * 1000));
    let json = merged(&scratch);
    assert_eq!((&json["schema"], &json["count"], &json["valid"]), (&json!(1), &json!(40), &json!(true)));
    for line in json["quantiles"].as_array().expect("a list") {
        let quantile = line["quantile"].as_f64().expect("a number");
        assert_eq!(line["value_us"], json!(all.value_at_quantile(quantile) as f64 / 1e3), "{quantile}");
    }
    let read = crate::results::log::read(&scratch.path("out").join("latency.hlog")).expect("it was written");
    assert_eq!(read, all);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let scratch = ScratchFolder::new("merge-refuse").expect("the temporary folder is writable");
    write(&scratch.path("a"), &result("t", 1.0, &[]), 100);
    write(&scratch.path("bad"), &result("t", 1.0, &["it was late"]), 100);
    let mut other = result("t", 1.0, &[]);
    other["scenario"]["connections"] = json!(7);
    write(&scratch.path("other"), &other, 100);
    let mut invalid = options(&scratch, &["a", "bad"]);
    let text = error(&invalid);
    assert!(
        text.contains("bad/result.json was not valid: it was late") && text.contains("--include-invalid"),
        "{text}"
    );
    invalid.include_invalid = true;
    run(&invalid).expect("it is allowed now");
    assert_eq!(merged(&scratch)["valid"], json!(false));
    let mut differ = options(&scratch, &["a", "other"]);
    let text = error(&differ);
    assert!(text.contains("connections is 7, not 64") && text.contains("--force"), "{text}");
    differ.force = true;
    run(&differ).expect("it is allowed now");
    let onto = Options { out: scratch.path("a"), ..options(&scratch, &["a"]) };
    assert!(error(&onto).contains("written over"));
}

#[test]
fn damaged_and_foreign_files_are_named() {
    let scratch = ScratchFolder::new("merge-damaged").expect("the temporary folder is writable");
    for (name, spoil, expected) in [
        ("half-log", (|folder| damage(&folder.join("latency.hlog"))) as fn(&Path), "half-log/latency.hlog is no log"),
        ("half-json", |folder| damage(&folder.join("result.json")), "half-json/result.json is no result"),
        (
            "gone",
            |folder| std::fs::remove_file(folder.join("latency.hlog")).expect("it is there"),
            "gone/latency.hlog could not be read",
        ),
        (
            "empty",
            |folder| std::fs::remove_file(folder.join("result.json")).expect("it is there"),
            "empty has no result.json",
        ),
    ] {
        write(&scratch.path(name), &result("t", 1.0, &[]), 100);
        spoil(&scratch.path(name));
        let text = error(&options(&scratch, &[name]));
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let mut more = result("t", 1.0, &[]);
    more["requests_answered"] = json!(21);
    write(&scratch.path("mixed"), &more, 100);
    assert!(error(&options(&scratch, &["mixed"])).contains("not of the same run"));
}
