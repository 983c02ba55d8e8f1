//! Settings that change under a process, in memory.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;

use super::*;
use crate::settings;
use crate::settings::{
    declare::KeyGroup,
    schema::{Change, ListedTables, NamedTables, Schema, SettingKey},
};

static SCHEMA: Schema =
    Schema { program: "sample", about: "A sample.", table: Sample::TABLE, rules: &[], relatives: &[], explains: false };

settings! {
    /// Settings of a sample.
    struct Sample {
        /// Fixed at the start.
        cores: u64 = SettingKey::count(1, 8).preset("1").restart(),
        /// Free to change.
        pause: Duration = SettingKey::duration(Duration::ZERO, Duration::from_secs(60)).preset("1s"),
        /// Rooms.
        room: std::collections::BTreeMap<String, Room> = NamedTables::new(Room::TABLE, 2, &["hall"]),
        /// Doors.
        door: Vec<Door> = ListedTables::new(Door::TABLE, 2, Change::Restart),
    }
}

settings! {
    /// One room.
    struct Room {
        /// Seats.
        seats: u64 = SettingKey::count(0, 100).preset("10"),
    }
}

settings! {
    /// One door.
    struct Door {
        /// Width.
        width: u64 = SettingKey::count(1, 9).required().restart(),
    }
}

impl Settings for Sample {
    const SCHEMA: &'static Schema = &SCHEMA;
}

/// Files of which one text after the other is read, and a folder.
#[derive(Clone, Default)]
struct Shelf {
    turn: Arc<AtomicUsize>,
    texts: Arc<Vec<Vec<(&'static str, &'static str)>>>,
}

impl Shelf {
    fn now(&self) -> &[(&'static str, &'static str)] {
        &self.texts[self.turn.load(Ordering::Relaxed)]
    }
}

impl Files for Shelf {
    fn read(&self, file: &Path) -> io::Result<String> {
        let found = self.now().iter().find(|(name, _)| Path::new(name) == file);
        found.map(|(_, text)| (*text).to_owned()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let files = self.now().iter().map(|(name, _)| PathBuf::from(name));
        Ok(files.filter(|file| file.parent() == Some(folder)).collect())
    }

    fn mark(&self, path: &Path) -> Option<Mark> {
        let text = self.read(path).unwrap_or_default();
        Some(Mark { modified_ns: 0, length_bytes: text.len() as u64, inode: 1 })
    }
}

/// Reloads through the texts, the first being what the process starts with. The log and what is to be put in force, for each.
fn reloads(texts: Vec<Vec<(&'static str, &'static str)>>) -> (Vec<(String, Option<Sample>)>, Reloader<Sample>) {
    let count = texts.len();
    let shelf = Shelf { turn: Arc::default(), texts: Arc::new(texts) };
    let source = ConfigSource::<Sample>::new(vec!["--config=/etc/a.toml".into()], Vec::new(), Box::new(shelf.clone()));
    let loaded = source.load_to_serve().unwrap_or_else(|errors| panic!("{errors}"));
    let reloader = Reloader::new(source, loaded.effective);
    let mut outcomes = Vec::new();
    for turn in 1..count {
        shelf.turn.store(turn, Ordering::Relaxed);
        let log = RefCell::new(String::new());
        let event = |_: LogLevel, event: &str, fields: LogFields<'_>| {
            let mut log = log.borrow_mut();
            write!(log, "{event}").unwrap();
            fields.iter().for_each(|(name, value)| write!(log, " {name}={value}").unwrap());
            log.push('\n');
        };
        let Some((_, Contents::Config(read))) = reloader.source().read().take() else { panic!("it is read in place") };
        let settings = reloader.reload(read, ReloadCause::Signal, &event);
        outcomes.push((log.into_inner(), settings));
    }
    (outcomes, reloader)
}

#[test]
fn what_can_change_does_and_the_rest_waits() {
    let (outcomes, reloader) = reloads(vec![
        vec![("/etc/a.toml", "pause = '2s'\n[[door]]\nwidth = 1\n")],
        vec![("/etc/a.toml", "pause = '3s'\ncores = 2\n[[door]]\nwidth = 1\n[[door]]\nwidth = 2\n[room.attic]\n")],
    ]);
    let (log, settings) = &outcomes[0];
    let settings = settings.as_ref().unwrap();
    assert_eq!((settings.pause, settings.cores, settings.door.len()), (Duration::from_secs(3), 1, 1));
    assert_eq!(settings.room.keys().collect::<Vec<_>>(), ["attic", "hall"]);
    let expected = [
        "config_needs_restart key=cores change=cores: 1 -> 2 (needs a restart)",
        "config_needs_restart key=door[2].width change=door[2].width: null -> 2 (needs a restart)",
        "config_changed key=pause change=pause: \"2s\" -> \"3s\" (takes effect by a reload)",
        "config_changed key=room.attic.seats change=room.attic.seats: null -> 10 (takes effect by a reload)",
    ];
    assert_eq!(log.lines().collect::<Vec<_>>(), expected);
    let shown = reloader.to_json();
    assert_eq!(shown["cores"], json!({"value": 1, "from": "default", "change": "restart", "pending": 2}));
    assert_eq!(shown["door[2].width"], json!({"pending": 2}));
    assert_eq!(shown["pause"]["value"], "3s");
    assert_eq!(shown["pause"]["from"], "file /etc/a.toml:1");
}

#[test]
fn what_waits_is_told_once_and_forgotten_when_it_is_taken_back() {
    let file = |text| vec![("/etc/a.toml", text)];
    let (outcomes, reloader) =
        reloads(vec![file(""), file("cores = 2\n"), file("cores = 2\n"), file("pause = '5s'\n")]);
    assert!(outcomes[0].0.starts_with("config_needs_restart key=cores"), "{}", outcomes[0].0);
    assert_eq!(outcomes[1].0, "config_unchanged file=/etc/a.toml cause=signal\n");
    assert!(outcomes[0].1.is_none() && outcomes[1].1.is_none() && outcomes[2].1.is_some());
    assert_eq!(reloader.to_json()["cores"], json!({"value": 1, "from": "default", "change": "restart"}));
    let counts = [&reloader.metrics.applied, &reloader.metrics.unchanged, &reloader.metrics.refused]
        .map(crate::metrics::Counter::value);
    assert_eq!(counts, [1, 2, 0]);
}

#[test]
fn a_bad_file_changes_nothing_and_every_error_is_told() {
    let (outcomes, reloader) = reloads(vec![
        vec![("/etc/a.toml", "include = ['more/*.toml']\n"), ("/etc/more/b.toml", "pause = '4s'\n")],
        vec![("/etc/a.toml", "include = ['more/*.toml']\ncores = 0\n"), ("/etc/more/b.toml", "puase = '5s'\n")],
    ]);
    let (log, settings) = &outcomes[0];
    assert!(settings.is_none());
    let expected = [
        "config_refused error=/etc/a.toml:2: cores: found 0, allowed: a count from 1 to 8, without a unit",
        "config_refused error=/etc/more/b.toml:1: puase: unknown key; did you mean \"pause\"?",
    ];
    assert_eq!(log.lines().collect::<Vec<_>>(), expected);
    assert_eq!(reloader.to_json()["pause"]["value"], "4s");
    assert_eq!(reloader.metrics.refused.value(), 1);
    // The files that were read are watched, also when what they say was refused, and the folder for those to come.
    let marks = reloader.source().look().take().unwrap();
    assert_eq!((marks.len(), &marks), (3, &reloader.source().read_marks()));
}

#[test]
fn generations_are_counted() {
    let (_, reloader) = reloads(vec![vec![("/etc/a.toml", "")]]);
    assert_eq!((reloader.generation(), reloader.next_generation(), reloader.generation()), (1, 2, 2));
}
