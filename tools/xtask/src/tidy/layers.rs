//! The layering of crates: who may use whom, in `Cargo.toml` and in code.
//!
//! | crate | may use |
//! |---|---|
//! | acme-directory | none of ours; only tests use it |
//! | corelane-acme (and acme-directory in its tests), corelane-http, corelane-pki, shardstore, reactor | none of ours |
//! | corelane-gateway | corelane-http |
//! | corelane-tls | reactor (and corelane-pki in its tests) |
//! | control | corelane-gateway, corelane-http, corelane-tls, reactor, shardstore |
//! | store-runtime | shardstore, reactor, control |
//! | shardstored | shardstore, reactor, control, corelane-tls, store-runtime |
//! | corelane | all of the above |
//! | perf-basis | shardstore; only coreperf and cacheperf use it |
//! | cacheperf | perf-basis, shardstore; nobody uses it |
//! | coreperf | all of the above but cacheperf |
//! | manual | control, corelane, shardstored, coreperf, corectl; nobody uses it |
//! | observability | control, corelane, shardstored, store-runtime, corectl; nobody uses it |
//! | corelane-lab, corelane-release | none of ours |
//! | corectl | control, corelane-pki, corelane-release (and corelane-tls in its tests) |
//! | corelane-hosts | corelane-lab, corelane-release; nobody uses it |
//! | xtask | corelane-lab, corelane-release |
//!
//! **Not**: layers inside a crate. Fuzz crates stand outside: they use the crate they fuzz.

use toml_edit::{DocumentMut, TableLike};

use super::finding::Finding;
use super::scan::PathRef;
use super::source::SourceFile;
use super::tree::{TextFile, Tree};

const RULE: &str = "layers";

/// A crate of the workspace and the crates of the workspace it may use.
struct Layer {
    package: &'static str,
    folder: &'static str,
    may_use: &'static [&'static str],
}

const LAYERS: &[Layer] = &[
    Layer { package: "acme-directory", folder: "server/acme/directory", may_use: &[] },
    Layer { package: "corelane-acme", folder: "server/acme", may_use: &["acme-directory"] },
    Layer { package: "corelane-http", folder: "server/http", may_use: &[] },
    Layer { package: "corelane-gateway", folder: "server/gateway", may_use: &["corelane-http"] },
    Layer { package: "shardstore", folder: "shardstore", may_use: &[] },
    Layer { package: "reactor", folder: "server/reactor", may_use: &[] },
    Layer { package: "corelane-pki", folder: "server/pki", may_use: &[] },
    Layer { package: "corelane-tls", folder: "server/tls", may_use: &["corelane-pki", "reactor"] },
    Layer {
        package: "control",
        folder: "server/control",
        may_use: &["corelane-gateway", "corelane-http", "shardstore", "reactor", "corelane-tls"],
    },
    Layer { package: "store-runtime", folder: "shardstore/runtime", may_use: &["shardstore", "reactor", "control"] },
    Layer {
        package: "shardstored",
        folder: "shardstore/node",
        may_use: &["shardstore", "reactor", "control", "corelane-tls", "store-runtime"],
    },
    Layer {
        package: "corelane",
        folder: "server",
        may_use: &[
            "acme-directory",
            "corelane-acme",
            "corelane-gateway",
            "corelane-http",
            "corelane-pki",
            "corelane-tls",
            "shardstore",
            "reactor",
            "control",
            "store-runtime",
            "shardstored",
        ],
    },
    Layer { package: "perf-basis", folder: "perf/basis", may_use: &["shardstore"] },
    Layer { package: "cacheperf", folder: "perf/cache", may_use: &["shardstore", "perf-basis"] },
    Layer {
        package: "coreperf",
        folder: "perf",
        may_use: &[
            "corelane-http",
            "corelane-tls",
            "shardstore",
            "reactor",
            "control",
            "store-runtime",
            "shardstored",
            "corelane",
            "perf-basis",
        ],
    },
    Layer {
        package: "manual",
        folder: "tools/manual",
        may_use: &["control", "corelane", "shardstored", "coreperf", "corectl"],
    },
    Layer {
        package: "observability",
        folder: "tools/observability",
        may_use: &["control", "corelane", "shardstored", "store-runtime", "corectl"],
    },
    Layer { package: "corelane-lab", folder: "tools/lab", may_use: &[] },
    Layer { package: "corelane-hosts", folder: "tools/hosts", may_use: &["corelane-lab", "corelane-release"] },
    Layer { package: "corelane-release", folder: "tools/release", may_use: &[] },
    Layer {
        package: "corectl",
        folder: "tools/corectl",
        may_use: &["control", "corelane-pki", "corelane-release", "corelane-tls"],
    },
    Layer { package: "xtask", folder: "tools/xtask", may_use: &["corelane-lab", "corelane-release"] },
];

/// Reports dependencies and paths that point the wrong way, and crates nobody gave a layer.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        let Some(folder) = file.path.strip_suffix("/Cargo.toml") else { continue };
        if !is_fuzz_crate(folder) {
            findings.extend(check_manifest(file, folder));
        }
    }
    for source in &tree.sources {
        if let Some(layer) = LAYERS.iter().find(|layer| layer.folder == tree.crate_folder(&source.path)) {
            findings.extend(source.scan.paths.iter().filter_map(|path| check_path(source, layer, path)));
        }
    }
    findings
}

fn is_fuzz_crate(folder: &str) -> bool {
    folder.ends_with("/fuzz")
}

fn check_manifest(file: &TextFile, folder: &str) -> Vec<Finding> {
    let Ok(document) = file.text.parse::<DocumentMut>() else {
        return vec![Finding::new(RULE, &file.path, 1, "not valid TOML; make `cargo metadata` read it")];
    };
    let Some(layer) = LAYERS.iter().find(|layer| layer.folder == folder) else {
        let message = "this crate has no layer; add it to LAYERS in tools/xtask/src/tidy/layers.rs";
        return vec![Finding::new(RULE, &file.path, 1, message)];
    };
    let used = dependencies(document.as_table());
    let wrong = used.into_iter().filter(|name| is_forbidden(layer, name));
    wrong.map(|name| Finding::new(RULE, &file.path, line_of(&file.text, &name), forbidden(layer, &name))).collect()
}

/// The packages a manifest names in any dependency table, also those for one target only.
fn dependencies(manifest: &dyn TableLike) -> Vec<String> {
    let mut names = Vec::new();
    for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(entries) = manifest.get(table).and_then(|item| item.as_table_like()) else { continue };
        for (name, entry) in entries.iter() {
            let renamed = entry.as_table_like().and_then(|entry| entry.get("package")).and_then(|item| item.as_str());
            names.push(renamed.unwrap_or(name).to_string());
        }
    }
    if let Some(targets) = manifest.get("target").and_then(|item| item.as_table_like()) {
        names.extend(targets.iter().filter_map(|(_, target)| target.as_table_like()).flat_map(dependencies));
    }
    names
}

fn check_path(source: &SourceFile, layer: &Layer, path: &PathRef) -> Option<Finding> {
    let package = path.segments.first()?.replace('_', "-");
    // A module of the crate may carry a crate's name: what this file declares or imports under it is meant.
    let is_local = source.text.contains(&format!("mod {};", path.segments[0]))
        || source
            .scan
            .paths
            .iter()
            .any(|other| other.segments.len() > 1 && other.segments.last() == path.segments.first());
    (is_forbidden(layer, &package) && !is_local)
        .then(|| Finding::new(RULE, &source.path, path.line, forbidden(layer, &package)))
}

fn is_forbidden(layer: &Layer, package: &str) -> bool {
    let is_ours = LAYERS.iter().any(|other| other.package == package);
    is_ours && package != layer.package && !layer.may_use.contains(&package)
}

fn forbidden(layer: &Layer, package: &str) -> String {
    format!("{} must not use {package}; move what both need into a crate both may use", layer.package)
}

fn line_of(manifest: &str, name: &str) -> usize {
    manifest.lines().position(|line| line.contains(name) && !line.starts_with("name")).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_point_upwards_only() {
        let good = "[package]\nname = \"corelane\"\n[dependencies]\nreactor.workspace = true\n";
        assert!(check(&Tree::of(&[("server/Cargo.toml", good)])).is_empty());
        for bad in [
            "[dependencies]\ncorelane.workspace = true\n",
            "[dev-dependencies]\nperf = { package = \"coreperf\", path = \"../perf\" }\n",
            "[target.'cfg(loom)'.dependencies]\nshardstore = { path = \"../../shardstore\" }\n",
            "[dependencies\n",
        ] {
            assert_eq!(check(&Tree::of(&[("server/reactor/Cargo.toml", bad)])).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_violation_is_reported_at_its_line() {
        let bad = "[dependencies]\nlibc = \"1\"\ncoreperf = \"1\"\n";
        assert_eq!(check(&Tree::of(&[("server/Cargo.toml", bad)]))[0].line, 3);
    }

    #[test]
    fn crates_need_a_layer_and_fuzz_crates_do_not() {
        assert_eq!(check(&Tree::of(&[("server/new/Cargo.toml", "")])).len(), 1);
        assert!(check(&Tree::of(&[("server/fuzz/Cargo.toml", "")])).is_empty());
    }

    #[test]
    fn paths_in_code_are_checked_too() {
        let tree = |text| Tree::of(&[("shardstore/Cargo.toml", ""), ("shardstore/src/a.rs", text)]);
        assert_eq!(check(&tree("use reactor::Time;")).len(), 1);
        assert_eq!(check(&tree("fn f() { corelane_http::parse(b) }")).len(), 1);
        assert!(check(&tree("use shardstore::A; use crate::reactor; fn f() { reactor::x() }")).is_empty());
        assert!(check(&tree("mod control; fn f() { control::x() }")).is_empty());
    }
}
