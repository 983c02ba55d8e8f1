//! Where images are kept: outside the repository, by what they were made from, and used by one run at a time.
//!
//! ```text
//!  ${XDG_CACHE_HOME:-~/.cache}/corelane-lab/
//!      lock                 held by whoever runs a lab
//!      vm-<fingerprint>/    an image and its keys; complete, or not there
//! ```

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};

/// The cache, held by this process until it is dropped.
#[derive(Debug)]
pub struct ImageCache {
    folder: PathBuf,
    _lock: File,
}

impl ImageCache {
    /// Makes the folder where it is not there, and takes the lock.
    ///
    /// # Errors
    /// The operator's: the folder cannot be made, or another run holds the lock.
    pub fn open() -> Result<Self> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
        Self::open_in(&cache.context("neither XDG_CACHE_HOME nor HOME is set")?)
    }

    fn open_in(cache: &Path) -> Result<Self> {
        let folder = cache.join("corelane-lab");
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let path = folder.join("lock");
        let lock = File::create(&path).with_context(|| path.display().to_string())?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .with_context(|| format!("another run of the lab holds {}; wait for its end", path.display()))?;
        Ok(Self { folder, _lock: lock })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of an image, made by `build` in a folder beside it if it is not there yet.
    ///
    /// # Errors
    /// Those of `build`; what it has made is removed then.
    pub fn image(&self, name: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        if folder.is_dir() {
            return Ok(folder);
        }
        let partial = self.folder.join(format!("{name}.partial"));
        remove_folder(&partial)?;
        std::fs::create_dir_all(&partial)?;
        if let Err(error) = build(&partial) {
            remove_folder(&partial)?;
            return Err(error);
        }
        std::fs::rename(&partial, &folder).with_context(|| folder.display().to_string())?;
        Ok(folder)
    }

    /// Removes the images of a kind but one: nobody will ask for them again.
    ///
    /// # Errors
    /// The file system's.
    pub fn remove_others(&self, kind: &str, keep: &str) -> Result<()> {
        for entry in std::fs::read_dir(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with(kind) && name != keep {
                remove_folder(&self.folder.join(name))?;
            }
        }
        Ok(())
    }
}

fn remove_folder(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| folder.display().to_string())
        }
        _ => Ok(()),
    }
}

/// 64 bits of what an image is made from (FNV-1a): another list of packages or another script is another image.
#[must_use]
pub fn fingerprint(parts: &[&str]) -> String {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_eq!(fingerprint(&["ab", "c"]), fingerprint(&["ab", "c"]));
        assert_ne!(fingerprint(&["ab", "c"]), fingerprint(&["a", "bc"]));
        // The published value of the empty input.
        assert_eq!(fingerprint(&[]), "cbf29ce484222325");
    }

    #[test]
    fn an_image_is_built_once_and_is_complete_or_not_there() {
        let folder = std::env::temp_dir().join(format!("corelane-lab-cache-{}", std::process::id()));
        let cache = ImageCache::open_in(&folder).unwrap();
        assert!(ImageCache::open_in(&folder).unwrap_err().to_string().contains("another run"));
        let broken = cache.image("vm-1", |partial| {
            std::fs::write(partial.join("half"), "").unwrap();
            bail!("it broke")
        });
        assert_eq!(broken.unwrap_err().to_string(), "it broke");
        let image = cache.image("vm-1", |partial| Ok(std::fs::write(partial.join("whole"), "")?)).unwrap();
        let again = cache.image("vm-1", |_| bail!("it is there already")).unwrap();
        assert_eq!(image, again);
        assert!(image.join("whole").is_file() && !image.join("half").exists());
        cache.image("vm-2", |_| Ok(())).unwrap();
        cache.remove_others("vm-", "vm-2").unwrap();
        assert!(!image.exists() && folder.join("corelane-lab/vm-2").is_dir());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
