//! A fleet: three edges behind HAProxy, three nodes, and a controller that reaches them over SSH.
//!
//! ```text
//!  namespace lab-PID-fleet                      namespaces lab-PID-fleet-N, a host in each
//!  198.18.0.254                                 edge-1..3  198.18.0.11 to .13   corelane
//!  ansible-playbook ─── SSH ──────────────────▶ node-1..3  198.18.0.21 to .23   shardstored
//!  load ─▶ HAProxy (127.0.0.1:8000) ─ HTTP ───▶ edges
//! ```
//!
//! **Not**: a host for the controller, the balancer or the load: they are processes in the bridge's namespace.
//!
//! **Invariants**: the fleet is that of `ansible/inventories/lab`. All of it is gone when it is dropped.

mod ansible;
mod balancer;
mod https;
mod layout;
mod load;
mod recap;
mod releases;
mod rollout_state;
mod scenarios;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use corelane_lab::poll::Stop;

use crate::host::ContainerHost;
use crate::image::HostImage;
use crate::network::HostNetwork;
use crate::run::{run, wait};

pub(crate) use ansible::{Controller, Play};
pub(crate) use balancer::Balancer;
pub(crate) use https::generate as generate_https;
pub(crate) use layout::{HOSTS, Role};
pub(crate) use load::generate;
pub(crate) use releases::LabReleases;

use recap::Announcement;
use scenarios::{FleetScenario, SCENARIOS};

/// Where a run keeps its key, its logs and the controller's state; removed at the end.
const FOLDER: &str = "/var/lib/corelane-lab";

/// A day: whoever holds a fleet has gone home.
const HOLD_LIMIT: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// What a fleet is tested with.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The folder of releases that cargo xtask fleet-test makes
    #[arg(long, value_name = "DIR")]
    releases: PathBuf,
    /// The folder of playbooks and inventories
    #[arg(long, value_name = "DIR", default_value = "ansible")]
    ansible: PathBuf,
    /// The folder with ansible-playbook
    #[arg(long, value_name = "DIR")]
    ansible_bin: PathBuf,
    /// Only scenarios whose names contain this, and those that they rest on; may be repeated
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Boot the fleet, say how it is reached, and keep it until Ctrl-C
    #[arg(long)]
    hold: bool,
}

/// Hosts, their network, and who commands them. Dropped in the order of the fields.
pub(crate) struct Fleet {
    pub(crate) balancer: Balancer,
    pub(crate) controller: Controller,
    pub(crate) hosts: Vec<FleetHost>,
    pub(crate) network: HostNetwork,
    pub(crate) releases: LabReleases,
    pub(crate) stop: Stop,
    /// What a run with `--check` said that `site` would change, where there was one.
    announced: Option<Announcement>,
    folder: RunFolder,
}

/// A host and what it is called in the inventory.
pub(crate) struct FleetHost {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) number: u8,
    pub(crate) host: ContainerHost,
}

impl Fleet {
    /// Boots all hosts, with the controller's key on them.
    fn boot(image: &HostImage, options: &Options, stop: &Stop) -> Result<Self> {
        let name = format!("lab-{}-fleet", std::process::id());
        let folder = RunFolder::new(&name)?;
        let mut network = HostNetwork::new(&name, stop)?;
        let key = layout::make_key(&folder.0, stop)?;
        let mut hosts = Vec::new();
        for described in HOSTS {
            let namespace = network.add(described.number)?;
            let mut host = ContainerHost::new(image, &format!("{name}-{}", described.number), &namespace, stop)?;
            layout::prepare(&host, described.number, &key)?;
            host.power_on()?;
            hosts.push(FleetHost { name: described.name, role: described.role, number: described.number, host });
        }
        for host in &hosts {
            host.host.wait_until_running().with_context(|| host.name)?;
        }
        layout::write_known_hosts(image, &folder.0)?;
        let controller = Controller::new(options, &folder.0, &name, stop)?;
        let balancer = Balancer::start(&folder.0, &name)?;
        let releases = LabReleases { folder: fs::canonicalize(&options.releases)? };
        Ok(Self { balancer, controller, hosts, network, releases, stop: stop.clone(), announced: None, folder })
    }

    /// Takes cable and power of a host away.
    pub(crate) fn lose_power(&mut self, name: &str) -> Result<()> {
        let host = named(&mut self.hosts, name)?;
        self.network.unplug(host.number)?;
        host.host.power_loss()
    }

    /// Gives both back; the host boots with the files it had.
    pub(crate) fn restore_power(&mut self, name: &str) -> Result<()> {
        let host = named(&mut self.hosts, name)?;
        self.network.plug(host.number)?;
        host.host.boot()
    }

    /// A playbook that is given a release.
    pub(crate) fn play(&self, name: &str, release: &str) -> Result<Play> {
        let play = Play::of(name)
            .text("corelane_release", &self.releases.archive(release)?.display().to_string())
            .text("corelane_release_public_key", &self.releases.key().display().to_string());
        let play = play.text("corelane_rollout_state_dir", &self.controller.state_folder().display().to_string());
        Ok(play.text("corelane_pki_dir", &self.controller.pki_folder().display().to_string()))
    }

    /// A copy of the lab's inventory, to be changed.
    pub(crate) fn copy_of_inventory(&self) -> Result<PathBuf> {
        let copy = self.folder().join("inventory");
        if copy.exists() {
            // Of a scenario that failed.
            fs::remove_dir_all(&copy).with_context(|| copy.display().to_string())?;
        }
        copy_folder(&self.controller.inventories().join("lab"), &copy)?;
        Ok(copy)
    }

    /// The host of a name.
    pub(crate) fn host(&self, name: &str) -> Result<&ContainerHost> {
        let found = self.hosts.iter().find(|host| host.name == name);
        found.map(|found| &found.host).with_context(|| format!("no host is named {name}"))
    }

    /// The folder of this run.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// Prints what a person needs to use the fleet by hand, and waits for Ctrl-C.
    fn hold(&self) -> Result<()> {
        println!("{}", self.controller.by_hand(&self.releases)?);
        let held = wait(&self.stop, HOLD_LIMIT, "the end", || None::<()>);
        ensure!(self.stop.requested(), "{held:?}");
        Ok(())
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())?.flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn named<'a>(hosts: &'a mut [FleetHost], name: &str) -> Result<&'a mut FleetHost> {
    hosts.iter_mut().find(|host| host.name == name).with_context(|| format!("no host is named {name}"))
}

/// A folder that goes with the run.
struct RunFolder(PathBuf);

impl RunFolder {
    fn new(name: &str) -> Result<Self> {
        let folder = Path::new(FOLDER).join(format!("{name}-controller"));
        fs::create_dir_all(&folder).with_context(|| format!("{} could not be made", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} is left: {error}", self.0.display());
        }
    }
}

/// Runs the scenarios on one fleet, one after the other; returns how many failed.
///
/// # Errors
/// The fleet cannot be booted.
pub(crate) fn test(options: &Options, stop: &Stop) -> Result<usize> {
    let chosen = chosen(&options.only)?;
    let began = Instant::now();
    let image = HostImage::ready(stop)?;
    println!("image: {:.1} s", began.elapsed().as_secs_f64());
    let booting = Instant::now();
    let mut fleet = Fleet::boot(&image, options, stop)?;
    println!("fleet: {} hosts boot in {:.1} s", fleet.hosts.len(), booting.elapsed().as_secs_f64());
    if options.hold {
        fleet.hold()?;
        return Ok(0);
    }
    let (mut passed, mut failed) = (0, 0);
    for scenario in chosen {
        let began = Instant::now();
        let outcome = (scenario.run)(&mut fleet);
        let seconds = began.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                passed += 1;
                println!("scenario {} ... ok ({seconds:.1} s)", scenario.name);
            }
            Err(error) => {
                failed += 1;
                println!("scenario {} ... FAILED ({seconds:.1} s)\n{error:#}", scenario.name);
                if scenario.always || stop.requested() {
                    println!("the others rest on it, and were not run");
                    break;
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed)
}

/// The scenarios with one of these in their names, and those that they rest on; all of them where nothing is asked for.
///
/// # Errors
/// One of the texts is in no name.
fn chosen(only: &[String]) -> Result<Vec<&'static FleetScenario>> {
    let unknown: Vec<_> =
        only.iter().filter(|text| !SCENARIOS.iter().any(|scenario| scenario.name.contains(text.as_str()))).collect();
    let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    ensure!(unknown.is_empty(), "--only: found {unknown:?}, allowed: a part of {}", names.join(", "));
    let is_chosen =
        |scenario: &FleetScenario| only.is_empty() || only.iter().any(|text| scenario.name.contains(text.as_str()));
    Ok(SCENARIOS.iter().filter(|scenario| scenario.always || is_chosen(scenario)).collect())
}

/// Runs a program to its end, which must be good.
fn must(command: &mut std::process::Command, stop: &Stop) -> Result<String> {
    const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);
    let name = command.get_program().to_string_lossy().into_owned();
    run(command, LIMIT, stop)?.success(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_there_is_can_be_chosen() {
        let names = |only: &[&str]| {
            let only: Vec<_> = only.iter().map(ToString::to_string).collect();
            chosen(&only).map(|chosen| chosen.iter().map(|scenario| scenario.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap().len(), SCENARIOS.len());
        assert_eq!(names(&["tune_ab"]).unwrap(), ["site", "measure: tune_ab"]);
        let refused = names(&["tune_ab", "rollot"]).unwrap_err().to_string();
        assert!(
            refused.contains("\"rollot\"") && !refused.contains("\"tune_ab\"") && refused.contains("host dies"),
            "{refused}"
        );
    }
}
