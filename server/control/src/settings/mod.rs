//! Settings of the binaries: flags, environment, file and defaults, laid over each other and checked as a whole.
//!
//! ```text
//!  defaults ─┐
//!  file ─────┤ each read into a layer        one tree             the binary's Settings
//!  env ──────┤ (kind by kind, all errors) ─▶ (precedence, rules) ─▶ (plain fields)
//!  flags ────┘                               └▶ --print-config, /v1/config
//! ```
//!
//! **Not**: watching files, which is [`crate::reload`]'s. Not the topology, which is its own file.
//!
//! **Invariants**: [`load`] is pure but for what reads files. Nothing of an invalid configuration is used.
//!
//! **Source**: docs/config.md.

pub mod check;
pub mod content;
pub mod declare;
pub mod error;
pub mod file;
mod flags;
pub mod include;
pub mod kind;
mod layer;
mod listening;
mod nearest;
pub mod origin;
pub mod process_keys;
pub mod quantity;
pub mod reference;
mod render;
pub mod schema;
pub mod tree;
pub mod value;
pub mod written;

use std::ffi::OsString;

use crate::admin_client::OperatorPaths;

use self::{
    declare::KeyGroup,
    error::shortened,
    flags::{Action, CommandLine},
    include::Files,
    layer::SettingsLayer,
    origin::Origin,
    schema::Schema,
};
pub use self::{
    error::{SettingError, SettingsErrors},
    tree::SettingsTree,
    value::{Cores, ListenAddress},
};

/// All settings of one binary.
pub trait Settings: KeyGroup {
    /// The declaration of all that can be set.
    const SCHEMA: &'static Schema;

    /// Fills the struct from settings that are complete and valid.
    #[must_use]
    fn from_tree(tree: &SettingsTree) -> Self {
        Self::read(tree, "")
    }

    /// What becomes of a request, as text of whole lines; asked only where the schema says that the binary explains.
    ///
    /// # Errors
    ///
    /// The operator's: this is no request, for this reason.
    fn explain(&self, request: &str) -> Result<String, String> {
        Err(format!("{request:?} cannot be explained"))
    }

    /// What of them does not go together, beyond what the declaration says; nothing where all does.
    #[must_use]
    fn misfits(&self) -> Vec<SettingMisfit> {
        Vec::new()
    }
}

/// A setting that does not go with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingMisfit {
    /// The path of the key at fault, or of the table that lacks it.
    pub key: String,
    /// What was found, why it cannot be, and what to do.
    pub reason: String,
}

/// Where settings come from, besides the defaults.
pub struct SettingsSources<'a> {
    /// The arguments after the program's name.
    pub arguments: Vec<OsString>,
    /// The environment: names and values, in any order.
    pub environment: Vec<(OsString, OsString)>,
    /// Reads the configuration file and those it includes.
    pub files: &'a dyn Files,
}

/// Valid settings.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// What the binary works with.
    pub settings: T,
    /// The same with the origin of every value, to be shown.
    pub effective: SettingsTree,
    /// What was given and means nothing: variables with the product's prefix that it does not have. `--check` refuses them.
    pub warnings: Vec<SettingError>,
}

impl<T> Loaded<T> {
    /// That what the value of `key` names cannot be used on this host; `reason` ends with what to do.
    ///
    /// # Panics
    ///
    /// When no such key is set.
    #[must_use]
    pub fn unusable(&self, key: &str, reason: String) -> SettingError {
        let found = self.effective.entries().find(|(path, _)| path == key);
        let (key, entry) = found.expect("the key is in the schema");
        let found = entry.value.as_ref().expect("what cannot be used is set").to_string();
        SettingError::Unusable { origin: entry.origin.clone(), key, found: shortened(&found), reason }
    }
}

/// The process with which settings are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Against {
    /// Its admin listener.
    pub admin: ListenAddress,
    /// What that is asked with, where it speaks TLS.
    pub operator: Option<OperatorPaths>,
}

/// What the process was asked to do.
#[derive(Clone, Debug)]
pub enum Invocation<T> {
    /// Serve with these settings.
    Serve(Box<Loaded<T>>),
    /// Say that these settings are valid, after checking what they name (`--check`), and how they differ from those of the
    /// process with this admin listener (`--against`).
    Check(Box<Loaded<T>>, Option<Against>),
    /// Write this text to standard output and exit with status 0: help, version or the effective settings. It ends in a
    /// newline.
    Print(String),
}

/// The command line of a binary, for manual pages and completions.
#[must_use]
pub fn command_line(schema: &Schema) -> clap::Command {
    flags::command(schema)
}

/// Reads and checks the settings of `T`'s binary.
///
/// # Errors
///
/// The operator's: everything that is wrong with the command line, the environment and the file, all at once. The process
/// writes them to standard error and exits with status 2.
pub fn load<T: Settings>(sources: &SettingsSources<'_>) -> Result<Invocation<T>, SettingsErrors> {
    let schema = T::SCHEMA;
    let (flag_layer, flag_config, action) = match flags::parse(schema, &sources.arguments)? {
        CommandLine::Given { layer, config, action } => (layer, config, action),
        CommandLine::Print(text) => return Ok(Invocation::Print(text)),
    };
    let environment = layer::read_environment(schema, &sources.environment);
    let by_flag = flag_config.map(|file| (file, Origin::Flag(flags::CONFIG)));
    let named = by_flag.or_else(|| {
        let variable = Origin::Environment(schema::variable_of(flags::CONFIG));
        environment.config.map(|file| (file, variable))
    });
    let file_layer =
        named.map_or_else(SettingsLayer::default, |(file, by)| file::read_files(schema, file, by, sources.files));
    let tree = SettingsTree::resolve(schema, vec![file_layer, environment.layer, flag_layer])?;
    // Paths are to mean the same in another folder: where they are printed, and beside those of a process that runs.
    let tree = tree.absolute_from(&sources.files.working_folder());
    let warnings = environment.unknown;
    let settings = T::from_tree(&tree);
    let misfits = settings.misfits();
    if !misfits.is_empty() {
        return Err(SettingsErrors::new(misfits.into_iter().map(|misfit| tree.unfit(misfit)).collect()));
    }
    let loaded = Box::new(Loaded { settings, effective: tree, warnings });
    Ok(match action {
        Action::Serve => Invocation::Serve(loaded),
        Action::Check(against) => Invocation::Check(loaded, against),
        Action::PrintConfig => Invocation::Print(loaded.effective.to_toml()),
        Action::Explain(request) => Invocation::Print(loaded.settings.explain(&request).map_err(|reason| {
            SettingsErrors::new(vec![SettingError::CommandLine { reason: format!("--explain: {reason}") }])
        })?),
    })
}
