//! Curves as a picture, SVG.
//!
//! ```text
//!  title
//!  y    │ ──●── a name       y: from the smallest to the largest value, rounded outwards
//!  title│    ──●── another   x: logarithmic or even
//!       └──────────── x title
//! ```
//!
//! **Not**: what is drawn; every verb makes its chart.
//!
//! **Invariants**: the picture needs no other file, and has a background of its own, so that it reads the same in any viewer.

use std::fmt::Write as _;

const WIDTH: f64 = 940.0;
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

/// How x is spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spacing {
    /// Equal ratios are equally far apart; all x are above 0.
    Logarithmic,
    /// Equal differences are equally far apart.
    Even,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// Above the curves.
    pub(crate) title: String,
    /// Below them.
    pub(crate) x_title: String,
    /// At their left.
    pub(crate) y_title: String,
    /// How x is spread.
    pub(crate) spacing: Spacing,
    /// One curve each.
    pub(crate) lines: Vec<Line>,
}

/// A curve with its entry in the legend.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// In the legend.
    pub(crate) name: String,
    /// In the order in which they are joined: x, y (0 or more), and what is told of the point.
    pub(crate) points: Vec<(f64, f64, String)>,
}

/// Draws a chart.
///
/// # Panics
/// When it has no points.
pub(crate) fn svg(chart: &Chart) -> String {
    let scale = Scale::of(chart);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
    );
    text(&mut out, [LEFT, 30.0], "font-size=\"17\" font-weight=\"bold\"", &chart.title);
    grid(&mut out, &scale);
    let middle = (TOP + BOTTOM) / 2.0;
    text(&mut out, [(LEFT + RIGHT) / 2.0, BOTTOM + 48.0], "text-anchor=\"middle\"", &chart.x_title);
    let turned = format!("text-anchor=\"middle\" transform=\"rotate(-90 22 {middle})\"");
    text(&mut out, [22.0, middle], &turned, &chart.y_title);
    chart.lines.iter().enumerate().for_each(|(index, line)| curve(&mut out, &scale, index, line));
    out.push_str("</svg>\n");
    out
}

/// Where values lie in the picture.
struct Scale {
    spacing: Spacing,
    /// Smallest and largest x.
    xs: [f64; 2],
    /// Lowest and highest y of the grid.
    ys: [f64; 2],
    /// Between two lines of the grid.
    step: f64,
}

impl Scale {
    fn of(chart: &Chart) -> Self {
        let points = || chart.lines.iter().flat_map(|line| &line.points);
        let range = |values: &mut dyn Iterator<Item = f64>| {
            values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| [low.min(value), high.max(value)])
        };
        let [smallest, largest] = range(&mut points().map(|(x, _, _)| *x));
        assert!(smallest.is_finite(), "a chart has points");
        // A single x stands in the middle.
        let xs = match chart.spacing {
            _ if smallest < largest => [smallest, largest],
            Spacing::Logarithmic => [smallest / 2.0, largest * 2.0],
            Spacing::Even => [smallest - 1.0, largest + 1.0],
        };
        let [low, high] = range(&mut points().map(|(_, y, _)| *y));
        let steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];
        let step = steps.into_iter().find(|step| (high - low) / step <= GRID_LINES_MAX - 1.0).unwrap_or(0.2);
        let low = ((low / step).floor() * step).max(0.0);
        let high = ((high / step).ceil() * step).max(low + step);
        Self { spacing: chart.spacing, xs, ys: [low, high], step }
    }

    fn x(&self, x: f64) -> f64 {
        let [smallest, largest] = self.xs;
        let part = match self.spacing {
            Spacing::Logarithmic => (x / smallest).ln() / (largest / smallest).ln(),
            Spacing::Even => (x - smallest) / (largest - smallest),
        };
        LEFT + part * (RIGHT - LEFT)
    }

    fn y(&self, y: f64) -> f64 {
        let [low, high] = self.ys;
        BOTTOM - (y - low) / (high - low) * (BOTTOM - TOP)
    }

    fn ticks(&self) -> Vec<f64> {
        match self.spacing {
            Spacing::Logarithmic => self.powers(),
            Spacing::Even => self.multiples(),
        }
    }

    /// 1, 2 and 5 times powers of ten within the range; only the powers when that is too many.
    fn powers(&self) -> Vec<f64> {
        let [smallest, largest] = self.xs;
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

    /// Multiples of 1, 2 or 5 times a power of ten, at most nine of them.
    fn multiples(&self) -> Vec<f64> {
        let [smallest, largest] = self.xs;
        let steps = (-6..20).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power)));
        let step = steps.into_iter().find(|step| (largest - smallest) / step <= 8.0).unwrap_or(largest - smallest);
        let first = (smallest / step).ceil() as i64;
        let last = (largest / step).floor() as i64;
        (first..=last).map(|multiple| multiple as f64 * step).collect()
    }
}

fn grid(out: &mut String, scale: &Scale) {
    let [low, high] = scale.ys;
    let count = ((high - low) / scale.step).round() as usize;
    let decimals = if scale.step < 0.01 { 3 } else { 2 };
    for line in 0..=count {
        let value = low + line as f64 * scale.step;
        let y = scale.y(value);
        let _ = writeln!(out, "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"#ddd\"/>");
        text(out, [LEFT - 8.0, y + 4.0], "text-anchor=\"end\"", &format!("{value:.decimals$}"));
    }
    for tick in scale.ticks() {
        let x = scale.x(tick);
        let _ = writeln!(out, "<path d=\"M{x:.1} {TOP}V{BOTTOM}\" stroke=\"#eee\"/>");
        text(out, [x, BOTTOM + 20.0], "text-anchor=\"middle\"", &short(tick));
    }
    let _ = writeln!(out, "<path d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\" fill=\"none\" stroke=\"#222\"/>");
}

/// A line, with its points and its entry in the legend.
fn curve(out: &mut String, scale: &Scale, index: usize, line: &Line) {
    let colour = COLOURS[index % COLOURS.len()];
    let at: Vec<_> = line.points.iter().map(|(x, y, _)| (scale.x(*x), scale.y(*y))).collect();
    let points: Vec<_> = at.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
        points.join(" ")
    );
    for ((x, y), (_, _, told)) in at.iter().zip(&line.points) {
        let _ = write!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"><title>");
        let _ = writeln!(out, "{}</title></circle>", escaped(told));
    }
    let (x, y) = (RIGHT + 24.0, TOP + 12.0 + 24.0 * index as f64);
    let end = x + 28.0;
    let _ = writeln!(out, "<path d=\"M{x} {y}H{end}\" stroke=\"{colour}\" stroke-width=\"2\"/>");
    let _ = writeln!(out, "<circle cx=\"{}\" cy=\"{y}\" r=\"3.5\" fill=\"{colour}\"/>", x + 14.0);
    text(out, [end + 8.0, y + 4.0], "", &line.name);
}

fn text(out: &mut String, [x, y]: [f64; 2], attributes: &str, content: &str) {
    let gap = if attributes.is_empty() { "" } else { " " };
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\"{gap}{attributes}>{}</text>", escaped(content));
}

fn escaped(content: &str) -> String {
    content.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A number as people write it: 0.5, 500, 20 k, 3 M.
fn short(size: f64) -> String {
    let trimmed = |text: String| text.trim_end_matches('0').trim_end_matches('.').to_owned();
    for (unit, suffix) in [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")] {
        if size >= unit {
            return trimmed(format!("{:.3}", size / unit)) + suffix;
        }
    }
    trimmed(format!("{size:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(spacing: Spacing, lines: &[&[(f64, f64)]]) -> Chart {
        let line = |(index, points): (usize, &&[(f64, f64)])| Line {
            name: format!("line {index}"),
            points: points.iter().map(|(x, y)| (*x, *y, format!("<{x}>"))).collect(),
        };
        Chart {
            title: "a<b>&c".into(),
            x_title: "x".into(),
            y_title: "y".into(),
            spacing,
            lines: lines.iter().enumerate().map(line).collect(),
        }
    }

    #[test]
    fn every_line_and_every_point_is_inside_the_picture() {
        let lines: [&[_]; 3] = [
            &[(100.0, 0.8), (1000.0, 0.61), (50_000.0, 0.4)],
            &[(100.0, 0.7), (1000.0, 0.51), (50_000.0, 0.3)],
            &[(100.0, 0.5), (1000.0, 0.31), (50_000.0, 0.1)],
        ];
        for spacing in [Spacing::Logarithmic, Spacing::Even] {
            let picture = svg(&chart(spacing, &lines));
            assert_eq!((picture.matches("<polyline").count(), picture.matches("<title>").count()), (3, 9));
            for expected in ["a&lt;b&gt;&amp;c", "&lt;1000&gt;", ">20 k<", ">0.10<"] {
                assert!(picture.contains(expected), "{expected} is not in\n{picture}");
            }
            for line in picture.lines().filter(|line| line.starts_with("<circle") && line.contains("<title>")) {
                let number =
                    |name: &str| line.split(name).nth(1).unwrap().split('"').nth(1).unwrap().parse::<f64>().unwrap();
                assert!((LEFT..=RIGHT).contains(&number("cx")) && (TOP..=BOTTOM).contains(&number("cy")), "{line}");
            }
        }
    }

    #[test]
    fn one_x_and_extreme_values_are_drawn_too() {
        for spacing in [Spacing::Logarithmic, Spacing::Even] {
            for y in [0.0, 0.5, 1.0] {
                let picture = svg(&chart(spacing, &[&[(64.0, y)]]));
                assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
            }
        }
    }

    #[test]
    fn numbers_are_short() {
        let shown = [
            (0.0, "0"),
            (0.5, "0.5"),
            (1.0, "1"),
            (20.0, "20"),
            (999.0, "999"),
            (1000.0, "1 k"),
            (2_500_000.0, "2.5 M"),
            (1e9, "1 G"),
        ];
        shown.iter().for_each(|(size, text)| assert_eq!(short(*size), *text));
    }
}
