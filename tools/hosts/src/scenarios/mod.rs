//! What is shown under a real systemd.

mod drain;
mod five_minutes;
mod install;
mod release;
mod service;
mod tune;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::host::ContainerHost;
use crate::image::HostImage;
use crate::network::HostNetwork;
use corelane_lab::poll::Stop;

/// What all scenarios get.
pub(crate) struct HostLab {
    pub(crate) image: HostImage,
    pub(crate) deb: PathBuf,
    pub(crate) manual: PathBuf,
    pub(crate) stop: Stop,
}

/// Something that is shown on hosts of its own.
pub(crate) struct HostScenario {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&HostLab) -> Result<()>,
}

/// All of them, those first that others rest on.
pub(crate) const SCENARIOS: &[HostScenario] = &[
    HostScenario { name: "install", run: install::run },
    HostScenario { name: "five minutes", run: five_minutes::run },
    HostScenario { name: "life", run: service::life },
    HostScenario { name: "restarts", run: service::restarts },
    HostScenario { name: "later", run: service::later },
    HostScenario { name: "hardening", run: service::hardening },
    HostScenario { name: "power", run: service::power },
    HostScenario { name: "watchdog", run: service::watchdog },
    HostScenario { name: "tune", run: tune::run },
    HostScenario { name: "release", run: release::run },
    HostScenario { name: "drain", run: drain::run },
];

/// Long enough for anything short, on a machine that does other things as well.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// A host with a network of its own. Dropped in the order of the fields.
pub(crate) struct SingleHost {
    pub(crate) host: ContainerHost,
    network: HostNetwork,
}

impl SingleHost {
    pub(crate) fn start(setting: &HostLab, name: &str) -> Result<Self> {
        let name = format!("lab-{}-{name}", std::process::id());
        let mut network = HostNetwork::new(&name, &setting.stop)?;
        let namespace = network.add(1)?;
        let host = ContainerHost::start(&setting.image, &name, &namespace, &setting.stop)?;
        Ok(Self { host, network })
    }

    /// A host with the package.
    pub(crate) fn installed(setting: &HostLab, name: &str) -> Result<Self> {
        let lab = Self::start(setting, name)?;
        lab.install(setting)?;
        Ok(lab)
    }

    /// Takes cable and power away, and gives both back.
    pub(crate) fn lose_power(&mut self) -> Result<()> {
        self.network.unplug(1)?;
        self.host.power_loss()?;
        self.network.plug(1)?;
        self.host.boot()
    }

    /// Installs the package.
    pub(crate) fn install(&self, setting: &HostLab) -> Result<()> {
        install_on(setting, &self.host)
    }

    /// Puts the package into /srv.
    pub(crate) fn copy_package(&self, setting: &HostLab) -> Result<String> {
        copy_package(setting, &self.host)
    }
}

/// Installs the package on a host.
pub(crate) fn install_on(setting: &HostLab, host: &ContainerHost) -> Result<()> {
    let name = copy_package(setting, host)?;
    host.must(&format!("cd /srv && apt-get install -y ./{name}"), MINUTE).map(drop)
}

/// Puts the package into a host's /srv; returns its name.
fn copy_package(setting: &HostLab, host: &ContainerHost) -> Result<String> {
    let name = setting.deb.file_name().context("the package has no name")?.to_string_lossy().into_owned();
    fs::copy(&setting.deb, host.path("srv").join(&name)).context("the package could not be copied")?;
    Ok(name)
}
