//! The files of the role are what is written here, Prometheus takes them, and every alert can fire and be silent.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use control::metrics::reference::{assert_same, refreshed};

use super::*;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The folder of the role, below the root.
const FILES: &str = "ansible/roles/observability/files";

/// A folder of this process.
fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("corelane-observability-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// What promtool says; it must succeed.
fn promtool(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("promtool").current_dir(folder).args(arguments).output();
    let output = output.expect("promtool starts; it is in Debian's package prometheus");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {}: {text}", arguments.join(" "));
    text
}

#[test]
fn nothing_is_asked_for_that_no_program_has() {
    assert_eq!(faults(), Vec::<String>::new());
}

#[test]
fn the_files_of_the_role_are_up_to_date() {
    let folder = Path::new(ROOT).join(FILES);
    let stale: Vec<String> = files()
        .into_iter()
        .filter(|(name, text)| fs::read_to_string(folder.join(name)).ok().as_ref() != Some(text))
        .map(|(name, _)| name)
        .collect();
    assert!(
        stale.is_empty(),
        "not up to date: {stale:?}; bring them up to date with: cargo run -p observability -- {FILES}"
    );
    let written = fs::read_dir(folder.join("dashboards")).unwrap().count();
    assert_eq!(written, DASHBOARDS.len(), "a dashboard that nobody writes");
}

#[test]
fn the_reference_of_metrics_is_up_to_date() {
    let path = Path::new(ROOT).join("docs/metrics.md");
    let found = fs::read_to_string(&path).unwrap();
    let expected = refreshed(&found, &[known::corectl_table()]).expect("docs/metrics.md has all markers");
    assert_same(path.to_str().unwrap(), &found, &expected);
}

#[test]
fn prometheus_takes_rules_and_configuration() {
    let folder = scratch("rules");
    fs::write(folder.join(rules::RULES_FILE), rules::rules()).unwrap();
    let configuration = scrape::configuration().replace("/etc/prometheus/corelane", folder.to_str().unwrap());
    fs::write(folder.join("prometheus.yml"), configuration).unwrap();
    fs::create_dir_all(folder.join("targets")).unwrap();
    for name in ["edges", "nodes", "hosts", "alertmanagers"] {
        let targets = r#"[{"targets": ["198.51.100.1:9180"], "labels": {"instance": "e1"}}]"#;
        fs::write(folder.join(format!("targets/{name}.json")), targets).unwrap();
    }
    let text = promtool(&folder, &["check", "config", "prometheus.yml"]);
    let count = rules::recorded().len() + alerts::all().count();
    assert!(text.contains(&format!("{count} rules found")), "{text}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn every_alert_fires_and_is_silent_in_its_scenes() {
    let folder = scratch("scenes");
    fs::write(folder.join(rules::RULES_FILE), rules::rules()).unwrap();
    fs::write(folder.join("scenes"), rules::tests()).unwrap();
    promtool(&folder, &["test", "rules", "scenes"]);
    fs::remove_dir_all(folder).unwrap();
}

/// As rules, since that is what promtool reads.
#[test]
fn queries_of_dashboards_are_valid() {
    let folder = scratch("queries");
    let mut text = "groups:\n  - name: queries\n    rules:\n".to_owned();
    for (number, query) in DASHBOARDS.iter().flat_map(dashboard::Dashboard::queries).enumerate() {
        let query = query.replace("$__rate_interval", "5m").replace('\'', "''");
        text += &format!("      - record: q{number}\n        expr: '{query}'\n");
    }
    fs::write(folder.join("queries"), text).unwrap();
    promtool(&folder, &["check", "rules", "queries"]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let document = fs::read_to_string(Path::new(ROOT).join("docs/operations.md")).unwrap();
    let mut runbooks = BTreeSet::new();
    for section in document.split("\n### Corelane").skip(1) {
        let (name, text) = section.split_once('\n').unwrap();
        let text = text.split("\n#").next().unwrap();
        for part in ["**Means**", "**Look**", "**Do**"] {
            assert!(text.contains(part), "the runbook of Corelane{name} lacks {part}");
        }
        assert!(runbooks.insert(format!("Corelane{name}")), "two runbooks of Corelane{name}");
    }
    let alerts: BTreeSet<String> = alerts::all().map(|alert| alert.name.to_owned()).collect();
    assert_eq!(runbooks, alerts);
}

#[test]
fn a_summary_names_labels_that_the_alert_has() {
    for alert in alerts::all() {
        for name in alert.summary.split("$labels.").skip(1).map(|rest| rest.split(' ').next().unwrap()) {
            assert!(alert.labels.iter().any(|(label, _)| *label == name), "{}: {name}", alert.name);
        }
    }
}
