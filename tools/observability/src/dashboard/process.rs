//! One process, core by core: choose a host.

use super::{Drawing, Panel, PanelRow};

pub(super) const ROWS: &[PanelRow] = &[
    PanelRow {
        title: "Cores",
        panels: &[
            Panel {
                title: "CPU by thread",
                about: "",
                drawing: Drawing::Lines,
                unit: "percentunit",
                width: 12,
                queries: &[(
                    "sum by (instance, thread) (rate(corelane_process_cpu_seconds_total{@}[$__rate_interval]))",
                    "{{instance}} {{thread}}",
                )],
            },
            Panel {
                title: "User and system",
                about: "",
                drawing: Drawing::Stacked,
                unit: "percentunit",
                width: 12,
                queries: &[(
                    "sum by (mode) (rate(corelane_process_cpu_seconds_total{@}[$__rate_interval]))",
                    "{{mode}}",
                )],
            },
            Panel {
                title: "Requests by core",
                about: "",
                drawing: Drawing::Lines,
                unit: "reqps",
                width: 8,
                queries: &[(
                    "sum by (instance, core) (rate(corelane_http_requests_total{@}[$__rate_interval]))",
                    "{{instance}} core {{core}}",
                )],
            },
            Panel {
                title: "Connections by core",
                about: "",
                drawing: Drawing::Lines,
                unit: "short",
                width: 8,
                queries: &[
                    ("corelane_http_connections{@}", "{{instance}} core {{core}}"),
                    ("corelane_node_connections{@}", "{{instance}} core {{core}} (node)"),
                ],
            },
            Panel {
                title: "Hops",
                about: "Requests for a key of another core.",
                drawing: Drawing::Lines,
                unit: "reqps",
                width: 8,
                queries: &[(
                    "sum by (instance, core) (rate(corelane_store_hops_total{@}[$__rate_interval]))",
                    "{{instance}} core {{core}}",
                )],
            },
        ],
    },
    PanelRow {
        title: "Event loop",
        panels: &[
            Panel {
                title: "Passes",
                about: "",
                drawing: Drawing::Lines,
                unit: "ops",
                width: 8,
                queries: &[(
                    "sum by (instance, core) (rate(corelane_reactor_passes_total{@}[$__rate_interval]))",
                    "{{instance}} core {{core}}",
                )],
            },
            Panel {
                title: "Completions for each pass",
                about: "How much one pass shares: more under load.",
                drawing: Drawing::Lines,
                unit: "short",
                width: 8,
                queries: &[(
                    "sum by (instance, core) (rate(corelane_reactor_completions_total{@}[$__rate_interval])) / sum by (instance, core) (rate(corelane_reactor_passes_total{@}[$__rate_interval]))",
                    "{{instance}} core {{core}}",
                )],
            },
            Panel {
                title: "What went wrong",
                about: "",
                drawing: Drawing::Lines,
                unit: "ops",
                width: 8,
                queries: &[
                    (
                        "sum by (instance, core) (rate(corelane_reactor_starved_total{@}[$__rate_interval]))",
                        "{{instance}} core {{core}} no receive buffer",
                    ),
                    (
                        "sum by (instance, core) (rate(corelane_reactor_held_back_total{@}[$__rate_interval]))",
                        "{{instance}} core {{core}} held back",
                    ),
                    (
                        "sum by (instance, core) (rate(corelane_reactor_overflows_total{@}[$__rate_interval]))",
                        "{{instance}} core {{core}} overflows",
                    ),
                    (
                        "sum by (instance, core) (rate(corelane_reactor_accept_errors_total{@}[$__rate_interval]))",
                        "{{instance}} core {{core}} accept errors",
                    ),
                ],
            },
        ],
    },
    PanelRow {
        title: "Cache",
        panels: &[
            Panel {
                title: "Memory by use",
                about: "Kinds overlap.",
                drawing: Drawing::Lines,
                unit: "bytes",
                width: 12,
                queries: &[
                    ("sum by (instance) (corelane_cache_limit_bytes{@})", "{{instance}} limit"),
                    ("sum by (instance) (corelane_cache_live_bytes{@})", "{{instance}} living"),
                    ("sum by (instance) (corelane_cache_free_bytes{@})", "{{instance}} free"),
                    ("sum by (instance) (corelane_cache_index_bytes{@})", "{{instance}} index"),
                    ("sum by (instance) (corelane_cache_main_bytes{@})", "{{instance}} main queue"),
                    ("sum by (instance) (corelane_cache_small_bytes{@})", "{{instance}} small queue"),
                    ("sum by (instance) (corelane_cache_pinned_bytes{@})", "{{instance}} pinned"),
                ],
            },
            Panel {
                title: "Memory by time to live",
                about: "",
                drawing: Drawing::Stacked,
                unit: "bytes",
                width: 12,
                queries: &[("sum by (ttl) (corelane_cache_ttl_bytes{@})", "{{ttl}}")],
            },
            Panel {
                title: "Lookups",
                about: "",
                drawing: Drawing::Lines,
                unit: "ops",
                width: 8,
                queries: &[
                    ("sum by (instance) (rate(corelane_cache_hits_total{@}[$__rate_interval]))", "{{instance}} hits"),
                    (
                        "sum by (instance) (rate(corelane_cache_misses_total{@}[$__rate_interval]))",
                        "{{instance}} misses",
                    ),
                ],
            },
            Panel {
                title: "Stored and removed",
                about: "",
                drawing: Drawing::Lines,
                unit: "ops",
                width: 8,
                queries: &[
                    (
                        "sum by (instance) (rate(corelane_cache_inserts_total{@}[$__rate_interval]))",
                        "{{instance}} stored",
                    ),
                    (
                        "sum by (instance) (rate(corelane_cache_replaced_total{@}[$__rate_interval]))",
                        "{{instance}} replaced",
                    ),
                    (
                        "sum by (instance) (rate(corelane_cache_removed_total{@}[$__rate_interval]))",
                        "{{instance}} deleted",
                    ),
                    (
                        "sum by (instance) (rate(corelane_cache_expired_total{@}[$__rate_interval]))",
                        "{{instance}} expired",
                    ),
                    (
                        "sum by (instance) (rate(corelane_cache_evicted_for_room_total{@}[$__rate_interval]))",
                        "{{instance}} evicted",
                    ),
                    (
                        "sum by (instance) (rate(corelane_cache_disowned_total{@}[$__rate_interval]))",
                        "{{instance}} disowned",
                    ),
                ],
            },
            Panel {
                title: "Reclaiming",
                about: "Stalls: inserts that had to reclaim memory themselves.",
                drawing: Drawing::Lines,
                unit: "ops",
                width: 8,
                queries: &[
                    (
                        "sum by (instance) (rate(corelane_cache_segments_reclaimed_total{@}[$__rate_interval]))",
                        "{{instance}} segments",
                    ),
                    (
                        "sum by (instance) (rate(corelane_cache_stalls_total{@}[$__rate_interval]))",
                        "{{instance}} stalls",
                    ),
                    (
                        "sum by (instance) (rate(corelane_cache_moved_total{@}[$__rate_interval]))",
                        "{{instance}} items moved",
                    ),
                ],
            },
        ],
    },
    PanelRow {
        title: "Process",
        panels: &[
            Panel {
                title: "Open files",
                about: "",
                drawing: Drawing::Lines,
                unit: "short",
                width: 8,
                queries: &[("corelane_process_open_file_descriptors{@}", "{{instance}}")],
            },
            Panel {
                title: "Up since",
                about: "",
                drawing: Drawing::Table,
                unit: "short",
                width: 8,
                queries: &[("corelane_process_start_time_seconds{@}", "")],
            },
            Panel {
                title: "Admin listener",
                about: "",
                drawing: Drawing::Lines,
                unit: "reqps",
                width: 8,
                queries: &[
                    ("rate(corelane_admin_requests_total{@}[$__rate_interval])", "{{instance}} requests"),
                    ("rate(corelane_admin_connections_shed_total{@}[$__rate_interval])", "{{instance}} shed"),
                ],
            },
        ],
    },
];
