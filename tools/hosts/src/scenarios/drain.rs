//! Three edges behind HAProxy, drained and restarted one after the other under load: no request fails. The same without a drain: requests
//! fail, so it is the drain that keeps them.
//!
//! **Invariants**: the load has come through all edges before the first restart, and goes on until after the last. HAProxy tries nothing
//! a second time: what an edge does not answer has failed.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{HostLab, MINUTE};
use crate::host::ContainerHost;
use crate::network::HostNetwork;

/// Edges, by the last part of their addresses; the balancer is one more.
const EDGES: [u8; 3] = [1, 2, 3];
const BALANCER: u8 = 4;

/// HAProxy looks at readiness every half second; the lame-duck time is eight looks.
const BALANCING: &str = "\
global
    log /dev/log local0
defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
    retries 0
frontend all
    bind 127.0.0.1:8000
    default_backend edges
backend edges
    balance roundrobin
    option httpchk GET /readyz
    default-server check port 9180 inter 500ms fall 1 rise 1
    server e1 198.18.0.1:8080
    server e2 198.18.0.2:8080
    server e3 198.18.0.3:8080
";

/// Asks until it is told to stop, twenty keys at a time over kept connections, and writes one status a line.
const LOAD: &str = r#"rm -f /run/load-ends /run/codes; systemd-run --quiet --collect --unit=load bash -c '
    until [ -e /run/load-ends ]; do
        curl -s -o /dev/null -w "%{http_code}\n" "http://127.0.0.1:8000/v1/kv/default/k[1-20]" >> /run/codes
    done'"#;

/// Waits until so many requests more were answered.
const GO_ON: &str =
    "seen=$(wc -l < /run/codes || echo 0); until [ \"$(wc -l < /run/codes)\" -ge $((seen + 200)) ]; do sleep 0.1; done";

pub(super) fn run(setting: &HostLab) -> Result<()> {
    let name = format!("lab-{}-drain", std::process::id());
    let mut network = HostNetwork::new(&name, &setting.stop)?;
    let mut start = |number: u8| {
        let namespace = network.add(number)?;
        ContainerHost::start(&setting.image, &format!("{name}-{number}"), &namespace, &setting.stop)
    };
    let edges = EDGES.iter().map(|number| Ok((*number, start(*number)?))).collect::<Result<Vec<_>>>()?;
    let balancer = start(BALANCER)?;
    for (number, edge) in &edges {
        super::install_on(setting, edge)?;
        configure(edge, *number, "4s")?;
        edge.must("systemctl start corelane", MINUTE).with_context(|| edge.journal("corelane"))?;
    }
    fs::write(balancer.path("/etc/haproxy/haproxy.cfg"), BALANCING).context("HAProxy's configuration")?;
    balancer.must("systemctl unmask haproxy && systemctl start haproxy", MINUTE)?;
    let (counted, failed) = restarted_under_load(&balancer, &edges, drain_and_restart)?;
    println!("  drain: {counted}");
    ensure!(failed == 0, "{failed} requests failed: {counted}");

    for (number, edge) in &edges {
        configure(edge, *number, "0s")?;
        edge.must("systemctl reload corelane", MINUTE)?;
    }
    let (counted, failed) =
        restarted_under_load(&balancer, &edges, |edge| edge.must("systemctl restart corelane", MINUTE).map(drop))?;
    println!("  without a drain: {counted}");
    ensure!(failed > 0, "without a drain no request failed either, so the drain shows nothing: {counted}");
    Ok(())
}

/// Restarts all edges while requests come; how many had which status, and how many failed.
fn restarted_under_load(
    balancer: &ContainerHost,
    edges: &[(u8, ContainerHost)],
    restart: impl Fn(&ContainerHost) -> Result<()>,
) -> Result<(String, u64)> {
    let before = edges.iter().map(|(_, edge)| requests(edge)).collect::<Result<Vec<_>>>()?;
    balancer.must(LOAD, MINUTE)?;
    balancer.must(GO_ON, MINUTE)?;
    for ((_, edge), before) in edges.iter().zip(before) {
        ensure!(requests(edge)? > before, "the load does not come through every edge");
    }
    for (_, edge) in edges {
        restart(edge)?;
        // The edge that came back is asked again, before the next one goes.
        balancer.must(GO_ON, MINUTE)?;
    }
    let ends =
        "touch /run/load-ends; while systemctl is-active --quiet load; do sleep 0.1; done; sort /run/codes | uniq -c";
    let counted = balancer.must(ends, MINUTE)?;
    let failed = |line: &str| {
        let (count, code) = line.trim().split_once(' ')?;
        (!["200", "404"].contains(&code)).then(|| count.parse::<u64>().ok())?
    };
    let failed = counted.lines().filter_map(failed).sum();
    Ok((counted.split_whitespace().collect::<Vec<_>>().join(" "), failed))
}

/// Writes the configuration of an edge that others reach.
fn configure(edge: &ContainerHost, number: u8, lame_duck: &str) -> Result<()> {
    let config = format!(
        "listen = [\"198.18.0.{number}:8080\"]\nadmin = \"198.18.0.{number}:9180\"\nmemory = \"64MiB\"\n\
         lame_duck = \"{lame_duck}\"\ncommand_listen = \"unix:/run/corelane/command\"\n\n[cluster]\nplaintext = \"allow\"\n"
    );
    fs::write(edge.path("/etc/corelane/corelane.toml"), config).context("the edge's configuration")
}

/// Drains an edge by request, waits until its balancer has taken it out, and restarts it.
fn drain_and_restart(edge: &ContainerHost) -> Result<()> {
    let command = "curl -fsS -X POST --unix-socket /run/corelane/command http://corelane/v1/drain";
    edge.must(command, MINUTE)?;
    // Nobody asks any more: three seconds in which nothing is counted.
    let mut before = requests(edge)?;
    for _ in 0..20 {
        edge.must("sleep 1", MINUTE)?;
        let now = requests(edge)?;
        if now == before {
            return edge.must("systemctl restart corelane", MINUTE).map(drop);
        }
        before = now;
    }
    anyhow::bail!("the balancer still sends requests to an edge that drains")
}

/// Requests that an edge has answered, as its metrics count them.
fn requests(edge: &ContainerHost) -> Result<u64> {
    let script =
        "address=$(ip -4 -o addr show eth0 | awk '{print $4}'); curl -fsS \"http://${address%/*}:9180/metrics\"";
    let metrics = edge.must(script, MINUTE)?;
    let counts = metrics.lines().filter(|line| line.starts_with("corelane_http_requests_total"));
    let count = |line: &str| line.rsplit(' ').next().and_then(|count| count.parse::<f64>().ok()).unwrap_or(0.0);
    Ok(counts.map(count).sum::<f64>() as u64)
}
