//! The scrape configuration: a file that is the same for every fleet. Which hosts there are stands in files of their own, which
//! the role `observability` writes from the inventory.
//!
//! **Source**: Prometheus' documentation of its configuration, file-based service discovery.

use std::fmt::Write as _;

use crate::rules::header;

/// Where the role writes rules and targets.
const FOLDER: &str = "/etc/prometheus/corelane";

/// A job, and who is in it.
pub(crate) const JOBS: [(&str, &str); 3] = [
    ("edges", "corelane: the edges"),
    ("nodes", "shardstored: the nodes"),
    ("hosts", "The exporters of the hosts: what corectl tune status wrote for them"),
];

/// The file.
pub(crate) fn configuration() -> String {
    let mut text = header("Configuration of Prometheus: what is scraped, and what is judged.");
    text += "global:\n  scrape_interval: 15s\n  evaluation_interval: 15s\n\n";
    let _ = write!(text, "rule_files:\n  - {FOLDER}/*.rules\n\n");
    let _ = write!(
        text,
        "alerting:\n  alertmanagers:\n    - file_sd_configs:\n        - files: [{FOLDER}/targets/alertmanagers.json]\n\n"
    );
    text += "scrape_configs:\n";
    for (name, what) in JOBS {
        let _ = write!(
            text,
            "  # {what}\n  - job_name: corelane-{name}\n    file_sd_configs:\n      - files: [{FOLDER}/targets/{name}.json]\n"
        );
        if name == "hosts" {
            // Of all that an exporter of a host reports, rules and dashboards ask for this.
            text += "    metric_relabel_configs:\n      - source_labels: [__name__]\n        regex: corelane_.*\n        action: keep\n";
        }
    }
    text +=
        "  # Prometheus itself\n  - job_name: prometheus\n    static_configs:\n      - targets: [\"localhost:9090\"]\n";
    text
}
