//! What cannot be looked up later: logs that lose lines, hosts that are not watched.

use super::{Alert, AlertSeverity, Scene};

pub(super) const ALERTS: &[Alert] = &[
    Alert {
        name: "CorelaneLogLinesDropped",
        severity: AlertSeverity::Ticket,
        expression: "rate(corelane_log_lines_dropped_total[5m]) > 0",
        hold: "10m",
        summary: "{{ $labels.instance }} writes more log lines than are kept",
        fires: Scene {
            name: "lines are dropped",
            minutes: 20,
            series: &[(r#"corelane_log_lines_dropped_total{cluster="c",instance="e1"}"#, "0+30x30")],
        },
        labels: &[("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "a burst is over",
            minutes: 20,
            series: &[(r#"corelane_log_lines_dropped_total{cluster="c",instance="e1"}"#, "0+30x2 60x30")],
        },
    },
    Alert {
        name: "CorelaneAccessLogDropped",
        severity: AlertSeverity::Ticket,
        expression: "sum by (cluster, instance) (rate(corelane_access_log_dropped_total[5m])) > 0",
        hold: "10m",
        summary: "{{ $labels.instance }}: responses are missing in the access log",
        fires: Scene {
            name: "records are dropped",
            minutes: 20,
            series: &[(r#"corelane_access_log_dropped_total{cluster="c",instance="e1",core="0"}"#, "0+30x30")],
        },
        labels: &[("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "none is",
            minutes: 20,
            series: &[(r#"corelane_access_log_dropped_total{cluster="c",instance="e1",core="0"}"#, "30x30")],
        },
    },
    Alert {
        name: "CorelaneAccessLogUnwritable",
        severity: AlertSeverity::Ticket,
        expression: "increase(corelane_access_log_write_errors_total[15m]) > 0",
        hold: "5m",
        summary: "{{ $labels.instance }} cannot write its access log",
        fires: Scene {
            name: "the disk is full",
            minutes: 20,
            series: &[(r#"corelane_access_log_write_errors_total{cluster="c",instance="e1"}"#, "0x5 5+60x30")],
        },
        labels: &[("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "it was an hour ago",
            minutes: 80,
            series: &[(r#"corelane_access_log_write_errors_total{cluster="c",instance="e1"}"#, "0x5 5x90")],
        },
    },
    Alert {
        name: "CorelaneHostUnwatched",
        severity: AlertSeverity::Ticket,
        expression: "up{job=\"corelane-hosts\"} == 0",
        hold: "15m",
        summary: "{{ $labels.instance }}: the exporter of the host does not answer; its tuning is not watched",
        fires: Scene {
            name: "the exporter is gone",
            minutes: 30,
            series: &[(r#"up{job="corelane-hosts",cluster="c",instance="e1"}"#, "1x5 0x40")],
        },
        labels: &[("job", "corelane-hosts"), ("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "it was restarted",
            minutes: 30,
            series: &[(r#"up{job="corelane-hosts",cluster="c",instance="e1"}"#, "1x5 0x3 1x40")],
        },
    },
];
