//! The files settings are read from, and the patterns by which one file names others.
//!
//! **Not**: a shell's patterns: one `*`, in the last part of the path, for any text without a leading dot.
//!
//! **Invariants**: files come in the order of their names, whatever order the folder has them in.
//!
//! **Source**: docs/config.md, "Several files".

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    reading::{read_bytes, read_text},
    watch::Mark,
};

/// The key by which the first file names others. It has no flag and no variable.
pub(super) const INCLUDE: &str = "include";

/// Where files are read from: the disk, or what a test has in memory.
pub trait Files {
    /// The text of a file.
    ///
    /// # Errors
    /// It is not there, or cannot be read as UTF-8.
    fn read(&self, file: &Path) -> io::Result<String>;

    /// The bytes of a file, whatever they are.
    ///
    /// # Errors
    /// It is not there, cannot be read, or has more than `bytes_max`.
    fn bytes(&self, file: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        let bytes = self.read(file)?.into_bytes();
        if bytes.len() <= bytes_max { Ok(bytes) } else { Err(too_large(bytes_max)) }
    }

    /// The paths of what is in a folder, in any order.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// A mark of its present state; `None` when it is not there.
    fn mark(&self, path: &Path) -> Option<Mark>;

    /// The folder that relative paths start from where no file names them; empty where that is not known.
    fn working_folder(&self) -> PathBuf {
        PathBuf::new()
    }
}

/// The files of this host.
#[derive(Clone, Copy, Debug)]
pub struct HostFiles;

impl Files for HostFiles {
    fn read(&self, file: &Path) -> io::Result<String> {
        read_text(file)
    }

    fn bytes(&self, file: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        let bytes = read_bytes(file)?;
        if bytes.len() <= bytes_max { Ok(bytes) } else { Err(too_large(bytes_max)) }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
    }

    fn mark(&self, path: &Path) -> Option<Mark> {
        fs::metadata(path).ok().map(|metadata| (&metadata).into())
    }

    fn working_folder(&self) -> PathBuf {
        std::env::current_dir().unwrap_or_default()
    }
}

/// One text for every file, in no folder, that never changes.
impl<F: Fn(&Path) -> io::Result<String>> Files for F {
    fn read(&self, file: &Path) -> io::Result<String> {
        self(file)
    }

    fn list(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }

    fn mark(&self, _: &Path) -> Option<Mark> {
        None
    }
}

fn too_large(bytes_max: usize) -> io::Error {
    io::Error::other(format!("it has more than {bytes_max} bytes"))
}

/// What [`is_pattern`] accepts, for a message.
pub(super) const ALLOWED: &str = "a list of files of the first file's folder, each a path that may have one \"*\" in its last part ([\"sites/*.toml\"])";

/// Whether this may name files.
pub(super) fn is_pattern(text: &str) -> bool {
    let stars = text.matches('*').count();
    let last = text.rsplit('/').next().unwrap_or_default();
    !last.is_empty() && !text.contains('\0') && (stars == 0 || (stars == 1 && last.contains('*')))
}

/// The files that a pattern names, by name; a pattern without `*` names one, whether it is there or not.
///
/// # Errors
/// The folder that cannot be read, and why.
pub(super) fn expand(folder: &Path, pattern: &str, files: &dyn Files) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let whole = folder.join(pattern);
    let Some(name) = whole.file_name().and_then(|name| name.to_str()) else { return Ok(vec![whole]) };
    let Some((start, end)) = name.split_once('*') else { return Ok(vec![whole]) };
    let inner = whole.parent().unwrap_or(folder);
    let is_named = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let rest = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
        rest.is_some() && !(start.is_empty() && name.starts_with('.'))
    };
    let listed = files.list(inner).map_err(|error| (inner.to_owned(), error))?;
    // Joined anew, so that messages name the file as the operator did.
    let mut found: Vec<PathBuf> =
        listed.iter().filter(|path| is_named(path)).filter_map(|path| Some(inner.join(path.file_name()?))).collect();
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(&'static [&'static str]);

    impl Files for Folder {
        fn read(&self, _: &Path) -> io::Result<String> {
            Err(io::ErrorKind::NotFound.into())
        }

        fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
            if folder == Path::new("etc/sites") {
                Ok(self.0.iter().map(|name| folder.join(name)).collect())
            } else {
                Err(io::ErrorKind::NotFound.into())
            }
        }

        fn mark(&self, _: &Path) -> Option<Mark> {
            None
        }
    }

    #[test]
    fn patterns_have_one_star_in_their_last_part() {
        for (text, good) in [
            ("a.toml", true),
            ("sites/*.toml", true),
            ("/etc/sites/a*", true),
            ("", false),
            ("sites/", false),
            ("s*/a.toml", false),
            ("sites/*.*", false),
            ("a\0", false),
        ] {
            assert_eq!(is_pattern(text), good, "{text:?}");
        }
    }

    #[test]
    fn files_come_by_name() {
        let files = Folder(&["b.toml", "a.toml", ".hidden.toml", "c.toml.bak", ".toml"]);
        let expanded = |pattern| expand(Path::new("etc"), pattern, &files).unwrap();
        assert_eq!(expanded("sites/*.toml"), [Path::new("etc/sites/a.toml"), Path::new("etc/sites/b.toml")]);
        assert_eq!(expanded("sites/c*"), [Path::new("etc/sites/c.toml.bak")]);
        assert_eq!(
            expanded("gone/x.toml"),
            [Path::new("etc/gone/x.toml")],
            "one file is named whether it is there or not"
        );
        assert_eq!(expand(Path::new("etc"), "gone/*", &files).unwrap_err().0, Path::new("etc/gone"));
    }
}
