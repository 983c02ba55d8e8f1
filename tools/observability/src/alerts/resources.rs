//! What a process runs out of: memory, CPU, file descriptors, places for completions.

use super::{Alert, AlertSeverity, Scene};

pub(super) const ALERTS: &[Alert] = &[
    Alert {
        name: "CorelaneMemoryNearLimit",
        severity: AlertSeverity::Page,
        expression: "corelane_process_resident_memory_bytes > 0.9 * corelane_process_memory_limit_bytes",
        hold: "5m",
        summary: "{{ $labels.instance }} uses nine tenths of the memory that it may have; the kernel ends it at the limit",
        fires: Scene {
            name: "95 of 100",
            minutes: 15,
            series: &[
                (r#"corelane_process_resident_memory_bytes{cluster="c",instance="n1"}"#, "95x20"),
                (r#"corelane_process_memory_limit_bytes{cluster="c",instance="n1"}"#, "100x20"),
            ],
        },
        labels: &[("cluster", "c"), ("instance", "n1")],
        silent: Scene {
            name: "85 of 100",
            minutes: 15,
            series: &[
                (r#"corelane_process_resident_memory_bytes{cluster="c",instance="n1"}"#, "85x20"),
                (r#"corelane_process_memory_limit_bytes{cluster="c",instance="n1"}"#, "100x20"),
            ],
        },
    },
    Alert {
        name: "CorelaneMemoryBoundAboveLimit",
        severity: AlertSeverity::Ticket,
        expression: "corelane_process_memory_bound_bytes > corelane_process_memory_limit_bytes",
        hold: "15m",
        summary: "{{ $labels.instance }} may take more memory under its settings than it may have",
        fires: Scene {
            name: "bound above limit",
            minutes: 30,
            series: &[
                (r#"corelane_process_memory_bound_bytes{cluster="c",instance="n1"}"#, "101x40"),
                (r#"corelane_process_memory_limit_bytes{cluster="c",instance="n1"}"#, "100x40"),
            ],
        },
        labels: &[("cluster", "c"), ("instance", "n1")],
        silent: Scene {
            name: "bound at limit",
            minutes: 30,
            series: &[
                (r#"corelane_process_memory_bound_bytes{cluster="c",instance="n1"}"#, "100x40"),
                (r#"corelane_process_memory_limit_bytes{cluster="c",instance="n1"}"#, "100x40"),
            ],
        },
    },
    Alert {
        name: "CorelaneCoreSaturated",
        severity: AlertSeverity::Ticket,
        expression: "sum by (cluster, instance, thread) (rate(corelane_process_cpu_seconds_total{thread=~\"core-[0-9]+\"}[5m])) > 0.95",
        hold: "15m",
        summary: "{{ $labels.instance }}: {{ $labels.thread }} has no CPU time left",
        fires: Scene {
            name: "58 of 60 seconds",
            minutes: 30,
            series: &[
                (
                    r#"corelane_process_cpu_seconds_total{cluster="c",instance="e1",thread="core-1",mode="user"}"#,
                    "0+28x40",
                ),
                (
                    r#"corelane_process_cpu_seconds_total{cluster="c",instance="e1",thread="core-1",mode="system"}"#,
                    "0+30x40",
                ),
            ],
        },
        labels: &[("cluster", "c"), ("instance", "e1"), ("thread", "core-1")],
        silent: Scene {
            name: "54 of 60 seconds, and a busy thread that serves nobody",
            minutes: 30,
            series: &[
                (
                    r#"corelane_process_cpu_seconds_total{cluster="c",instance="e1",thread="core-1",mode="user"}"#,
                    "0+54x40",
                ),
                (
                    r#"corelane_process_cpu_seconds_total{cluster="c",instance="e1",thread="log",mode="user"}"#,
                    "0+60x40",
                ),
            ],
        },
    },
    Alert {
        name: "CorelaneAcceptErrors",
        severity: AlertSeverity::Page,
        expression: "sum by (cluster, instance) (rate(corelane_reactor_accept_errors_total[5m])) > 0",
        hold: "2m",
        summary: "{{ $labels.instance }} cannot accept connections, most likely for want of file descriptors",
        fires: Scene {
            name: "accepts fail",
            minutes: 10,
            series: &[(r#"corelane_reactor_accept_errors_total{cluster="c",instance="e1",core="0"}"#, "0+50x20")],
        },
        labels: &[("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "they failed once",
            minutes: 20,
            series: &[(r#"corelane_reactor_accept_errors_total{cluster="c",instance="e1",core="0"}"#, "0 50x30")],
        },
    },
    Alert {
        name: "CorelaneRingOverflows",
        severity: AlertSeverity::Ticket,
        expression: "sum by (cluster, instance) (rate(corelane_reactor_overflows_total[5m])) > 0",
        hold: "10m",
        summary: "{{ $labels.instance }}: completions find no room in the queue of the kernel",
        fires: Scene {
            name: "the queue overflows",
            minutes: 20,
            series: &[(r#"corelane_reactor_overflows_total{cluster="c",instance="e1",core="0"}"#, "0+9x30")],
        },
        labels: &[("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "it did once",
            minutes: 20,
            series: &[(r#"corelane_reactor_overflows_total{cluster="c",instance="e1",core="0"}"#, "9x30")],
        },
    },
    Alert {
        name: "CorelaneAdminShed",
        severity: AlertSeverity::Ticket,
        expression: "rate(corelane_admin_connections_shed_total[5m]) > 0",
        hold: "10m",
        summary: "{{ $labels.instance }}: somebody uses up the connections of the admin listener; scrapes may fail",
        fires: Scene {
            name: "connections are shed",
            minutes: 20,
            series: &[(r#"corelane_admin_connections_shed_total{cluster="c",instance="e1"}"#, "0+2x30")],
        },
        labels: &[("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "none is any more",
            minutes: 20,
            series: &[(r#"corelane_admin_connections_shed_total{cluster="c",instance="e1"}"#, "0+2x2 4x30")],
        },
    },
    Alert {
        name: "CorelaneCertificateEnds",
        severity: AlertSeverity::Ticket,
        expression: "min by (cluster, instance, name) (corelane_tls_certificate_expiry_timestamp_seconds) - time() < 604800",
        hold: "10m",
        summary: "{{ $labels.instance }}: the certificate {{ $labels.name }} ends within a week",
        fires: Scene {
            name: "nobody has renewed it",
            minutes: 20,
            series: &[(
                r#"corelane_tls_certificate_expiry_timestamp_seconds{cluster="c",instance="e1",name="cluster"}"#,
                "600000x30",
            )],
        },
        labels: &[("cluster", "c"), ("instance", "e1"), ("name", "cluster")],
        silent: Scene {
            name: "it was renewed",
            minutes: 20,
            series: &[(
                r#"corelane_tls_certificate_expiry_timestamp_seconds{cluster="c",instance="e1",name="cluster"}"#,
                "600000x5 7776000x30",
            )],
        },
    },
    Alert {
        name: "CorelaneCertificateRefused",
        severity: AlertSeverity::Ticket,
        expression: "sum by (cluster, instance) (increase(corelane_tls_reloads_total{result=\"refused\"}[1h])) > 0",
        hold: "0m",
        summary: "{{ $labels.instance }} has refused certificate files and uses those of before",
        fires: Scene {
            name: "a key is another's",
            minutes: 20,
            series: &[(r#"corelane_tls_reloads_total{cluster="c",instance="e1",result="refused"}"#, "0x10 1x20")],
        },
        labels: &[("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "all were taken",
            minutes: 20,
            series: &[
                (r#"corelane_tls_reloads_total{cluster="c",instance="e1",result="refused"}"#, "0x30"),
                (r#"corelane_tls_reloads_total{cluster="c",instance="e1",result="applied"}"#, "0+1x30"),
            ],
        },
    },
];
