//! A picture of miss ratios by size, as SVG.
//!
//! ```text
//!  title
//!  miss │ ──●── lru          y: from the smallest to the largest ratio, rounded outwards
//!  ratio│    ──●── fifo      x: logarithmic
//!       └──────────── size
//! ```
//!
//! **Invariants**: the picture needs no other file, and has a background of its own, so that it reads the same in any viewer.

use std::fmt::Write as _;

use super::report::Row;

const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 500.0;
/// The area of the curves; the legend stands to its right.
const LEFT: f64 = 80.0;
const RIGHT: f64 = 700.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 430.0;

/// Colours that people with any colour vision tell apart on white (Okabe, Ito, "Color universal design", 2008).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00"];

/// Distance between lines of the grid, most.
const GRID_LINES_MAX: f64 = 8.0;

/// Draws the rows, a line for each engine.
///
/// # Panics
/// When there are no rows.
pub(crate) fn svg(rows: &[Row]) -> String {
    let scale = Scale::of(rows);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
    );
    let first = &rows[0];
    let shards = if first.shards > 1 { format!(", {} shards", first.shards) } else { String::new() };
    let title = format!("Miss ratio by size: {} ({} requests{shards})", first.trace, first.requests);
    text(&mut out, [LEFT, 30.0], "font-size=\"17\" font-weight=\"bold\"", &title);
    grid(&mut out, &scale);
    let middle = (TOP + BOTTOM) / 2.0;
    let x_title = format!("size in {} (logarithmic)", first.capacity_unit);
    text(&mut out, [(LEFT + RIGHT) / 2.0, BOTTOM + 48.0], "text-anchor=\"middle\"", &x_title);
    let turned = format!("text-anchor=\"middle\" transform=\"rotate(-90 22 {middle})\"");
    text(&mut out, [22.0, middle], &turned, "miss ratio");
    let mut engines: Vec<_> = rows.iter().map(|row| row.engine).collect();
    engines.dedup();
    for (index, engine) in engines.into_iter().enumerate() {
        let mut own: Vec<_> = rows.iter().filter(|row| row.engine == engine).collect();
        own.sort_by_key(|row| row.capacity);
        curve(&mut out, &scale, index, &own);
    }
    out.push_str("</svg>\n");
    out
}

/// Where values lie in the picture.
struct Scale {
    /// Smallest and largest size.
    sizes: [f64; 2],
    /// Lowest and highest ratio of the grid.
    ratios: [f64; 2],
    /// Between two lines of the grid.
    step: f64,
}

impl Scale {
    fn of(rows: &[Row]) -> Self {
        let range = |values: &mut dyn Iterator<Item = f64>| {
            values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| [low.min(value), high.max(value)])
        };
        let [smallest, largest] = range(&mut rows.iter().map(|row| row.capacity as f64));
        // A single size stands in the middle.
        let sizes = if smallest < largest { [smallest, largest] } else { [smallest / 2.0, largest * 2.0] };
        let [low, high] = range(&mut rows.iter().map(|row| row.miss_ratio));
        let steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];
        let step = steps.into_iter().find(|step| (high - low) / step <= GRID_LINES_MAX - 1.0).unwrap_or(0.2);
        let low = ((low / step).floor() * step).max(0.0);
        let high = ((high / step).ceil() * step).max(low + step);
        Self { sizes, ratios: [low, high], step }
    }

    fn x(&self, size: f64) -> f64 {
        let [smallest, largest] = self.sizes;
        LEFT + (size / smallest).ln() / (largest / smallest).ln() * (RIGHT - LEFT)
    }

    fn y(&self, ratio: f64) -> f64 {
        let [low, high] = self.ratios;
        BOTTOM - (ratio - low) / (high - low) * (BOTTOM - TOP)
    }

    /// 1, 2 and 5 times powers of ten within the sizes; only the powers when that is too many.
    fn ticks(&self) -> Vec<f64> {
        let [smallest, largest] = self.sizes;
        let within = |digits: &'static [f64]| {
            let powers = (0..20).map(|power| 10f64.powi(power));
            let all = powers.flat_map(move |power| digits.iter().map(move |digit| digit * power));
            all.filter(|tick| (smallest..=largest).contains(tick)).collect::<Vec<_>>()
        };
        let fine = within(&[1.0, 2.0, 5.0]);
        match fine.len() {
            // Between two ticks: the ends themselves.
            0 | 1 => vec![smallest, largest],
            2..=9 => fine,
            _ => within(&[1.0]),
        }
    }
}

fn grid(out: &mut String, scale: &Scale) {
    let [low, high] = scale.ratios;
    let count = ((high - low) / scale.step).round() as usize;
    let decimals = if scale.step < 0.01 { 3 } else { 2 };
    for line in 0..=count {
        let ratio = low + line as f64 * scale.step;
        let y = scale.y(ratio);
        let _ = writeln!(out, "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"#ddd\"/>");
        text(out, [LEFT - 8.0, y + 4.0], "text-anchor=\"end\"", &format!("{ratio:.decimals$}"));
    }
    for size in scale.ticks() {
        let x = scale.x(size);
        let _ = writeln!(out, "<path d=\"M{x:.1} {TOP}V{BOTTOM}\" stroke=\"#eee\"/>");
        text(out, [x, BOTTOM + 20.0], "text-anchor=\"middle\"", &short(size));
    }
    let _ = writeln!(out, "<path d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\" fill=\"none\" stroke=\"#222\"/>");
}

/// One engine's line, with its points and its entry in the legend.
fn curve(out: &mut String, scale: &Scale, index: usize, rows: &[&Row]) {
    let colour = COLOURS[index % COLOURS.len()];
    let at: Vec<_> = rows.iter().map(|row| (scale.x(row.capacity as f64), scale.y(row.miss_ratio))).collect();
    let points: Vec<_> = at.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
        points.join(" ")
    );
    for ((x, y), row) in at.iter().zip(rows) {
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"><title>{} at {}: {:.4}</title></circle>",
            row.engine.name(),
            row.capacity,
            row.miss_ratio
        );
    }
    let (x, y) = (RIGHT + 24.0, TOP + 12.0 + 24.0 * index as f64);
    let end = x + 28.0;
    let _ = writeln!(out, "<path d=\"M{x} {y}H{end}\" stroke=\"{colour}\" stroke-width=\"2\"/>");
    let _ = writeln!(out, "<circle cx=\"{}\" cy=\"{y}\" r=\"3.5\" fill=\"{colour}\"/>", x + 14.0);
    text(out, [end + 8.0, y + 4.0], "", rows[0].engine.name());
}

fn text(out: &mut String, [x, y]: [f64; 2], attributes: &str, content: &str) {
    let content = content.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let gap = if attributes.is_empty() { "" } else { " " };
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\"{gap}{attributes}>{content}</text>");
}

/// A size as people write it: 500, 20 k, 3 M.
fn short(size: f64) -> String {
    for (unit, suffix) in [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")] {
        if size >= unit {
            return format!("{:.3}", size / unit).trim_end_matches('0').trim_end_matches('.').to_owned() + suffix;
        }
    }
    format!("{size:.0}")
}

#[cfg(test)]
mod tests {
    use super::super::engine::Kind;
    use super::super::format::Format;
    use super::*;

    fn row(engine: Kind, capacity: u64, miss_ratio: f64) -> Row {
        Row {
            engine,
            trace: "a<b>&c.trace".into(),
            format: Format::Text,
            shards: 1,
            capacity,
            capacity_unit: "objects",
            requests: 1000,
            hits: 0,
            miss_ratio,
            objects: capacity,
            bytes: 0,
            ns_per_op: 1.0,
            shardstore: None,
        }
    }

    #[test]
    fn every_engine_has_a_line_and_every_row_a_point_inside_the_picture() {
        let mut rows = Vec::new();
        for (engine, shift) in [(Kind::Fifo, 0.3), (Kind::Lru, 0.2), (Kind::Belady, 0.0)] {
            rows.extend(
                [(100, 0.5), (1000, 0.31), (50_000, 0.1)].map(|(size, ratio)| row(engine, size, ratio + shift)),
            );
        }
        let picture = svg(&rows);
        assert_eq!(picture.matches("<polyline").count(), 3);
        assert_eq!(picture.matches("<title>").count(), 9);
        assert!(picture.contains("a&lt;b&gt;&amp;c.trace") && picture.contains(">20 k<") && picture.contains(">0.10<"));
        for line in picture.lines().filter(|line| line.starts_with("<circle") && line.contains("<title>")) {
            let number =
                |name: &str| line.split(name).nth(1).unwrap().split('"').nth(1).unwrap().parse::<f64>().unwrap();
            assert!((LEFT..=RIGHT).contains(&number("cx")) && (TOP..=BOTTOM).contains(&number("cy")), "{line}");
        }
    }

    #[test]
    fn one_size_and_extreme_ratios_are_drawn_too() {
        for ratio in [0.0, 0.5, 1.0] {
            let picture = svg(&[row(Kind::Sieve, 64, ratio)]);
            assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
        }
    }

    #[test]
    fn sizes_are_short() {
        let shown = [(1.0, "1"), (999.0, "999"), (1000.0, "1 k"), (2_500_000.0, "2.5 M"), (1e9, "1 G")];
        shown.iter().for_each(|(size, text)| assert_eq!(short(*size), *text));
    }
}
