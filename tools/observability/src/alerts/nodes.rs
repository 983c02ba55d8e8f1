//! What lies between edges and nodes: reachability, breakers, deadlines.

use super::{Alert, AlertSeverity, Scene};

pub(super) const ALERTS: &[Alert] = &[
    Alert {
        name: "CorelaneNodeUnreachable",
        severity: AlertSeverity::Page,
        expression: "max by (cluster, instance, node) (corelane_upstream_node_up) == 0",
        hold: "30s",
        summary: "{{ $labels.instance }} does not reach node {{ $labels.node }}: it answers its keys with 503",
        fires: Scene {
            name: "no core reaches the node",
            minutes: 10,
            series: &[
                (r#"corelane_upstream_node_up{cluster="c",instance="e1",core="0",node="2"}"#, "1x5 0x10"),
                (r#"corelane_upstream_node_up{cluster="c",instance="e1",core="1",node="2"}"#, "1x5 0x10"),
            ],
        },
        labels: &[("cluster", "c"), ("instance", "e1"), ("node", "2")],
        silent: Scene {
            name: "one core of two reaches it",
            minutes: 10,
            series: &[
                (r#"corelane_upstream_node_up{cluster="c",instance="e1",core="0",node="2"}"#, "1x5 0x10"),
                (r#"corelane_upstream_node_up{cluster="c",instance="e1",core="1",node="2"}"#, "1x20"),
            ],
        },
    },
    Alert {
        name: "CorelaneBreakerFlapping",
        severity: AlertSeverity::Ticket,
        expression: "sum by (cluster, instance) (increase(corelane_upstream_breaker_opened_total[30m])) > 5",
        hold: "5m",
        summary: "{{ $labels.instance }} gives nodes up and takes them back again and again",
        fires: Scene {
            name: "once in three minutes",
            minutes: 45,
            series: &[(
                r#"corelane_upstream_breaker_opened_total{cluster="c",instance="e1",core="0"}"#,
                "0 0 1 1 1 2 2 2 3 3 3 4 4 4 5 5 5 6 6 6 7 7 7 8 8 8 9 9 9 10 10 10 11 11 11 12 12 12 13 13 13 14 14 14 15 15 15 16 16 16",
            )],
        },
        labels: &[("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "two restarts of a node",
            minutes: 45,
            series: &[(
                r#"corelane_upstream_breaker_opened_total{cluster="c",instance="e1",core="0"}"#,
                "0x10 1x15 2x40",
            )],
        },
    },
    Alert {
        name: "CorelaneUpstreamCallsFail",
        severity: AlertSeverity::Ticket,
        expression: "sum by (cluster, instance) (rate(corelane_upstream_call_errors_total[5m]))\n  > 0.01 * sum by (cluster, instance) (rate(corelane_upstream_calls_total[5m]))",
        hold: "10m",
        summary: "{{ $labels.instance }}: more than one call in a hundred to nodes fails",
        fires: Scene {
            name: "two in a hundred",
            minutes: 20,
            series: &[
                (r#"corelane_upstream_calls_total{cluster="c",instance="e1",core="0"}"#, "0+100x30"),
                (r#"corelane_upstream_call_errors_total{cluster="c",instance="e1",core="0"}"#, "0+2x30"),
            ],
        },
        labels: &[("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "one in two hundred",
            minutes: 20,
            series: &[
                (r#"corelane_upstream_calls_total{cluster="c",instance="e1",core="0"}"#, "0+200x30"),
                (r#"corelane_upstream_call_errors_total{cluster="c",instance="e1",core="0"}"#, "0+1x30"),
            ],
        },
    },
    Alert {
        name: "CorelaneDeadlinesMissed",
        severity: AlertSeverity::Ticket,
        expression: "sum by (cluster, instance) (rate(corelane_node_deadlines_missed_total[5m])) > 0",
        hold: "10m",
        summary: "{{ $labels.instance }} gets requests when nobody waits for them any more",
        fires: Scene {
            name: "requests come too late",
            minutes: 20,
            series: &[(r#"corelane_node_deadlines_missed_total{cluster="c",instance="n1",core="0"}"#, "0+3x30")],
        },
        labels: &[("cluster", "c"), ("instance", "n1")],
        silent: Scene {
            name: "some did once",
            minutes: 20,
            series: &[(r#"corelane_node_deadlines_missed_total{cluster="c",instance="n1",core="0"}"#, "0+3x2 6x30")],
        },
    },
    Alert {
        name: "CorelaneHopsRefused",
        severity: AlertSeverity::Ticket,
        expression: "sum by (cluster, instance) (rate(corelane_store_hops_refused_total[5m])) > 0",
        hold: "10m",
        summary: "{{ $labels.instance }}: a core has more requests of other cores than it takes",
        fires: Scene {
            name: "requests are refused",
            minutes: 20,
            series: &[(r#"corelane_store_hops_refused_total{cluster="c",instance="e1",core="0"}"#, "0+1x30")],
        },
        labels: &[("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "none is",
            minutes: 20,
            series: &[(r#"corelane_store_hops_refused_total{cluster="c",instance="e1",core="0"}"#, "4x30")],
        },
    },
];
