//! Pages of command lines, section 1.
//!
//! **Invariants**: flags come from the declarations; only what no declaration says is written here.

use std::io::Write as _;

use anyhow::Result;
use clap::Command;
use clap_mangen::Man;
use control::exit::Exit;
use control::settings::schema::Schema;
use roff::{Roff, bold, roman};

/// What all pages are part of.
pub(crate) const MANUAL: &str = "Corelane";

/// What a signal does, to either server.
const SIGNALS: [(&str, &str); 2] = [
    (
        "SIGTERM, SIGINT",
        "Drain: requests in flight are answered, for drain_timeout at most. A second one cuts what is left.",
    ),
    (
        "SIGHUP",
        "Read the configuration and the topology again. What is not valid is refused whole and logged; what needs a restart is named.",
    ),
];

/// The page of a server.
pub(crate) fn of_server(command: Command, schema: &Schema) -> Result<Vec<u8>> {
    let program = schema.program;
    let mut text = Vec::new();
    let man = Man::new(command).manual(MANUAL);
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    let mut more = Roff::new();
    more.control("SH", ["SIGNALS"]);
    for (signal, effect) in SIGNALS {
        more.control("TP", []).text([bold(signal)]).text([roman(effect)]);
    }
    more.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL {
        more.control("TP", []).text([bold(exit.status().to_string())]).text([roman(exit.meaning())]);
    }
    more.control("SH", ["FILES"]);
    let file = format!("/etc/corelane/{program}.toml");
    more.control("TP", []).text([bold(file)]).text([roman("The configuration that the service starts with: ")]);
    more.text([bold(format!("{program}.toml")), roman("(5).")]);
    more.control("SH", ["ENVIRONMENT"]);
    let environment = "Each key has a variable: CORELANE_ and its path in capitals, with _ for a dot, such as CORELANE_MEMORY. Precedence: \
                       flag, environment, file, default.";
    more.text([roman(environment)]);
    more.control("SH", ["SEE ALSO"]);
    let other = if program == "corelane" { "shardstored" } else { "corelane" };
    more.text([
        bold(format!("{program}.toml")),
        roman("(5), "),
        bold(other),
        roman("(1), "),
        bold("coreperf"),
        roman("(1)"),
    ]);
    text.write_all(more.render().as_bytes())?;
    Ok(text)
}

/// The page of a tool, and one for each of its verbs: names without `.1`, and texts.
pub(crate) fn of_tool(command: &Command) -> Result<Vec<(String, Vec<u8>)>> {
    let mut pages = Vec::new();
    add_tool(command, command.get_name(), &mut pages)?;
    Ok(pages)
}

fn add_tool(command: &Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let mut text = Vec::new();
    Man::new(command.clone()).title(name).manual(MANUAL).render(&mut text)?;
    pages.push((name.to_owned(), text));
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        add_tool(verb, &format!("{name}-{}", verb.get_name()), pages)?;
    }
    Ok(())
}
