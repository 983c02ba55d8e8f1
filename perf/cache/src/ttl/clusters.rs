//! The table of clusters: what each stores, for how long, and what is asked of it.
//!
//! ```text
//!  | cluster | … | key size | value size | … | common TTL          | … | operation         | Zipf alpha |
//!  |:-------:|   |          |            |   |                     |   |                   |            |
//!  | name    | … | 44       | 1030       | … | 300s:0.98, 1h:0.02, | … | set:0.80 get:0.20 | 0.3048     |
//! ```
//!
//! **Not**: what is done with them (that is `load`).
//!
//! **Invariants**: shares of lengths of life sum up to 1, and so do those of operations; a row that lacks a figure is left out and
//! named, a row that cannot be read is an error with its line.
//!
//! **Source**: twitter/cache-trace, `stat/2020Mar.md`; Yang, Yue, Rashmi, "A large scale analysis of hundreds of in-memory cache
//! clusters at Twitter", OSDI 2020.

use anyhow::{Context, Result, bail, ensure};

/// Longest length of life that is understood, in seconds: ten years.
const TTL_S_MAX: f64 = 10.0 * 365.0 * 86_400.0;

/// One cluster.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TraceCluster {
    /// As the table calls it.
    pub(crate) name: String,
    /// Bytes of every key.
    pub(crate) key_bytes: usize,
    /// Bytes of every value.
    pub(crate) value_bytes: usize,
    /// Lengths of life in seconds, with the share of keys that has each.
    pub(crate) ttls: Vec<(f64, f64)>,
    /// Shares of operations: reads, writes, deletes.
    pub(crate) operations: Operations,
    /// Zipf exponent of the keys' popularity; 0 where the table does not know it.
    pub(crate) alpha: f64,
}

/// Shares of operations; they sum up to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Operations {
    /// get, gets.
    pub(crate) reads: f64,
    /// set, add, cas, replace, append, prepend, incr, decr.
    pub(crate) writes: f64,
    /// delete.
    pub(crate) deletes: f64,
}

impl TraceCluster {
    /// The longest length of life, in seconds.
    pub(crate) fn longest_s(&self) -> f64 {
        self.ttls.iter().map(|(ttl_s, _)| *ttl_s).fold(0.0, f64::max)
    }
}

/// What a table holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Clusters {
    /// Those that can be loaded, in order.
    pub(crate) complete: Vec<TraceCluster>,
    /// Names of those that lack a figure.
    pub(crate) incomplete: Vec<String>,
}

/// Where the columns are that are read.
struct Columns {
    name: usize,
    key: usize,
    value: usize,
    ttl: usize,
    operation: usize,
    alpha: usize,
    count: usize,
}

/// Reads a table.
///
/// # Errors
/// The operator's: a column is missing or a row cannot be read; the message says which, at which line, and what is expected.
pub(crate) fn parse(text: &str) -> Result<Clusters> {
    let mut rows = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with('|'));
    let (at, head) = rows.next().context("there is no table; it takes rows that begin with |, as in Markdown")?;
    let columns = Columns::of(&cells(head)).with_context(|| format!("line {}", at + 1))?;
    let mut clusters = Clusters { complete: Vec::new(), incomplete: Vec::new() };
    for (at, line) in rows {
        let cells = cells(line);
        if cells.iter().all(|cell| cell.chars().all(|c| matches!(c, ':' | '-'))) {
            continue;
        }
        ensure!(
            cells.len() == columns.count,
            "line {}: {} cells where the head has {}; a cell is missing or one too many",
            at + 1,
            cells.len(),
            columns.count
        );
        let name = cells[columns.name].to_owned();
        match columns.read(&cells).with_context(|| format!("line {}: {name}", at + 1))? {
            Some(cluster) => clusters.complete.push(cluster),
            None => clusters.incomplete.push(name),
        }
    }
    ensure!(!clusters.complete.is_empty(), "the table has no row with all figures");
    Ok(clusters)
}

fn cells(line: &str) -> Vec<&str> {
    line.trim().trim_matches('|').split('|').map(str::trim).collect()
}

fn is_missing(cell: &str) -> bool {
    matches!(cell, "" | "N/A" | "NA")
}

impl Columns {
    fn of(head: &[&str]) -> Result<Self> {
        let find = |title: &str| {
            let at = head.iter().position(|cell| cell.eq_ignore_ascii_case(title));
            at.with_context(|| {
                format!("the table's head has no column `{title}`; it takes the one of twitter/cache-trace")
            })
        };
        Ok(Self {
            name: find("cluster")?,
            key: find("key size")?,
            value: find("value size")?,
            ttl: find("common TTL")?,
            operation: find("operation")?,
            alpha: find("Zipf alpha")?,
            count: head.len(),
        })
    }

    /// None for a row that lacks a figure.
    fn read(&self, cells: &[&str]) -> Result<Option<TraceCluster>> {
        if [self.key, self.value, self.ttl, self.operation].iter().any(|at| is_missing(cells[*at])) {
            return Ok(None);
        }
        let bytes = |at: usize, what: &str| {
            let cell = cells[at];
            cell.parse::<usize>()
                .ok()
                .filter(|bytes| *bytes <= 64 << 20)
                .with_context(|| format!("{what} is `{cell}`; it takes a whole number of bytes, at most 64 MiB"))
        };
        let alpha = cells[self.alpha];
        Ok(Some(TraceCluster {
            name: cells[self.name].to_owned(),
            key_bytes: bytes(self.key, "key size")?,
            value_bytes: bytes(self.value, "value size")?,
            ttls: ttls(cells[self.ttl])?,
            operations: operations(cells[self.operation])?,
            alpha: if is_missing(alpha) {
                0.0
            } else {
                number(alpha).with_context(|| format!("Zipf alpha is `{alpha}`"))?
            },
        }))
    }
}

/// `300s:0.98, 1h:0.02,`
fn ttls(cell: &str) -> Result<Vec<(f64, f64)>> {
    let parts = cell.split(',').map(str::trim).filter(|part| !part.is_empty());
    let pairs = parts.map(|part| {
        let pair = part.split_once(':').and_then(|(length, share)| Some((seconds(length)?, number(share)?)));
        pair.with_context(|| {
            format!("common TTL has `{part}`; it takes a length and its share, as 1.5h:0.20 (s, m, h, d)")
        })
    });
    let mut ttls = pairs.collect::<Result<Vec<_>>>()?;
    // The table lists the common ones only: those it leaves out are taken to be like those it lists.
    let sum: f64 = ttls.iter().map(|(_, share)| share).sum();
    ensure!(sum > 0.0, "common TTL has no share above 0");
    ttls.iter_mut().for_each(|(_, share)| *share /= sum);
    Ok(ttls)
}

fn seconds(length: &str) -> Option<f64> {
    let unit = length.chars().next_back()?;
    let factor = match unit {
        's' => 1.0,
        'm' => 60.0,
        'h' => 3600.0,
        'd' => 86_400.0,
        _ => return None,
    };
    let seconds = number(&length[..length.len() - 1])? * factor;
    (seconds > 0.0 && seconds <= TTL_S_MAX).then_some(seconds)
}

/// `set:0.80 get:0.20`
fn operations(cell: &str) -> Result<Operations> {
    let mut all = Operations { reads: 0.0, writes: 0.0, deletes: 0.0 };
    for part in cell.split_whitespace() {
        let Some((verb, share)) = part.split_once(':').and_then(|(verb, share)| Some((verb, number(share)?))) else {
            bail!("operation has `{part}`; it takes a verb and its share, as get:0.99");
        };
        match verb {
            "get" | "gets" => all.reads += share,
            "set" | "add" | "cas" | "replace" | "append" | "prepend" | "incr" | "decr" => all.writes += share,
            "delete" => all.deletes += share,
            other => bail!("operation `{other}` is unknown; it takes memcached's"),
        }
    }
    let sum = all.reads + all.writes + all.deletes;
    ensure!(sum > 0.0, "operation has no share above 0");
    Ok(Operations { reads: all.reads / sum, writes: all.writes / sum, deletes: all.deletes / sum })
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "| cluster | key size | value size | common TTL | operation | Zipf alpha |\n|:---:|---|---|---|---|---|\n";

    #[test]
    fn a_row_is_read() {
        let text = HEAD.to_owned()
            + "| a | 44 | 1030 | 300s:0.49, 1.5h:0.49, | get:0.71 set:0.09 add:0.10 delete:0.10 | 0.3 |\n";
        let cluster = parse(&text).unwrap().complete.remove(0);
        assert_eq!((cluster.name.as_str(), cluster.key_bytes, cluster.value_bytes), ("a", 44, 1030));
        assert_eq!((cluster.ttls.as_slice(), cluster.longest_s()), (&[(300.0, 0.5), (5400.0, 0.5)][..], 5400.0));
        let Operations { reads, writes, deletes } = cluster.operations;
        assert!((reads - 0.71).abs() + (writes - 0.19).abs() + (deletes - 0.1).abs() < 1e-9, "{cluster:?}");
    }

    #[test]
    fn a_row_without_figures_is_left_out_by_name() {
        let text = HEAD.to_owned() + "| a | N/A | N/A | N/A | N/A | NA |\n| b | 1 | 2 | 1d:1.00, | get:1 | NA |\n";
        let clusters = parse(&text).unwrap();
        assert_eq!(clusters.incomplete, ["a"]);
        assert_eq!((clusters.complete[0].name.as_str(), clusters.complete[0].alpha), ("b", 0.0));
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        for (row, expected) in [
            ("| a | 1 | 2 | 1d:1 | get:1 |", "line 3: 5 cells where the head has 6"),
            ("| a | x | 2 | 1d:1 | get:1 | 1 |", "line 3: a: key size is `x`"),
            ("| a | 1 | 2 | 1y:1 | get:1 | 1 |", "1y:1"),
            ("| a | 1 | 2 | 0s:1 | get:1 | 1 |", "0s:1"),
            ("| a | 1 | 2 | 1d:0 | get:1 | 1 |", "no share above 0"),
            ("| a | 1 | 2 | 1d:1 | fetch:1 | 1 |", "`fetch` is unknown"),
            ("| a | 1 | 2 | 1d:1 | get=1 | 1 |", "`get=1`"),
            ("| a | 1 | 2 | 1d:1 | get:1 | -1 |", "Zipf alpha is `-1`"),
            ("", "no row"),
        ] {
            let error = format!("{:#}", parse(&(HEAD.to_owned() + row)).unwrap_err());
            assert!(error.contains(expected), "{row}: {error}");
        }
        assert!(
            format!("{:#}", parse("| cluster |\n").unwrap_err()).contains("line 1: the table's head has no column")
        );
        assert!(format!("{:#}", parse("text\n").unwrap_err()).contains("no table"));
    }
}
