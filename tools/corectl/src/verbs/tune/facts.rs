//! `corectl tune facts`.

use std::process::ExitCode;

use anyhow::Result;
use corectl::facts::{Facts, render};
use corectl::printable::printable;

use super::session::TuneSession;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Print JSON, which `plan --facts` reads
    #[arg(long)]
    json: bool,
}

pub(super) fn run(session: &TuneSession, options: &Options) -> Result<ExitCode> {
    let facts = Facts::gather(session.host());
    if options.json {
        println!("{}", serde_json::to_string_pretty(&facts)?);
    } else {
        print!("{}", printable(&render(&facts)));
    }
    Ok(ExitCode::SUCCESS)
}
