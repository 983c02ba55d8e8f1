//! Writes the manual pages and the completions of all programs into a folder, as a release has them.
//!
//! ```text
//!  DIR/man/man1/PROGRAM.1   of the command line         DIR/bash-completion/completions/PROGRAM
//!  DIR/man/man5/FILE.5      of the keys of a file       DIR/zsh/site-functions/_PROGRAM
//!                                                       DIR/fish/vendor_completions.d/PROGRAM.fish
//! ```
//!
//! **Not** committed anywhere: `cargo xtask release` runs it.
//!
//! **Invariants**: what is written depends on the declarations alone, not on the terminal, the clock or the build.
//!
//! **Source**: man-pages(7) for the sections; the completion systems' own folders.

mod keys;
mod pages;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Command, Parser};
use clap_complete::Shell;
use control::settings::Settings as _;
use control::settings::command_line;
use control::settings::schema::Schema;
use corelane::settings::EdgeSettings;
use shardstored::settings::NodeSettings;

/// Writes manual pages and completions.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// The folder to write into; files of the same names are replaced
    folder: PathBuf,
}

fn main() -> Result<()> {
    write_all(&Arguments::parse().folder)
}

/// The programs that are configured by a file.
fn servers() -> [&'static Schema; 2] {
    [EdgeSettings::SCHEMA, NodeSettings::SCHEMA]
}

fn write_all(folder: &Path) -> Result<()> {
    for schema in servers() {
        let program = schema.program;
        let command = plain(command_line(schema), program);
        write(&folder.join("man/man1"), &format!("{program}.1"), &pages::of_server(command.clone(), schema)?)?;
        write(&folder.join("man/man5"), &format!("{program}.toml.5"), &keys::page(schema))?;
        write_completions(folder, command)?;
    }
    for command in [plain(coreperf::command_line(), "coreperf"), plain(corectl::command::command_line(), "corectl")] {
        for (name, page) in pages::of_tool(&command)? {
            write(&folder.join("man/man1"), &format!("{name}.1"), &page)?;
        }
        write_completions(folder, command)?;
    }
    Ok(())
}

/// The command line of `program`, with the version alone: commit and profile are those of the program that runs, and this is
/// another build.
fn plain(command: Command, program: &'static str) -> Command {
    let mut command = command.name(program).bin_name(program).no_binary_name(false).version(env!("CARGO_PKG_VERSION"));
    command.build();
    command
}

fn write_completions(folder: &Path, mut command: Command) -> Result<()> {
    let program = command.get_name().to_owned();
    let places = [
        (Shell::Bash, "bash-completion/completions", program.clone()),
        (Shell::Zsh, "zsh/site-functions", format!("_{program}")),
        (Shell::Fish, "fish/vendor_completions.d", format!("{program}.fish")),
    ];
    for (shell, place, name) in places {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command, &program, &mut text);
        write(&folder.join(place), &name, &text)?;
    }
    Ok(())
}

fn write(folder: &Path, name: &str, text: &[u8]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{} could not be made", folder.display()))?;
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("{} could not be written", path.display()))
}

#[cfg(test)]
mod tests;
