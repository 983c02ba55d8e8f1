//! Sysctls of a network namespace.
//!
//! **Source**: Documentation/networking/ip-sysctl.rst, Documentation/admin-guide/sysctl/net.rst of Linux.

use super::{Access, Group, Knob, Risk, Rule};

const IP_SYSCTL: &str = "Linux, Documentation/networking/ip-sysctl.rst";
const NET_SYSCTL: &str = "Linux, Documentation/admin-guide/sysctl/net.rst";

const fn sysctl(name: &'static str, rule: Rule, reason: &'static str, source: &'static str) -> Knob {
    Knob::new(name, Group::Net, Risk::Safe, Access::Sysctl, (reason, source)).ruled(rule)
}

pub(super) const KNOBS: &[Knob] = &[
    sysctl(
        "net.core.somaxconn",
        Rule::AtLeast,
        "The backlog of a listener is cut to it: when a core pauses, connections beyond it are refused.",
        NET_SYSCTL,
    ),
    sysctl(
        "net.ipv4.tcp_max_syn_backlog",
        Rule::AtLeast,
        "Connections whose handshake is not complete; beyond it clients get cookies without their TCP options.",
        IP_SYSCTL,
    ),
    sysctl(
        "net.ipv4.tcp_rmem",
        Rule::AtLeast,
        "The largest receive buffer bounds what a connection takes per round trip: 16 MiB are 12 Gbit/s at 10 ms.",
        IP_SYSCTL,
    ),
    sysctl(
        "net.ipv4.tcp_wmem",
        Rule::AtLeast,
        "The largest send buffer bounds what a connection sends per round trip; values of 1 MiB need it.",
        IP_SYSCTL,
    ),
    sysctl(
        "net.ipv4.tcp_notsent_lowat",
        Rule::AtMost,
        "Bytes of a socket that wait unsent in the kernel: few keep large values in the CPU's cache and memory small.",
        IP_SYSCTL,
    ),
    sysctl(
        "net.ipv4.tcp_slow_start_after_idle",
        Rule::Exact,
        "Kept-alive connections are idle between requests; with it, each large response begins slowly again.",
        IP_SYSCTL,
    ),
    sysctl(
        "net.ipv4.ip_local_port_range",
        Rule::Widen,
        "Ports for connections from edges to nodes and from load generators; the default is 28,232.",
        IP_SYSCTL,
    ),
    sysctl(
        "net.core.optmem_max",
        Rule::AtLeast,
        "Notifications of zero-copy sends count against it; too small, sends fail with ENOBUFS.",
        NET_SYSCTL,
    ),
];
