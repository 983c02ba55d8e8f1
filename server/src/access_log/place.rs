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

#[cfg(test)]
#[expect(clippy::disallowed_types, reason = "a socket that is in the way of a file")]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A folder of this test, with a file, a folder and a socket in it.
    fn folder() -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("corelane-place-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("inner")).expect("a folder");
        std::fs::write(folder.join("file"), "").expect("a file");
        drop(UnixListener::bind(folder.join("socket")).expect("a socket"));
        folder
    }

    #[test]
    fn a_file_is_named_that_can_be_written() {
        let folder = folder();
        let refused = |name: &str| check(&folder.join(name)).err().unwrap_or_default();
        assert_eq!(check(Path::new("-")), Ok(()));
        for name in ["file", "new", "inner/new"] {
            assert_eq!(refused(name), "", "{name}");
        }
        assert!(refused("inner").contains("it is a folder"));
        assert!(refused("new/").contains("it names a folder"));
        assert!(refused("socket").contains("it is a socket"));
        assert!(refused("absent/new").contains("make it, or name another file"));
        assert!(refused("file/new").contains("name another file"));
        assert!(!folder.join("new").exists(), "looking leaves no traces");
        assert_eq!(check(Path::new("a-file-beside-the-sources")), Ok(()), "the current folder");
        std::fs::remove_dir_all(&folder).expect("the folder goes");
    }

    #[test]
    fn permission_is_asked_for() {
        if rustix::process::geteuid().is_root() {
            // Root may write everywhere; on proc not even root makes a file.
            assert!(check(Path::new("/proc/self/new")).is_err());
            return;
        }
        let folder = folder();
        std::fs::set_permissions(folder.join("inner"), PermissionsExt::from_mode(0o500)).expect("a mode");
        assert!(check(&folder.join("inner/new")).is_err_and(|error| error.contains("let this user write to it")));
        std::fs::remove_dir_all(&folder).expect("the folder goes");
    }
}
