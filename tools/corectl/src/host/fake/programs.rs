//! `systemctl`, `nft` and `update-grub` of a fake host.
//!
//! **Source**: systemctl(1), nft(8), update-grub(8).

use super::FakeFiles;
use crate::host::{CommandOutput, HostError};

fn missing(program: &str) -> HostError {
    HostError::NoProgram { program: program.into() }
}

/// Shows, starts and stops units.
pub(super) fn systemctl(files: &dyn FakeFiles, arguments: &[&str]) -> Result<CommandOutput, HostError> {
    let (Some(verb), Some(unit)) = (arguments.first(), arguments.last()) else {
        return Ok(CommandOutput::failure(1, "no verb"));
    };
    let path = format!("/fake/unit/{unit}");
    let Ok(state) = files.read(&path) else {
        return Ok(CommandOutput::answer("LoadState=not-found\nActiveState=inactive\n"));
    };
    match *verb {
        "show" => return Ok(CommandOutput::answer(format!("LoadState=loaded\nActiveState={}\n", state.trim()))),
        "start" => files.store(&path, "active\n")?,
        "stop" => files.store(&path, "inactive\n")?,
        verb => return Ok(CommandOutput::failure(1, &format!("Unknown command verb {verb}."))),
    }
    Ok(CommandOutput::answer(""))
}

const TABLE: &str = "/fake/nft";

/// Lists and replaces our table.
pub(super) fn nft(files: &dyn FakeFiles, arguments: &[&str]) -> Result<CommandOutput, HostError> {
    let table = files.read(TABLE).map_err(|_| missing("nft"))?;
    match arguments {
        ["-n", "list", "tables"] => Ok(CommandOutput::answer("")),
        ["-n", "list", "table", ..] if table.trim().is_empty() => {
            Ok(CommandOutput::failure(1, "Error: No such file or directory"))
        }
        ["-n", "list", "table", ..] => Ok(CommandOutput::answer(table)),
        [script] => {
            let kept = script.split_once("; table ").map_or_else(String::new, |(_, table)| table.replace(';', "\n"));
            // As it is listed: a rule stands in a line of its own.
            let rule = kept.lines().find_map(|line| line.trim().split_once("dport").map(|(_, rule)| rule.trim()));
            let text = rule.map_or_else(
                || "\n".to_owned(),
                |rule| format!("table inet corelane_tune {{\n\ttcp dport {rule}\n}}\n"),
            );
            files.store(TABLE, &text)?;
            Ok(CommandOutput::answer(""))
        }
        _ => Ok(CommandOutput::failure(1, "Error: syntax error")),
    }
}

/// Makes GRUB's configuration of what is there.
pub(super) fn update_grub(files: &dyn FakeFiles) -> Result<CommandOutput, HostError> {
    files.read("/usr/sbin/update-grub").map_err(|_| missing("update-grub"))?;
    let ours = files.read("/etc/default/grub.d/90-corectl.cfg").unwrap_or_default();
    files.store("/boot/grub/grub.cfg", &ours)?;
    Ok(CommandOutput::answer("Generating grub configuration file ...\ndone\n"))
}
