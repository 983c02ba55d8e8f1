//! What the gate says.

use super::*;

fn before(compiler: &str) -> Baseline {
    Baseline {
        taken: "2026-11-24 15:00 UTC".into(),
        commit: "0123456789ab".into(),
        conditions: conditions(compiler),
        figures: [("a".to_owned(), 1000.0), ("b".to_owned(), 500.0)].into(),
    }
}

fn conditions(compiler: &str) -> Conditions {
    Conditions {
        compiler: compiler.into(),
        processor: "x86_64, built for [], finds []".into(),
        libc: "glibc 2.36".into(),
        valgrind: "callgrind-3.19.0".into(),
    }
}

#[test]
fn the_report_names_the_path_the_figures_and_what_to_do() {
    let grew = [("a", 1100.0), ("b", 500.0)];
    for (compiler, counts, said, unsaid) in [
        ("rustc 1", &[("a", 1000.0), ("b", 501.0)][..], &["Every count is within 2 %", "+0.20 %"][..], &["FAILED"][..]),
        ("rustc 1", &grew[..], &["+10.00 %", "FAILED", "over the baseline: a.", "--update"][..], &["differs"][..]),
        ("rustc 2", &grew[..], &["FAILED", "compiler differs", "\"rustc 2\"", "may be why"][..], &[][..]),
        ("rustc 1", &[("a", 900.0), ("b", 500.0)][..], &["shrank", "below the baseline: a."][..], &["FAILED"][..]),
        ("rustc 1", &[("a", 1000.0), ("c", 1.0)][..], &["FAILED", "belong together: c, b."][..], &["Every"][..]),
    ] {
        let before = before("rustc 1");
        let counts = counts.iter().map(|(path, count)| ((*path).to_owned(), *count)).collect();
        let now = Counts { conditions: conditions(compiler), counts };
        let text = report(&judge(&before.figures, &now.counts), &before, &now);
        assert!(said.iter().all(|part| text.contains(part)), "{said:?} in\n{text}");
        assert!(!unsaid.iter().any(|part| text.contains(part)), "{unsaid:?} not in\n{text}");
    }
}

#[test]
fn the_compiler_is_found_in_a_program() {
    for (bytes, expected) in [
        (
            &b"\x7fELF\0rustc version 1.95.0 (59807616e 2026-04-14)\0more"[..],
            Some("rustc 1.95.0 (59807616e 2026-04-14)"),
        ),
        (b"rustc version unknown(rustc version 1.2.3 (a)", Some("rustc 1.2.3 (a)")),
        (b"rustc version cut off", None),
        (b"GCC: (Debian 12.2.0) 12.2.0", None),
    ] {
        assert_eq!(compiler_in(bytes).as_deref(), expected);
    }
    // The compiler that built this very test is in it.
    let own = std::env::current_exe().unwrap();
    assert!(compiler_of(&own).unwrap().starts_with("rustc 1."));
}
