//! The command line of a binary, made from its schema.
//!
//! **Not**: checking values; the flags' texts go through the same kinds as all others.
//!
//! **Invariants**: the help does not depend on the terminal. A flag stands for one key, or is one of the few that say what
//! to do (`--config`, `--check`, `--print-config`, `--explain`, `--help`, `--version`).
//!
//! **Source**: POSIX and GNU conventions for long options.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use clap::{Arg, ArgAction, ArgMatches, Command, builder::OsStringValueParser, error::ErrorKind, value_parser};

use crate::admin_client::OperatorPaths;
use crate::exit::Exit;

use super::{
    Against,
    error::{SettingError, SettingsErrors},
    kind::Kind,
    layer::SettingsLayer,
    origin::Origin,
    schema::{Preset, Schema, SettingKey, variable_of},
    value::ListenAddress,
};

/// Width of the help in columns, fixed so that it reads the same in a terminal, a pipe and a document.
const HELP_COLUMNS: usize = 100;

pub(super) const CONFIG: &str = "config";
const CHECK: &str = "check";
const AGAINST: &str = "against";
const CA: &str = "ca";
const CERT: &str = "cert";
const KEY: &str = "key";
const PRINT_CONFIG: &str = "print-config";
const EXPLAIN: &str = "explain";

/// What the process was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Run with the settings.
    Serve,
    /// Say whether the settings are valid, and how they differ from those of the process whose admin listener this is.
    Check(Option<Against>),
    /// Print the effective settings.
    PrintConfig,
    /// Say what becomes of this request.
    Explain(String),
}

/// What the command line says.
#[derive(Debug)]
pub(super) enum CommandLine {
    /// The help or the version was asked for: this text, nothing else.
    Print(String),
    /// These keys are set, this file is named, this is to be done.
    Given {
        /// The keys that are set.
        layer: SettingsLayer,
        /// The configuration file, where one is named.
        config: Option<PathBuf>,
        /// What to do.
        action: Action,
    },
}

/// Reads the arguments that follow the program's name.
///
/// # Errors
///
/// The operator's: an argument that is not understood. Values that are not allowed are in the layer's errors.
pub(super) fn parse(schema: &Schema, arguments: &[OsString]) -> Result<CommandLine, SettingsErrors> {
    let matches = match command(schema).try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(CommandLine::Print(error.render().to_string()));
        }
        Err(error) => {
            // What was meant is not known, so whether the other sources fit it is not either.
            return Err(SettingsErrors::new(vec![SettingError::CommandLine { reason: reason_of(&error) }]));
        }
    };
    let mut layer = SettingsLayer::default();
    for (path, key) in schema.keys() {
        read_flag(key, &path, &matches, &mut layer);
    }
    let question = if schema.explains { matches.get_one::<String>(EXPLAIN) } else { None };
    let action = match (matches.get_flag(PRINT_CONFIG), matches.get_flag(CHECK)) {
        _ if question.is_some() => Action::Explain(question.cloned().unwrap_or_default()),
        // Printing checks as well, so it is what both together mean.
        (true, _) => Action::PrintConfig,
        (false, true) => Action::Check(against_of(&matches)),
        (false, false) => Action::Serve,
    };
    Ok(CommandLine::Given { layer, config: matches.get_one::<PathBuf>(CONFIG).cloned(), action })
}

/// The process with which settings are compared, if one is named.
fn against_of(matches: &ArgMatches) -> Option<Against> {
    let admin = matches.get_one::<ListenAddress>(AGAINST)?.clone();
    let file = |name| matches.get_one::<PathBuf>(name).cloned();
    let pair = file(CERT).zip(file(KEY)).map(|(chain, key)| [chain, key]);
    Some(Against { admin, operator: file(CA).map(|ca| OperatorPaths { ca, pair }) })
}

/// The text of `--help`.
pub(super) fn help(schema: &Schema) -> String {
    command(schema).render_help().to_string()
}

fn read_flag(key: &SettingKey, path: &str, matches: &ArgMatches, layer: &mut SettingsLayer) {
    let Some(flag) = key.flag else { return };
    let Some(values) = matches.get_many::<OsString>(flag.name) else { return };
    let texts: Vec<&OsStr> = values.map(OsString::as_os_str).collect();
    layer.read_text(key, path, &texts.join(OsStr::new(",")), Origin::Flag(flag.name));
}

/// All flags.
pub(super) fn command(schema: &Schema) -> Command {
    let config = Arg::new(CONFIG)
        .long(CONFIG)
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Read this TOML file; without it no file is read\n[env: CORELANE_CONFIG]");
    let check = Arg::new(CHECK)
        .long(CHECK)
        .action(ArgAction::SetTrue)
        .help("Check the settings, report whether they are valid, and exit");
    let against = Arg::new(AGAINST)
        .long(AGAINST)
        .value_name("ADDRESS")
        .requires(CHECK)
        .value_parser(|text: &str| text.parse::<ListenAddress>())
        .help("With --check: report how they differ from those of the process whose admin listener this is");
    let file = |name: &'static str, needs: &[&'static str], help: &'static str| {
        let file = Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help);
        needs.iter().fold(file, |file, needed| file.requires(*needed))
    };
    let operator = [
        file(
            CA,
            &[AGAINST],
            "With --against: ask over TLS (admin_tls); the authorities of the listener's certificate, in PEM",
        ),
        file(CERT, &[CA, KEY], "With --ca: your operator's certificate, in PEM"),
        file(KEY, &[CERT], "With --cert: its private key, in PEM"),
    ];
    let print = Arg::new(PRINT_CONFIG)
        .long(PRINT_CONFIG)
        .action(ArgAction::SetTrue)
        .help("Print the effective settings and where each came from, and exit");
    let explain = Arg::new(EXPLAIN)
        .long(EXPLAIN)
        .value_name("REQUEST")
        .conflicts_with_all([CHECK, PRINT_CONFIG])
        .help("Report which route a request takes and why, and exit; REQUEST is \"GET https://host/path\", with header fields on further lines");
    Command::new(schema.program)
        .about(schema.about)
        .version(crate::build::VERSION)
        .no_binary_name(true)
        .term_width(HELP_COLUMNS)
        .arg(config)
        .args(schema.keys().iter().filter_map(|(path, key)| argument(key, path)))
        .args([check, against])
        .args(operator)
        .arg(print)
        .args(schema.explains.then_some(explain))
        .after_help(after_help())
}

fn after_help() -> String {
    let statuses: String =
        Exit::ALL.iter().map(|exit| format!("\n  {:<3} {}", exit.status(), exit.meaning())).collect();
    format!(
        "Precedence: flag, environment, file, default. Keys without a flag have a variable too: CORELANE_\n\
         and the path in capitals, such as CORELANE_LIMITS_IDLE_TIMEOUT for idle_timeout in [limits].\n\
         All keys are described in docs/config.md.\n\n\
         Exit status:{statuses}"
    )
}

fn argument(key: &SettingKey, path: &str) -> Option<Arg> {
    let flag = key.flag?;
    let preset = match key.preset {
        Preset::Is(text) | Preset::Unless(text, _) => format!(" [default: {text}]"),
        Preset::Absent => String::new(),
        Preset::Required => " [required]".to_owned(),
    };
    let action = if key.kind == Kind::Addresses { ArgAction::Append } else { ArgAction::Set };
    let argument = Arg::new(flag.name)
        .long(flag.name)
        .value_name(flag.value_name)
        .value_parser(OsStringValueParser::new())
        .action(action)
        .help(format!("{}\n[env: {}]{preset}", key.doc(), variable_of(path)));
    Some(argument)
}

/// The first paragraphs of the parser's message, on one line: what is wrong and what may have been meant. The usage that
/// follows is what `--help` prints.
fn reason_of(error: &clap::Error) -> String {
    let rendered = error.render().to_string();
    let reason = rendered.split("\n\nUsage:").next().unwrap_or_default();
    let reason = reason.split("\n\nFor more information").next().unwrap_or_default();
    let lines: Vec<&str> =
        reason.trim_start_matches("error: ").lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // A line that ends in a colon begins a list.
    format!("{}; see --help", lines.join("; ").replace(":; ", ": "))
}
