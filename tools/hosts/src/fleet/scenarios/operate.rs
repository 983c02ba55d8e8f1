//! What an operator does to a fleet that serves, besides rollouts: look, plan, drain, tune, take a host out for good.
//!
//! **Invariants**: no request fails and no value is lost meanwhile.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::super::ansible::Play;
use super::super::balancer::in_namespace;
use super::super::{Fleet, must};
use super::serving::{Processes, balanced, load, served};
use crate::run::wait;
use crate::scenarios::MINUTE;

/// The host that Prometheus is on. It has one from the start, which playbooks do not install here: hosts have no package index.
const MONITORING: &str = "node-3";

/// What Debian's package would bring: program, checker, unit.
const PROMETHEUS: &[&str] = &["/usr/bin/prometheus", "/usr/bin/promtool"];
const PROMETHEUS_UNIT: &str = "\
[Service]
ExecStart=/usr/bin/prometheus --config.file=/etc/prometheus/prometheus.yml --storage.tsdb.path=/var/lib/prometheus
ExecReload=/bin/kill -HUP $MAINPID
[Install]
WantedBy=multi-user.target
";

/// Twice what Prometheus leaves between two looks at a host, and its start.
const SCRAPE_LIMIT: Duration = Duration::from_secs(45);

/// Belongs to a network namespace, and differs between the profiles `safe` and `throughput`.
const KNOB: &str = "net.ipv4.tcp_rmem";

/// `observability`, `preflight` alone and `scale`: Prometheus sees all hosts, and plans are told; nothing of what serves is touched.
pub(super) fn look(fleet: &mut Fleet) -> Result<()> {
    let processes = Processes::of(fleet)?;
    install_prometheus(fleet)?;
    let inventory = fleet.copy_of_inventory()?;
    add(&inventory, "    monitoring:\n      hosts: { node-3: {} }\n")?;
    let play = fleet.play("observability", "good")?.inventory(&inventory).var("corelane_prometheus_install", "false");
    let play = play.var("corelane_host_exporter_port", "9100");
    fleet.controller.run(&play)?.success()?;

    let run = fleet.controller.run(&fleet.play("preflight", "next")?)?;
    for (host, row) in run.success()? {
        ensure!(row.changed == 0, "{host} was changed by a look: {row:?}\n{}", run.text);
        run.says(&[&format!("{host}: release: "), "(rollout.yml)"])?;
    }
    scale(fleet)?;
    processes.only_restarted(fleet, &[])?;

    let up = || seen_by_prometheus(fleet).ok().filter(|count| *count == fleet.hosts.len());
    wait(&fleet.stop, SCRAPE_LIMIT, "all hosts are seen by Prometheus", up)?;
    for host in &fleet.hosts {
        host.host.must("systemctl is-active corelane-tune-watch.timer", MINUTE).with_context(|| host.name)?;
    }
    fleet.host(MONITORING)?.must("systemctl disable --now prometheus", MINUTE)?;
    fs::remove_dir_all(inventory).context("the copy of the inventory")
}

fn install_prometheus(fleet: &Fleet) -> Result<()> {
    let host = fleet.host(MONITORING)?;
    for program in PROMETHEUS {
        fs::copy(program, host.path(program)).with_context(|| (*program).to_owned())?;
    }
    fs::write(host.path("/etc/systemd/system/prometheus.service"), PROMETHEUS_UNIT)?;
    let script = "mkdir -p /etc/prometheus /var/lib/prometheus && touch /etc/prometheus/prometheus.yml \
                  && systemctl daemon-reload && systemctl start prometheus";
    host.must(script, MINUTE).map(drop)
}

/// How many edges and nodes Prometheus has read metrics of.
fn seen_by_prometheus(fleet: &Fleet) -> Result<usize> {
    let script = "curl -fsS 'http://127.0.0.1:9090/api/v1/query?query=corelane_process_build_info'";
    let answer: Value = serde_json::from_str(&fleet.host(MONITORING)?.must(script, MINUTE)?)?;
    Ok(answer["data"]["result"].as_array().context("no result")?.len())
}

/// A plan of hosts from three measurements, as a table and a picture.
fn scale(fleet: &Fleet) -> Result<()> {
    let folder = fleet.folder().join("scale");
    fs::create_dir_all(&folder)?;
    for (number, met) in [(1, 9_900), (2, 10_000), (3, 10_100)] {
        let search = format!(r#"{{"objective": "p99=1ms", "met": {met}, "missed": {}}}"#, met + 100);
        fs::write(folder.join(format!("search-web-{number}.json")), search)?;
    }
    let path = folder.display().to_string();
    let play = fleet.play("scale", "good")?.var("corelane_scale_rate", "60000").text("corelane_scale_out", &path);
    // Topology: the third node gets as much as the other two.
    let play = play.var("corelane_scale_weights", r#"{"3": 2}"#);
    fleet.controller.run(&play.var("corelane_scale_measurements", &format!("[{path:?}]")))?.success()?;
    let read = |name: &str| fs::read_to_string(folder.join(name)).with_context(|| name.to_owned());
    let (table, picture) = (read("scale.md")?, read("hosts.svg")?);
    // A host carries 10,050 requests/s and is given 60 % of it, so ten do; as many again, since one of two zones may be gone.
    for line in
        ["| 60 k | 22 | 20 | 20 |", "| node | slots now | then | moves away | items lost |", "| 3 | 5461 | 8192 |"]
    {
        ensure!(table.contains(line), "the plan lacks {line:?}\n{table}");
    }
    ensure!(picture.starts_with("<svg") && picture.contains("60 k requests/s need 22 hosts"), "no picture:\n{picture}");
    fs::remove_dir_all(folder).context("the plan")
}

/// `drain` and `undrain`: the balancer leaves an edge and comes back, and the process stays.
pub(super) fn drain(fleet: &mut Fleet) -> Result<()> {
    let load = load(fleet)?;
    let processes = Processes::of(fleet)?;
    let play = |name: &str| Ok::<_, anyhow::Error>(fleet.play(name, "good")?.argument("--limit=edge-1"));
    for (name, used) in [("drain", false), ("undrain", true)] {
        let run = fleet.controller.run(&play(name)?)?;
        ensure!(run.success()?["edge-1"].changed == 1, "{name} has changed nothing\n{}", run.text);
        balanced(fleet, "edge-1", used)?;
        served(&load, &run)?;
        ensure!(fleet.balancer.uses("edge-2")?, "{name} of edge-1 has reached edge-2\n{}", run.text);
    }
    // Without a limit it would be the whole fleet.
    let run = fleet.controller.run(&fleet.play("drain", "good")?)?;
    run.refused(&["msg: ", "name the hosts: --limit"])?;
    served(&load, &run)?;
    load.finish()?;
    processes.only_restarted(fleet, &[])
}

/// `tune` sets the last edge as another profile says, in its turn; `decommission` puts it back as it was, and leaves nothing of ours there.
pub(super) fn leaves(fleet: &mut Fleet) -> Result<()> {
    const HOST: &str = "edge-3";
    let load = load(fleet)?;
    let knob = |fleet: &Fleet| fleet.host(HOST)?.must(&format!("sysctl -n {KNOB}"), MINUTE);
    let before = knob(fleet)?;
    let play = fleet.play("tune", "next")?.argument(&format!("--limit={HOST}")).text("corelane_profile", "throughput");
    let run = fleet.controller.run(&play)?;
    run.success()?;
    ensure!(knob(fleet)? != before, "{KNOB} is still {before}\n{}", run.text);
    served(&load, &run)?;

    let inventory = fleet.copy_of_inventory()?;
    let hosts = inventory.join("hosts.yml");
    let text = fs::read_to_string(&hosts)?;
    fs::write(&hosts, text.replace(&format!("            {HOST}: {{ ansible_host: 198.18.0.13 }}\n"), ""))?;
    add(&inventory, &format!("    leaving:\n      hosts: {{ {HOST}: {{ ansible_host: 198.18.0.13 }} }}\n"))?;
    let run = fleet.controller.run(&Play::of("decommission").inventory(&inventory))?;
    let recap = run.success()?;
    ensure!(recap.len() == 1 && recap[HOST].changed > 0, "not {HOST} alone was changed\n{}", run.text);
    served(&load, &run)?;
    load.finish()?;
    // As in a namespace that nobody has tuned.
    let mut untuned = in_namespace(fleet.controller.namespace(), "sysctl");
    let untuned = must(untuned.args(["-n", KNOB]), &fleet.stop)?;
    ensure!(knob(fleet)? == untuned, "{KNOB} is not {untuned} again\n{}", run.text);
    let left =
        "{ ls -d /opt/corelane /etc/corelane /etc/systemd/system/corelane* 2>/dev/null; pgrep -l corelane; } || true";
    let left = fleet.host(HOST)?.must(left, MINUTE)?;
    ensure!(left.is_empty(), "this is left on {HOST}:\n{left}");
    fs::remove_dir_all(inventory).context("the copy of the inventory")
}

/// Adds a group at the end of the children of `all`.
fn add(inventory: &Path, group: &str) -> Result<()> {
    let hosts = inventory.join("hosts.yml");
    let text = fs::read_to_string(&hosts).with_context(|| hosts.display().to_string())?;
    fs::write(&hosts, text + "\n" + group).context("the copy of the inventory")
}
