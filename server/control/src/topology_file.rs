//! The topology's file: read at the start, and again while the process runs.
//!
//! **Not** deciding what a new topology changes; the binary's supervisor does.
//!
//! **Invariants**: a message about the file begins with its name and line, where editors and terminals look for them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shardstore::placement::{Topology, TopologyError};
use thiserror::Error;

use crate::lifecycle::{Contents, PendingRead};
use crate::reading::{FilesHang, PendingFiles, ReadingPlace, read_text};
use crate::watch::Mark;

/// Reads the text of a topology.
type ReadText = Arc<dyn Fn() -> io::Result<String> + Send + Sync>;

/// Says what its file looks like now; `None` when it cannot be looked at.
type LookAt = Arc<dyn Fn() -> Option<Mark> + Send + Sync>;

/// Where the topology comes from while a process runs; in a simulation it is no file.
pub struct TopologySource {
    /// How it is called in messages: the file's name.
    pub name: String,
    read: ReadText,
    mark: LookAt,
    /// What its file looked like before it was read at the start.
    marks_at_start: Vec<Mark>,
    reader: ReadingPlace,
}

/// Why there is no topology. The operator's to correct.
#[derive(Debug, Error)]
pub enum TopologyFileError {
    /// The file cannot be read.
    #[error("{}: cannot read the topology: {error}; `topology` names its file", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is no topology.
    #[error("{0}")]
    Refused(String),
    /// The file's file system does not answer.
    #[error("{0}")]
    Hangs(#[from] FilesHang),
}

/// All that is wrong with a topology, each as `name:line: what`.
#[must_use]
pub fn refusals(name: &str, error: &TopologyError) -> Vec<String> {
    let line = |error: &TopologyError| {
        let text = error.to_string();
        let rest = text.strip_prefix(&format!("line {}: ", error.line())).unwrap_or(&text);
        format!("{name}:{}: {rest}", error.line())
    };
    error.all().map(line).collect()
}

impl TopologySource {
    /// A source that is read where it is asked for, and looked at now.
    #[must_use]
    pub fn in_place(
        name: &str,
        read: impl Fn() -> io::Result<String> + Send + Sync + 'static,
        mark: impl Fn() -> Option<Mark> + Send + Sync + 'static,
    ) -> Self {
        let marks_at_start = mark().into_iter().collect();
        let (read, mark) = (Arc::new(read), Arc::new(mark));
        Self { name: name.to_owned(), read, mark, marks_at_start, reader: ReadingPlace::InPlace }
    }

    /// The source that reads `file`, which it looks at now.
    #[must_use]
    pub fn of_file(file: &Path) -> Self {
        let (marked, read) = (file.to_owned(), file.to_owned());
        let mark = move || fs::metadata(&marked).ok().map(|metadata| (&metadata).into());
        Self::in_place(&file.display().to_string(), move || read_text(&read), mark)
    }

    /// Has it read by `reader` from now on.
    #[must_use]
    pub fn by(self, reader: ReadingPlace) -> Self {
        Self { reader, ..self }
    }

    /// Reads it: its marks before it was read, and its text.
    pub fn read<C: Send + 'static>(&self) -> PendingRead<C> {
        let (read, mark) = (Arc::clone(&self.read), Arc::clone(&self.mark));
        self.reader.begin(move || (mark().into_iter().collect(), Contents::Topology(read())))
    }

    /// Looks at it: its marks.
    pub fn look(&self) -> PendingFiles<Vec<Mark>> {
        let mark = Arc::clone(&self.mark);
        self.reader.begin(move || mark().into_iter().collect())
    }

    /// Its marks before it was read at the start.
    #[must_use]
    pub fn marks_at_start(&self) -> Vec<Mark> {
        self.marks_at_start.clone()
    }
}

/// Reads and checks a topology's file, by `place`. Before the process serves.
///
/// # Errors
///
/// [`TopologyFileError`]; it hangs when the file has not answered within `timeout`.
pub fn read(
    file: &Path,
    place: &ReadingPlace,
    timeout: Duration,
) -> Result<(Topology, TopologySource), TopologyFileError> {
    let file = file.to_owned();
    let (source, text) = place.within(timeout, move |looking| {
        looking.note(&file);
        let source = TopologySource::of_file(&file);
        let text = read_text(&file).map_err(|error| TopologyFileError::Unreadable { file, error });
        (source, text)
    })?;
    let text = text?;
    let refused = |error| TopologyFileError::Refused(refusals(&source.name, &error).join("\n"));
    Ok((Topology::parse(&text).map_err(refused)?, source))
}

/// How a topology relates to the one in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// It is the one in force.
    Same,
    /// It may be put in force.
    Newer,
}

/// Whether `next` may follow `current`.
///
/// # Errors
///
/// Why not; the operator's to correct.
pub fn successor(current: &Topology, next: &Topology) -> Result<Follows, String> {
    if next.cluster() != current.cluster() {
        return Err(format!(
            "cluster is {:?}, this process belongs to {:?}; start it anew to move it to another cluster",
            next.cluster(),
            current.cluster()
        ));
    }
    if next.hash_seed() != current.hash_seed() {
        return Err("hash_seed differs, which would move every key; start all processes of the cluster anew".into());
    }
    if next.epoch() < current.epoch() {
        return Err(format!("epoch is {}, {} is in force; raise it with every change", next.epoch(), current.epoch()));
    }
    if next.epoch() > current.epoch() {
        return Ok(Follows::Newer);
    }
    if next.text() == current.text() {
        return Ok(Follows::Same);
    }
    Err(format!("it differs from the one in force, but its epoch is {} too; raise the epoch", next.epoch()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_stands_behind_the_file_and_its_line() {
        let folder = std::env::temp_dir().join(format!("corelane-topology-file-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("topology.toml");
        let read = |file| super::read(file, &ReadingPlace::InPlace, Duration::MAX);
        let missing = read(&file).err().expect("there is no file yet").to_string();
        assert!(missing.starts_with(&format!("{}: cannot read", file.display())), "{missing}");
        fs::write(&file, "cluster = \"a\"\nepoch = 0\n[[node]]\nid = 1\naddress = \"127.0.0.1:1\"\n").unwrap();
        let refused = read(&file).err().expect("epoch 0 is refused").to_string();
        assert!(refused.starts_with(&format!("{}:2: ", file.display())) && !refused.contains("line 2"), "{refused}");
        fs::write(&file, "cluster = \"a\"\nepoch = 3\n[[node]]\nid = 1\naddress = \"127.0.0.1:1\"\n").unwrap();
        let (topology, source) = read(&file).unwrap();
        let Some((_, Contents::<()>::Topology(text))) = source.read().take() else { panic!("it is read in place") };
        assert_eq!((topology.epoch(), text.unwrap().lines().count()), (3, 5));
        assert_eq!(source.look().take().unwrap().len(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }

    fn topology(cluster: &str, epoch: u32, rest: &str) -> Topology {
        let text = format!(
            "cluster = \"{cluster}\"\nepoch = {epoch}\n{rest}\n[[node]]\nid = 1\naddress = \"10.0.0.1:7401\"\n"
        );
        Topology::parse(&text).unwrap()
    }

    #[test]
    fn only_a_successor_is_put_in_force() {
        let seed = "hash_seed = 7";
        let current = topology("blue", 5, seed);
        let cases = [
            (topology("blue", 5, seed), Ok(Follows::Same)),
            (topology("blue", 6, seed), Ok(Follows::Newer)),
            (topology("blue", 5, "hash_seed = 7 # changed"), Err("raise the epoch")),
            (topology("blue", 4, seed), Err("raise it with every change")),
            (topology("blue", 6, "hash_seed = 8"), Err("hash_seed differs")),
            (topology("green", 6, seed), Err("another cluster")),
        ];
        for (next, expected) in cases {
            match (successor(&current, &next), expected) {
                (Ok(follows), Ok(expected)) => assert_eq!(follows, expected),
                (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason}"),
                (found, expected) => panic!("{found:?}, not {expected:?}"),
            }
        }
    }
}
