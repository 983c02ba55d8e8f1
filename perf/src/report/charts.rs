//! The pictures of a scenario: CPU of a request, percentiles of the latency, and what happened over time.
//!
//! **Invariants**: no latency of a run that was not valid is drawn.

use maud::{Markup, PreEscaped, html};
use perf_basis::plot::{Axis, Chart, Line, Spacing, short, svg};

use super::figures::{count, spread, us};
use super::section::{ReportSection, ReportServer, cpu as total_cpu};
use crate::run::outcome::{CpuPerRequest, Outcome, TimelineSample};

/// Points of a percentile curve for each nine.
const POINTS_PER_NINE: u32 = 40;

/// CPU time of a request, a bar for each server and kind.
pub(super) fn cpu(section: &ReportSection) -> Markup {
    type Part = fn(&CpuPerRequest) -> f64;
    const PARTS: [(&str, Part); 3] =
        [("user", |cpu| cpu.user), ("system", |cpu| cpu.system), ("softirq", |cpu| cpu.softirq)];
    let median =
        |server: &ReportServer, part: Part| Some(server.spread(|run| run.cpu_believed().map(|cpu| part(&cpu)))?.median);
    let most = section.servers.iter().filter_map(|server| Some(server.spread(total_cpu)?.max)).fold(0.0, f64::max);
    let width = |value: f64| format!("width:{:.1}%", 100.0 * value / most.max(f64::MIN_POSITIVE));
    let requests: u64 = section.runs().map(|run| run.outcome.requests_answered).sum();
    html! {
        table.bars {
            @for server in &section.servers {
                tr {
                    th.l scope="row" { (server.name) }
                    @if let Some(total) = server.spread(total_cpu) {
                        td.l {
                            @for (name, part) in PARTS {
                                @let value = median(server, part).unwrap_or_default();
                                span class={ "bar s" (server.mark % 8) " " (name) } style=(width(value))
                                    title={ (name) ": " (us(value)) } {}
                            }
                        }
                        td { (spread(Some(total), us)) }
                    } @else {
                        td.l.soft colspan="2" { (why_not(server)) }
                    }
                }
            }
        }
        p.soft {
            "Server CPU per request, medians of " (count(requests as f64)) " requests' rounds, with the smallest and the largest round; \
             shorter is better. Full colour: time in the server's own code (user). Pale: in the kernel on its behalf (system). Palest: the \
             kernel's network interrupts on the server's CPUs (softirq), sampled and partly within system already; 0 for servers that are \
             not pinned to a CPU."
        }
    }
}

/// Why a server has no CPU time.
fn why_not(server: &ReportServer) -> String {
    let why = server.runs.iter().find_map(|run| run.outcome.invalid_reasons.first());
    why.map_or_else(
        || "no CPU time: the server's processes are not on this host".to_owned(),
        |why| format!("no valid round: {}", why.text),
    )
}

/// A picture with its caption.
fn figure(title: &str, chart: &Chart, caption: &str) -> Markup {
    html! {
        figure role="img" aria-label=(title) {
            (PreEscaped(svg(chart)))
            figcaption { (caption) }
        }
    }
}

/// A share of requests from the nines that it has: 2 is 99 %.
fn percent_of_nines(nines: f64) -> String {
    let decimals = (nines.round() as usize).saturating_sub(2);
    format!("{:.decimals$} %", 100.0 - 100.0 * 10f64.powf(-nines))
}

/// Latency by percentile, on a scale on which every nine has the same width.
pub(super) fn percentiles(section: &ReportSection) -> Markup {
    let line = |server: &ReportServer| {
        let histogram = server.latencies.as_ref()?;
        // A percentile beyond the last latency says nothing.
        let nines = (histogram.len().max(10) as f64).log10();
        let point = |step: u32| {
            let nine = f64::from(step) / f64::from(POINTS_PER_NINE);
            (nine, histogram.value_at_quantile(1.0 - 10f64.powf(-nine)).max(1) as f64 / 1e3)
        };
        let points = (0..=(nines * f64::from(POINTS_PER_NINE)) as u32).map(point).collect();
        Some(Line { name: server.name.clone(), style: server.mark, is_faint: false, points })
    };
    let lines: Vec<Line> = section.servers.iter().filter_map(line).collect();
    if lines.is_empty() {
        return html! { p.soft { "No curve: no valid run has its latency.hlog beside it." } };
    }
    let chart = Chart {
        title: None,
        x: Axis {
            title: "share of the requests (each nine to the right: ten times fewer are slower)".to_owned(),
            spacing: Spacing::FromZero,
            label: percent_of_nines,
        },
        y: Axis { title: "latency (logarithmic)".to_owned(), spacing: Spacing::Logarithmic, label: us },
        lines,
    };
    figure(
        "Latency by percentile: how long the fastest share of its requests took at most; lower is better",
        &chart,
        "All latencies of the valid rounds together. Read upwards from 99.9 %: 999 of 1000 requests took at most that long. A line ends \
         where no more latencies lie.",
    )
}

/// A figure of every second.
pub(super) struct Course {
    pub(super) title: &'static str,
    pub(super) spacing: Spacing,
    pub(super) label: fn(f64) -> String,
    /// Whether it is told of valid runs only.
    pub(super) only_valid: bool,
    pub(super) figure: fn(&TimelineSample) -> Option<f64>,
}

pub(super) const COURSES: [Course; 2] = [
    Course {
        title: "Answers per second, over time",
        spacing: Spacing::FromZero,
        label: short,
        only_valid: false,
        figure: |sample| Some(sample.answered as f64),
    },
    Course {
        title: "99th percentile of the latency, over time",
        spacing: Spacing::Logarithmic,
        label: us,
        only_valid: true,
        figure: |sample| Some(sample.p99_us).filter(|p99| sample.answered > 0 && *p99 > 0.0),
    },
];

/// Draws it, a line for each run.
pub(super) fn course(section: &ReportSection, course: &Course) -> Markup {
    let mut lines = Vec::new();
    for server in &section.servers {
        for run in server.runs.iter().filter(|run| run.outcome.valid || !course.only_valid) {
            let samples = run.outcome.timeline.iter().enumerate();
            let point =
                |(second, sample): (usize, &TimelineSample)| Some((second as f64 + 1.0, (course.figure)(sample)?));
            let (name, points) = (server.name.clone(), samples.filter_map(point).collect());
            lines.push(Line { name, style: server.mark, is_faint: !run.outcome.valid, points });
        }
    }
    if lines.iter().all(|line| line.points.is_empty()) {
        return html! {};
    }
    let warm_up = |outcome: &Outcome| outcome.timeline.iter().take_while(|sample| !sample.measured).count();
    let warm_up = section.runs().map(|run| warm_up(&run.outcome)).max().unwrap_or_default();
    let chart = Chart {
        title: Some(course.title.to_owned()),
        x: Axis { title: "seconds since the start".to_owned(), spacing: Spacing::FromZero, label: short },
        y: Axis { title: String::new(), spacing: course.spacing, label: course.label },
        lines,
    };
    let faint = if course.only_valid { "Valid runs only." } else { "Faint lines: runs that were not valid." };
    let caption =
        format!("A line is one round. The first {warm_up} s at most are warm-up and were not measured. {faint}");
    figure(course.title, &chart, &caption)
}
