//! The frame of a picture: where values lie, lines of the grid, titles, and the names of the lines.
//!
//! **Invariants**: what is drawn lies in the frame; a scale has a length, whatever the values.

use super::figures::short;
use super::markup::Html;
use super::section::Server;

pub(super) const WIDTH: f64 = 880.0;
pub(super) const HEIGHT: f64 = 360.0;
/// The area of the lines; their names stand to its right.
pub(super) const LEFT: f64 = 76.0;
pub(super) const RIGHT: f64 = 720.0;
pub(super) const TOP: f64 = 16.0;
pub(super) const BOTTOM: f64 = 300.0;

/// Lines of the grid at most.
const LINES_MAX: f64 = 7.0;

/// How lines are dashed, so that they are told apart without colours too.
const DASHES: [&str; 8] = ["", "2 4", "9 4", "12 3 3 3", "5 3", "1 2", "14 5", "8 2 2 2"];

/// Maps values to a part of the frame.
#[derive(Clone, Copy)]
pub(super) enum Scale {
    /// From 0 to this.
    Linear(f64),
    /// Between powers of ten.
    Log(f64, f64),
}

impl Scale {
    pub(super) fn linear(values: impl Iterator<Item = f64>) -> Self {
        let high = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        Self::Linear(if high > 0.0 { high * 1.05 } else { 1.0 })
    }

    /// Whole powers of ten around the values.
    pub(super) fn log(values: impl Iterator<Item = f64>) -> Self {
        let around = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
        let (low, high) = values.filter(|value| value.is_finite() && *value > 0.0).fold((f64::INFINITY, 0.0), around);
        if high == 0.0 {
            return Self::Log(1.0, 10.0);
        }
        let low = 10f64.powf(low.log10().floor());
        Self::Log(low, 10f64.powf(high.log10().ceil()).max(low * 10.0))
    }

    /// Where a value lies, 0 to 1.
    pub(super) fn at(self, value: f64) -> f64 {
        match self {
            Self::Linear(high) => value / high,
            Self::Log(low, high) => (value.max(low) / low).ln() / (high / low).ln(),
        }
        .clamp(0.0, 1.0)
    }

    pub(super) fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear(high) => {
                let power = 10f64.powf((high / LINES_MAX).log10().floor());
                let fits = |step: &f64| high / step <= LINES_MAX;
                let step = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(fits).unwrap_or(high);
                (0..).map(|line| f64::from(line) * step).take_while(|tick| *tick <= high).collect()
            }
            Self::Log(low, high) => {
                let decades = (high / low).log10().round() as i32;
                let digits: &[f64] = if decades <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
                let all =
                    (0..=decades).flat_map(|power| digits.iter().map(move |digit| digit * low * 10f64.powi(power)));
                all.filter(|tick| *tick <= high * 1.001).collect()
            }
        }
    }
}

pub(super) fn y(scale: Scale, value: f64) -> f64 {
    BOTTOM - scale.at(value) * (BOTTOM - TOP)
}

pub(super) fn x(scale: Scale, value: f64) -> f64 {
    LEFT + scale.at(value) * (RIGHT - LEFT)
}

/// Opens a picture, with what it is for those who cannot see it. `id` is of this page alone.
pub(super) fn begin(html: &mut Html, id: &str, height: f64, (title, description): (&str, &str)) {
    html.open("figure", "");
    html.open(
        "svg",
        format_args!("viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\""),
    );
    html.element("title", format_args!("id=\"{id}-t\""), title);
    html.element("desc", format_args!("id=\"{id}-d\""), description);
}

/// Closes it, with a caption.
pub(super) fn end(html: &mut Html, caption: &str) {
    html.close().element("figcaption", "", caption).close();
}

/// Draws axes, grid and titles. `across` are the lines of the x axis, each with its name.
pub(super) fn frame(html: &mut Html, up: Scale, across: &[(f64, String)], (x_title, y_title): (&str, &str)) {
    for tick in up.ticks() {
        let y = y(up, tick);
        html.leaf("path", format_args!("class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\""));
        let (x, y) = (LEFT - 8.0, y + 4.0);
        html.element("text", format_args!("class=\"soft\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\""), short(tick));
    }
    for (x, name) in across {
        html.leaf("path", format_args!("class=\"grid\" d=\"M{x:.1} {TOP}V{BOTTOM}\""));
        let y = BOTTOM + 18.0;
        html.element("text", format_args!("class=\"soft\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\""), name);
    }
    html.leaf("path", format_args!("class=\"axis\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\""));
    let (middle_x, middle_y) = (f64::midpoint(LEFT, RIGHT), f64::midpoint(TOP, BOTTOM));
    let below = BOTTOM + 42.0;
    html.element("text", format_args!("x=\"{middle_x:.1}\" y=\"{below:.1}\" text-anchor=\"middle\""), x_title);
    let turned =
        format_args!("x=\"16\" y=\"{middle_y:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {middle_y:.1})\"");
    html.element("text", turned, y_title);
}

/// A line of a server.
pub(super) fn line(html: &mut Html, class: &str, mark: usize, points: &[(f64, f64)]) {
    let text: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let (mark, dash) = (mark % DASHES.len(), DASHES[mark % DASHES.len()]);
    html.leaf(
        "polyline",
        format_args!(
            "class=\"{class} s{mark}\" fill=\"none\" stroke-dasharray=\"{dash}\" points=\"{}\"",
            text.join(" ")
        ),
    );
}

/// The names of the lines, to the right of the frame.
pub(super) fn names<'a>(html: &mut Html, servers: impl Iterator<Item = &'a Server>) {
    for (index, server) in servers.enumerate() {
        let (x, y) = (RIGHT + 16.0, TOP + 12.0 + 22.0 * index as f64);
        line(html, "line", server.mark, &[(x, y), (x + 30.0, y)]);
        html.element("text", format_args!("x=\"{:.1}\" y=\"{:.1}\"", x + 36.0, y + 4.0), &server.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_hold_whatever_comes() {
        for values in [&[][..], &[0.0], &[f64::NAN], &[5.0, 5.0], &[0.001, 1e9]] {
            for scale in [Scale::linear(values.iter().copied()), Scale::log(values.iter().copied())] {
                let ticks = scale.ticks();
                assert!((2..=40).contains(&ticks.len()), "{values:?}: {ticks:?}");
                let inside = |value: &f64| (0.0..=1.0).contains(&scale.at(*value));
                assert!(ticks.iter().all(inside) && values.iter().filter(|value| !value.is_nan()).all(inside));
            }
        }
    }
}
