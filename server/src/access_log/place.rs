//! Whether a file can be what the access log is written to.
//!
//! **Not** opening or making it: `--check` leaves no traces.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{Access, access};

/// The name of the standard output.
pub(super) const STANDARD_OUTPUT: &str = "-";

/// # Errors
/// Why it cannot, and what to do.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    if path.as_os_str() == STANDARD_OUTPUT {
        return Ok(());
    }
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err("it is a folder; name a file in it".to_owned()),
        Ok(metadata) if metadata.file_type().is_socket() => Err("it is a socket; name a file or a pipe".to_owned()),
        Ok(_) => access(path, Access::WRITE_OK)
            .map_err(|error| format!("{}; let this user write to it, or name another file", described(error))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => check_folder(path),
        Err(error) => Err(format!("{error}; name another file")),
    }
}

/// Whether a file can be made there.
fn check_folder(path: &Path) -> Result<(), String> {
    if path.as_os_str().as_bytes().ends_with(b"/") {
        return Err("it names a folder; name a file in it".to_owned());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let shown = folder.display();
    match std::fs::metadata(folder) {
        Err(error) => Err(format!("the folder {shown}: {error}; make it, or name another file")),
        Ok(_) => access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
            format!("the folder {shown}: {}; let this user write to it, or name another file", described(error))
        }),
    }
}

/// As the standard library says it.
fn described(error: rustix::io::Errno) -> io::Error {
    io::Error::from(error)
}
