//! Unpacking an archive whose hash is known to be right, file by file against the manifest.
//!
//! The archive has one folder, named as the archive without its suffix, with the files in it.
//!
//! **Invariants**: only regular files that the manifest names are written, each once, inside the folder, and never over
//! something that is there already. Links and devices are refused, whatever they point at. Modes do not depend on the umask.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use ruzstd::decoding::StreamingDecoder;
use tar::EntryType;

use crate::ReleaseError;
use crate::bundle::ARCHIVE_SUFFIX;
use crate::folder;
use crate::manifest::{ReleaseFile, ReleaseManifest};
use crate::path::ReleasePath;
use crate::sum::HashingReader;

/// Where unpacked files go.
#[derive(Clone, Copy)]
pub(crate) enum Unpacking<'a> {
    /// Into this folder.
    Into(&'a Path),
    /// Nowhere: they are only looked at.
    Nowhere,
}

/// Unpacks `archive`, which `path` names in messages.
pub(crate) fn unpack(
    manifest: &ReleaseManifest,
    path: &Path,
    archive: &File,
    to: Unpacking<'_>,
) -> Result<(), ReleaseError> {
    let unreadable = |reason: String| ReleaseError::Archive { path: path.into(), reason };
    let decoder = StreamingDecoder::new(BufReader::new(archive)).map_err(|error| unreadable(error.to_string()))?;
    let mut tar = tar::Archive::new(decoder);
    let mut awaited: BTreeMap<&ReleasePath, &ReleaseFile> =
        manifest.files.iter().map(|file| (&file.path, file)).collect();
    let root = manifest.archive.file.as_str().trim_end_matches(ARCHIVE_SUFFIX);
    for entry in tar.entries().map_err(|error| unreadable(error.to_string()))? {
        let mut entry = entry.map_err(|error| unreadable(error.to_string()))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind == EntryType::Directory {
            // Folders are made where files need them.
            continue;
        }
        let inside =
            ReleasePath::new(name.strip_prefix(root).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&name))?;
        let refused = |reason: String| ReleaseError::Entry { file: name.clone(), reason };
        if kind != EntryType::Regular {
            return Err(refused("neither a file nor a folder; a release has nothing else".to_owned()));
        }
        let Some(file) = awaited.remove(&inside) else {
            let is_second = manifest.files.iter().any(|file| file.path == inside);
            let reason = if is_second { "twice in the archive" } else { "in the archive, and not in the manifest" };
            return Err(refused(reason.to_owned()));
        };
        let size = entry.size();
        if size != file.bytes {
            let (expected, found) = (file.bytes.to_string(), size.to_string());
            return Err(ReleaseError::Changed { file: inside.to_string(), what: "size", expected, found });
        }
        write_file(file, &mut entry, to)?;
    }
    match awaited.keys().next() {
        None => Ok(()),
        Some(path) => Err(ReleaseError::Entry {
            file: path.to_string(),
            reason: "in the manifest, and not in the archive".into(),
        }),
    }
}

fn write_file(file: &ReleaseFile, content: impl Read, to: Unpacking<'_>) -> Result<(), ReleaseError> {
    let mut content = HashingReader::new(content);
    match to {
        Unpacking::Nowhere => {
            io::copy(&mut content, &mut io::sink())
                .map_err(ReleaseError::io(Path::new(file.path.as_str()), "unpacking"))?;
        }
        Unpacking::Into(folder) => write_into(file, &mut content, folder)?,
    }
    let (sum, _) = content.finish();
    if sum == file.sha256 { Ok(()) } else { Err(ReleaseError::changed_sum(file.path.as_str(), file.sha256, sum)) }
}

fn write_into(file: &ReleaseFile, content: &mut impl Read, folder: &Path) -> Result<(), ReleaseError> {
    let path = file.path.within(folder);
    file.path.folders().try_for_each(|inner| folder::make(&folder.join(inner)))?;
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(file.mode.bits())
        .open(&path)
        .map_err(ReleaseError::io(&path, "cannot be made"))?;
    io::copy(content, &mut out).map_err(ReleaseError::io(&path, "cannot be written"))?;
    // Whatever the umask took away.
    out.set_permissions(fs::Permissions::from_mode(file.mode.bits()))
        .map_err(ReleaseError::io(&path, "its mode cannot be set"))?;
    out.sync_all().map_err(ReleaseError::io(&path, "cannot be written to the disk"))
}
