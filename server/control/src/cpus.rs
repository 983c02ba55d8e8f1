//! Which CPUs the threads of a process have.
//!
//! ```text
//!  cores = "auto"      all that the process may use
//!  cores = "2-5"       those
//!  cores = "profile" ──▶ the map of cores (cores_map): its cores, and its control_cpu
//!  control_cpu ──▶ the control thread, and all that are started by it or before it: log writer, readers of files, resolver
//! ```
//!
//! **Not** pinning data cores: each pins itself.
//!
//! **Invariants**: every CPU of a plan is one that the process may use.
//!
//! **Source**: docs/config.md; sched_setaffinity(2): a new thread has the CPUs of the one that starts it.

use std::path::Path;

use crate::{
    core_map::CoreMap,
    settings::value::{ControlCpu, Cores},
};

/// What the settings say of CPUs.
#[derive(Clone, Copy, Debug)]
pub struct CpuSettings<'a> {
    /// `cores`.
    pub cores: &'a Cores,
    /// `cores_map`.
    pub map: &'a Path,
    /// `control_cpu`.
    pub control: ControlCpu,
}

/// The CPUs of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuPlan {
    /// Of each data core, at least one.
    pub data: Vec<usize>,
    /// Of the control thread and its helpers; `None` leaves them to the scheduler.
    pub control: Option<usize>,
}

impl CpuPlan {
    /// The CPUs that the settings name, for a process that may use those `allowed`.
    ///
    /// # Errors
    ///
    /// The operator's: every CPU that this process may not use, or what is wrong with the map; a line each.
    pub fn new(settings: CpuSettings<'_>, allowed: Vec<usize>) -> Result<Self, String> {
        let map = match settings.cores {
            Cores::Profile => Some(read_map(settings.map, &allowed)?),
            Cores::Auto | Cores::Cpus(_) => None,
        };
        let refused =
            |key: &str, cpu: usize| format!("{key}: found {cpu}, allowed: the CPUs of this process, {allowed:?}");
        let named = |key, cpus: &[u16]| -> Vec<String> {
            let cpus = cpus.iter().map(|cpu| usize::from(*cpu));
            cpus.filter(|cpu| !allowed.contains(cpu)).map(|cpu| refused(key, cpu)).collect()
        };
        let mut faults = Vec::new();
        if let Cores::Cpus(cpus) = settings.cores {
            faults.extend(named("cores", cpus));
        }
        if let ControlCpu::Cpu(cpu) = settings.control {
            faults.extend(named("control_cpu", &[cpu]));
        }
        if !faults.is_empty() {
            return Err(faults.join("\n"));
        }
        let control = match settings.control {
            ControlCpu::Cpu(cpu) => Some(usize::from(cpu)),
            ControlCpu::Auto => map.as_ref().map(|map| usize::from(map.control_cpu)),
        };
        let data = match (settings.cores, &map) {
            (Cores::Cpus(cpus), _) => cpus.iter().map(|cpu| usize::from(*cpu)).collect(),
            (_, Some(map)) => map.cores.iter().map(|core| usize::from(core.cpu)).collect(),
            (_, None) => allowed,
        };
        Ok(Self { data, control })
    }
}

fn read_map(file: &Path, allowed: &[usize]) -> Result<CoreMap, String> {
    let map = CoreMap::read(file).map_err(|error| error.to_string())?;
    let faults = map.host_faults(allowed);
    if faults.is_empty() {
        return Ok(map);
    }
    let lines: Vec<String> = faults.iter().map(|fault| format!("{}: {fault}", file.display())).collect();
    Err(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(cores: &Cores, control: ControlCpu, map: &Path) -> Result<CpuPlan, String> {
        CpuPlan::new(CpuSettings { cores, map, control }, vec![1, 2, 3])
    }

    #[test]
    fn named_cpus_are_taken_in_their_order_if_they_are_allowed() {
        let of = |cores: Cores, control| plan(&cores, control, Path::new("/nonexistent"));
        let expected = |data: &[usize], control| Ok(CpuPlan { data: data.to_vec(), control });
        assert_eq!(of(Cores::Cpus(vec![3, 1]), ControlCpu::Auto), expected(&[3, 1], None));
        assert_eq!(of(Cores::Auto, ControlCpu::Cpu(2)), expected(&[1, 2, 3], Some(2)));
        let refused = "cores: found 4, allowed: the CPUs of this process, [1, 2, 3]\n\
            cores: found 0, allowed: the CPUs of this process, [1, 2, 3]\n\
            control_cpu: found 7, allowed: the CPUs of this process, [1, 2, 3]";
        assert_eq!(of(Cores::Cpus(vec![1, 4, 0]), ControlCpu::Cpu(7)), Err(refused.to_owned()));
    }

    #[test]
    fn a_profile_is_read_from_its_map() {
        let folder = std::env::temp_dir().join(format!("corelane-cpus-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("cores.toml");
        let write = |control: u16, cpus: [u16; 2]| {
            let cores: String = cpus.iter().map(|cpu| format!("[[core]]\ncpu = {cpu}\nnuma_node = 0\n")).collect();
            std::fs::write(&file, format!("version = 1\ncontrol_cpu = {control}\n{cores}")).unwrap();
        };
        write(1, [3, 2]);
        let mapped = CpuPlan { data: vec![3, 2], control: Some(1) };
        assert_eq!(plan(&Cores::Profile, ControlCpu::Auto, &file), Ok(mapped.clone()));
        let told = CpuPlan { control: Some(3), ..mapped };
        assert_eq!(plan(&Cores::Profile, ControlCpu::Cpu(3), &file), Ok(told), "the key wins");
        write(8, [3, 9]);
        let refused = plan(&Cores::Profile, ControlCpu::Auto, &file).unwrap_err();
        let name = file.display();
        let expected = format!(
            "{name}: cpu: found 9, allowed: the CPUs of this process, [1, 2, 3]\n\
             {name}: control_cpu: found 8, allowed: the CPUs of this process, [1, 2, 3]"
        );
        assert_eq!(refused, expected);
        std::fs::remove_dir_all(&folder).unwrap();
        let missing = plan(&Cores::Profile, ControlCpu::Auto, &file).unwrap_err();
        assert!(missing.starts_with(&format!("{name}: cannot read the map of cores: ")), "{missing}");
    }
}
