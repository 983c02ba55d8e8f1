//! Reading those files, and looking whether they are others than were read.
//!
//! **Not** parsing.
//!
//! **Invariants**: only regular files are read; marks are of before the reading, in the order of the names.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use corelane_tls::crypto::{CryptoProvider, WallClock, provider};
use corelane_tls::store::{NamedFile, TlsParts};

use super::SecurityFault;
use crate::{
    lifecycle::{Contents, FILES_TIMEOUT, PendingRead},
    reading::{FilesHang, PendingFiles, ReadingPlace, read_bytes},
    watch::Mark,
};

type ReadBytes = Arc<dyn Fn(&Path) -> io::Result<Vec<u8>> + Send + Sync>;

type MarkOf = Arc<dyn Fn(&Path) -> Option<Mark> + Send + Sync>;

/// What was read of files, by their names.
#[derive(Debug, Default)]
pub struct SecurityFiles(BTreeMap<PathBuf, io::Result<Vec<u8>>>);

impl SecurityFiles {
    /// What a file holds that a setting names.
    ///
    /// # Errors
    ///
    /// It could not be read: why, with its name. One that is not there may be about to be.
    pub fn named<'f>(&'f self, setting: &'f str, file: &'f Path) -> Result<NamedFile<'f>, SecurityFault> {
        let (reason, may_be_half_replaced) = match self.0.get(file) {
            Some(Ok(bytes)) => {
                // A path that is no text is still that of a file; messages show what can be shown.
                return Ok(NamedFile { setting, path: file.to_str().unwrap_or("(not UTF-8)"), bytes });
            }
            Some(Err(error)) => (format!("cannot be read: {error}"), error.kind() == io::ErrorKind::NotFound),
            None => ("was not read".to_owned(), true),
        };
        let text = format!("{setting}: {}: {reason}", file.display());
        Err(SecurityFault { text, may_be_half_replaced })
    }
}

/// Where those files are read, at the start and later.
pub struct SecuritySource {
    read: ReadBytes,
    mark: MarkOf,
    reader: ReadingPlace,
}

impl SecuritySource {
    /// Files that are read, and looked at, like this, where it is asked for.
    #[must_use]
    pub fn in_place(
        read: impl Fn(&Path) -> io::Result<Vec<u8>> + Send + Sync + 'static,
        mark: impl Fn(&Path) -> Option<Mark> + Send + Sync + 'static,
    ) -> Self {
        Self { read: Arc::new(read), mark: Arc::new(mark), reader: ReadingPlace::InPlace }
    }

    /// The files of this host.
    #[must_use]
    pub fn of_host() -> Self {
        Self::in_place(read_bytes, |file| fs::metadata(file).ok().map(|metadata| (&metadata).into()))
    }

    /// No files at all: a process that has no certificate.
    #[must_use]
    pub fn none() -> Self {
        Self::in_place(|_| Err(io::ErrorKind::NotFound.into()), |_| None)
    }

    /// Has them read by `reader` from now on.
    #[must_use]
    pub fn by(self, reader: ReadingPlace) -> Self {
        Self { reader, ..self }
    }

    /// Reads them: their marks of before, and what they hold.
    pub fn read<C: Send + 'static>(&self, names: Vec<PathBuf>) -> PendingRead<C> {
        if names.is_empty() {
            return PendingFiles::ready((Vec::new(), Contents::Security(SecurityFiles::default())));
        }
        let (read, mark) = (Arc::clone(&self.read), Arc::clone(&self.mark));
        self.reader.begin(move || {
            let (marks, files) = read_all(&*read, &*mark, &names);
            (marks, Contents::Security(files))
        })
    }

    /// Looks at them: their marks.
    pub fn look(&self, names: Vec<PathBuf>) -> PendingFiles<Vec<Mark>> {
        if names.is_empty() {
            return PendingFiles::ready(Vec::new());
        }
        let mark = Arc::clone(&self.mark);
        self.reader.begin(move || names.iter().filter_map(|file| mark(file)).collect())
    }
}

/// What a process reads of those files before it serves, and where it reads them later.
pub struct SecurityAtStart {
    /// Where they are read again.
    pub source: SecuritySource,
    /// What they looked like before they were read.
    pub marks: Vec<Mark>,
    /// What they hold.
    pub files: SecurityFiles,
    /// What computes.
    pub provider: Arc<CryptoProvider>,
    /// The wall time by which certificates are valid. The control core tells it.
    pub clock: Arc<WallClock>,
}

impl SecurityAtStart {
    /// Nothing: a process that has no certificate.
    #[must_use]
    pub fn none() -> Self {
        Self {
            source: SecuritySource::none(),
            marks: Vec::new(),
            files: SecurityFiles::default(),
            provider: provider(),
            clock: Arc::default(),
        }
    }

    /// Reads these files of `source`, here and now.
    #[must_use]
    pub fn read_now(source: SecuritySource, names: &[PathBuf], wall_ms: u64) -> Self {
        let (marks, files) = read_all(&*source.read, &*source.mark, names);
        Self { source, marks, files, provider: provider(), clock: clock_at(wall_ms) }
    }

    /// Has it computed by `provider`.
    #[must_use]
    pub fn computed_by(self, provider: Arc<CryptoProvider>) -> Self {
        Self { provider, ..self }
    }

    /// What snapshots are made of besides files.
    #[must_use]
    pub fn parts(&self) -> TlsParts {
        TlsParts { provider: Arc::clone(&self.provider), time: Arc::clone(&self.clock) as _, key_log: None }
    }

    /// The same by `place`.
    ///
    /// # Errors
    ///
    /// A file has not answered within [`FILES_TIMEOUT`].
    pub fn read(
        source: SecuritySource,
        place: &ReadingPlace,
        names: Vec<PathBuf>,
        wall_ms: u64,
    ) -> Result<Self, FilesHang> {
        let (read, mark) = (Arc::clone(&source.read), Arc::clone(&source.mark));
        let (marks, files) = place.within(FILES_TIMEOUT, move |looking| {
            let noting = |file: &Path| {
                looking.note(file);
                read(file)
            };
            read_all(&noting, &*mark, &names)
        })?;
        Ok(Self { source, marks, files, provider: provider(), clock: clock_at(wall_ms) })
    }

    /// Has them read by `reader` from now on.
    #[must_use]
    pub fn by(self, reader: ReadingPlace) -> Self {
        Self { source: self.source.by(reader), ..self }
    }
}

fn clock_at(wall_ms: u64) -> Arc<WallClock> {
    let clock = WallClock::default();
    clock.set_wall_ms(wall_ms);
    Arc::new(clock)
}

/// How the files are called in messages.
#[must_use]
pub fn names_of(files: &[PathBuf]) -> String {
    match files {
        [] => "none".to_owned(),
        files => files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(","),
    }
}

fn read_all(
    read: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
    mark: &dyn Fn(&Path) -> Option<Mark>,
    names: &[PathBuf],
) -> (Vec<Mark>, SecurityFiles) {
    let marks = names.iter().filter_map(|file| mark(file)).collect();
    (marks, SecurityFiles(names.iter().map(|file| (file.clone(), read(file))).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_found_by_its_name_and_what_is_not_says_so() {
        let read = |file: &Path| match file.to_str() {
            Some("a") => Ok(b"bytes".to_vec()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        let mark = |file: &Path| (file == Path::new("a")).then_some(Mark { modified_ns: 1, length_bytes: 5, inode: 2 });
        let source = SecuritySource::in_place(read, mark);
        let SecurityAtStart { source, marks, files, .. } =
            SecurityAtStart::read_now(source, &["a".into(), "b".into()], 0);
        assert_eq!(marks.len(), 1, "what is not there has no mark");
        let named = |file| files.named("certificate.web.key", Path::new(file));
        let found = named("a").unwrap();
        assert_eq!((found.setting, found.path, found.bytes), ("certificate.web.key", "a", &b"bytes"[..]));
        let missing = named("b").unwrap_err();
        assert!(missing.text.starts_with("certificate.web.key: b: cannot be read: "), "{missing:?}");
        assert!(missing.may_be_half_replaced, "it may be about to be renamed to");
        assert_eq!(named("c").unwrap_err().text, "certificate.web.key: c: was not read");
        assert_eq!(source.look(vec!["a".into(), "b".into()]).take(), Some(marks));
    }
}
