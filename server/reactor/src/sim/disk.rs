//! The disk of a simulated process: what was flushed outlives a crash, what was not may be kept, lost or torn.
//!
//! ```text
//!   write ──▶ cached sectors ──flush──▶ stable sectors
//!                   │ power loss: each unflushed sector is kept, lost, or torn (a part of it new, the rest old)
//!                   └ kill -9: the kernel still has them, nothing is lost
//! ```
//!
//! **Not** timed: an operation is done when it returns. **Not** a file system: a file is a name and its sectors, and making one
//! is durable at once.
//!
//! **Invariants**: what a flush has acknowledged is read back after any crash, unless [`DiskFaults::lying_flush`] is set or
//! [`SimDisk::rot`] was called; the same seed tears the same sectors.
//!
//! **Source**: fsync(2); R. Alagappan et al., "Correlated Crash Vulnerabilities", OSDI 2016 (what is lost and torn).

use std::collections::BTreeMap;
use std::io;

use crate::random::Random;

/// What a device writes whole or not at all, in bytes.
pub const SECTOR_BYTES: usize = 512;

type Sector = [u8; SECTOR_BYTES];

/// What goes wrong on a disk, from when it is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFaults {
    /// A flush says that it is done, and nothing is stable.
    pub lying_flush: bool,
    /// The next write or flush fails with `EIO`; what it was to write is as if never written.
    pub error_once: bool,
    /// Bytes that all files together may have; a write beyond fails with `ENOSPC` and changes nothing. `None`: no bound.
    pub capacity_bytes: Option<u64>,
}

#[derive(Default)]
struct File {
    length_bytes: u64,
    stable_length_bytes: u64,
    stable: BTreeMap<u64, Sector>,
    /// Written and not flushed.
    cached: BTreeMap<u64, Sector>,
}

/// The files of one process.
pub struct SimDisk {
    files: BTreeMap<String, File>,
    faults: DiskFaults,
    random: Random,
}

impl SimDisk {
    /// An empty disk; the seed decides what a power loss takes.
    pub fn new(seed: u64) -> Self {
        SimDisk { files: BTreeMap::new(), faults: DiskFaults::default(), random: Random::new(seed) }
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&mut self, faults: DiskFaults) {
        self.faults = faults;
    }

    /// Bytes of a file, 0 of one that does not exist.
    pub fn length_bytes(&self, name: &str) -> u64 {
        self.files.get(name).map_or(0, |file| file.length_bytes)
    }

    /// Writes at a place; the file is made, and grows, as needed.
    ///
    /// # Errors
    /// The disk's: `EIO` and `ENOSPC`, as the faults in force say. Nothing was changed.
    pub fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.fail_once()?;
        let end = offset + bytes.len() as u64;
        let others: u64 =
            self.files.iter().filter(|(other, _)| *other != name).map(|(_, file)| file.length_bytes).sum();
        let wanted = others + end.max(self.length_bytes(name));
        if self.faults.capacity_bytes.is_some_and(|capacity| wanted > capacity) {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        let file = self.files.entry(name.to_owned()).or_default();
        let mut at = offset;
        for piece in pieces(offset, bytes) {
            let (number, start) = (at / SECTOR_BYTES as u64, (at % SECTOR_BYTES as u64) as usize);
            let mut sector = file.sector(number);
            sector[start..start + piece.len()].copy_from_slice(piece);
            file.cached.insert(number, sector);
            at += piece.len() as u64;
        }
        file.length_bytes = file.length_bytes.max(end);
        Ok(())
    }

    /// Makes everything that was written to a file stable.
    ///
    /// # Errors
    /// The disk's: `EIO`, after which what was not flushed is as a power loss would leave it (fsync(2), "errors").
    pub fn flush(&mut self, name: &str) -> io::Result<()> {
        if let Err(error) = self.fail_once() {
            if let Some(file) = self.files.get_mut(name) {
                file.lose(&mut self.random);
            }
            return Err(error);
        }
        if self.faults.lying_flush {
            return Ok(());
        }
        if let Some(file) = self.files.get_mut(name) {
            file.stable.append(&mut file.cached);
            file.stable_length_bytes = file.length_bytes;
        }
        Ok(())
    }

    /// Fills `bytes` from a place of a file; how many there were before its end.
    pub fn read(&self, name: &str, offset: u64, bytes: &mut [u8]) -> usize {
        let Some(file) = self.files.get(name) else { return 0 };
        let count = usize::try_from(file.length_bytes.saturating_sub(offset)).unwrap_or(usize::MAX).min(bytes.len());
        for (index, byte) in bytes[..count].iter_mut().enumerate() {
            let at = offset + index as u64;
            *byte = file.sector(at / SECTOR_BYTES as u64)[(at % SECTOR_BYTES as u64) as usize];
        }
        count
    }

    /// Removes a file, at once and for good.
    pub fn remove(&mut self, name: &str) {
        self.files.remove(name);
    }

    /// The host loses its power: of what was not flushed, each sector is kept, lost or torn.
    pub fn lose_power(&mut self) {
        for file in self.files.values_mut() {
            file.lose(&mut self.random);
        }
    }

    /// Flips one bit of what is stable in a file, as a medium does at rest; false where nothing is.
    pub fn rot(&mut self, name: &str) -> bool {
        let Some(file) = self.files.get_mut(name).filter(|file| !file.stable.is_empty()) else { return false };
        let index = self.random.below(file.stable.len() as u64) as usize;
        let bit = self.random.below(8 * SECTOR_BYTES as u64) as usize;
        let sector = file.stable.values_mut().nth(index).expect("the index is below the count");
        sector[bit / 8] ^= 1 << (bit % 8);
        true
    }

    fn fail_once(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.faults.error_once) { Err(io::Error::from_raw_os_error(libc::EIO)) } else { Ok(()) }
    }
}

impl File {
    /// A sector as a reader sees it.
    fn sector(&self, number: u64) -> Sector {
        let known = self.cached.get(&number).or_else(|| self.stable.get(&number));
        known.copied().unwrap_or([0; SECTOR_BYTES])
    }

    /// Loses what was not flushed, or a part of it. The length is that of the last sector that is left.
    fn lose(&mut self, random: &mut Random) {
        for (number, new) in std::mem::take(&mut self.cached) {
            let mut sector = self.stable.get(&number).copied().unwrap_or([0; SECTOR_BYTES]);
            let new_bytes = match random.below(3) {
                0 => 0,
                1 => SECTOR_BYTES,
                _ => random.below(SECTOR_BYTES as u64) as usize,
            };
            if new_bytes == 0 {
                continue;
            }
            sector[..new_bytes].copy_from_slice(&new[..new_bytes]);
            self.stable.insert(number, sector);
            let end = ((number + 1) * SECTOR_BYTES as u64).min(self.length_bytes);
            self.stable_length_bytes = self.stable_length_bytes.max(end);
        }
        self.length_bytes = self.stable_length_bytes;
    }
}

/// Cuts what is written at `offset` where sectors end.
fn pieces(offset: u64, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let first = (SECTOR_BYTES - (offset % SECTOR_BYTES as u64) as usize).min(bytes.len());
    let (head, rest) = bytes.split_at(first);
    std::iter::once(head).chain(rest.chunks(SECTOR_BYTES)).filter(|piece| !piece.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(disk: &SimDisk, name: &str) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(disk.length_bytes(name)).unwrap()];
        assert_eq!(disk.read(name, 0, &mut bytes), bytes.len());
        bytes
    }

    #[test]
    fn what_is_written_is_read_at_any_place_and_length() {
        let mut disk = SimDisk::new(1);
        let mut model = vec![0_u8; 4096];
        let mut random = Random::new(7);
        let mut end = 0;
        for step in 0..500_u32 {
            let offset = random.below(3000) as usize;
            let bytes: Vec<u8> = (0..random.below(1000)).map(|at| (u64::from(step) + at) as u8).collect();
            disk.write("log", offset as u64, &bytes).unwrap();
            model[offset..offset + bytes.len()].copy_from_slice(&bytes);
            end = end.max(offset + bytes.len());
            assert_eq!(read_all(&disk, "log"), model[..end], "step {step}");
            if step % 7 == 0 {
                disk.flush("log").unwrap();
            }
        }
        let mut past = [0; 8];
        assert_eq!(disk.read("log", end as u64 - 3, &mut past), 3);
        assert_eq!(disk.read("other", 0, &mut past), 0);
    }

    #[test]
    fn a_power_loss_takes_nothing_that_was_flushed_and_keeps_loses_or_tears_the_rest() {
        let (mut kept, mut lost, mut torn) = (0, 0, 0);
        for seed in 0..200 {
            let mut disk = SimDisk::new(seed);
            disk.write("log", 0, &[1; SECTOR_BYTES]).unwrap();
            disk.flush("log").unwrap();
            disk.write("log", SECTOR_BYTES as u64, &[2; SECTOR_BYTES]).unwrap();
            disk.lose_power();
            let bytes = read_all(&disk, "log");
            assert_eq!(bytes[..SECTOR_BYTES], [1; SECTOR_BYTES]);
            match bytes[SECTOR_BYTES..].iter().filter(|byte| **byte == 2).count() {
                0 => lost += 1,
                SECTOR_BYTES => kept += 1,
                _ => torn += 1,
            }
        }
        assert!(kept > 30 && lost > 30 && torn > 30, "{kept} {lost} {torn}");
    }

    #[test]
    fn a_lying_flush_is_found_out_by_a_power_loss_only() {
        let mut disk = SimDisk::new(3);
        disk.set_faults(DiskFaults { lying_flush: true, ..DiskFaults::default() });
        disk.write("log", 0, &[9; 64 * SECTOR_BYTES]).unwrap();
        disk.flush("log").unwrap();
        assert_eq!(read_all(&disk, "log"), vec![9; 64 * SECTOR_BYTES]);
        disk.lose_power();
        assert_ne!(read_all(&disk, "log"), vec![9; 64 * SECTOR_BYTES]);
    }

    #[test]
    fn an_error_comes_once_and_changes_nothing_but_what_a_failed_flush_may() {
        let mut disk = SimDisk::new(4);
        disk.write("log", 0, b"first").unwrap();
        disk.flush("log").unwrap();
        disk.set_faults(DiskFaults { error_once: true, ..DiskFaults::default() });
        assert_eq!(disk.write("log", 0, b"other").unwrap_err().raw_os_error(), Some(libc::EIO));
        assert_eq!(read_all(&disk, "log"), b"first");
        disk.write("log", 0, b"third").unwrap();
        disk.set_faults(DiskFaults { error_once: true, ..DiskFaults::default() });
        assert_eq!(disk.flush("log").unwrap_err().raw_os_error(), Some(libc::EIO));
        let left = read_all(&disk, "log");
        disk.lose_power();
        assert_eq!(read_all(&disk, "log"), left, "what a failed flush left is stable, whatever it is");
    }

    #[test]
    fn a_full_disk_refuses_and_what_is_removed_makes_room() {
        let mut disk = SimDisk::new(5);
        disk.set_faults(DiskFaults { capacity_bytes: Some(1000), ..DiskFaults::default() });
        disk.write("a", 0, &[1; 600]).unwrap();
        assert_eq!(disk.write("b", 0, &[2; 401]).unwrap_err().raw_os_error(), Some(libc::ENOSPC));
        assert_eq!(disk.length_bytes("b"), 0);
        disk.write("a", 100, &[3; 500]).unwrap();
        disk.remove("a");
        disk.write("b", 0, &[2; 1000]).unwrap();
    }

    #[test]
    fn rot_flips_one_bit_of_what_is_stable() {
        let mut disk = SimDisk::new(6);
        disk.write("log", 0, &[0; 3 * SECTOR_BYTES]).unwrap();
        assert!(!disk.rot("log"), "nothing is stable yet");
        disk.flush("log").unwrap();
        assert!(disk.rot("log"));
        let ones: u32 = read_all(&disk, "log").iter().map(|byte| byte.count_ones()).sum();
        assert_eq!(ones, 1);
    }

    #[test]
    fn a_process_finds_after_its_crash_what_the_crash_has_left() {
        use crate::sim::{CrashMode, NetworkOptions, World};
        let mut world = World::new(1, NetworkOptions::default());
        let process = world.add_process("node");
        let disk = world.disk(process);
        let stable = vec![1; 64 * SECTOR_BYTES];
        disk.borrow_mut().write("log", 0, &stable).unwrap();
        world.kill(process, CrashMode::Killed);
        assert_eq!(read_all(&world.disk(process).borrow(), "log"), stable, "the kernel still has it");
        world.kill(process, CrashMode::PowerLoss);
        assert_ne!(read_all(&world.disk(process).borrow(), "log"), stable);
    }
}
