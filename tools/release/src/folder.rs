//! Folders of releases: made so that every user can read them and nobody but their owner can change them.
//!
//! **Invariants**: no mode depends on the umask.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::ReleaseError;

/// The mode of every folder: services run as users of their own, and read programs and units through them.
pub(crate) const MODE: u32 = 0o755;

/// Makes a folder, with those above it; one that is there gets the mode, if it has another.
pub(crate) fn make(path: &Path) -> Result<(), ReleaseError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.exists()) {
        make(parent)?;
    }
    match DirBuilder::new().mode(MODE).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(ReleaseError::io(path, "cannot be made")(error));
        }
        _ => {}
    }
    let facts = fs::metadata(path).map_err(ReleaseError::io(path, "cannot be read"))?;
    if facts.mode() & 0o7777 == MODE {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(ReleaseError::io(path, "its mode cannot be set"))
}
