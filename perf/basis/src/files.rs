//! Files that a measurement writes: whole or not at all, as JSON, or as a block of a Markdown page.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

/// Writes a file beside its place, then moves it: a file that is there is whole.
///
/// # Errors
/// The operator's: it cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = path.with_extension("partial");
    std::fs::write(&beside, bytes)
        .and_then(|()| std::fs::rename(&beside, path))
        .with_context(|| format!("{} could not be written", path.display()))
}

/// Writes a value as JSON.
///
/// # Errors
/// The operator's: the file cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_string_pretty(value)
        .with_context(|| format!("what belongs into {} cannot be written as JSON", path.display()))?;
    write_whole(path, (json + "\n").as_bytes())
}

/// Replaces the generated block of this name, such as `coreperf cores`, of a Markdown page.
///
/// # Errors
/// The operator's: the page cannot be read or written, or has no such block.
pub fn update_block(path: &Path, name: &str, text: &str) -> Result<()> {
    let page = std::fs::read_to_string(path).with_context(|| format!("{} could not be read", path.display()))?;
    let page = replaced(&page, name, text).with_context(|| {
        let [begin, end] = marks(name);
        format!("{} has no block from {:?} to {end:?}; add the two lines", path.display(), begin.trim_end())
    })?;
    write_whole(path, page.as_bytes())
}

/// First and last line of a block.
fn marks(name: &str) -> [String; 2] {
    [format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->")]
}

fn replaced(page: &str, name: &str, text: &str) -> Option<String> {
    let [begin, end] = marks(name);
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{text}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_block_changes() {
        let [begin, end] = marks("a");
        let other = marks("b").concat();
        let page = format!("above\n{begin}old\n{end}\n{other}\n");
        assert_eq!(replaced(&page, "a", "new\n"), Some(format!("above\n{begin}new\n{end}\n{other}\n")));
        for without in ["above\n", &end, &begin] {
            assert_eq!(replaced(without, "a", "new\n"), None);
        }
    }
}
