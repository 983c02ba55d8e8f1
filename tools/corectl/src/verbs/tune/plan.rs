//! `corectl tune plan`, and the options that say what is planned.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use corectl::facts::Facts;
use corectl::host::HostError;
use corectl::knobs::{Group, Risk};
use corectl::plan::{PlanLimits, TunePlan, plan, release, render};
use corectl::printable::printable;
use corectl::profile::Profile;

use super::session::TuneSession;

/// What a host says for itself, when nobody says otherwise.
pub(crate) const OVERRIDES_FILE: &str = "/etc/corelane/tune.toml";

#[derive(clap::Args)]
pub(crate) struct PlanOptions {
    /// safe, throughput, latency or extreme
    #[arg(long, default_value = "safe")]
    profile: String,
    /// Set one knob otherwise than the profile; `KNOB=leave` leaves it alone
    #[arg(long = "set", value_name = "KNOB=VALUE")]
    set: Vec<String>,
    /// Only these groups of knobs
    #[arg(long, value_delimiter = ',')]
    only: Vec<Group>,
    /// The largest risk that is taken; the profile's own when not said
    #[arg(long)]
    max_risk: Option<Risk>,
    /// What this host says for itself; a path of the host, and it need not be there
    #[arg(long, value_name = "FILE", default_value = OVERRIDES_FILE)]
    overrides: String,
    /// The map of cores that is written for `cores = "profile"`; a path of the host
    #[arg(long, value_name = "FILE", default_value = control::core_map::DEFAULT_PATH)]
    cores_map: String,
}

impl PlanOptions {
    pub(super) fn facts(&self, session: &TuneSession) -> Facts {
        Facts::gather_with(session.host(), &self.cores_map)
    }

    pub(super) fn plan(&self, session: &TuneSession, facts: &Facts) -> Result<TunePlan> {
        let mut plan = plan(facts, &self.profile(session)?, &self.limits());
        if let Some(confirmed) = session.store().confirmed()? {
            release(&mut plan, facts, &confirmed, &self.limits());
        }
        Ok(plan)
    }

    /// The profile with what the host and the command line say of it.
    pub(super) fn profile(&self, session: &TuneSession) -> Result<Profile> {
        let mut profile = Profile::named(&self.profile)?;
        match session.host().read(&self.overrides) {
            Ok(text) => profile.override_with(&self.overrides, &text)?,
            Err(HostError::Absent { .. }) if self.overrides == OVERRIDES_FILE => {}
            Err(error) => return Err(error.into()),
        }
        for assignment in &self.set {
            profile.set(assignment)?;
        }
        Ok(profile)
    }

    /// What the operator allows.
    pub(super) fn limits(&self) -> PlanLimits {
        PlanLimits { only: self.only.clone(), max_risk: self.max_risk }
    }
}

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    plan: PlanOptions,
    /// Plan for these facts, which `facts --json` printed on another host
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(session: &TuneSession, options: &Options) -> Result<ExitCode> {
    let facts = match &options.facts {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            serde_json::from_str(&text).with_context(|| path.display().to_string())?
        }
        None => options.plan.facts(session),
    };
    let plan = options.plan.plan(session, &facts)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&plan)?);
    } else {
        print!("{}", printable(&render(&plan)));
    }
    Ok(if plan.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}
