//! The generated block of a Markdown page: between two comments that do not show.

use std::path::Path;

use anyhow::{Context, Result};

/// First line of the block.
const BEGIN: &str = "<!-- begin: coreperf wrk -->\n";

/// Last line of the block.
const END: &str = "<!-- end: coreperf wrk -->";

/// Puts `text` in place of the block of the page at `path`.
///
/// # Errors
/// The operator's: the page cannot be read or written, or has no such block.
pub(crate) fn update(path: &Path, text: &str) -> Result<()> {
    let page = std::fs::read_to_string(path).with_context(|| format!("{} could not be read", path.display()))?;
    let page = replaced(&page, text).with_context(|| {
        format!("{} has no block from {:?} to {END:?}; add the two lines", path.display(), BEGIN.trim_end())
    })?;
    std::fs::write(path, page).with_context(|| format!("{} could not be written", path.display()))
}

fn replaced(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{text}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_block_changes() {
        let page = format!("above\n{BEGIN}old\n{END}\nbelow\n");
        assert_eq!(replaced(&page, "new\n"), Some(format!("above\n{BEGIN}new\n{END}\nbelow\n")));
        for without in ["above\n", END, BEGIN] {
            assert_eq!(replaced(without, "new\n"), None);
        }
    }
}
