//! The bill of materials: every package that is linked into a program, and which uses which.
//!
//! **Invariants**: names of packages, not paths of this machine; the same bytes for the same commit.
//!
//! **Source**: CycloneDX 1.5 (ECMA-424); the package URL specification.

use anyhow::Result;
use corelane_release::manifest::NAME;
use corelane_release::pack::ReleaseIdentity;
use corelane_release::sum::Sha256Sum;
use serde_json::{Value, json};

use super::metadata::{LinkedPackage, Metadata};

/// The bill as JSON; `time` is that of the commit, as RFC 3339 writes it.
pub(super) fn bill(identity: &ReleaseIdentity, metadata: &Metadata, time: &str) -> Result<String> {
    let mut packages: Vec<&LinkedPackage> = metadata.linked.values().collect();
    packages.sort_by_key(|package| reference(package));
    let own = format!("pkg:generic/{NAME}@{}", identity.version);
    let programs: Vec<String> = packages
        .iter()
        .filter(|package| super::build::PACKAGES.contains(&package.name.as_str()) && package.sha256.is_none())
        .map(|package| reference(package))
        .collect();
    let mut dependencies = vec![json!({"ref": own, "dependsOn": programs})];
    dependencies.extend(packages.iter().map(|package| {
        let mut uses: Vec<String> = package.uses.iter().map(|id| reference(&metadata.linked[id])).collect();
        uses.sort();
        json!({"ref": reference(package), "dependsOn": uses})
    }));
    let bill = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": format!("urn:uuid:{}", uuid(identity)),
        "version": 1,
        "metadata": {
            "timestamp": time,
            "component": {
                "type": "application", "bom-ref": own, "name": NAME, "version": identity.version.to_string(), "purl": own,
                "licenses": [{"expression": env!("CARGO_PKG_LICENSE")}],
            },
            "properties": [
                {"name": "corelane:commit", "value": identity.commit},
                {"name": "corelane:target", "value": identity.target},
            ],
        },
        "components": packages.iter().map(|package| component(package)).collect::<Vec<Value>>(),
        "dependencies": dependencies,
    });
    Ok(serde_json::to_string_pretty(&bill)? + "\n")
}

fn component(package: &LinkedPackage) -> Value {
    let reference = reference(package);
    // Before SPDX had operators, a slash stood for OR.
    let licence = package.licence.replace('/', " OR ");
    let mut component = json!({
        "type": "library", "bom-ref": reference, "name": package.name, "version": package.version, "purl": reference,
        "scope": "required", "licenses": [{"expression": licence}],
    });
    if let Some(sum) = &package.sha256 {
        component["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
    }
    component
}

fn reference(package: &LinkedPackage) -> String {
    let kind = if package.sha256.is_some() { "cargo" } else { "generic" };
    format!("pkg:{kind}/{}@{}", package.name, package.version)
}

/// An identifier that follows from the release: version 8 of RFC 9562, whose bits are the maker's own.
fn uuid(identity: &ReleaseIdentity) -> String {
    let sum =
        Sha256Sum::of(format!("{} {} {}", identity.version, identity.commit, identity.target).as_bytes()).to_string();
    format!("{}-{}-8{}-8{}-{}", &sum[..8], &sum[8..12], &sum[13..16], &sum[17..20], &sum[20..32])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::metadata::tests::example;

    fn identity() -> ReleaseIdentity {
        ReleaseIdentity {
            version: "0.1.0".parse().expect("a version"),
            commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            commit_time: 1_700_000_000,
            target: "x86_64-unknown-linux-gnu".to_owned(),
        }
    }

    #[test]
    fn every_reference_leads_to_a_component_and_no_path_is_in_it() {
        let text = bill(&identity(), &example(), "2023-11-14T22:13:20Z").expect("it can be written");
        assert!(!text.contains("/clone") && !text.contains("path+file"), "{text}");
        let bill: Value = serde_json::from_str(&text).expect("JSON");
        let components: Vec<&str> =
            bill["components"].as_array().expect("a list").iter().filter_map(|one| one["bom-ref"].as_str()).collect();
        assert_eq!(components, ["pkg:cargo/a@1.2.3", "pkg:cargo/d@1.2.3", "pkg:generic/corelane@1.2.3"]);
        for entry in bill["dependencies"].as_array().expect("a list") {
            for used in entry["dependsOn"].as_array().expect("a list") {
                assert!(components.contains(&used.as_str().expect("a text")), "{used}");
            }
        }
        assert_eq!(bill["components"][0]["hashes"][0]["content"], "sum-a");
        assert_eq!(bill["specVersion"], "1.5");
    }

    #[test]
    fn the_serial_number_is_a_uuid_of_the_release() {
        let one = uuid(&identity());
        assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(one.as_bytes()[14] == b'8' && one.as_bytes()[19] == b'8');
        assert_ne!(one, uuid(&ReleaseIdentity { commit: "x".to_owned(), ..identity() }));
    }
}
