//! Golden frames: the bytes that other releases and other languages rely on, in tests/golden/*.hex.
//!
//! A file starts with comment lines (`#`), then hexadecimal digits in any spacing. When a change of the protocol is meant,
//! the failing test prints the new content of the file.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::corpus::{Sample, samples};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.hex"))
}

fn render(sample: &Sample) -> String {
    let mut text = format!("# {}\n# {} bytes; layout: docs/wire.md\n", sample.about, sample.bytes.len());
    for row in sample.bytes.chunks(16) {
        let digits: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{}", digits.join(" ")).unwrap();
    }
    text
}

pub(crate) fn read(name: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("golden file {name}.hex: {error}"));
    let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect::<String>().replace(' ', "");
    assert!(digits.len().is_multiple_of(2), "{name}.hex has half a byte");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn frames_are_what_the_golden_files_say() {
    let mut differing = String::new();
    for sample in samples() {
        let expected = std::fs::read_to_string(path(sample.name)).unwrap_or_default();
        let found = render(&sample);
        if expected != found {
            write!(differing, "tests/golden/{}.hex should be:\n{found}\n", sample.name).unwrap();
        }
    }
    assert!(differing.is_empty(), "{differing}");
}

#[test]
fn every_golden_file_belongs_to_a_frame() {
    let names: Vec<&str> = samples().iter().map(|sample| sample.name).collect();
    for entry in std::fs::read_dir(path("x").parent().unwrap()).unwrap() {
        let file = entry.unwrap().path();
        let stem = file.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(names.contains(&stem.as_str()), "{stem}.hex belongs to no frame");
        assert!(!read(&stem).is_empty());
    }
}
