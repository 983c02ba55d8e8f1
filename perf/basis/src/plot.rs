//! Curves as a picture, SVG, drawn by plotters.
//!
//! **Not**: what is drawn; whoever measures makes the chart.
//!
//! **Invariants**: a picture needs no other file. Lines differ in dashes too, so that they are told apart without colours.

use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::prelude::*;

/// Pixels of a picture.
const SIZE: (u32, u32) = (900, 420);

/// Colours that people with any colour vision tell apart (Okabe, Ito, "Color universal design", 2008). A page may restyle them.
pub const COLOURS: [&str; 8] = ["#0072B2", "#6B6B6B", "#D55E00", "#009E73", "#B0508A", "#B37A00", "#3F9FD6", "#111111"];

/// Dash and gap of each style of line, in pixels.
const DASHES: [(u32, u32); 8] = [(1, 0), (2, 4), (9, 4), (12, 6), (5, 3), (3, 6), (14, 5), (8, 2)];

/// Lines of the grid, about.
const GRID_LINES: usize = 8;

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// Equal ratios are equally far apart, between powers of ten; all values are above 0.
    Logarithmic,
    /// Equal differences are equally far apart, from the smallest value to the largest.
    Even,
    /// The same from 0, so that no difference looks larger than it is; no value is below 0.
    FromZero,
}

/// An axis: its title, how values are spread along it, and how one is written.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it shows, with its unit.
    pub title: String,
    /// How values are spread.
    pub spacing: Spacing,
    /// The text at a line of the grid.
    pub label: fn(f64) -> String,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Above the curves; none on a page that has a title of its own.
    pub title: Option<String>,
    /// From left to right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// One curve each.
    pub lines: Vec<Line>,
}

/// A curve with its entry in the legend.
#[derive(Clone, Debug)]
pub struct Line {
    /// In the legend, once for all lines of a name.
    pub name: String,
    /// Which colour and dashes; those of several lines may be the same.
    pub style: usize,
    /// Whether it is drawn faintly.
    pub is_faint: bool,
    /// In the order in which they are joined.
    pub points: Vec<(f64, f64)>,
}

/// Draws a chart; nothing of one without points.
pub fn svg(chart: &Chart) -> String {
    let mut out = String::new();
    let xs = range(chart.x.spacing, chart.lines.iter().flat_map(|line| line.points.iter().map(|(x, _)| *x)));
    let ys = range(chart.y.spacing, chart.lines.iter().flat_map(|line| line.points.iter().map(|(_, y)| *y)));
    let (Some(xs), Some(ys)) = (xs, ys) else { return out };
    {
        let area = SVGBackend::with_string(&mut out, SIZE).into_drawing_area();
        let mut builder = ChartBuilder::on(&area);
        builder.margin(12).x_label_area_size(46).y_label_area_size(76);
        if let Some(title) = &chart.title {
            builder.caption(title, ("sans-serif", 17));
        }
        let is_log = |axis: &Axis| axis.spacing == Spacing::Logarithmic;
        let drawn = match (is_log(&chart.x), is_log(&chart.y)) {
            (false, false) => builder.build_cartesian_2d(xs, ys).map(|context| draw(context, chart)),
            (false, true) => builder.build_cartesian_2d(xs, ys.log_scale()).map(|context| draw(context, chart)),
            (true, false) => builder.build_cartesian_2d(xs.log_scale(), ys).map(|context| draw(context, chart)),
            (true, true) => {
                builder.build_cartesian_2d(xs.log_scale(), ys.log_scale()).map(|context| draw(context, chart))
            }
        };
        drawn.and_then(|drawn| drawn).and_then(|()| area.present()).expect("a string takes whatever is drawn");
    }
    out
}

/// The ends of an axis, with room around a single value; none without one that can be shown.
fn range(spacing: Spacing, values: impl Iterator<Item = f64>) -> Option<std::ops::Range<f64>> {
    let is_shown = |value: &f64| value.is_finite() && (spacing != Spacing::Logarithmic || *value > 0.0);
    let widest = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
    let (low, high) = values.filter(is_shown).fold((f64::INFINITY, f64::NEG_INFINITY), widest);
    let room = if low < high { (high - low) * 0.05 } else { 1.0 };
    let range = match spacing {
        _ if low > high => return None,
        Spacing::Logarithmic => {
            let low = 10f64.powf(low.log10().floor());
            low..10f64.powf(high.log10().ceil()).max(low * 10.0)
        }
        Spacing::Even => low..high + room,
        Spacing::FromZero => 0.0..if high > 0.0 { high * 1.05 } else { 1.0 },
    };
    Some(range)
}

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn draw<'a, 'out: 'a, X, Y>(mut context: ChartContext<'a, SVGBackend<'out>, Cartesian2d<X, Y>>, chart: &Chart) -> Drawn
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64> + 'a,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64> + 'a,
{
    context
        .configure_mesh()
        .x_labels(GRID_LINES)
        .y_labels(GRID_LINES)
        .max_light_lines(0)
        .bold_line_style(RGBColor(0xd8, 0xd8, 0xd8))
        .axis_style(RGBColor(0x5b, 0x5b, 0x5b))
        .label_style(("sans-serif", 13))
        .x_desc(chart.x.title.as_str())
        .y_desc(chart.y.title.as_str())
        .x_label_formatter(&|x| (chart.x.label)(*x))
        .y_label_formatter(&|y| (chart.y.label)(*y))
        .draw()?;
    let mut named: Vec<&str> = Vec::new();
    for line in &chart.lines {
        let colour = colour(line.style).mix(if line.is_faint { 0.35 } else { 1.0 }).stroke_width(2);
        let points = line.points.iter().copied();
        let entry = match DASHES[line.style % DASHES.len()] {
            (_, 0) => context.draw_series(LineSeries::new(points, colour))?,
            (dash, gap) => context.draw_series(DashedLineSeries::new(points.collect::<Vec<_>>(), dash, gap, colour))?,
        };
        if !named.contains(&line.name.as_str()) {
            named.push(&line.name);
            entry.label(&line.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour));
        }
    }
    let ground = RGBColor(0xff, 0xff, 0xff).mix(0.7);
    context
        .configure_series_labels()
        .background_style(ground)
        .label_font(("sans-serif", 13))
        .position(SeriesLabelPosition::UpperRight)
        .draw()
}

fn colour(style: usize) -> RGBColor {
    let text = COLOURS[style % COLOURS.len()];
    let part = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("a colour is six hexadecimal digits");
    RGBColor(part(1), part(3), part(5))
}

/// A number as people write it: 0.5, 500, 20 k, 3 M.
pub fn short(value: f64) -> String {
    let trimmed = |text: String| text.trim_end_matches('0').trim_end_matches('.').to_owned();
    for (unit, suffix) in [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")] {
        if value >= unit {
            return trimmed(format!("{:.3}", value / unit)) + suffix;
        }
    }
    trimmed(format!("{value:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(x: Spacing, y: Spacing, lines: &[&[(f64, f64)]]) -> Chart {
        let axis = |spacing| Axis { title: "a<b>&c".into(), spacing, label: short };
        let line = |(style, points): (usize, &&[(f64, f64)])| Line {
            name: format!("line {style}"),
            style,
            is_faint: false,
            points: points.to_vec(),
        };
        Chart { title: None, x: axis(x), y: axis(y), lines: lines.iter().enumerate().map(line).collect() }
    }

    #[test]
    fn every_line_is_drawn_and_named_and_text_is_escaped() {
        let lines: [&[_]; 2] = [&[(100.0, 0.8), (1000.0, 0.61), (50_000.0, 0.4)], &[(100.0, 0.5), (50_000.0, 0.1)]];
        for x in [Spacing::Logarithmic, Spacing::Even] {
            for y in [Spacing::Logarithmic, Spacing::FromZero] {
                let picture = svg(&chart(x, y, &lines));
                for part in ["line 0", "line 1", "#0072B2", "#6B6B6B", "a&lt;b&gt;&amp;c"] {
                    assert!(picture.contains(part), "{part} is not in\n{picture}");
                }
            }
        }
    }

    #[test]
    fn one_point_and_extreme_values_are_drawn_too() {
        for spacing in [Spacing::Logarithmic, Spacing::Even, Spacing::FromZero] {
            for y in [0.0, 0.5, 1e12] {
                let picture = svg(&chart(spacing, Spacing::FromZero, &[&[(64.0, y)]]));
                assert!(picture.contains("<svg") && !picture.contains("NaN") && !picture.contains("inf"), "{picture}");
            }
        }
        assert_eq!(svg(&chart(Spacing::Even, Spacing::Even, &[])), "", "nothing to draw");
    }

    #[test]
    fn axes_hold_all_values() {
        for (spacing, expected) in
            [(Spacing::Logarithmic, 1.0..100.0), (Spacing::Even, 2.0..31.4), (Spacing::FromZero, 0.0..31.5)]
        {
            let found = range(spacing, [30.0, 2.0, f64::NAN].into_iter()).expect("there are values");
            let is_off = (found.start - expected.start).abs() + (found.end - expected.end).abs() > 1e-9;
            assert!(!is_off, "{spacing:?}: {found:?}");
        }
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in
            [(0.0, "0"), (0.5, "0.5"), (20.0, "20"), (1000.0, "1 k"), (2_500_000.0, "2.5 M"), (1e9, "1 G")]
        {
            assert_eq!(short(value), text);
        }
    }
}
