//! What cargo says of the packages that a release is built of.
//!
//! **Invariants**: only what is linked into a program: neither what tests use nor what runs while building.
//!
//! **Source**: cargo-metadata(1).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::build::PACKAGES;
use super::output_of;

/// The registry that packages come from; another would need a word in the bill of materials.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// A package that is linked into a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LinkedPackage {
    pub(super) name: String,
    pub(super) version: String,
    /// As its author writes it, an SPDX expression.
    pub(super) licence: String,
    /// Of its archive in the registry; none for our own.
    pub(super) sha256: Option<String>,
    /// Where its files are on this machine.
    pub(super) folder: PathBuf,
    /// The ids of what it uses, in the order of names.
    pub(super) uses: Vec<String>,
}

/// See the module.
pub(super) struct Metadata {
    members: BTreeSet<String>,
    /// By cargo's id, which is of no use outside.
    pub(super) linked: BTreeMap<String, LinkedPackage>,
}

impl Metadata {
    pub(super) fn read(root: &Path, target: &str) -> Result<Self> {
        let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", target];
        let text = output_of(Command::new("cargo").args(arguments).current_dir(root))?;
        let lock = fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock could not be read")?;
        Self::of(&serde_json::from_str(&text).context("cargo metadata is no JSON")?, &checksums(&lock)?)
    }

    /// The packages whose programs are released.
    pub(super) fn released(&self) -> impl Iterator<Item = &'static str> + '_ {
        PACKAGES.into_iter().filter(|package| self.members.contains(*package))
    }

    fn of(metadata: &Value, checksums: &BTreeMap<(String, String), String>) -> Result<Self> {
        let packages: BTreeMap<&str, &Value> = list(&metadata["packages"])?
            .iter()
            .map(|package| Ok((text(&package["id"])?, package)))
            .collect::<Result<_>>()?;
        let nodes: BTreeMap<&str, &Value> = list(&metadata["resolve"]["nodes"])?
            .iter()
            .map(|node| Ok((text(&node["id"])?, node)))
            .collect::<Result<_>>()?;
        let members: BTreeMap<&str, &str> = list(&metadata["workspace_members"])?
            .iter()
            .map(|id| Ok((text(&packages[text(id)?]["name"])?, text(id)?)))
            .collect::<Result<_>>()?;
        let mut waiting: Vec<&str> = PACKAGES.iter().filter_map(|name| members.get(name).copied()).collect();
        let mut linked = BTreeMap::new();
        while let Some(id) = waiting.pop() {
            if linked.contains_key(id) {
                continue;
            }
            let uses = used_by(nodes[id])?;
            waiting.extend(uses.iter().copied().filter(|used| !linked.contains_key(*used)));
            linked.insert(id.to_owned(), describe(packages[id], &uses, checksums)?);
        }
        Ok(Self { members: members.into_keys().map(String::from).collect(), linked })
    }
}

/// The ids of the packages that are linked into what a node makes.
fn used_by(node: &Value) -> Result<Vec<&str>> {
    let mut uses = Vec::new();
    for dependency in list(&node["deps"])? {
        let is_linked = list(&dependency["dep_kinds"])?.iter().any(|kind| kind["kind"].is_null());
        if is_linked {
            uses.push(text(&dependency["pkg"])?);
        }
    }
    uses.sort_unstable();
    uses.dedup();
    Ok(uses)
}

fn describe(package: &Value, uses: &[&str], checksums: &BTreeMap<(String, String), String>) -> Result<LinkedPackage> {
    let (name, version) = (text(&package["name"])?.to_owned(), text(&package["version"])?.to_owned());
    let licence = package["license"].as_str().with_context(|| format!("{name} {version} names no licence"))?;
    let sha256 = match package["source"].as_str() {
        None => None,
        Some(source) => {
            ensure!(
                source == REGISTRY,
                "{name} {version} comes from {source}, which a bill of materials cannot name yet"
            );
            let key = (name.clone(), version.clone());
            Some(checksums.get(&key).with_context(|| format!("Cargo.lock has no sum of {name} {version}"))?.clone())
        }
    };
    let manifest = Path::new(text(&package["manifest_path"])?);
    let folder = manifest.parent().context("a manifest lies in a folder")?.to_path_buf();
    let uses = uses.iter().map(|id| (*id).to_owned()).collect();
    Ok(LinkedPackage { name, version, licence: licence.to_owned(), sha256, folder, uses })
}

/// The sums in Cargo.lock, by name and version.
fn checksums(lock: &str) -> Result<BTreeMap<(String, String), String>> {
    let document: toml_edit::DocumentMut = lock.parse().context("Cargo.lock is no TOML")?;
    let packages = document["package"].as_array_of_tables().context("Cargo.lock has no packages")?;
    let sum = |package: &toml_edit::Table| {
        let field = |name: &str| Some(package.get(name)?.as_str()?.to_owned());
        Some(((field("name")?, field("version")?), field("checksum")?))
    };
    Ok(packages.iter().filter_map(sum).collect())
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().context("cargo metadata lacks a list")
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().context("cargo metadata lacks a text")
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// The workspace has corelane, which uses a (linked), b (in tests) and c (while building); a uses d.
    pub(in crate::release) fn example() -> Metadata {
        let package = |name: &str, source: Option<&str>| {
            json!({"id": format!("id-{name}"), "name": name, "version": "1.2.3", "license": "MIT", "source": source,
                   "manifest_path": format!("/clone/{name}/Cargo.toml")})
        };
        let uses = |name: &str, kind: Value| json!({"pkg": format!("id-{name}"), "dep_kinds": [{"kind": kind}]});
        let others = ["a", "b", "c", "d"].map(|name| package(name, Some(REGISTRY)));
        let packages = [&[package("corelane", None)], &others[..]].concat();
        let metadata = json!({
            "packages": packages,
            "workspace_members": ["id-corelane"],
            "resolve": {"nodes": [
                {"id": "id-corelane", "deps": [uses("a", Value::Null), uses("b", "dev".into()), uses("c", "build".into())]},
                {"id": "id-a", "deps": [uses("d", Value::Null)]},
                {"id": "id-b", "deps": []}, {"id": "id-c", "deps": []}, {"id": "id-d", "deps": []},
            ]},
        });
        let sums = ["a", "b", "c", "d"].map(|name| ((name.to_owned(), "1.2.3".to_owned()), format!("sum-{name}")));
        Metadata::of(&metadata, &sums.into()).expect("it is complete")
    }

    #[test]
    fn what_is_linked_is_listed_and_nothing_else() {
        let metadata = example();
        let names: Vec<&str> = metadata.linked.values().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["a", "corelane", "d"]);
        assert_eq!(metadata.released().collect::<Vec<_>>(), ["corelane"]);
        assert_eq!(metadata.linked["id-a"].sha256.as_deref(), Some("sum-a"));
        assert_eq!(metadata.linked["id-corelane"].sha256, None);
    }
}
