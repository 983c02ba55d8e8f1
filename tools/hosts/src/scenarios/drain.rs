//! Three edges behind HAProxy, drained and restarted one after the other under load: no request fails.
//!
//! **Invariants**: the load has come through all edges before the first drain, and goes on until after the last.

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
    option redispatch 1
    retries 3
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
const LOAD: &str = r#"systemd-run --quiet --unit=load bash -c '
    until [ -e /run/load-ends ]; do
        curl -s -o /dev/null -w "%{http_code}\n" "http://127.0.0.1:8000/v1/kv/default/k[1-20]" >> /run/codes
    done'"#;

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
        serve(setting, edge, *number)?;
    }
    fs::write(balancer.path("/etc/haproxy/haproxy.cfg"), BALANCING).context("HAProxy's configuration")?;
    balancer.must("systemctl unmask haproxy && systemctl start haproxy", MINUTE)?;
    balancer.must(LOAD, MINUTE)?;
    balancer.must("until [ \"$(wc -l < /run/codes)\" -ge 200 ]; do sleep 0.1; done", MINUTE)?;
    for (_, edge) in &edges {
        ensure!(requests(edge)? > 0, "the load does not come through every edge");
    }
    for (_, edge) in &edges {
        restart(edge)?;
    }
    // The edges that came back are asked again.
    balancer.must(
        "seen=$(wc -l < /run/codes); until [ \"$(wc -l < /run/codes)\" -ge $((seen + 200)) ]; do sleep 0.1; done
         touch /run/load-ends; until ! systemctl is-active --quiet load; do sleep 0.1; done",
        MINUTE,
    )?;
    let counted = balancer.must("sort /run/codes | uniq -c", MINUTE)?;
    let failed = counted.lines().filter(|line| !line.trim_end().ends_with("200") && !line.trim_end().ends_with("404"));
    let failed: Vec<&str> = failed.collect();
    println!("  drain: {}", counted.split_whitespace().collect::<Vec<_>>().join(" "));
    ensure!(failed.is_empty(), "requests failed:\n{counted}");
    Ok(())
}

/// Installs an edge that others reach.
fn serve(setting: &HostLab, edge: &ContainerHost, number: u8) -> Result<()> {
    super::install_on(setting, edge)?;
    let config = format!(
        "listen = [\"198.18.0.{number}:8080\"]\nadmin = \"198.18.0.{number}:9180\"\nmemory = \"64MiB\"\nlame_duck = \"4s\"\n\
         command_listen = \"unix:/run/corelane/command\"\n"
    );
    fs::write(edge.path("/etc/corelane/corelane.toml"), config).context("the edge's configuration")?;
    edge.must("systemctl start corelane", MINUTE).map(drop)
}

/// Drains an edge by request, waits until its balancer has taken it out, and restarts it.
fn restart(edge: &ContainerHost) -> Result<()> {
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
