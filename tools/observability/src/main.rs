//! Writes what watches a fleet, of the declarations of the metrics: rules, their tests, a scrape configuration, dashboards.
//!
//! ```text
//!  metrics of corelane, shardstored, corectl ─▶ known ─┐ (names, labels, words)
//!                 alerts, dashboards: expressions ─────┴▶ checked ─▶ DIR/prometheus.yml, DIR/corelane.rules{,.test}
//!                                                                    DIR/dashboards/*.json
//! ```
//!
//! **Not** which hosts there are: the role `observability` writes that from the inventory.
//!
//! **Invariants**: no expression names a metric, a label or a word of a label that no program has; the files of the role are
//! what this program writes; every alert is seen to fire and to stay silent, and has a runbook.
//!
//! **Source**: docs/metrics.md, docs/operations.md.

mod alerts;
mod dashboard;
mod known;
mod query;
mod rules;
mod scrape;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use dashboard::DASHBOARDS;
use known::KnownMetrics;

/// Writes rules, their tests, a scrape configuration and dashboards.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// The folder to write into; files of the same names are replaced
    folder: PathBuf,
}

fn main() -> Result<()> {
    let folder = Arguments::parse().folder;
    let faults = faults();
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    for (name, text) in files() {
        let path = folder.join(name);
        let inner = path.parent().context("a file is in a folder")?;
        fs::create_dir_all(inner).with_context(|| format!("{} could not be made", inner.display()))?;
        fs::write(&path, text).with_context(|| format!("{} could not be written", path.display()))?;
    }
    Ok(())
}

/// All files, by their paths below the folder.
fn files() -> Vec<(String, String)> {
    let mut files = vec![
        (rules::RULES_FILE.to_owned(), rules::rules()),
        (format!("{}.test", rules::RULES_FILE), rules::tests()),
        ("prometheus.yml".to_owned(), scrape::configuration()),
    ];
    files.extend(DASHBOARDS.iter().map(|dashboard| (format!("dashboards/{}.json", dashboard.uid), dashboard.file())));
    files
}

/// What alerts and dashboards ask for and no program has.
fn faults() -> Vec<String> {
    let known = KnownMetrics::of_all_programs();
    let recorded = rules::recorded();
    let names: Vec<&str> = recorded.iter().map(|series| series.name.as_str()).collect();
    let mut asked: Vec<(&str, String)> =
        recorded.iter().map(|series| (series.name.as_str(), series.expression.clone())).collect();
    asked.extend(alerts::all().map(|alert| (alert.name, alert.expression.to_owned())));
    for dashboard in &DASHBOARDS {
        asked.extend(dashboard.queries().map(|query| (dashboard.uid, query)));
    }
    let faults_of = |(place, expression): (&str, String)| -> Vec<String> {
        let faults = query::unknown_in(&expression, &known, &names);
        faults.into_iter().map(|fault| format!("{place}: {fault}")).collect()
    };
    asked.into_iter().flat_map(faults_of).collect()
}
