//! All hosts side by side: what an operator looks at first.

use super::{Drawing, Panel, PanelRow};

pub(super) const ROWS: &[PanelRow] = &[
    PanelRow {
        title: "Now",
        panels: &[
            Panel {
                title: "Alerts that fire",
                about: "Each has a runbook in docs/operations.md.",
                drawing: Drawing::Table,
                unit: "short",
                width: 24,
                queries: &[("ALERTS{alertname=~\"Corelane.*\",alertstate=\"firing\"}", "")],
            },
            Panel {
                title: "Requests",
                about: "Of all chosen edges.",
                drawing: Drawing::Number,
                unit: "reqps",
                width: 4,
                queries: &[("sum(rate(corelane_http_requests_total{@}[$__rate_interval]))", "")],
            },
            Panel {
                title: "Errors",
                about: "Share of responses that are 5xx. The objective is less than 0.1 %.",
                drawing: Drawing::Number,
                unit: "percentunit",
                width: 4,
                queries: &[(
                    "sum(rate(corelane_http_responses_total{@,class=\"5xx\"}[$__rate_interval])) / sum(rate(corelane_http_responses_total{@}[$__rate_interval]))",
                    "",
                )],
            },
            Panel {
                title: "Hit ratio",
                about: "Share of reads that the edge answers from its memory.",
                drawing: Drawing::Number,
                unit: "percentunit",
                width: 4,
                queries: &[(
                    "sum(rate(corelane_kv_reads_total{@,source=~\"own_core|other_core\"}[$__rate_interval])) / sum(rate(corelane_kv_reads_total{@}[$__rate_interval]))",
                    "",
                )],
            },
            Panel {
                title: "p99 of reads",
                about: "Hits, and reads that waited for another core or a node.",
                drawing: Drawing::Number,
                unit: "s",
                width: 4,
                queries: &[(
                    "histogram_quantile(0.99, sum by (le) (rate(corelane_http_request_duration_seconds_bucket{@,route=~\"hit|read\"}[$__rate_interval])))",
                    "",
                )],
            },
            Panel {
                title: "Nodes not reached",
                about: "Pairs of an edge and a node.",
                drawing: Drawing::Number,
                unit: "short",
                width: 4,
                queries: &[("count(max by (instance, node) (corelane_upstream_node_up{@}) == 0) or vector(0)", "")],
            },
            Panel {
                title: "Hosts in service",
                about: "Those that answer the scraper and are not drained.",
                drawing: Drawing::Number,
                unit: "short",
                width: 4,
                queries: &[("count(corelane_drain_start_time_seconds{@} == 0) or vector(0)", "")],
            },
        ],
    },
    PanelRow {
        title: "Traffic",
        panels: &[
            Panel {
                title: "Requests by host",
                about: "A host far from the others gets another share from the balancer, or is drained.",
                drawing: Drawing::Lines,
                unit: "reqps",
                width: 12,
                queries: &[(
                    "sum by (instance) (rate(corelane_http_requests_total{@}[$__rate_interval]))",
                    "{{instance}}",
                )],
            },
            Panel {
                title: "Responses by class",
                about: "",
                drawing: Drawing::Stacked,
                unit: "reqps",
                width: 12,
                queries: &[("sum by (class) (rate(corelane_http_responses_total{@}[$__rate_interval]))", "{{class}}")],
            },
            Panel {
                title: "Bytes",
                about: "Received and sent by all connections, those to nodes too.",
                drawing: Drawing::Lines,
                unit: "Bps",
                width: 8,
                queries: &[
                    (
                        "sum by (job) (rate(corelane_reactor_received_bytes_total{@}[$__rate_interval]))",
                        "{{job}} received",
                    ),
                    ("sum by (job) (rate(corelane_reactor_sent_bytes_total{@}[$__rate_interval]))", "{{job}} sent"),
                ],
            },
            Panel {
                title: "Open connections",
                about: "",
                drawing: Drawing::Lines,
                unit: "short",
                width: 8,
                queries: &[
                    ("sum by (instance) (corelane_http_connections{@})", "{{instance}}"),
                    ("sum by (instance) (corelane_node_connections{@})", "{{instance}} (node)"),
                ],
            },
            Panel {
                title: "New connections",
                about: "Many of them for each request: clients do not keep theirs.",
                drawing: Drawing::Lines,
                unit: "cps",
                width: 8,
                queries: &[(
                    "sum by (instance) (rate(corelane_http_connections_accepted_total{@}[$__rate_interval]))",
                    "{{instance}}",
                )],
            },
        ],
    },
    PanelRow {
        title: "Hit ratio",
        panels: &[
            Panel {
                title: "Where reads were answered",
                about: "",
                drawing: Drawing::Stacked,
                unit: "reqps",
                width: 12,
                queries: &[("sum by (source) (rate(corelane_kv_reads_total{@}[$__rate_interval]))", "{{source}}")],
            },
            Panel {
                title: "Hit ratio by host",
                about: "A host that was restarted begins empty.",
                drawing: Drawing::Lines,
                unit: "percentunit",
                width: 12,
                queries: &[(
                    "sum by (instance) (rate(corelane_kv_reads_total{@,source=~\"own_core|other_core\"}[$__rate_interval])) / sum by (instance) (rate(corelane_kv_reads_total{@}[$__rate_interval]))",
                    "{{instance}}",
                )],
            },
            Panel {
                title: "Today and yesterday",
                about: "Of the cluster, over half an hour.",
                drawing: Drawing::Lines,
                unit: "percentunit",
                width: 8,
                queries: &[
                    ("cluster:corelane_kv_hits:ratio_rate30m{cluster=~\"$cluster\"}", "{{cluster}}"),
                    (
                        "cluster:corelane_kv_hits:ratio_rate30m{cluster=~\"$cluster\"} offset 1d",
                        "{{cluster}} a day before",
                    ),
                ],
            },
            Panel {
                title: "Hit ratio of nodes",
                about: "Of what edges ask them.",
                drawing: Drawing::Lines,
                unit: "percentunit",
                width: 8,
                queries: &[(
                    "sum by (instance) (rate(corelane_cache_hits_total{@,job=\"corelane-nodes\"}[$__rate_interval])) / (sum by (instance) (rate(corelane_cache_hits_total{@,job=\"corelane-nodes\"}[$__rate_interval])) + sum by (instance) (rate(corelane_cache_misses_total{@,job=\"corelane-nodes\"}[$__rate_interval])))",
                    "{{instance}}",
                )],
            },
            Panel {
                title: "Fills and reads that joined one",
                about: "",
                drawing: Drawing::Lines,
                unit: "reqps",
                width: 8,
                queries: &[
                    ("sum by (job) (rate(corelane_store_fills_total{@}[$__rate_interval]))", "fills"),
                    ("sum by (job) (rate(corelane_store_reads_coalesced_total{@}[$__rate_interval]))", "joined"),
                ],
            },
        ],
    },
    PanelRow {
        title: "Latency",
        panels: &[
            Panel {
                title: "Reads that waited",
                about: "For another core or a node.",
                drawing: Drawing::Heat,
                unit: "s",
                width: 12,
                queries: &[(
                    "sum by (le) (rate(corelane_http_request_duration_seconds_bucket{@,route=\"read\"}[$__rate_interval]))",
                    "{{le}}",
                )],
            },
            Panel {
                title: "Quantiles by route",
                about: "",
                drawing: Drawing::Lines,
                unit: "s",
                width: 12,
                queries: &[
                    (
                        "histogram_quantile(0.5, sum by (route, le) (rate(corelane_http_request_duration_seconds_bucket{@}[$__rate_interval])))",
                        "{{route}} p50",
                    ),
                    (
                        "histogram_quantile(0.99, sum by (route, le) (rate(corelane_http_request_duration_seconds_bucket{@}[$__rate_interval])))",
                        "{{route}} p99",
                    ),
                    (
                        "histogram_quantile(0.999, sum by (route, le) (rate(corelane_http_request_duration_seconds_bucket{@}[$__rate_interval])))",
                        "{{route}} p99.9",
                    ),
                ],
            },
            Panel {
                title: "p99 of hits by host",
                about: "",
                drawing: Drawing::Lines,
                unit: "s",
                width: 8,
                queries: &[(
                    "histogram_quantile(0.99, sum by (instance, le) (rate(corelane_http_request_duration_seconds_bucket{@,route=\"hit\"}[$__rate_interval])))",
                    "{{instance}}",
                )],
            },
            Panel {
                title: "p99 of calls, by node",
                about: "As edges see it: the node and the network.",
                drawing: Drawing::Lines,
                unit: "s",
                width: 8,
                queries: &[(
                    "histogram_quantile(0.99, sum by (node, le) (rate(corelane_upstream_call_duration_seconds_bucket{@}[$__rate_interval])))",
                    "node {{node}}",
                )],
            },
            Panel {
                title: "p99 within nodes, by operation",
                about: "",
                drawing: Drawing::Lines,
                unit: "s",
                width: 8,
                queries: &[(
                    "histogram_quantile(0.99, sum by (operation, le) (rate(corelane_node_request_duration_seconds_bucket{@}[$__rate_interval])))",
                    "{{operation}}",
                )],
            },
        ],
    },
    PanelRow {
        title: "Errors",
        panels: &[
            Panel {
                title: "Share of 5xx by host",
                about: "",
                drawing: Drawing::Lines,
                unit: "percentunit",
                width: 12,
                queries: &[(
                    "sum by (instance) (rate(corelane_http_responses_total{@,class=\"5xx\"}[$__rate_interval])) / sum by (instance) (rate(corelane_http_responses_total{@}[$__rate_interval]))",
                    "{{instance}}",
                )],
            },
            Panel {
                title: "Burn rate",
                about: "1 uses up the budget of a month (0.1 % of responses) in a month. Pages: 14.4 over an hour, 6 over six.",
                drawing: Drawing::Lines,
                unit: "short",
                width: 12,
                queries: &[
                    ("cluster:corelane_http_errors:ratio_rate5m{cluster=~\"$cluster\"} / 0.001", "{{cluster}} 5m"),
                    ("cluster:corelane_http_errors:ratio_rate1h{cluster=~\"$cluster\"} / 0.001", "{{cluster}} 1h"),
                    ("cluster:corelane_http_errors:ratio_rate6h{cluster=~\"$cluster\"} / 0.001", "{{cluster}} 6h"),
                    ("cluster:corelane_http_errors:ratio_rate3d{cluster=~\"$cluster\"} / 0.001", "{{cluster}} 3d"),
                ],
            },
            Panel {
                title: "Turned away",
                about: "Connections, bodies, hops at a bound.",
                drawing: Drawing::Lines,
                unit: "reqps",
                width: 8,
                queries: &[
                    (
                        "sum by (instance) (rate(corelane_http_connections_shed_total{@}[$__rate_interval]))",
                        "{{instance}} connections",
                    ),
                    (
                        "sum by (instance) (rate(corelane_http_bodies_shed_total{@}[$__rate_interval]))",
                        "{{instance}} bodies",
                    ),
                    (
                        "sum by (instance) (rate(corelane_store_hops_refused_total{@}[$__rate_interval]))",
                        "{{instance}} hops",
                    ),
                ],
            },
            Panel {
                title: "Clients that were slow or malformed",
                about: "",
                drawing: Drawing::Lines,
                unit: "reqps",
                width: 8,
                queries: &[
                    (
                        "sum by (instance) (rate(corelane_http_timeouts_total{@}[$__rate_interval]))",
                        "{{instance}} timeouts",
                    ),
                    (
                        "sum by (instance) (rate(corelane_http_connections_cut_total{@}[$__rate_interval]))",
                        "{{instance}} cut",
                    ),
                    (
                        "sum by (instance) (rate(corelane_http_requests_refused_total{@}[$__rate_interval]))",
                        "{{instance}} refused",
                    ),
                ],
            },
            Panel {
                title: "Responses cut",
                about: "Their value went away while it was sent.",
                drawing: Drawing::Lines,
                unit: "reqps",
                width: 8,
                queries: &[(
                    "sum by (instance) (rate(corelane_http_responses_cut_total{@}[$__rate_interval]))",
                    "{{instance}}",
                )],
            },
        ],
    },
    PanelRow {
        title: "Nodes",
        panels: &[
            Panel {
                title: "Reached",
                about: "1: every core of every edge reaches the node.",
                drawing: Drawing::Lines,
                unit: "short",
                width: 8,
                queries: &[("min by (node) (corelane_upstream_node_up{@})", "node {{node}}")],
            },
            Panel {
                title: "Calls and failures",
                about: "",
                drawing: Drawing::Lines,
                unit: "reqps",
                width: 8,
                queries: &[
                    ("sum by (job) (rate(corelane_upstream_calls_total{@}[$__rate_interval]))", "calls"),
                    ("sum by (job) (rate(corelane_upstream_call_errors_total{@}[$__rate_interval]))", "failed"),
                    (
                        "sum by (job) (rate(corelane_upstream_breaker_refused_total{@}[$__rate_interval]))",
                        "refused by a breaker",
                    ),
                ],
            },
            Panel {
                title: "Breakers opened",
                about: "",
                drawing: Drawing::Lines,
                unit: "reqps",
                width: 8,
                queries: &[(
                    "sum by (instance) (rate(corelane_upstream_breaker_opened_total{@}[$__rate_interval]))",
                    "{{instance}}",
                )],
            },
            Panel {
                title: "Requests by operation",
                about: "",
                drawing: Drawing::Stacked,
                unit: "reqps",
                width: 8,
                queries: &[(
                    "sum by (operation) (rate(corelane_node_requests_total{@}[$__rate_interval]))",
                    "{{operation}}",
                )],
            },
            Panel {
                title: "Responses other than ok and not found",
                about: "",
                drawing: Drawing::Lines,
                unit: "reqps",
                width: 8,
                queries: &[(
                    "sum by (status) (rate(corelane_node_responses_total{@,status=~\"busy|moved|stale|unsupported|too_large|corrupt|unavailable\"}[$__rate_interval]))",
                    "{{status}}",
                )],
            },
            Panel {
                title: "Load of nodes",
                about: "Requests of the busiest and of the idlest node: weights that fit make them alike.",
                drawing: Drawing::Lines,
                unit: "reqps",
                width: 8,
                queries: &[(
                    "sum by (instance) (rate(corelane_node_requests_total{@}[$__rate_interval]))",
                    "{{instance}}",
                )],
            },
        ],
    },
    PanelRow {
        title: "Memory",
        panels: &[
            Panel {
                title: "Resident, and what it may have",
                about: "",
                drawing: Drawing::Lines,
                unit: "bytes",
                width: 12,
                queries: &[
                    ("corelane_process_resident_memory_bytes{@}", "{{instance}}"),
                    ("corelane_process_memory_limit_bytes{@}", "{{instance}} limit"),
                ],
            },
            Panel {
                title: "Bound over limit",
                about: "Above 1 the settings allow more than the host or its cgroup has.",
                drawing: Drawing::Lines,
                unit: "percentunit",
                width: 12,
                queries: &[(
                    "corelane_process_memory_bound_bytes{@} / corelane_process_memory_limit_bytes{@}",
                    "{{instance}}",
                )],
            },
            Panel {
                title: "Caches: living items",
                about: "",
                drawing: Drawing::Lines,
                unit: "bytes",
                width: 8,
                queries: &[("sum by (instance) (corelane_cache_live_bytes{@})", "{{instance}}")],
            },
            Panel {
                title: "Age at eviction",
                about: "About the age at which items that are not read are evicted. Minutes: the memory is small for what is stored.",
                drawing: Drawing::Lines,
                unit: "s",
                width: 8,
                queries: &[("min by (instance) (corelane_cache_oldest_small_seconds{@})", "{{instance}}")],
            },
            Panel {
                title: "Evicted, expired",
                about: "",
                drawing: Drawing::Lines,
                unit: "ops",
                width: 8,
                queries: &[
                    (
                        "sum by (job) (rate(corelane_cache_evicted_for_room_total{@}[$__rate_interval]))",
                        "{{job}} evicted",
                    ),
                    ("sum by (job) (rate(corelane_cache_expired_total{@}[$__rate_interval]))", "{{job}} expired"),
                ],
            },
        ],
    },
    PanelRow {
        title: "Cores",
        panels: &[
            Panel {
                title: "CPU of the busiest core",
                about: "1 is a whole CPU: it has none left.",
                drawing: Drawing::Lines,
                unit: "percentunit",
                width: 8,
                queries: &[(
                    "max by (instance) (sum by (instance, thread) (rate(corelane_process_cpu_seconds_total{@,thread=~\"core-[0-9]+\"}[$__rate_interval])))",
                    "{{instance}}",
                )],
            },
            Panel {
                title: "Busiest core over the mean",
                about: "Well above 1: connections or keys are not spread.",
                drawing: Drawing::Lines,
                unit: "short",
                width: 8,
                queries: &[(
                    "max by (instance) (sum by (instance, thread) (rate(corelane_process_cpu_seconds_total{@,thread=~\"core-[0-9]+\"}[$__rate_interval]))) / avg by (instance) (sum by (instance, thread) (rate(corelane_process_cpu_seconds_total{@,thread=~\"core-[0-9]+\"}[$__rate_interval])))",
                    "{{instance}}",
                )],
            },
            Panel {
                title: "CPU for each request",
                about: "What a release costs: compare before and after.",
                drawing: Drawing::Lines,
                unit: "s",
                width: 8,
                queries: &[(
                    "sum by (instance) (rate(corelane_process_cpu_seconds_total{@}[$__rate_interval])) / sum by (instance) (rate(corelane_http_requests_total{@}[$__rate_interval]))",
                    "{{instance}}",
                )],
            },
        ],
    },
    PanelRow {
        title: "Releases and drift",
        panels: &[
            Panel {
                title: "What runs",
                about: "",
                drawing: Drawing::Table,
                unit: "short",
                width: 12,
                queries: &[("corelane_process_build_info{@}", "")],
            },
            Panel {
                title: "Builds",
                about: "More than one of a program: a rollout is under way, or has stopped half way.",
                drawing: Drawing::Lines,
                unit: "short",
                width: 6,
                queries: &[(
                    "count by (program) (count by (program, digest) (corelane_process_build_info{@,digest!=\"\"}))",
                    "{{program}}",
                )],
            },
            Panel {
                title: "Epoch of the topology",
                about: "",
                drawing: Drawing::Lines,
                unit: "short",
                width: 6,
                queries: &[("corelane_topology_epoch{@}", "{{instance}}")],
            },
            Panel {
                title: "Settings not as confirmed",
                about: "",
                drawing: Drawing::Lines,
                unit: "short",
                width: 8,
                queries: &[("corelane_tune_drifted_settings{@}", "{{instance}}")],
            },
            Panel {
                title: "Settings and topologies refused",
                about: "",
                drawing: Drawing::Lines,
                unit: "short",
                width: 8,
                queries: &[
                    (
                        "sum by (instance) (increase(corelane_config_reloads_total{@,result=\"refused\"}[1h]))",
                        "{{instance}} settings",
                    ),
                    ("sum by (instance) (increase(corelane_topology_refused_total{@}[1h]))", "{{instance}} topology"),
                ],
            },
            Panel {
                title: "Log lines dropped",
                about: "",
                drawing: Drawing::Lines,
                unit: "short",
                width: 8,
                queries: &[
                    (
                        "sum by (instance) (rate(corelane_log_lines_dropped_total{@}[$__rate_interval]))",
                        "{{instance}} log",
                    ),
                    (
                        "sum by (instance) (rate(corelane_access_log_dropped_total{@}[$__rate_interval]))",
                        "{{instance}} access log",
                    ),
                ],
            },
        ],
    },
];
