//! What is written is complete, the same every time, and understood by the programs that read it.

use std::collections::BTreeMap;
use std::process::{Command as Process, Stdio};

use super::*;

/// What a run writes, by path.
fn written(name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = std::env::temp_dir().join(format!("corelane-manual-{name}-{}", std::process::id()));
    write_all(&folder).unwrap();
    let mut files = BTreeMap::new();
    let mut waiting = vec![folder.clone()];
    while let Some(inner) = waiting.pop() {
        for entry in fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                files.insert(path.strip_prefix(&folder).unwrap().to_path_buf(), fs::read(&path).unwrap());
            }
        }
    }
    fs::remove_dir_all(folder).unwrap();
    files
}

fn text<'a>(files: &'a BTreeMap<PathBuf, Vec<u8>>, path: &str) -> &'a str {
    std::str::from_utf8(files.get(Path::new(path)).unwrap_or_else(|| panic!("{path} is missing"))).unwrap()
}

#[test]
fn every_flag_and_every_key_is_there() {
    let files = written("all");
    for schema in servers() {
        let program = schema.program;
        let page = text(&files, &format!("man/man1/{program}.1"));
        let keys = text(&files, &format!("man/man5/{program}.toml.5"));
        let completions = [
            format!("bash-completion/completions/{program}"),
            format!("zsh/site-functions/_{program}"),
            format!("fish/vendor_completions.d/{program}.fish"),
        ];
        for (path, key) in schema.keys() {
            assert!(keys.contains(&format!("Variable: {}.", variable(&path))), "{path}");
            let Some(flag) = key.flag else { continue };
            assert!(page.contains("EXIT STATUS") && page.contains("never retry"), "{page}");
            assert!(page.contains(&flag.name.replace('-', "\\-")), "{program}.1 lacks {}", flag.name);
            for completion in &completions {
                assert!(text(&files, completion).contains(flag.name), "{completion} lacks {}", flag.name);
            }
        }
    }
    for (page, words) in [
        ("coreperf-run", "open"),
        ("corectl-release-install", "allow\\-downgrade"),
        ("corectl-tune-apply", "confirmed"),
    ] {
        let page = text(&files, &format!("man/man1/{page}.1"));
        assert!(page.contains(words), "{page}");
    }
}

/// As roff writes it.
fn variable(path: &str) -> String {
    control::settings::schema::variable_of(path)
}

#[test]
fn the_build_is_not_in_it() {
    let files = written("build");
    assert_eq!(files, written("again"));
    for (path, bytes) in &files {
        let text = String::from_utf8_lossy(bytes);
        let build = control::build::Build::of("x");
        let is_in = (build.commit != "unknown" && text.contains(build.commit)) || text.contains(", debug)");
        assert!(!is_in, "{} names the build", path.display());
    }
}

#[test]
fn groff_and_bash_read_it_without_a_word() {
    let files = written("read");
    for (path, bytes) in &files {
        let (program, arguments): (&str, &[&str]) = match path.extension().and_then(|extension| extension.to_str()) {
            Some("1" | "5") => ("groff", &["-man", "-Tutf8", "-ww", "-z"]),
            None if path.starts_with("bash-completion") => ("bash", &["-n"]),
            _ => continue,
        };
        let (said, passed) = read_by(program, arguments, bytes);
        assert!(passed && said.is_empty(), "{}: {said}", path.display());
    }
}

/// What a program says of a text on its standard input.
fn read_by(program: &str, arguments: &[&str], text: &[u8]) -> (String, bool) {
    let mut child = Process::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut input = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, text).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.success())
}
