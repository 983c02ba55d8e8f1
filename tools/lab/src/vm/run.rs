//! The test program: preflight, image, machine, scenarios.
//!
//! **Invariants**: a scenario that fails does not keep the next from running, on a machine that is started anew.

use std::time::Instant;

use anyhow::{Result, bail, ensure};

use super::image::GuestImage;
use super::machine::{GuestMachine, GuestPrograms};
use super::preflight;
use super::report::{Report, ScenarioResult};
use super::scenarios::{SCENARIOS, VmScenario};
use crate::cache::ImageCache;
use crate::poll::Stop;
use crate::progress::ProgressLog;

/// What is run.
#[derive(Debug, Clone, Default)]
pub struct VmTestOptions {
    /// Only scenarios of these names; all when empty.
    pub only: Vec<String>,
}

/// The names of all scenarios, in order.
#[must_use]
pub fn scenario_names() -> Vec<&'static str> {
    SCENARIOS.iter().map(|scenario| scenario.name).collect()
}

/// Runs the scenarios on a machine of their own. `programs` is asked for ours once the machine is known to have what it takes.
///
/// # Errors
/// The operator's: an unknown scenario, or what the preflight names. That the image could not be made, or that the machine did not
/// boot. A scenario that fails is no error, but part of the report.
pub fn run(options: &VmTestOptions, programs: impl FnOnce(&Stop) -> Result<GuestPrograms>) -> Result<Report> {
    let wanted = wanted(&options.only)?;
    let (progress, stop) = (ProgressLog::begin(), Stop::on_signals()?);
    let cache = ImageCache::open()?;
    preflight::check(cache.folder())?;
    progress.say("preflight: this machine has what it takes");
    let image = GuestImage::prepare(&cache, &progress, &stop)?;
    let programs = programs(&stop)?;
    let mut bench = Bench { image, programs, progress, stop, machine: None };
    let mut report = Report::default();
    for scenario in wanted {
        let result = bench.run(scenario);
        bench.progress.say(&format!("scenario {}: {}", result.name, said(&result)));
        report.scenarios.push(result);
        if bench.stop.requested() {
            bail!("stopped by a signal after {}", report.last_line());
        }
    }
    Ok(report)
}

fn said(result: &ScenarioResult) -> String {
    match &result.outcome {
        Ok(said) => format!("passed ({} s): {said}", result.seconds),
        Err(why) => format!("FAILED ({} s): {why}", result.seconds),
    }
}

fn wanted(only: &[String]) -> Result<Vec<&'static VmScenario>> {
    let unknown: Vec<&str> = only.iter().map(String::as_str).filter(|name| !scenario_names().contains(name)).collect();
    ensure!(unknown.is_empty(), "no such scenario: {}; there are {}", unknown.join(", "), scenario_names().join(", "));
    let is_wanted = |scenario: &&VmScenario| only.is_empty() || only.iter().any(|name| name == scenario.name);
    Ok(SCENARIOS.iter().filter(is_wanted).collect())
}

struct Bench {
    image: GuestImage,
    programs: GuestPrograms,
    progress: ProgressLog,
    stop: Stop,
    machine: Option<GuestMachine>,
}

impl Bench {
    fn run(&mut self, scenario: &VmScenario) -> ScenarioResult {
        let began = Instant::now();
        self.progress.say(&format!("scenario {}: {}", scenario.name, scenario.shows));
        let outcome = self.on_machine(scenario).map_err(|error| format!("{error:#}"));
        if outcome.is_err() {
            // Whatever it left there is no place for the next.
            self.machine = None;
        }
        ScenarioResult { name: scenario.name, outcome, seconds: began.elapsed().as_secs() }
    }

    fn on_machine(&mut self, scenario: &VmScenario) -> Result<String> {
        let machine = match self.machine.take() {
            Some(machine) => machine,
            None => {
                let machine = GuestMachine::boot(&self.image, &self.progress, &self.stop)?;
                self.programs.install(&machine)?;
                machine
            }
        };
        (scenario.run)(self.machine.insert(machine), &self.programs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_chosen_by_name() {
        assert_eq!(wanted(&[]).unwrap().len(), SCENARIOS.len());
        let one = scenario_names()[0].to_owned();
        assert_eq!(wanted(std::slice::from_ref(&one)).unwrap().len(), 1);
        let error = wanted(&[one, "bot".into()]).err().unwrap().to_string();
        assert!(error.starts_with("no such scenario: bot; there are "), "{error}");
    }
}
