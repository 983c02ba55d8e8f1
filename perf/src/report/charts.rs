//! The pictures of a scenario: CPU of a request, percentiles of the latency, and what happened over time.
//!
//! **Invariants**: no latency of a run that was not valid is drawn.

use super::axes::{BOTTOM, HEIGHT, LEFT, Scale, TOP, begin, end, frame, line, names, x, y};
use super::figures::{count, short, us};
use super::markup::Html;
use super::section::{Run, Section, Server, cpu};
use crate::run::outcome::{Outcome, TimelineSample};

/// Points of a percentile curve for each nine.
const POINTS_PER_NINE: u32 = 40;

/// Height of a row of bars.
const ROW: f64 = 34.0;

/// Bars of CPU time per request, by kind, with the spread over the rounds.
pub(super) fn bars(html: &mut Html, id: &str, section: &Section) {
    let most = section.servers.iter().filter_map(|server| Some(server.spread(cpu)?.max));
    let scale = Scale::linear(most);
    let height = ROW * section.servers.len() as f64 + 40.0;
    begin(
        html,
        id,
        height,
        ("CPU time per request", "A bar for each server, user and system time one after the other; shorter is better."),
    );
    for (index, server) in section.servers.iter().enumerate() {
        bar(html, server, scale, 8.0 + ROW * index as f64);
    }
    let foot = ROW * section.servers.len() as f64 + 30.0;
    html.element(
        "text",
        format_args!("class=\"soft\" x=\"150\" y=\"{foot:.1}\""),
        "microseconds of server CPU per request; shorter is better",
    );
    end(
        html,
        "Full colour: time in the server's own code (user). Pale: time in the kernel on its behalf (system). Bar: the median of the \
         rounds; thin line: from the smallest to the largest round.",
    );
}

fn bar(html: &mut Html, server: &Server, scale: Scale, top: f64) {
    let middle = top + 15.0;
    html.element("text", format_args!("x=\"140\" y=\"{:.1}\" text-anchor=\"end\"", middle + 4.0), &server.name);
    let Some(total) = server.spread(cpu) else {
        let why = server.runs.iter().find_map(|run| run.outcome.invalid_reasons.first());
        let text = why.map_or_else(
            || "no CPU time: the server's processes are not on this host".to_owned(),
            |why| format!("no valid round: {}", clipped(&why.text, 64)),
        );
        html.element("text", format_args!("class=\"soft\" x=\"150\" y=\"{:.1}\"", middle + 4.0), text);
        return;
    };
    let kind = |of: fn(&Outcome) -> Option<f64>| server.spread(of).map_or(0.0, |spread| spread.median);
    let (user, system) = (kind(|run| Some(run.cpu_believed()?.user)), kind(|run| Some(run.cpu_believed()?.system)));
    let width = |value: f64| scale.at(value) * 480.0;
    // Medians of the parts need not add up to the median of the whole: the bar is the whole, parted as they are.
    let user = width(total.median * user / (user + system).max(f64::MIN_POSITIVE));
    let (all, mark) = (width(total.median), server.mark % 8);
    html.leaf("rect", format_args!("class=\"bar s{mark}\" x=\"150\" y=\"{top:.1}\" width=\"{user:.1}\" height=\"22\""));
    html.leaf(
        "rect",
        format_args!(
            "class=\"bar system s{mark}\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"22\"",
            150.0 + user,
            all - user
        ),
    );
    let (low, high) = (150.0 + width(total.min), 150.0 + width(total.max));
    let y = top + 11.0;
    html.leaf(
        "path",
        format_args!(
            "class=\"whisker\" d=\"M{low:.1} {y:.1}H{high:.1}M{low:.1} {:.1}v8M{high:.1} {:.1}v8\"",
            y - 4.0,
            y - 4.0
        ),
    );
    let text = super::figures::spread(Some(total), us);
    html.element("text", format_args!("x=\"{:.1}\" y=\"{:.1}\"", high.max(150.0 + all) + 8.0, middle + 1.0), text);
}

fn clipped(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most).collect::<String>() + "…" }
}

/// Latency by percentile, on a scale on which every nine has the same width.
pub(super) fn percentiles(html: &mut Html, id: &str, section: &Section) {
    let servers: Vec<_> =
        section.servers.iter().filter_map(|server| Some((server, server.latencies.as_ref()?))).collect();
    if servers.is_empty() {
        html.element("p", "class=\"soft\"", "No curve: no valid run has its latency.hlog beside it.");
        return;
    }
    // A percentile beyond the last latency says nothing.
    let nines = |histogram: &hdrhistogram::Histogram<u64>| (histogram.len().max(10) as f64).log10();
    let most = servers.iter().map(|(_, histogram)| nines(histogram)).fold(1.0, f64::max);
    let across = Scale::Linear(most);
    let extremes =
        servers.iter().flat_map(|(_, histogram)| [histogram.min().max(1) as f64 / 1e3, histogram.max() as f64 / 1e3]);
    let up = Scale::log(extremes);
    begin(
        html,
        id,
        HEIGHT,
        (
            "Latency by percentile",
            "A line for each server: how long the fastest share of its requests took at most; lower is better.",
        ),
    );
    let mut ticks = vec![(x(across, 0.5f64.log10().abs()), "50 %".to_owned())];
    let whole = (1..=most.floor() as i32).map(|nine| {
        let decimals = usize::try_from(nine - 2).unwrap_or(0);
        (x(across, f64::from(nine)), format!("{:.decimals$} %", 100.0 - 100.0 * 10f64.powi(-nine)))
    });
    ticks.extend(whole);
    frame(
        html,
        up,
        &ticks,
        ("share of the requests (each step to the right: ten times fewer are slower)", "latency in µs (logarithmic)"),
    );
    for (server, histogram) in &servers {
        let steps = (nines(histogram) * f64::from(POINTS_PER_NINE)) as u32;
        let point = |step: u32| {
            let nine = f64::from(step) / f64::from(POINTS_PER_NINE);
            let value = histogram.value_at_quantile(1.0 - 10f64.powf(-nine)) as f64 / 1e3;
            (x(across, nine), y(up, value))
        };
        line(html, "line", server.mark, &(0..=steps).map(point).collect::<Vec<_>>());
    }
    names(html, servers.iter().map(|(server, _)| *server));
    end(
        html,
        "All latencies of the valid rounds together. Read upwards from 99.9 %: 999 of 1000 requests took at most that long. A line ends where \
         no more latencies lie.",
    );
}

/// A figure of every second.
pub(super) struct Course {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) y_title: &'static str,
    pub(super) is_log: bool,
    /// Whether it is told of valid runs only.
    pub(super) only_valid: bool,
    pub(super) figure: fn(&TimelineSample) -> Option<f64>,
}

pub(super) const COURSES: [Course; 2] = [
    Course {
        id: "rate",
        title: "Answers per second, over time",
        y_title: "requests/s",
        is_log: false,
        only_valid: false,
        figure: |sample| Some(sample.answered as f64),
    },
    Course {
        id: "p99",
        title: "99th percentile of the latency, over time",
        y_title: "p99 in µs (logarithmic)",
        is_log: true,
        only_valid: true,
        figure: |sample| Some(sample.p99_us).filter(|_| sample.answered > 0),
    },
];

/// Draws it, a line for each run.
pub(super) fn course(html: &mut Html, id: &str, section: &Section, course: &Course) {
    let shown = |run: &&Run| run.outcome.valid || !course.only_valid;
    let runs = || section.runs().filter(shown);
    let values = || runs().flat_map(|run| run.outcome.timeline.iter().filter_map(course.figure));
    if values().next().is_none() {
        return;
    }
    let up = if course.is_log { Scale::log(values()) } else { Scale::linear(values()) };
    let longest = runs().map(|run| run.outcome.timeline.len()).max().unwrap_or(1);
    let across = Scale::Linear(longest.max(2) as f64);
    begin(html, id, HEIGHT, (course.title, "A line for each run of each server, a point for every second."));
    html.open("g", "");
    let warm_up = runs().map(|run| run.outcome.timeline.iter().take_while(|sample| !sample.measured).count()).min();
    let end_of_warm_up = x(across, warm_up.unwrap_or(0) as f64);
    html.leaf(
        "rect",
        format_args!(
            "class=\"wash\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{}\"",
            end_of_warm_up - LEFT,
            BOTTOM - TOP
        ),
    );
    html.close();
    let ticks: Vec<_> = across.ticks().into_iter().map(|tick| (x(across, tick), short(tick))).collect();
    frame(html, up, &ticks, ("seconds since the start (shaded: warm-up, not measured)", course.y_title));
    for server in &section.servers {
        for run in server.runs.iter().filter(shown) {
            let samples = run.outcome.timeline.iter().enumerate();
            let point = |(second, sample): (usize, &TimelineSample)| {
                Some((x(across, second as f64 + 1.0), y(up, (course.figure)(sample)?)))
            };
            let class = if run.outcome.valid { "thin" } else { "thin faint" };
            line(html, class, server.mark, &samples.filter_map(point).collect::<Vec<_>>());
        }
    }
    names(html, section.servers.iter().filter(|server| server.runs.iter().any(|run| shown(&run))));
    let faint = if course.only_valid { "Valid runs only." } else { "Faint lines: runs that were not valid." };
    end(html, &format!("{}. A line is one round. {faint}", course.title));
}

/// CPU time by kind, with the kernel's interrupts beside it.
pub(super) fn kinds(html: &mut Html, id: &str, section: &Section) {
    let of = |server: &Server, part: fn(&Outcome) -> Option<f64>| server.spread(part).map(|spread| spread.median);
    type Part = fn(&Outcome) -> Option<f64>;
    let parts: [(&str, &str, Part); 3] = [
        ("user", "", |run| Some(run.cpu_believed()?.user)),
        ("system", "system", |run| Some(run.cpu_believed()?.system)),
        ("softirq", "softirq", |run| Some(run.cpu_believed()?.softirq)),
    ];
    let servers: Vec<_> = section.servers.iter().filter(|server| of(server, parts[0].2).is_some()).collect();
    if servers.is_empty() {
        html.element("p", "class=\"soft\"", "No CPU time that can be believed, or the servers are not on this host.");
        return;
    }
    let scale =
        Scale::linear(servers.iter().flat_map(|server| parts.iter().filter_map(|(.., part)| of(server, *part))));
    let height = 62.0 * servers.len() as f64 + 24.0;
    begin(
        html,
        id,
        height,
        ("CPU time per request by kind", "Three bars for each server: user, system, and soft interrupts."),
    );
    for (index, server) in servers.iter().enumerate() {
        let top = 4.0 + 62.0 * index as f64;
        html.element("text", format_args!("x=\"130\" y=\"{:.1}\" text-anchor=\"end\"", top + 28.0), &server.name);
        for (row, (name, class, part)) in parts.iter().enumerate() {
            let value = of(server, *part).unwrap_or(0.0);
            let (y, width) = (top + 18.0 * row as f64, scale.at(value) * 400.0);
            let mark = server.mark % 8;
            html.leaf(
                "rect",
                format_args!("class=\"bar {class} s{mark}\" x=\"210\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"14\""),
            );
            html.element(
                "text",
                format_args!("class=\"soft\" x=\"202\" y=\"{:.1}\" text-anchor=\"end\"", y + 11.0),
                name,
            );
            html.element(
                "text",
                format_args!("class=\"soft\" x=\"{:.1}\" y=\"{:.1}\"", 218.0 + width, y + 11.0),
                us(value),
            );
        }
    }
    let requests: u64 = section.runs().map(|run| run.outcome.requests_answered).sum();
    end(
        html,
        &format!(
            "Microseconds per request, medians of the rounds; of {} requests in all. softirq: the kernel's network interrupts on the server's CPUs, \
         sampled, and partly within system already, so the three do not add up. It is 0 for servers that are not pinned to a CPU.",
            count(requests as f64)
        ),
    );
}
