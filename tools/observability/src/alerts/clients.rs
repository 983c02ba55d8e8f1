//! What clients see: errors, latency, refusals, processes that are gone or keep restarting.
//!
//! The objective is that 99.9 % of responses are not 5xx over 30 days. The burn rates: 14.4 uses a fiftieth of the month's
//! errors in an hour, 6 a twentieth in six hours, 1 a tenth in three days.

use super::{Alert, AlertSeverity, Scene};

pub(super) const ALERTS: &[Alert] = &[
    Alert {
        name: "CorelaneErrorBudgetFast",
        severity: AlertSeverity::Page,
        expression: "cluster:corelane_http_errors:ratio_rate1h > 14.4 * 0.001\n  and cluster:corelane_http_errors:ratio_rate5m > 14.4 * 0.001",
        hold: "2m",
        summary: "Cluster {{ $labels.cluster }}: errors use up the budget of a month within two days",
        fires: Scene {
            name: "a response in fifty is 5xx",
            minutes: 70,
            series: &[
                (r#"corelane_http_responses_total{cluster="c",instance="e1",core="0",class="2xx"}"#, "0+980x80"),
                (r#"corelane_http_responses_total{cluster="c",instance="e1",core="0",class="5xx"}"#, "0+20x80"),
            ],
        },
        labels: &[("cluster", "c")],
        silent: Scene {
            name: "errors of ten minutes are over",
            minutes: 70,
            series: &[
                (r#"corelane_http_responses_total{cluster="c",instance="e1",core="0",class="2xx"}"#, "0+500x80"),
                (
                    r#"corelane_http_responses_total{cluster="c",instance="e1",core="0",class="5xx"}"#,
                    "0x40 0+500x10 5000x40",
                ),
            ],
        },
    },
    Alert {
        name: "CorelaneErrorBudgetSteady",
        severity: AlertSeverity::Page,
        expression: "cluster:corelane_http_errors:ratio_rate6h > 6 * 0.001\n  and cluster:corelane_http_errors:ratio_rate30m > 6 * 0.001",
        hold: "15m",
        summary: "Cluster {{ $labels.cluster }}: errors use up the budget of a month within five days",
        fires: Scene {
            name: "a response in a hundred is 5xx",
            minutes: 400,
            series: &[
                (r#"corelane_http_responses_total{cluster="c",instance="e1",core="0",class="2xx"}"#, "0+990x410"),
                (r#"corelane_http_responses_total{cluster="c",instance="e1",core="0",class="5xx"}"#, "0+10x410"),
            ],
        },
        labels: &[("cluster", "c")],
        silent: Scene {
            name: "a response in two hundred is 5xx",
            minutes: 400,
            series: &[
                (r#"corelane_http_responses_total{cluster="c",instance="e1",core="0",class="2xx"}"#, "0+995x410"),
                (r#"corelane_http_responses_total{cluster="c",instance="e1",core="0",class="5xx"}"#, "0+5x410"),
            ],
        },
    },
    Alert {
        name: "CorelaneErrorBudgetSlow",
        severity: AlertSeverity::Ticket,
        expression: "cluster:corelane_http_errors:ratio_rate3d > 0.001\n  and cluster:corelane_http_errors:ratio_rate6h > 0.001",
        hold: "1h",
        summary: "Cluster {{ $labels.cluster }}: more than one response in a thousand has been 5xx for three days",
        fires: Scene {
            name: "two responses in a thousand are 5xx",
            minutes: 500,
            series: &[
                (r#"corelane_http_responses_total{cluster="c",instance="e1",core="0",class="2xx"}"#, "0+998x510"),
                (r#"corelane_http_responses_total{cluster="c",instance="e1",core="0",class="5xx"}"#, "0+2x510"),
            ],
        },
        labels: &[("cluster", "c")],
        silent: Scene {
            name: "five responses in ten thousand are 5xx",
            minutes: 500,
            series: &[
                (r#"corelane_http_responses_total{cluster="c",instance="e1",core="0",class="2xx"}"#, "0+9995x510"),
                (r#"corelane_http_responses_total{cluster="c",instance="e1",core="0",class="5xx"}"#, "0+5x510"),
            ],
        },
    },
    Alert {
        name: "CorelaneLatencyHigh",
        severity: AlertSeverity::Ticket,
        expression: "histogram_quantile(0.99, sum by (cluster, instance, route, le) (rate(corelane_http_request_duration_seconds_bucket{route=~\"hit|read\"}[5m]))) > 0.1",
        hold: "10m",
        summary: "{{ $labels.instance }}: one read in a hundred ({{ $labels.route }}) takes longer than 100 ms",
        fires: Scene {
            name: "all reads take 200 ms",
            minutes: 20,
            series: &[
                (
                    r#"corelane_http_request_duration_seconds_bucket{cluster="c",instance="e1",route="read",le="0.1"}"#,
                    "0x30",
                ),
                (
                    r#"corelane_http_request_duration_seconds_bucket{cluster="c",instance="e1",route="read",le="0.2"}"#,
                    "0+100x30",
                ),
                (
                    r#"corelane_http_request_duration_seconds_bucket{cluster="c",instance="e1",route="read",le="+Inf"}"#,
                    "0+100x30",
                ),
            ],
        },
        labels: &[("cluster", "c"), ("instance", "e1"), ("route", "read")],
        silent: Scene {
            name: "one read in two hundred takes 200 ms",
            minutes: 20,
            series: &[
                (
                    r#"corelane_http_request_duration_seconds_bucket{cluster="c",instance="e1",route="read",le="0.1"}"#,
                    "0+199x30",
                ),
                (
                    r#"corelane_http_request_duration_seconds_bucket{cluster="c",instance="e1",route="read",le="0.2"}"#,
                    "0+200x30",
                ),
                (
                    r#"corelane_http_request_duration_seconds_bucket{cluster="c",instance="e1",route="read",le="+Inf"}"#,
                    "0+200x30",
                ),
            ],
        },
    },
    Alert {
        name: "CorelaneConnectionsShed",
        severity: AlertSeverity::Page,
        expression: "sum by (cluster, instance) (rate(corelane_http_connections_shed_total[5m])) > 0\n  or sum by (cluster, instance) (rate(corelane_node_connections_shed_total[5m])) > 0",
        hold: "5m",
        summary: "{{ $labels.instance }} turns connections away before it reads a request",
        fires: Scene {
            name: "an edge is at its bound",
            minutes: 15,
            series: &[(r#"corelane_http_connections_shed_total{cluster="c",instance="e1",core="0"}"#, "0+5x20")],
        },
        labels: &[("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "a burst of one minute is over",
            minutes: 20,
            series: &[(r#"corelane_http_connections_shed_total{cluster="c",instance="e1",core="0"}"#, "0x5 500x20")],
        },
    },
    Alert {
        name: "CorelaneBodiesShed",
        severity: AlertSeverity::Ticket,
        expression: "sum by (cluster, instance) (rate(corelane_http_bodies_shed_total[5m])) > 0",
        hold: "10m",
        summary: "{{ $labels.instance }} refuses bodies and large values for want of memory for them",
        fires: Scene {
            name: "bodies are refused",
            minutes: 20,
            series: &[(r#"corelane_http_bodies_shed_total{cluster="c",instance="e1",core="0"}"#, "0+1x30")],
        },
        labels: &[("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "some were once",
            minutes: 20,
            series: &[(r#"corelane_http_bodies_shed_total{cluster="c",instance="e1",core="0"}"#, "7x30")],
        },
    },
    Alert {
        name: "CorelaneClientsCut",
        severity: AlertSeverity::Ticket,
        expression: "sum by (cluster, instance) (rate(corelane_http_connections_cut_total[5m])) > 0\n  or sum by (cluster, instance) (rate(corelane_node_connections_cut_total[5m])) > 0",
        hold: "10m",
        summary: "{{ $labels.instance }} cuts off peers that do not read, to keep its memory",
        fires: Scene {
            name: "a node cuts peers off",
            minutes: 20,
            series: &[(r#"corelane_node_connections_cut_total{cluster="c",instance="n1",core="0"}"#, "0+1x30")],
        },
        labels: &[("cluster", "c"), ("instance", "n1")],
        silent: Scene {
            name: "nobody is cut off any more",
            minutes: 20,
            series: &[(r#"corelane_node_connections_cut_total{cluster="c",instance="n1",core="0"}"#, "0+1x3 3x30")],
        },
    },
    Alert {
        name: "CorelaneTargetDown",
        severity: AlertSeverity::Page,
        expression: "up{job=~\"corelane-edges|corelane-nodes\"} == 0",
        hold: "1m",
        summary: "{{ $labels.instance }} ({{ $labels.job }}) does not answer the scraper",
        fires: Scene {
            name: "a node is gone",
            minutes: 10,
            series: &[(r#"up{job="corelane-nodes",cluster="c",instance="n1"}"#, "1x5 0x10")],
        },
        labels: &[("job", "corelane-nodes"), ("cluster", "c"), ("instance", "n1")],
        silent: Scene {
            name: "one scrape failed",
            minutes: 10,
            series: &[(r#"up{job="corelane-nodes",cluster="c",instance="n1"}"#, "1x5 0 1x10")],
        },
    },
    Alert {
        name: "CorelaneRestarting",
        severity: AlertSeverity::Page,
        expression: "changes(corelane_process_start_time_seconds[15m]) > 2",
        hold: "0m",
        summary: "{{ $labels.instance }} has been started three times within a quarter of an hour",
        fires: Scene {
            name: "four starts",
            minutes: 12,
            series: &[(r#"corelane_process_start_time_seconds{cluster="c",instance="e1"}"#, "1x3 200x3 400x3 600x10")],
        },
        labels: &[("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "a rollout restarts it once",
            minutes: 12,
            series: &[(r#"corelane_process_start_time_seconds{cluster="c",instance="e1"}"#, "1x3 200x20")],
        },
    },
    Alert {
        name: "CorelaneDrainForgotten",
        severity: AlertSeverity::Ticket,
        expression: "(time() - corelane_drain_start_time_seconds) > 3600\n  and corelane_drain_start_time_seconds > 0",
        hold: "5m",
        summary: "{{ $labels.instance }} has been out of service for more than an hour, by request",
        fires: Scene {
            name: "drained at the first minute",
            minutes: 70,
            series: &[(r#"corelane_drain_start_time_seconds{cluster="c",instance="e1"}"#, "0 60x80")],
        },
        labels: &[("cluster", "c"), ("instance", "e1")],
        silent: Scene {
            name: "not drained",
            minutes: 70,
            series: &[(r#"corelane_drain_start_time_seconds{cluster="c",instance="e1"}"#, "0x80")],
        },
    },
    Alert {
        name: "CorelaneHitRatioFell",
        severity: AlertSeverity::Ticket,
        expression: "cluster:corelane_kv_hits:ratio_rate30m < 0.8 * (cluster:corelane_kv_hits:ratio_rate30m offset 1d)",
        hold: "30m",
        summary: "Cluster {{ $labels.cluster }}: a fifth less of the reads than yesterday are answered from memory at the edge",
        fires: Scene {
            name: "from nine in ten to six in ten",
            minutes: 1560,
            series: &[
                (
                    r#"corelane_kv_reads_total{cluster="c",instance="e1",core="0",source="own_core"}"#,
                    "0+90x1440 129600+60x200",
                ),
                (
                    r#"corelane_kv_reads_total{cluster="c",instance="e1",core="0",source="node"}"#,
                    "0+10x1440 14400+40x200",
                ),
            ],
        },
        labels: &[("cluster", "c")],
        silent: Scene {
            name: "from nine in ten to eight in ten",
            minutes: 1560,
            series: &[
                (
                    r#"corelane_kv_reads_total{cluster="c",instance="e1",core="0",source="own_core"}"#,
                    "0+90x1440 129600+80x200",
                ),
                (
                    r#"corelane_kv_reads_total{cluster="c",instance="e1",core="0",source="node"}"#,
                    "0+10x1440 14400+20x200",
                ),
            ],
        },
    },
];
