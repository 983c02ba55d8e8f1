//! The licences of everything that is linked into a program, with their texts.
//!
//! **Invariants**: every package is named with its licence; a text that several share is there once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::metadata::{LinkedPackage, Metadata};

/// How the names of licences' files begin, in capitals.
const FILES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT", "UNLICENSE"];

/// All of it as one text.
pub(super) fn text(metadata: &Metadata) -> Result<String> {
    let mut packages: Vec<&LinkedPackage> =
        metadata.linked.values().filter(|package| package.sha256.is_some()).collect();
    packages.sort_by_key(|package| (&package.name, &package.version));
    let mut list = String::from("Corelane is built of the packages below. Their licences' texts follow.\n\n");
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages {
        let name = format!("{} {}", package.name, package.version);
        let _ = writeln!(list, "{name}: {}", package.licence);
        for text in files(&package.folder)? {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    let mut texts: Vec<(Vec<String>, String)> = texts.into_iter().map(|(text, packages)| (packages, text)).collect();
    texts.sort();
    for (packages, text) in texts {
        let _ = write!(list, "\n{}\n{}\n\n{}\n", "=".repeat(80), packages.join(", "), text.trim_end());
    }
    Ok(list)
}

/// The texts of the licences in a package's folder, by the names of their files.
fn files(folder: &Path) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{} could not be read", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        if path.is_file() && FILES.iter().any(|begin| name.starts_with(begin)) {
            paths.push(path);
        }
    }
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read_to_string(path).with_context(|| format!("{} is no text", path.display())))
        .collect()
}
