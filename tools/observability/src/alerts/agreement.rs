//! What should be the same everywhere, or as it was confirmed: topology, settings, releases, tuning, clocks.

use super::{Alert, AlertSeverity, Scene};

pub(super) const ALERTS: &[Alert] = &[
    Alert {
        name: "CorelaneTopologyDiffers",
        severity: AlertSeverity::Page,
        expression: "max by (cluster) (corelane_topology_epoch > 0) - min by (cluster) (corelane_topology_epoch > 0) > 0",
        hold: "10m",
        summary: "Cluster {{ $labels.cluster }}: processes have different topologies in force",
        fires: Scene {
            name: "an edge has kept the old one",
            minutes: 15,
            series: &[
                (r#"corelane_topology_epoch{cluster="c",instance="e1"}"#, "7x20"),
                (r#"corelane_topology_epoch{cluster="c",instance="n1"}"#, "8x20"),
            ],
        },
        labels: &[("cluster", "c")],
        silent: Scene {
            name: "a file takes five minutes to be everywhere; one edge has no nodes",
            minutes: 15,
            series: &[
                (r#"corelane_topology_epoch{cluster="c",instance="e1"}"#, "7x5 8x20"),
                (r#"corelane_topology_epoch{cluster="c",instance="n1"}"#, "8x20"),
                (r#"corelane_topology_epoch{cluster="c",instance="e2"}"#, "0x20"),
            ],
        },
    },
    Alert {
        name: "CorelaneTopologyDisputed",
        severity: AlertSeverity::Page,
        expression: "sum by (cluster, instance) (rate(corelane_upstream_disputed_total[5m])) > 0",
        hold: "1m",
        summary: "{{ $labels.instance }} refuses keys: its topology file is not that of most nodes",
        fires: Scene {
            name: "keys are refused",
            minutes: 10,
            series: &[(r#"corelane_upstream_disputed_total{cluster="c",instance="e1",core="0"}"#, "0+20x20")],
        },
        labels: &[("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "they were once",
            minutes: 20,
            series: &[(r#"corelane_upstream_disputed_total{cluster="c",instance="e1",core="0"}"#, "20x30")],
        },
    },
    Alert {
        name: "CorelanePeersRefused",
        severity: AlertSeverity::Page,
        expression: "sum by (cluster, instance) (rate(corelane_node_faults_total{reason=~\"hello_map|hello_cluster|hello_hash_seed|hello_same_node\"}[5m])) > 0\n  or sum by (cluster, instance) (rate(corelane_upstream_hellos_refused_total[5m])) > 0",
        hold: "5m",
        summary: "{{ $labels.instance }} and a peer refuse each other: two files of one epoch, or two clusters",
        fires: Scene {
            name: "a node meets a file that differs",
            minutes: 15,
            series: &[(
                r#"corelane_node_faults_total{cluster="c",instance="n1",core="0",reason="hello_map"}"#,
                "0+4x20",
            )],
        },
        labels: &[("cluster", "c"), ("instance", "n1")],
        silent: Scene {
            name: "other faults are no disagreement",
            minutes: 15,
            series: &[(
                r#"corelane_node_faults_total{cluster="c",instance="n1",core="0",reason="header_crc"}"#,
                "0+4x20",
            )],
        },
    },
    Alert {
        name: "CorelaneTopologyRefused",
        severity: AlertSeverity::Ticket,
        expression: "increase(corelane_topology_refused_total[15m]) > 0",
        hold: "0m",
        summary: "{{ $labels.instance }} has refused a topology file, and goes on with the one before",
        fires: Scene {
            name: "a file was refused",
            minutes: 20,
            series: &[(r#"corelane_topology_refused_total{cluster="c",instance="n1"}"#, "0x10 1x20")],
        },
        labels: &[("cluster", "c"), ("instance", "n1")],
        silent: Scene {
            name: "it was an hour ago",
            minutes: 70,
            series: &[(r#"corelane_topology_refused_total{cluster="c",instance="n1"}"#, "0x10 1x80")],
        },
    },
    Alert {
        name: "CorelaneConfigRefused",
        severity: AlertSeverity::Ticket,
        expression: "increase(corelane_config_reloads_total{result=\"refused\"}[15m]) > 0",
        hold: "0m",
        summary: "{{ $labels.instance }} has refused its configuration, and goes on with the one before",
        fires: Scene {
            name: "settings were refused",
            minutes: 20,
            series: &[(r#"corelane_config_reloads_total{cluster="c",instance="e1",result="refused"}"#, "0x10 1x20")],
        },
        labels: &[("cluster", "c"), ("instance", "e1"), ("result", "refused")],
        silent: Scene {
            name: "settings were applied",
            minutes: 20,
            series: &[
                (r#"corelane_config_reloads_total{cluster="c",instance="e1",result="applied"}"#, "0x10 1x20"),
                (r#"corelane_config_reloads_total{cluster="c",instance="e1",result="refused"}"#, "0x40"),
            ],
        },
    },
    Alert {
        name: "CorelaneReleasesDiffer",
        severity: AlertSeverity::Ticket,
        expression: "count by (cluster, program) (count by (cluster, program, digest) (corelane_process_build_info{digest!=\"\"})) > 1",
        hold: "2h",
        summary: "Cluster {{ $labels.cluster }}: {{ $labels.program }} runs in more than one build",
        fires: Scene {
            name: "a rollout has stopped half way",
            minutes: 130,
            series: &[
                (r#"corelane_process_build_info{cluster="c",instance="e1",program="corelane",digest="aa"}"#, "1x140"),
                (r#"corelane_process_build_info{cluster="c",instance="e2",program="corelane",digest="bb"}"#, "1x140"),
            ],
        },
        labels: &[("cluster", "c"), ("program", "corelane")],
        silent: Scene {
            name: "a node is another program; one digest is not known yet",
            minutes: 130,
            series: &[
                (r#"corelane_process_build_info{cluster="c",instance="e1",program="corelane",digest="aa"}"#, "1x140"),
                (r#"corelane_process_build_info{cluster="c",instance="e2",program="corelane",digest=""}"#, "1x140"),
                (
                    r#"corelane_process_build_info{cluster="c",instance="n1",program="shardstored",digest="cc"}"#,
                    "1x140",
                ),
            ],
        },
    },
    Alert {
        name: "CorelaneTuningDrifted",
        severity: AlertSeverity::Ticket,
        expression: "corelane_tune_state{state=\"drifted\"} == 1",
        hold: "15m",
        summary: "{{ $labels.instance }}: settings of the host are not as they were confirmed",
        fires: Scene {
            name: "somebody has changed a setting",
            minutes: 30,
            series: &[(r#"corelane_tune_state{cluster="c",instance="e1",state="drifted"}"#, "0x5 1x40")],
        },
        labels: &[("cluster", "c"), ("instance", "e1"), ("state", "drifted")],
        silent: Scene {
            name: "it was set back",
            minutes: 30,
            series: &[(r#"corelane_tune_state{cluster="c",instance="e1",state="drifted"}"#, "0x5 1x10 0x40")],
        },
    },
    Alert {
        name: "CorelaneTuningPending",
        severity: AlertSeverity::Ticket,
        expression: "corelane_tune_state{state=\"pending\"} == 1",
        hold: "15m",
        summary: "{{ $labels.instance }}: a change of the host waits to be confirmed, and its time is over",
        fires: Scene {
            name: "the timer that takes it back did not run",
            minutes: 30,
            series: &[(r#"corelane_tune_state{cluster="c",instance="e1",state="pending"}"#, "0x5 1x40")],
        },
        labels: &[("cluster", "c"), ("instance", "e1"), ("state", "pending")],
        silent: Scene {
            name: "it was confirmed",
            minutes: 30,
            series: &[(r#"corelane_tune_state{cluster="c",instance="e1",state="pending"}"#, "0x5 1x3 0x40")],
        },
    },
    Alert {
        name: "CorelaneTuningUnwatched",
        severity: AlertSeverity::Ticket,
        expression: "time() - corelane_tune_status_timestamp_seconds > 3600",
        hold: "15m",
        summary: "{{ $labels.instance }}: what is known of the tuning of the host has expired",
        fires: Scene {
            name: "the timer stands still",
            minutes: 90,
            series: &[(r#"corelane_tune_status_timestamp_seconds{cluster="c",instance="e1"}"#, "0x100")],
        },
        labels: &[("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "it looks every five minutes",
            minutes: 90,
            series: &[(r#"corelane_tune_status_timestamp_seconds{cluster="c",instance="e1"}"#, "0+60x100")],
        },
    },
    Alert {
        name: "CorelaneClockStepped",
        severity: AlertSeverity::Ticket,
        expression: "sum by (cluster, instance) (increase(corelane_wall_clock_steps_total[1h])) > 0",
        hold: "0m",
        summary: "{{ $labels.instance }}: the clock of the host was set",
        fires: Scene {
            name: "a step back",
            minutes: 20,
            series: &[(r#"corelane_wall_clock_steps_total{cluster="c",instance="e1",direction="back"}"#, "0x10 1x20")],
        },
        labels: &[("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "it was two hours ago",
            minutes: 150,
            series: &[(r#"corelane_wall_clock_steps_total{cluster="c",instance="e1",direction="back"}"#, "0x10 1x160")],
        },
    },
];
