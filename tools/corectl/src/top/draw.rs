//! A view as a picture of characters.
//!
//! **Invariants**: every size of terminal gets a picture; what has no room is left out from the end.

use ratatui::Frame;
use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Sparkline, Table};
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::sample::NodeReach;
use super::view::{RateHistory, TopView};

/// Lines of the history of rates, its frame included.
const HISTORY_LINES: u16 = 6;

/// Cells of a bar.
const BAR_CELLS: usize = 10;

/// From this load on a core is short of CPU.
const LOAD_HIGH: f64 = 0.9;

/// Draws a view into all of a frame.
pub fn draw(frame: &mut Frame<'_>, view: &TopView, history: &RateHistory) {
    let sample = &view.sample;
    let table_lines = |rows: usize| if rows == 0 { 0 } else { rows as u16 + 2 };
    let areas: [Rect; 7] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(HISTORY_LINES),
        Constraint::Length(table_lines(view.latencies.len())),
        Constraint::Length(table_lines(view.cores.len())),
        Constraint::Length(table_lines(sample.nodes.len())),
        Constraint::Length(table_lines(sample.keys.len().min(10))),
        Constraint::Fill(1),
    ])
    .areas(frame.area());
    frame.render_widget(head(view), areas[0]);
    draw_history(frame, areas[1], history);
    frame.render_widget(latencies(view), areas[2]);
    frame.render_widget(cores(view), areas[3]);
    frame.render_widget(nodes(view), areas[4]);
    frame.render_widget(keys(view), areas[5]);
    frame.render_widget(warnings(view), areas[6]);
}

/// The same as plain text of so many columns and lines, without spaces at the ends of lines.
///
/// # Errors
/// There is no memory for it.
pub fn drawn(view: &TopView, history: &RateHistory, columns: u16, lines: u16) -> std::io::Result<String> {
    let viewport = Viewport::Fixed(Rect::new(0, 0, columns, lines));
    let options = TerminalOptions { viewport };
    let mut terminal =
        Terminal::with_options(TestBackend::new(columns, lines), options).map_err(std::io::Error::other)?;
    terminal.draw(|frame| draw(frame, view, history)).map_err(std::io::Error::other)?;
    let buffer = terminal.backend().buffer();
    let line = |y: u16| (0..columns).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    let text: Vec<String> = (0..lines).map(|y| line(y).trim_end().to_owned()).collect();
    Ok(text.join("\n").trim_end().to_owned() + "\n")
}

fn head(view: &TopView) -> Paragraph<'_> {
    let sample = &view.sample;
    let totals = &sample.totals;
    let state = if sample.state == "serving" { Color::Green } else { Color::Yellow };
    let errors = Span::raw(format!("{} errors/s", number(view.errors_per_s)));
    let errors = if view.errors_per_s > 0.0 { errors.fg(Color::Red).bold() } else { errors };
    let hits = totals.hit_ratio.map_or_else(|| "no reads".to_owned(), |ratio| format!("{} hits", percent(ratio)));
    let resident = sample.resident_bytes.map_or_else(String::new, |bytes| format!(", {} resident", size(bytes)));
    Paragraph::new(vec![
        Line::from(vec![
            Span::raw(&sample.title).bold(),
            Span::raw("  "),
            Span::raw(&sample.state).fg(state).bold(),
            Span::raw(format!(", up {}", span(totals.uptime_s))),
        ]),
        Line::from(vec![
            Span::raw(format!("{} requests/s", number(view.requests_per_s))).bold(),
            Span::raw(format!("   {hits}   ")),
            errors,
            Span::raw(format!("   {} connections", number(totals.connections as f64))),
        ]),
        Line::from(format!(
            "cache {} {} of {}, {} items{resident}",
            bar(totals.memory_used_bytes as f64 / totals.memory_limit_bytes.max(1) as f64),
            size(totals.memory_used_bytes),
            size(totals.memory_limit_bytes),
            number(totals.items as f64),
        )),
    ])
}

fn draw_history(frame: &mut Frame<'_>, area: Rect, history: &RateHistory) {
    let block = titled("requests/s");
    let rates = history.last(usize::from(block.inner(area).width));
    let peak = rates.iter().max().copied().unwrap_or(0);
    let block = block.title(Line::from(format!(" peak {} ", number(peak as f64))).right_aligned());
    frame.render_widget(Sparkline::default().block(block).data(&rates).style(Color::Cyan), area);
}

fn latencies(view: &TopView) -> Table<'_> {
    let rows = view.latencies.iter().map(|(name, histogram)| {
        let quantiles =
            [0.5, 0.9, 0.99, 0.999].map(|quantile| histogram.quantile_s(quantile).map_or_else(String::new, at_most));
        let cells = [name.clone(), number(histogram.count() as f64)].into_iter().chain(quantiles);
        Row::new(cells.map(Cell::from).collect::<Vec<_>>())
    });
    let widths = [Constraint::Fill(1), width(10), width(10), width(10), width(10), width(10)];
    table("latency of this interval", rows, &["", "measured", "p50", "p90", "p99", "p99.9"], &widths)
}

fn cores(view: &TopView) -> Table<'_> {
    let rows = view.cores.iter().map(|rates| {
        let load = rates.load.map_or_else(String::new, |load| format!("{} {:>5}", bar(load), percent_whole(load)));
        let is_busy = rates.load.is_some_and(|load| load >= LOAD_HIGH);
        let load = Cell::from(load).style(if is_busy { Style::from(Color::Red) } else { Style::new() });
        Row::new([
            Cell::from(rates.core.id.to_string()),
            load,
            Cell::from(number(rates.requests_per_s)),
            Cell::from(size(rates.sent_bytes_per_s as u64) + "/s"),
            Cell::from(number(rates.core.connections as f64)),
            Cell::from(number(rates.core.items as f64)),
            Cell::from(size(rates.core.live_bytes)),
        ])
    });
    let widths =
        [width(5), width(BAR_CELLS as u16 + 7), width(11), width(12), width(12), width(10), Constraint::Fill(1)];
    table("cores", rows, &["core", "CPU", "requests/s", "sent", "connections", "items", "live"], &widths)
}

fn nodes(view: &TopView) -> Table<'_> {
    let rows = view.sample.nodes.iter().map(|node| {
        let (state, color) = match node.reach {
            NodeReach::Itself => ("this node".to_owned(), Color::Reset),
            NodeReach::NeverAsked => (String::new(), Color::Reset),
            NodeReach::NotYetAsked => ("not asked yet".to_owned(), Color::Reset),
            NodeReach::Asked { up, cores } if up == cores => ("up".to_owned(), Color::Green),
            NodeReach::Asked { up: 0, .. } => ("down".to_owned(), Color::Red),
            NodeReach::Asked { up, cores } => (format!("up for {up} of {cores} cores"), Color::Yellow),
        };
        Row::new([
            Cell::from(node.id.to_string()),
            Cell::from(node.address.as_str()),
            Cell::from(node.slots.to_string()),
            Cell::from(state).style(Style::from(color)),
            Cell::from(node.error.as_deref().unwrap_or_default()),
        ])
    });
    let widths = [width(6), width(24), width(7), width(20), Constraint::Fill(1)];
    table("nodes", rows, &["node", "address", "slots", "state", "last error"], &widths)
}

fn keys(view: &TopView) -> Table<'_> {
    let rows = view
        .sample
        .keys
        .iter()
        .map(|key| Row::new([format!("{} {:>6}", bar(key.share), percent(key.share)), key.name.clone()]));
    let title = format!("hottest keys, {}", view.sample.key_note);
    table(title, rows, &["share", "key"], &[width(BAR_CELLS as u16 + 8), Constraint::Fill(1)])
}

fn warnings(view: &TopView) -> Paragraph<'_> {
    let lines: Vec<Line<'_>> = view.sample.warnings.iter().map(Line::raw).collect();
    let block = if lines.is_empty() { Block::new() } else { titled("recent warnings") };
    Paragraph::new(lines).block(block).fg(Color::Yellow)
}

fn table<'a>(
    title: impl Into<Line<'a>>,
    rows: impl Iterator<Item = Row<'a>>,
    names: &[&'a str],
    widths: &[Constraint],
) -> Table<'a> {
    let header = Row::new(names.to_vec()).style(Modifier::DIM);
    Table::new(rows, widths.to_vec()).header(header).block(titled(title))
}

fn titled<'a>(title: impl Into<Line<'a>>) -> Block<'a> {
    Block::new().borders(Borders::TOP).border_style(Modifier::DIM).title(title.into())
}

fn width(cells: u16) -> Constraint {
    Constraint::Length(cells)
}

/// A share of one as a bar.
fn bar(share: f64) -> String {
    let filled = (share.clamp(0.0, 1.0) * BAR_CELLS as f64).round() as usize;
    "█".repeat(filled) + &"·".repeat(BAR_CELLS - filled)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn percent_whole(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A count as people read it: three or four digits.
fn number(count: f64) -> String {
    match count {
        count if count >= 1e6 => format!("{:.2} M", count / 1e6),
        count if count >= 1e4 => format!("{:.1} k", count / 1e3),
        count if count > 0.0 && count < 10.0 && count.fract() > 0.0 => format!("{count:.1}"),
        count => format!("{count:.0}"),
    }
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit > 0 && value < 100.0 {
        format!("{value:.1} {}", UNITS[unit])
    } else {
        format!("{value:.0} {}", UNITS[unit])
    }
}

/// The bound of a duration, in seconds.
fn at_most(seconds: f64) -> String {
    match seconds {
        seconds if seconds.is_infinite() => "beyond".to_owned(),
        seconds if seconds < 1e-3 => format!("≤ {:.0} us", seconds * 1e6),
        seconds if seconds < 1.0 => format!("≤ {:.1} ms", seconds * 1e3),
        seconds => format!("≤ {seconds:.1} s"),
    }
}

/// A time of seconds to days.
fn span(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..=119 => format!("{whole} s"),
        120..=7_199 => format!("{} min", whole / 60),
        7_200..=172_799 => format!("{} h {} min", whole / 3_600, whole / 60 % 60),
        _ => format!("{} d {} h", whole / 86_400, whole / 3_600 % 24),
    }
}
