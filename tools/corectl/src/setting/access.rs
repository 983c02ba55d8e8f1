//! Settings read, written and put back on a host.
//!
//! **Invariants**: what holds already is not written. What a kernel or driver answers is not believed: reading back is the caller's
//! next step.

use super::vectors::{QueueVector, queue_vectors};
use super::{Form, SettingAddress, SettingReading, VectorSide, boot, unit, untracked};
use crate::cpu_list::CpuList;
use crate::ethtool;
use crate::host::{HostAccess, HostError};

/// Reads a setting.
#[must_use]
pub fn read(host: &dyn HostAccess, address: &SettingAddress) -> SettingReading {
    match address {
        SettingAddress::File { path, .. } | SettingAddress::Stored { path } => from_file(host, address, path),
        SettingAddress::Nic { nic, item } => ethtool::read(host, nic, item),
        SettingAddress::Irq { nic, queue, side } => from_irq(host, (nic, *queue, *side), "smp_affinity_list"),
        SettingAddress::Unit { unit } => unit::read(host, unit),
        SettingAddress::Boot { parameter } => boot::read(host, parameter),
        SettingAddress::Untracked => untracked::read(host),
    }
}

/// Reads what is in force, where the kernel says that apart from what was asked for.
#[must_use]
pub fn effective(host: &dyn HostAccess, address: &SettingAddress) -> SettingReading {
    match address {
        SettingAddress::Irq { nic, queue, side } => from_irq(host, (nic, *queue, *side), "effective_affinity_list"),
        SettingAddress::Boot { parameter } => boot::in_force(host, parameter),
        _ => read(host, address),
    }
}

/// Writes a setting, unless it holds already.
///
/// # Errors
/// The host's: the kernel or the driver refuses, or there is no such setting.
pub fn write(host: &dyn HostAccess, address: &SettingAddress, value: &str) -> Result<(), HostError> {
    if read(host, address).value() == Some(value) {
        return Ok(());
    }
    match address {
        SettingAddress::File { path, form: Form::CpuMask } => host.write(path, &mask(value)),
        SettingAddress::File { path, .. } => host.write(path, value),
        SettingAddress::Nic { nic, item } => ethtool::write(host, nic, item, value),
        SettingAddress::Irq { nic, queue, side } => write_irq(host, (nic, *queue, *side), value),
        SettingAddress::Stored { path } => host.store(path, value).and_then(|()| unit::reload(host, path)),
        SettingAddress::Unit { unit } => unit::write(host, unit, value),
        SettingAddress::Boot { parameter } => boot::write(host, parameter, value),
        SettingAddress::Untracked => untracked::write(host, value),
    }
}

/// Puts back what was read before.
///
/// # Errors
/// As [`write()`].
pub fn take_back(host: &dyn HostAccess, address: &SettingAddress, prior: &SettingReading) -> Result<(), HostError> {
    match (address, prior) {
        (SettingAddress::Stored { path }, SettingReading::Absent) => {
            host.remove(path).and_then(|()| unit::reload(host, path))
        }
        (_, SettingReading::Value(value)) => write(host, address, value),
        // What was not there, or was not changed because it could not be put back.
        _ => Ok(()),
    }
}

/// Lets systemd read the files among some addresses again: whoever was killed may have left it with older ones.
///
/// # Errors
/// systemd refuses.
pub fn settle<'a>(host: &dyn HostAccess, addresses: impl Iterator<Item = &'a SettingAddress>) -> Result<(), HostError> {
    let mut files = addresses.filter_map(|address| match address {
        SettingAddress::Stored { path } if unit::is_of_systemd(path) => Some(path),
        _ => None,
    });
    files.next().map_or(Ok(()), |path| unit::reload(host, path))
}

fn from_file(host: &dyn HostAccess, address: &SettingAddress, path: &str) -> SettingReading {
    match host.read(path) {
        // What the kernel says of SMT where there is none to turn off.
        Ok(text) if matches!(text.trim(), "notsupported" | "notimplemented") => SettingReading::Absent,
        Ok(text) if matches!(address, SettingAddress::Stored { .. }) && text.contains(char::REPLACEMENT_CHARACTER) => {
            SettingReading::Unreadable("it is no UTF-8 text".into())
        }
        Ok(text) => SettingReading::Value(address.normal(&text)),
        Err(error) if error.is_absent() => SettingReading::Absent,
        Err(error) => SettingReading::Unreadable(error.to_string()),
    }
}

fn mask(list: &str) -> String {
    CpuList::from_list(list).map_or_else(|| list.to_owned(), |list| list.to_mask())
}

fn vector(host: &dyn HostAccess, (nic, queue, side): (&str, u32, VectorSide)) -> Option<QueueVector> {
    queue_vectors(host, nic).into_iter().find(|vector| vector.queue == queue && vector.is_side(side))
}

fn from_irq(host: &dyn HostAccess, which: (&str, u32, VectorSide), file: &str) -> SettingReading {
    let Some(vector) = vector(host, which) else { return SettingReading::Absent };
    let (nic, queue, side) = which;
    let address = SettingAddress::Irq { nic: nic.into(), queue, side };
    from_file(host, &address, &format!("/proc/irq/{}/{file}", vector.irq))
}

fn write_irq(host: &dyn HostAccess, which: (&str, u32, VectorSide), value: &str) -> Result<(), HostError> {
    let (nic, queue, _) = which;
    let vector = vector(host, which);
    let vector = vector.ok_or_else(|| HostError::Absent { path: format!("an interrupt of {nic} queue {queue}") })?;
    host.write(&format!("/proc/irq/{}/smp_affinity_list", vector.irq), value)
}
