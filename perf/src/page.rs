//! The generated block of a Markdown page: between two comments that do not show.

use std::path::Path;

use anyhow::{Context, Result};

/// Puts `text` in place of the block of this name, such as `coreperf wrk`, of the page at `path`.
///
/// # Errors
/// The operator's: the page cannot be read or written, or has no such block.
pub(crate) fn update(path: &Path, name: &str, text: &str) -> Result<()> {
    let page = std::fs::read_to_string(path).with_context(|| format!("{} could not be read", path.display()))?;
    let page = replaced(&page, name, text).with_context(|| {
        let [begin, end] = marks(name);
        format!("{} has no block from {:?} to {end:?}; add the two lines", path.display(), begin.trim_end())
    })?;
    std::fs::write(path, page).with_context(|| format!("{} could not be written", path.display()))
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
