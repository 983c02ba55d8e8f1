//! Inventories and releases that are wrong: refused with host, key, file and line, before anything is changed anywhere.
//!
//! **Invariants**: each run is `site`, which would change hosts if it went on, on a fleet that serves.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::fleet::Fleet;

/// A fault in a copy of the lab's inventory.
struct WrongInventory {
    what: &'static str,
    /// The file that is changed or made.
    file: &'static str,
    /// What is replaced; empty for a file that is made.
    replaced: &'static str,
    by: &'static str,
    /// A text on the line of the file that the refusal names.
    at: &'static str,
    /// What the refusal says on one line: host and key first.
    says: &'static [&'static str],
}

const WRONG: &[WrongInventory] = &[
    WrongInventory {
        what: "an unknown profile",
        file: "host_vars/edge-1.yml",
        replaced: "",
        by: "corelane_profile: turbo\n",
        at: "turbo",
        says: &["edge-1: corelane_profile: ", "turbo", "throughput"],
    },
    WrongInventory {
        what: "an unknown variable",
        file: "host_vars/edge-1.yml",
        replaced: "",
        by: "corelane_profil: safe\n",
        at: "corelane_profil:",
        says: &["edge-1: corelane_profil: ", "corelane_profile"],
    },
    WrongInventory {
        what: "a core that does not exist",
        file: "host_vars/edge-2.yml",
        replaced: "",
        by: "corelane_edge_settings: {cores: [4000], memory: 64MiB}\n",
        at: "4000",
        says: &["edge-2: corelane_edge_settings", "cores", "4000"],
    },
    WrongInventory {
        what: "a setting that the program does not know",
        file: "host_vars/node-3.yml",
        replaced: "",
        by: "corelane_node_settings: {cores: [1], memory: 64MiB, no_such_key: 1}\n",
        at: "no_such_key",
        says: &["node-3: corelane_node_settings", "no_such_key"],
    },
    WrongInventory {
        what: "two nodes with one id",
        file: "hosts.yml",
        replaced: "corelane_node_id: 2",
        by: "corelane_node_id: 1",
        at: "node-2: {",
        says: &["node-2: corelane_node_id: ", "node-1"],
    },
    WrongInventory {
        what: "a slot without an owner",
        file: "group_vars/corelane.yml",
        replaced: "slots: 5461-10922",
        by: "slots: 5462-10922",
        at: "cluster: lab",
        says: &["node-1: corelane_topology.slots: ", "5461"],
    },
    WrongInventory {
        what: "a port that is taken",
        file: "host_vars/edge-3.yml",
        replaced: "",
        by: "corelane_http_port: 22\n",
        at: "22",
        says: &["edge-3: corelane_http_port: ", "22", "sshd"],
    },
];

/// All of them in one inventory: one run names them all.
pub(super) fn inventories(fleet: &mut Fleet) -> Result<()> {
    let inventory = fleet.copy_of_inventory()?;
    for wrong in WRONG {
        change(&inventory, wrong).context(wrong.what)?;
    }
    let run = fleet.controller.run(&fleet.play("site", "good")?.inventory(&inventory))?;
    for wrong in WRONG {
        let place = format!("({}:{})", inventory.join(wrong.file).display(), line_of(&inventory, wrong)?);
        run.refused(&[wrong.says, &[place.as_str()]].concat()).context(wrong.what)?;
    }
    fs::remove_dir_all(inventory).context("the copy of the inventory")
}

/// A release without its signature.
pub(super) fn unsigned(fleet: &mut Fleet) -> Result<()> {
    let archive = fleet.releases.archive("next")?;
    let folder = fleet.folder().join("unsigned");
    fs::create_dir_all(&folder)?;
    let from = archive.parent().context("a release lies in a folder")?;
    for file in fs::read_dir(from)?.flatten().filter(|file| !file.path().to_string_lossy().ends_with(".minisig")) {
        fs::copy(file.path(), folder.join(file.file_name()))?;
    }
    let copy = folder.join(archive.file_name().unwrap_or_default());
    let play = fleet.play("site", "next")?.text("corelane_release", &copy.display().to_string());
    let refused = fleet.controller.run(&play)?.refused(&["node-1: corelane_release: ", ".minisig"]);
    fs::remove_dir_all(folder)?;
    refused
}

/// The number of the line that has the fault.
fn line_of(inventory: &Path, wrong: &WrongInventory) -> Result<usize> {
    let text = fs::read_to_string(inventory.join(wrong.file)).context(wrong.file)?;
    let index = text.lines().position(|line| line.contains(wrong.at));
    Ok(1 + index.with_context(|| format!("{} has no {:?}", wrong.file, wrong.at))?)
}

fn change(inventory: &Path, wrong: &WrongInventory) -> Result<()> {
    let path = inventory.join(wrong.file);
    let text = if wrong.replaced.is_empty() {
        let before = fs::read_to_string(&path).unwrap_or_else(|_| "---\n".to_owned());
        before + wrong.by
    } else {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        ensure!(text.contains(wrong.replaced), "{} has no {:?}", path.display(), wrong.replaced);
        text.replace(wrong.replaced, wrong.by)
    };
    fs::create_dir_all(path.parent().context("a file lies in a folder")?)?;
    fs::write(&path, text).with_context(|| path.display().to_string())
}
