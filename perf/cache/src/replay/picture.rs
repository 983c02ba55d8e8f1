//! Miss ratios by size, as a chart: a line for each engine.
//!
//! **Not**: drawing (that is `plot`).

use super::report::Row;
use perf_basis::plot::{Axis, Chart, Line, Spacing, short};

/// The chart of all rows, at least one.
pub(crate) fn chart(rows: &[Row]) -> Chart {
    let first = &rows[0];
    let shards = if first.shards > 1 { format!(", {} shards", first.shards) } else { String::new() };
    let mut engines: Vec<_> = rows.iter().map(|row| row.engine).collect();
    engines.dedup();
    let line = |(style, engine)| {
        let mut own: Vec<_> = rows.iter().filter(|row| row.engine == engine).collect();
        own.sort_by_key(|row| row.capacity);
        let points = own.iter().map(|row| (row.capacity as f64, row.miss_ratio)).collect();
        Line { name: own[0].engine.name().to_owned(), style, is_faint: false, points }
    };
    let x_title = format!("size in {} (logarithmic)", first.capacity_unit);
    Chart {
        title: Some(format!("Miss ratio by size: {} ({} requests{shards})", first.trace, first.requests)),
        x: Axis { title: x_title, spacing: Spacing::Logarithmic, label: short },
        y: Axis { title: "miss ratio".to_owned(), spacing: Spacing::Even, label: short },
        lines: engines.into_iter().enumerate().map(line).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine::Kind;
    use super::*;
    use perf_basis::trace::format::Format;

    fn row(engine: Kind, capacity: u64, miss_ratio: f64) -> Row {
        Row {
            engine,
            trace: "web.trace".into(),
            format: Format::Text,
            shards: 4,
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
    fn every_engine_has_a_line_with_its_sizes_in_order() {
        let rows = [row(Kind::Lru, 1000, 0.2), row(Kind::Lru, 100, 0.4), row(Kind::Belady, 100, 0.3)];
        let chart = chart(&rows);
        let names: Vec<_> = chart.lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["lru", "belady"]);
        assert_eq!(chart.lines[0].points, [(100.0, 0.4), (1000.0, 0.2)]);
        let title = chart.title.unwrap_or_default();
        assert!(title.contains("web.trace (1000 requests, 4 shards)"), "{title}");
    }
}
