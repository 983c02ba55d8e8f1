//! Releases on a host that serves: one is installed over another, and the one before comes back whole; what is older, changed or not
//! signed is refused with words, and nothing is current then that was not before.
//!
//! **Not** how releases are built: these are made of the files of the installed package, with programs and units that tell them apart.

use std::fs;

use anyhow::{Context, Result, ensure};
use corelane_release::bundle::{ARCHIVE_SUFFIX, MANIFEST_SUFFIX};
use corelane_release::manifest::{MANIFEST_FILE, ReleaseManifest};
use corelane_release::pack::{ReleaseFiles, ReleaseIdentity, pack};

use super::{HostLab, MINUTE, SingleHost};
use crate::host::ContainerHost;

/// The program and the unit that are watched.
const PROGRAM: &str = "bin/corelane";
const UNIT: &str = "lib/systemd/system/corelane.service";

/// Programs that this does not run, left out because packing them takes time.
const LEFT_OUT: [&str; 2] = ["bin/coreperf", "bin/shardstored"];

/// The first line of the unit that is replaced.
const DESCRIPTION: &str = "Description=Corelane edge: HTTP cache and key-value server";

/// A release in /srv.
struct MadeRelease {
    /// The path of its files without their suffixes.
    stem: String,
    /// The sum of its edge, as `/v1/status` says it.
    program: String,
    description: String,
}

pub(super) fn run(setting: &HostLab) -> Result<()> {
    let lab = SingleHost::installed(setting, "release")?;
    let host = &lab.host;
    host.must(
        "minisign -G -W -f -p /etc/corelane/release.pub -s /srv/key > /dev/null
         minisign -G -W -f -p /srv/other.pub -s /srv/other > /dev/null",
        MINUTE,
    )?;
    let (a, b) = (MadeRelease::make(host, 1)?, MadeRelease::make(host, 2)?);

    install(host, &a, "")?;
    configure(host, "11s")?;
    serves(host, &a, "11s")?;
    install(host, &b, "")?;
    configure(host, "22s")?;
    serves(host, &b, "22s")?;
    host.must("corectl release rollback", MINUTE)?;
    serves(host, &a, "11s").context("after the rollback")?;
    install(host, &b, "")?;
    serves(host, &b, "22s").context("a release that returns by an installation has its own configuration")?;

    refusals(host, &a, &b)?;
    install(host, &a, "--allow-downgrade")?;
    serves(host, &a, "11s").context("after the downgrade that was allowed")
}

impl MadeRelease {
    /// Makes and signs a release of the files that are installed, so many steps later than those.
    fn make(host: &ContainerHost, step: u64) -> Result<Self> {
        let current = fs::read_link(host.path("/opt/corelane/current")).context("nothing is installed")?;
        let folder = host.path("/opt/corelane/releases").join(current.file_name().context("current names no release")?);
        let path = folder.join(MANIFEST_FILE);
        let manifest = ReleaseManifest::parse(&fs::read(&path)?, &path)?;
        let description = format!("Description=Corelane edge of release {step}");
        let mut files = ReleaseFiles::new();
        for file in manifest.files.iter().filter(|file| !LEFT_OUT.contains(&file.path.as_str())) {
            let mut bytes = fs::read(file.path.within(&folder))?;
            match file.path.as_str() {
                // What is behind the end of a program does not change what it does.
                PROGRAM => bytes.extend_from_slice(description.as_bytes()),
                UNIT => bytes = String::from_utf8(bytes)?.replace(DESCRIPTION, &description).into_bytes(),
                _ => {}
            }
            files.insert(file.path.clone(), (file.mode, bytes));
        }
        let mut version = manifest.version.clone();
        version.patch += step;
        let identity = ReleaseIdentity {
            version,
            commit: manifest.commit.chars().take(40).collect(),
            commit_time: manifest.commit_time + step,
            target: manifest.target.clone(),
        };
        let (manifest, archive) = pack(&identity, &files)?;
        let stem = format!("/srv/{}", identity.stem());
        fs::write(host.path(&format!("{stem}{ARCHIVE_SUFFIX}")), archive)?;
        fs::write(host.path(&format!("{stem}{MANIFEST_SUFFIX}")), manifest.to_json()?)?;
        host.must(&format!("minisign -S -W -s /srv/key -m {stem}{MANIFEST_SUFFIX} > /dev/null"), MINUTE)?;
        let program = manifest.files.iter().find(|file| file.path.as_str() == PROGRAM).context("no edge in it")?;
        Ok(Self { stem, program: program.sha256.to_string(), description })
    }
}

fn install(host: &ContainerHost, release: &MadeRelease, options: &str) -> Result<()> {
    host.must(&format!("corectl release install {options} {}{ARCHIVE_SUFFIX}", release.stem), MINUTE).map(drop)
}

/// Writes the configuration: its `edge_ttl` says which it is.
fn configure(host: &ContainerHost, edge_ttl: &str) -> Result<()> {
    let text = format!("memory = \"64MiB\"\nedge_ttl = \"{edge_ttl}\"\n");
    fs::write(host.path("/etc/corelane/corelane.toml"), text).context("the configuration")
}

/// Restarts what is current; it must be this release, whole: program, unit and configuration.
fn serves(host: &ContainerHost, release: &MadeRelease, edge_ttl: &str) -> Result<()> {
    host.must("systemctl daemon-reload && systemctl restart corelane", MINUTE)?;
    // The program's sum is computed while it serves already.
    let known = "until curl -fsS http://127.0.0.1:9180/v1/status | grep -q '\"digest\": \"'; do sleep 0.1; done";
    let status = host.must(&format!("{known}; curl -fsS http://127.0.0.1:9180/v1/status"), MINUTE)?;
    ensure!(status.contains(&release.program), "{} does not run, but:\n{status}", release.stem);
    let unit = host.must("systemctl cat corelane", MINUTE)?;
    ensure!(unit.contains(&release.description), "{}: the unit is another's:\n{unit}", release.stem);
    let config = host.must("curl -fsS http://127.0.0.1:9180/v1/config | tr -d ' \\n'", MINUTE)?;
    let found = config.split("\"edge_ttl\":").nth(1).unwrap_or_default().split('}').next().unwrap_or_default();
    ensure!(found.contains(&format!("\"{edge_ttl}\"")), "edge_ttl is not {edge_ttl}: {found}");
    Ok(())
}

/// What must not be installed while B is current, and what is said of it.
fn refusals(host: &ContainerHost, a: &MadeRelease, b: &MadeRelease) -> Result<()> {
    let (older, current) = (&a.stem, host.must("readlink /opt/corelane/current", MINUTE)?);
    let name = b.stem.trim_start_matches("/srv/");
    let copied =
        |script: &str| format!("rm -rf /srv/bad; mkdir /srv/bad; cp {}.* /srv/bad; cd /srv/bad; {script}", b.stem);
    let flip = |suffix: &str| {
        let file = format!("{name}{suffix}");
        copied(&format!(
            "at=$(($(stat -c %s {file}) / 2)); printf '\\377' | dd of={file} bs=1 seek=$at conv=notrunc status=none"
        ))
    };
    let bad = format!("/srv/bad/{name}{ARCHIVE_SUFFIX}");
    let cases = [
        ("true".to_owned(), format!("{older}{ARCHIVE_SUFFIX}"), "--allow-downgrade"),
        (flip(ARCHIVE_SUFFIX), bad.clone(), "sha256"),
        (flip(MANIFEST_SUFFIX), bad.clone(), "signature"),
        (copied("rm *.minisig"), bad.clone(), "not signed"),
        (copied(&format!("minisign -S -W -s /srv/other -m {name}{MANIFEST_SUFFIX} > /dev/null")), bad, "key"),
    ];
    for (prepare, file, words) in cases {
        host.must(&prepare, MINUTE)?;
        let refused = host.shell(&format!("corectl release install {file}"), MINUTE)?;
        ensure!(refused.status == Some(1) && refused.text.starts_with("refused: "), "{prepare}: {refused:?}");
        ensure!(refused.text.contains(words), "{prepare}: {words:?} is not in {}", refused.text);
        println!("  {}", refused.text.trim());
        let now = host.must("readlink /opt/corelane/current", MINUTE)?;
        ensure!(now == current, "{prepare}: what was refused changed what is current: {now}");
    }
    serves(host, b, "22s").context("after what was refused")
}
