//! The reference engines, and the product's cache, on recorded traces, against the figures of an independent simulator.
//!
//! Traces and figures are not part of the project: the test exists with the feature `recorded-traces` only, and reads them from
//! the folder that `CORELANE_TRACES` names. `cargo xtask test` runs it where that is set, and lists it as skipped elsewhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::engine::{Capacity, Kind};
use super::fit::Fits;
use super::measure;
use perf_basis::compressed;
use perf_basis::trace::format::{self, Format};
use perf_basis::trace::{Builder, Trace};

/// Differences between two implementations of one policy are below this, and those between policies above.
const NEAR: f64 = 0.002;

/// How much more than per-object S3-FIFO the cache may miss, and from how many objects on.
const GATE: f64 = 0.003;
const GATED_OBJECTS_MIN: u64 = 10_000;

/// Trace in the table of figures, its file, and its format.
const TRACES: [(&str, &str, Format); 8] = [
    ("web07", "cache2k_web07.trace.xz", Format::I32be),
    ("scarab-recs", "scarab_scarab-recs.trace.xz", Format::U64be),
    ("OLTP", "OLTP.lis.zst", Format::Arc),
    ("lirs_sprite", "lirs_sprite.trace.gz", Format::Text),
    ("lirs_multi1", "lirs_multi1.trace.gz", Format::Text),
    ("lirs_multi2", "lirs_multi2.trace.gz", Format::Text),
    ("lirs_multi3", "lirs_multi3.trace.gz", Format::Text),
    ("lirs_loop", "lirs_loop.trace.gz", Format::Text),
];

const ENGINES: [(&str, Kind); 5] = [
    ("FIFO", Kind::Fifo),
    ("LRU", Kind::Lru),
    ("SIEVE", Kind::Sieve),
    ("S3(thr2)", Kind::S3Fifo),
    ("OPT", Kind::Belady),
];

/// The figures of one size: miss ratio by engine.
type Figures = BTreeMap<String, f64>;

fn folder() -> PathBuf {
    std::env::var_os("CORELANE_TRACES").map(PathBuf::from).expect("CORELANE_TRACES names the folder of the traces")
}

/// By trace: the sizes of 1 % and 10 % of its keys, with their figures.
fn baseline(text: &str) -> BTreeMap<String, Vec<(u64, Figures)>> {
    let mut all = BTreeMap::<String, Vec<(u64, Figures)>>::new();
    let mut trace = String::new();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            [name, "reqs", ..] => trace = name.to_owned(),
            ["1.0%" | "10.0%", size, ..] => {
                let size = size.strip_prefix("C=").and_then(|size| size.parse().ok()).unwrap();
                let pairs = words.windows(2).filter_map(|pair| Some((pair[0].to_owned(), pair[1].parse().ok()?)));
                all.entry(trace.clone()).or_default().push((size, pairs.collect()));
            }
            _ => {}
        }
    }
    all
}

fn read(path: &Path, format: Format) -> Trace {
    let mut builder = Builder::new(0);
    let mut source = compressed::open(path).unwrap();
    format::read(format, &mut source, &mut builder, &mut |_| Ok(())).unwrap();
    builder.finish()
}

#[test]
fn recorded_traces_give_the_figures_of_an_independent_simulator() {
    let folder = folder();
    let baseline = baseline(&std::fs::read_to_string(folder.join("baseline-missratios.txt")).unwrap());
    let mut compared = 0;
    let mut wrong = Vec::new();
    for (name, file, format) in TRACES {
        let parts = [read(&folder.join(file), format)];
        for (size, figures) in &baseline[name] {
            for (column, kind) in ENGINES {
                let outcome = measure::replay(&parts, kind, Capacity::Objects(*size), &mut Fits::default()).unwrap();
                let (found, expected) = (outcome.miss_ratio(), figures[column]);
                compared += 1;
                if (found - expected).abs() > NEAR {
                    wrong.push(format!("{name}, {size} objects, {column}: {found:.4} instead of {expected:.4}"));
                }
            }
        }
    }
    // The product's own cache, where it is large enough for its segments not to matter (docs/engine.md).
    for (name, file, format) in TRACES {
        for (size, figures) in baseline[name].iter().filter(|(size, _)| *size >= GATED_OBJECTS_MIN) {
            let parts = [read(&folder.join(file), format)];
            let outcome =
                measure::replay(&parts, Kind::Shardstore, Capacity::Objects(*size), &mut Fits::default()).unwrap();
            let (found, s3fifo, lru) = (outcome.miss_ratio(), figures["S3(thr2)"], figures["LRU"]);
            if found - s3fifo > GATE || found > lru {
                wrong
                    .push(format!("{name}, {size} objects, shardstore: {found:.4}; S3-FIFO {s3fifo:.4}, LRU {lru:.4}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared >= TRACES.len() * ENGINES.len(), "{compared} figures compared");
}
