//! io_uring has one home: the driver in the reactor, and the bare loop that measures what the kernel alone costs.

use super::finding::Finding;
use super::tree::Tree;

const RULE: &str = "ring";

/// Path prefixes of the files that may name the `io_uring` crate.
const HOMES: &[&str] = &["server/reactor/src/uring", "perf/src/floor"];

/// Reports paths into the `io_uring` crate elsewhere.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.sources.iter().filter(|source| !HOMES.iter().any(|home| source.path.starts_with(home))) {
        let named = source.scan.paths.iter().filter(|path| path.segments[0] == "io_uring");
        let message = "io_uring is used in server/reactor/src/uring only; ask the driver there for what is needed";
        findings.extend(named.map(|path| Finding::new(RULE, &source.path, path.line, message)));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_is_named_at_home_only() {
        let text = "use io_uring::IoUring;";
        assert!(check(&Tree::of(&[("server/reactor/src/uring/ring.rs", text)])).is_empty());
        assert!(
            check(&Tree::of(&[("perf/src/floor.rs", text), ("a.rs", "// io_uring::x\nfn io_uring() {}")])).is_empty()
        );
        assert_eq!(check(&Tree::of(&[("server/reactor/src/net.rs", text)])).len(), 1);
    }
}
