//! Links to units that lead into one release.
//!
//! `systemctl enable` follows links to the last file and puts a link to that: a unit would stay the one of the release that it was
//! enabled with, and be gone when that release is removed.
//!
//! **Source**: systemctl(1), "enable"; systemd.unit(5), "Linked units".

use std::fs;
use std::path::{Path, PathBuf};

use super::disk;
use crate::ReleaseError;

/// Lets links in `folder`, and in the `.wants` folders below it, that lead into one of `releases` lead through `current` instead.
pub(super) fn lead_through(folder: &Path, releases: &Path, current: &Path) -> Result<(), ReleaseError> {
    for path in links(folder) {
        let Ok(target) = fs::read_link(&path) else { continue };
        let Ok(inside) = target.strip_prefix(releases) else { continue };
        // Without the release's own folder.
        let unit: PathBuf = inside.components().skip(1).collect();
        disk::replace_link(&path, &current.join(unit))?;
    }
    Ok(())
}

fn links(folder: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_wants = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wants");
    let below = entries(folder).filter(is_wants).flat_map(|wants| entries(&wants).collect::<Vec<_>>());
    entries(folder).chain(below).collect()
}
