//! Whether a start would find on this host what its settings name.
//!
//! **Invariants**: nothing is taken and nothing is made; file systems are asked within a time limit.
//!
//! **Source**: docs/config.md; docs/operations.md, "Exit statuses".

use std::io;
use std::path::Path;

use super::{Bootable, StartError};
use crate::bind_check;
use crate::exposure;
use crate::lifecycle::FILES_TIMEOUT;
use crate::listen_error;
use crate::memory::{self, HostMemory, MemoryLimit};
use crate::process_limits::ProcessLimits;
use crate::reading::ReadingPlace;
use crate::refusal::MissingNow;
use crate::settings::value::SettingValue;
use crate::settings::{ListenAddress, Loaded};
use shardstore::cache::CacheError;

/// All addresses that the settings name, with their keys.
fn addresses<T>(loaded: &Loaded<T>) -> impl Iterator<Item = (String, &ListenAddress)> {
    loaded.effective.entries().flat_map(|(key, entry)| {
        let addresses = match &entry.value {
            Some(SettingValue::Address(address)) => std::slice::from_ref(address),
            Some(SettingValue::Addresses(addresses)) => addresses,
            _ => &[],
        };
        addresses.iter().map(move |address| (key.clone(), address))
    })
}

/// Looks at what the settings name on this host, and at the folders of its sockets: the cores make those without a deadline.
pub(super) fn check_host<T: Bootable>(loaded: Loaded<T>, files: &ReadingPlace) -> Result<Loaded<T>, StartError> {
    let (loaded, outcome) = files.within(FILES_TIMEOUT, move |looking| {
        for (_, address) in addresses(&loaded) {
            if let ListenAddress::Unix(path) = address {
                looking.note(path);
                // What is wrong with it, the bind says.
                let _ = path.symlink_metadata();
            }
        }
        let outcome = loaded.settings.check_host(looking);
        (loaded, outcome)
    })?;
    outcome.map_err(|fault| loaded.unusable(fault.key, fault.reason))?;
    Ok(loaded)
}

/// Whether a start could listen on all addresses, were they free. A start finds it out by listening.
pub(super) fn check_addresses<T>(loaded: &Loaded<T>, files: &ReadingPlace) -> Result<(), StartError> {
    for (key, address) in addresses(loaded) {
        let checked = address.clone();
        let outcome = files.within(FILES_TIMEOUT, move |looking| {
            looking.note(Path::new(&checked.to_string()));
            bind_check::check(&checked)
        })?;
        let Err(error) = outcome else { continue };
        let remedy = listen_error::remedy(&address.into(), error.kind());
        let reason = format!("cannot listen on {address}: {error}; {remedy}");
        let refusal = loaded.unusable(&key, reason);
        // Whether to try again, the kernel's error says.
        return Err(io::Error::new(error.kind(), refusal.to_string()).into());
    }
    Ok(())
}

/// Refuses commands from where others than this host can give them: nobody is asked who he is.
pub(super) fn check_command_listen<T: Bootable>(loaded: &Loaded<T>) -> Result<(), StartError> {
    let exposed = |address: &ListenAddress| exposure::is_exposed(&address.into());
    if !loaded.settings.command_listen().is_some_and(exposed) {
        return Ok(());
    }
    let reason = "others than this host could end its service; name a Unix socket or a loopback address".to_owned();
    Err(loaded.unusable("command_listen", reason).into())
}

/// Refuses to take memory that is not there: the kernel would end the process while it takes it. What is more than there ever is is
/// refused for good.
pub(super) fn check_at_start<T: Bootable>(loaded: &Loaded<T>, host: Option<&HostMemory>) -> Result<(), StartError> {
    let taken = loaded.settings.memory_at_start();
    let Some((MemoryLimit { bytes, of }, is_for_good)) = host.and_then(|host| host.lacks(taken)) else {
        return Ok(());
    };
    let available = memory::readable(*bytes);
    let reason = format!(
        "memory_commit = \"at-start\" takes all of it at once, and {of} has {available} for it; lower it, or set memory_commit = \"as-needed\""
    );
    let unusable = loaded.unusable("memory", reason);
    if is_for_good { Err(unusable.into()) } else { Err(MissingNow(unusable.to_string()).into()) }
}

/// Refuses a start whose shards would not get their address space. A limit of the process is refused for good; of what the kernel
/// has not now, its error says so.
pub(super) fn check_reservation<T: Bootable>(loaded: &Loaded<T>, cores: usize) -> Result<(), StartError> {
    let each = loaded.settings.memory() / cores.max(1) as u64;
    // Whether it is enough was checked with the settings.
    let Err(CacheError::Map(error)) = shardstore::cache::check_reservation(each, cores) else { return Ok(()) };
    let refused = |remedy: &str| {
        loaded.unusable("memory", format!("its address space, for {cores} cores, was refused: {error}{remedy}"))
    };
    match ProcessLimits::read().behind(&error) {
        Some(limit) => Err(refused(&format!(": {limit}")).into()),
        None => Err(io::Error::new(error.kind(), refused("").to_string()).into()),
    }
}
