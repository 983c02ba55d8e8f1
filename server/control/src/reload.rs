//! The settings of a running process: where they are read again, what of them takes effect, and what waits for a restart.
//!
//! ```text
//!  files, flags, environment ─▶ Tree as given ─┬─ keys that reload ──▶ Tree in force ─▶ the binary's snapshot
//!                                              └─ keys that restart ─▶ pending: log, /v1/config
//! ```
//!
//! **Not**: when, which is [`crate::lifecycle`]'s; nor what the binary makes of new settings.
//!
//! **Invariants**: settings that are refused change nothing; the generation rises by one with everything that is put in force.
//!
//! **Source**: docs/config.md, "Changes while it runs".

use std::{
    cell::RefCell,
    ffi::OsString,
    fmt::Display,
    io,
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::{Map, Value};

use crate::{
    lifecycle::{Contents, PendingRead, ReloadCause},
    log::{LogFields, LogLevel},
    metrics::ConfigMetrics,
    reading::{FilesHang, LookingAt, PendingFiles, ReadingPlace},
    settings::{
        Invocation, Loaded, Settings, SettingsErrors, SettingsSources, SettingsTree,
        include::{Files, HostFiles},
        load,
    },
    watch::Mark,
};

/// Where the settings of a process come from, at the start and later.
pub struct ConfigSource<T> {
    sources: Arc<Sources>,
    reader: ReadingPlace,
    /// What was looked at when the settings were read last.
    seen: RefCell<SeenFiles>,
    settings: PhantomData<fn() -> T>,
}

struct Sources {
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    files: Box<dyn Files + Send + Sync>,
}

/// Every file and folder that was looked at, and what it looked like before it was read.
type SeenFiles = Vec<(PathBuf, Option<Mark>)>;

/// Settings as they were read, with what was looked at.
pub struct ConfigRead<T> {
    outcome: Result<Invocation<T>, SettingsErrors>,
    seen: SeenFiles,
}

impl Sources {
    fn read<T: Settings>(&self, looking: Option<&LookingAt>) -> ConfigRead<T> {
        let seen = RefCell::default();
        let outcome = load(&SettingsSources {
            arguments: self.arguments.clone(),
            environment: self.environment.clone(),
            files: &Noting { files: &*self.files, seen: &seen, looking },
        });
        ConfigRead { outcome, seen: seen.take() }
    }
}

impl<T> ConfigRead<T> {
    /// What was read looked like this before.
    fn marks(&self) -> Vec<Mark> {
        self.seen.iter().filter_map(|(_, mark)| *mark).collect()
    }
}

impl<T: Settings + Send + 'static> ConfigSource<T> {
    /// The command line, the environment and the disk of this process.
    #[must_use]
    pub fn of_process() -> Self {
        // The one place of the product that reads the environment.
        Self::new(std::env::args_os().skip(1).collect(), std::env::vars_os().collect(), Box::new(HostFiles))
    }

    /// These arguments, this environment and these files, read where that is asked for.
    #[must_use]
    pub fn new(
        arguments: Vec<OsString>,
        environment: Vec<(OsString, OsString)>,
        files: Box<dyn Files + Send + Sync>,
    ) -> Self {
        let sources = Arc::new(Sources { arguments, environment, files });
        Self { sources, reader: ReadingPlace::InPlace, seen: RefCell::default(), settings: PhantomData }
    }

    /// Has the files read by `reader` from now on.
    #[must_use]
    pub fn by(self, reader: ReadingPlace) -> Self {
        Self { reader, ..self }
    }

    /// A variable of the environment that is no setting.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<OsString> {
        self.sources.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    /// Reads and checks the settings, by `place`. Before the process serves.
    ///
    /// # Errors
    ///
    /// A file has not answered within `timeout`; inside as [`load`].
    pub fn load_within(
        &self,
        place: &ReadingPlace,
        timeout: Duration,
    ) -> Result<Result<Invocation<T>, SettingsErrors>, FilesHang> {
        let sources = Arc::clone(&self.sources);
        Ok(self.take(place.within(timeout, move |looking| sources.read(Some(looking)))?))
    }

    /// Reads and checks the settings, here and now: where files are memory.
    ///
    /// # Errors
    ///
    /// As [`load`].
    pub fn load(&self) -> Result<Invocation<T>, SettingsErrors> {
        self.take(self.sources.read(None))
    }

    /// The same, of a process that serves.
    ///
    /// # Errors
    ///
    /// As [`load`].
    ///
    /// # Panics
    ///
    /// When the arguments ask for something else than to serve.
    pub fn load_to_serve(&self) -> Result<Loaded<T>, SettingsErrors> {
        match self.load()? {
            Invocation::Serve(loaded) => Ok(*loaded),
            Invocation::Check(..) | Invocation::Print(_) => panic!("the arguments ask to serve"),
        }
    }

    /// Reads and checks the settings of a process that serves.
    pub fn read(&self) -> PendingRead<ConfigRead<T>> {
        let sources = Arc::clone(&self.sources);
        self.reader.begin(move || {
            let read = sources.read(None);
            (read.marks(), Contents::Config(read))
        })
    }

    /// Looks at what was read last: its present marks; empty when nothing was read, or none of it is left.
    pub fn look(&self) -> PendingFiles<Vec<Mark>> {
        let sources = Arc::clone(&self.sources);
        let paths: Vec<PathBuf> = self.seen.borrow().iter().map(|(path, _)| path.clone()).collect();
        self.reader.begin(move || paths.iter().filter_map(|path| sources.files.mark(path)).collect())
    }

    /// The marks as they were before the files were read last.
    #[must_use]
    pub fn read_marks(&self) -> Vec<Mark> {
        self.seen.borrow().iter().filter_map(|(_, mark)| *mark).collect()
    }

    fn take(&self, read: ConfigRead<T>) -> Result<Invocation<T>, SettingsErrors> {
        self.seen.replace(read.seen);
        read.outcome
    }

    /// The name of the configuration file; `none` where none was named.
    pub fn name(&self) -> String {
        self.seen.borrow().first().map_or_else(|| "none".to_owned(), |(file, _)| file.display().to_string())
    }
}

/// Files that are noted when they are looked at.
struct Noting<'a> {
    files: &'a dyn Files,
    seen: &'a RefCell<SeenFiles>,
    looking: Option<&'a LookingAt>,
}

impl Noting<'_> {
    fn note(&self, path: &Path) {
        if let Some(looking) = self.looking {
            looking.note(path);
        }
        self.seen.borrow_mut().push((path.to_owned(), self.files.mark(path)));
    }
}

impl Files for Noting<'_> {
    fn read(&self, file: &Path) -> io::Result<String> {
        self.note(file);
        self.files.read(file)
    }

    fn bytes(&self, file: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        self.note(file);
        self.files.bytes(file, bytes_max)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.note(folder);
        self.files.list(folder)
    }

    fn mark(&self, path: &Path) -> Option<Mark> {
        self.files.mark(path)
    }

    fn working_folder(&self) -> PathBuf {
        self.files.working_folder()
    }
}

/// A key that has one value here and another there, both as JSON; null where it is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its path.
    pub key: String,
    /// The value it has.
    pub old: Value,
    /// The value it is given.
    pub new: Value,
    /// Whether the new one needs a restart of the process to take effect.
    pub needs_restart: bool,
}

impl Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { key, old, new, needs_restart } = self;
        let effect = if *needs_restart { "needs a restart" } else { "takes effect by a reload" };
        write!(f, "{key}: {old} -> {new} ({effect})")
    }
}

/// How the settings `new` differ from `old`, both in the form of [`SettingsTree::to_json`], by path.
#[must_use]
pub fn differences(old: &Value, new: &Value) -> Vec<Difference> {
    let nothing = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&nothing), new.as_object().unwrap_or(&nothing));
    let mut keys: Vec<&String> = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))).collect();
    keys.sort();
    let value_of =
        |settings: &Map<String, Value>, key: &str| settings.get(key).map_or(Value::Null, |it| it["value"].clone());
    let differing = keys.into_iter().filter(|key| value_of(old, key) != value_of(new, key));
    differing
        .map(|key| Difference {
            old: value_of(old, key),
            new: value_of(new, key),
            needs_restart: new.get(key).or(old.get(key)).is_some_and(|it| it["change"] == "restart"),
            key: key.clone(),
        })
        .collect()
}

/// The settings in force, and how they change. Owned by the control core.
pub struct Reloader<T> {
    source: ConfigSource<T>,
    in_force: RefCell<SettingsTree>,
    /// What was given last and waits for a restart.
    pending: RefCell<Vec<Difference>>,
    metrics: ConfigMetrics,
}

impl<T: Settings + Send + 'static> Reloader<T> {
    /// What the process was started with.
    #[must_use]
    pub fn new(source: ConfigSource<T>, in_force: SettingsTree) -> Self {
        let metrics = ConfigMetrics::default();
        metrics.generation.set(1);
        Self { source, in_force: RefCell::new(in_force), pending: RefCell::default(), metrics }
    }

    /// The number of what is in force.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.metrics.generation.value()
    }

    /// The number of what is to be put in force next.
    pub fn next_generation(&self) -> u64 {
        self.metrics.generation.set(self.generation() + 1);
        self.generation()
    }

    /// Where they come from.
    #[must_use]
    pub fn source(&self) -> &ConfigSource<T> {
        &self.source
    }

    /// Takes settings that were read again, and gives what is to be put in force if that differs from what is. `event` logs.
    pub fn reload(
        &self,
        read: ConfigRead<T>,
        cause: ReloadCause,
        event: &dyn Fn(LogLevel, &str, LogFields<'_>),
    ) -> Option<T> {
        let given = match self.source.take(read) {
            Ok(Invocation::Serve(loaded)) => loaded.effective,
            Ok(Invocation::Check(..) | Invocation::Print(_)) => return None,
            Err(errors) => {
                self.metrics.refused.increment();
                for error in errors.errors() {
                    event(LogLevel::Error, "config_refused", &[("error", error)]);
                }
                return None;
            }
        };
        let next = self.in_force.borrow().adopting(&given);
        let next_json = next.to_json();
        let changed = differences(&self.in_force.borrow().to_json(), &next_json);
        let pending = differences(&next_json, &given.to_json());
        if pending != *self.pending.borrow() {
            for difference in &pending {
                event(LogLevel::Warn, "config_needs_restart", &[("key", &difference.key), ("change", difference)]);
            }
            self.pending.replace(pending);
        }
        if changed.is_empty() {
            self.metrics.unchanged.increment();
            self.in_force.replace(next);
            event(LogLevel::Info, "config_unchanged", &[("file", &self.source.name()), ("cause", &cause)]);
            return None;
        }
        self.metrics.applied.increment();
        let settings = T::from_tree(&next);
        self.in_force.replace(next);
        for difference in &changed {
            event(LogLevel::Info, "config_changed", &[("key", &difference.key), ("change", difference)]);
        }
        Some(settings)
    }

    /// The settings in force, as `/v1/config` shows them; what waits for a restart has its new value in `pending`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = self.in_force.borrow().to_json();
        for difference in &*self.pending.borrow() {
            json[&difference.key]["pending"] = difference.new.clone();
        }
        json
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &ConfigMetrics {
        &self.metrics
    }
}

#[cfg(test)]
mod tests;
