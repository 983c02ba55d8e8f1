//! The disk of the guest: a partition table, GRUB, one file system. No loop device and no mount are needed.
//!
//! ```text
//!  sector 0          GRUB's boot.img (440 bytes), the table, 55 AA
//!  sector 1 …        GRUB's core.img
//!  sector 2048 …     ext4
//! ```
//!
//! **Source**: GRUB's manual, "BIOS installation"; boot.img loads core.img from sector 1 unless it is patched.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

const SECTOR_BYTES: u32 = 512;
const PARTITION_SECTOR: u32 = 2048;
const PARTITION_MIB: u32 = 1024;
const BOOT_CODE_BYTES: usize = 440;
const TABLE_BYTE: usize = 446;
const PARTITION_TYPE_LINUX: u8 = 0x83;
const _: () = assert!(PARTITION_SECTOR * SECTOR_BYTES == 1 << 20);

/// The command that makes the file system from a tree, and the disk's file first.
///
/// # Errors
/// The file system's.
pub(super) fn make_file_system(tree: &Path, disk: &Path) -> Result<Command> {
    let file = File::create(disk).with_context(|| disk.display().to_string())?;
    file.set_len(u64::from(PARTITION_MIB + 1) << 20)?;
    let mut command = Command::new("/sbin/mke2fs");
    // GRUB of Debian 12 does not read what newer programs turn on by themselves; no journal: the disk is thrown away.
    command.args(["-q", "-F", "-t", "ext4", "-O", "^has_journal,^metadata_csum_seed,^orphan_file"]);
    command.args(["-E", &format!("offset={}", PARTITION_SECTOR * SECTOR_BYTES), "-d"]).arg(tree).arg(disk);
    command.arg(format!("{PARTITION_MIB}M"));
    Ok(command)
}

/// Writes the partition table and GRUB, whose two parts the tree has in `boot`.
///
/// # Errors
/// The file system's, or a core.img that does not fit before the partition.
pub(super) fn install_grub(tree: &Path, disk: &Path) -> Result<()> {
    let read = |name: &str| {
        let path = tree.join("boot").join(name);
        std::fs::read(&path).with_context(|| path.display().to_string())
    };
    let core = read("core.img")?;
    let room = usize::try_from((PARTITION_SECTOR - 1) * SECTOR_BYTES)?;
    ensure!(core.len() <= room, "GRUB takes {} bytes, and there are {room}", core.len());
    let disk = File::options().write(true).open(disk)?;
    disk.write_all_at(&first_sector(&read("boot.img")?)?, 0)?;
    disk.write_all_at(&core, u64::from(SECTOR_BYTES))?;
    Ok(())
}

fn first_sector(boot: &[u8]) -> Result<[u8; SECTOR_BYTES as usize]> {
    let mut sector = [0; SECTOR_BYTES as usize];
    let code = boot.get(..BOOT_CODE_BYTES).context("boot.img is too short")?;
    sector[..BOOT_CODE_BYTES].copy_from_slice(code);
    let entry = &mut sector[TABLE_BYTE..TABLE_BYTE + 16];
    // Active; cylinders, heads and sectors are of no use to anybody since large disks.
    entry[..8].copy_from_slice(&[0x80, 0xfe, 0xff, 0xff, PARTITION_TYPE_LINUX, 0xfe, 0xff, 0xff]);
    entry[8..12].copy_from_slice(&PARTITION_SECTOR.to_le_bytes());
    entry[12..].copy_from_slice(&(PARTITION_MIB * ((1 << 20) / SECTOR_BYTES)).to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    Ok(sector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sector_has_code_one_partition_and_the_mark() {
        let sector = first_sector(&[0xeb; 512]).unwrap();
        assert!(sector[..440].iter().all(|byte| *byte == 0xeb));
        assert_eq!(sector[440..446], [0; 6], "no disk identifier");
        assert_eq!(sector[446], 0x80, "active");
        assert_eq!(sector[454..462], [0, 8, 0, 0, 0, 0, 0x20, 0], "from sector 2048, 1 GiB");
        assert_eq!(sector[462..510], [0; 48], "no other partition");
        assert_eq!(sector[510..], [0x55, 0xaa]);
        assert!(first_sector(&[0; 100]).is_err());
    }

    #[test]
    fn grub_that_does_not_fit_is_refused() {
        let tree = std::env::temp_dir().join(format!("corelane-lab-disk-{}", std::process::id()));
        std::fs::create_dir_all(tree.join("boot")).unwrap();
        std::fs::write(tree.join("boot/boot.img"), [1; 512]).unwrap();
        std::fs::write(tree.join("disk"), "").unwrap();
        let install = |core: usize| {
            std::fs::write(tree.join("boot/core.img"), vec![2; core]).unwrap();
            install_grub(&tree, &tree.join("disk"))
        };
        let room = 2047 * 512;
        assert!(install(room + 1).is_err());
        install(room).unwrap();
        let disk = std::fs::read(tree.join("disk")).unwrap();
        std::fs::remove_dir_all(tree).unwrap();
        assert_eq!((disk[0], disk[511], disk[512], disk.len()), (1, 0xaa, 2, 2048 * 512));
    }
}
