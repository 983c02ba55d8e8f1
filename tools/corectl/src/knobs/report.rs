//! What is only looked at: corectl cannot change it, or must not.
//!
//! **Source**: each row names its own.

use super::{Access, Group, Knob, Risk};

const fn report(name: &'static str, reason: &'static str, source: &'static str) -> Knob {
    Knob::new(name, Group::Report, Risk::Safe, Access::ReportOnly, (reason, source))
}

pub(super) const KNOBS: &[Knob] = &[
    report(
        "report.clocksource",
        "Where the kernel has left `tsc`, each look at the clock is a system call; it left it because the counters disagree.",
        "Linux, Documentation/timers/timekeeping.rst",
    ),
    report(
        "report.pcie",
        "A card in a slot with fewer or slower lanes than it could use: 100 Gbit/s need 16 lanes of 8 GT/s.",
        "Linux, Documentation/ABI/testing/sysfs-bus-pci",
    ),
    report(
        "report.firmware",
        "The card's firmware, for comparing hosts: differences in speed are often there.",
        "ethtool(8), -i",
    ),
    report(
        "report.iommu",
        "With strict translation each packet's memory is mapped and unmapped. `iommu=pt` gives it up for the host's own drivers, and a \
         protection with it.",
        "Linux, Documentation/admin-guide/kernel-parameters.txt",
    ),
    report(
        "report.sniffers",
        "Programs with packet sockets get a copy of every packet.",
        "packet(7), /proc/net/packet",
    ),
    report(
        "report.limits",
        "Limits of a running service: of open files, and of memory that the kernel pins for its rings.",
        "getrlimit(2), /proc/PID/limits",
    ),
];
