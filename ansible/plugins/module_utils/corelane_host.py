"""What a host is, before anything is installed on it: read from /proc and /sys, and from what is installed.

Not: judging (corelane_host_checks), changing anything. Invariants: reads only; what cannot be read is None, never an error. Facts have
no secrets: they are kept, and shown.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import tempfile

from ansible.module_utils.corelane_files import ProgramError, read, redacted, run
from ansible.module_utils.corelane_installed import CORECTL, ROOT, SERVICES, current_release, running

SYS_IO_URING_SETUP = 425
"""The number on all architectures. Source: io_uring_setup(2)."""
SYS_ADJTIMEX_UNSYNCHRONIZED = 5
"""TIME_ERROR of adjtimex(2)."""
LISTENS = "0A"
"""TCP_LISTEN in /proc/net/tcp."""


def gather(root="/"):
    """All facts; `root` is a folder that stands for the host."""
    is_real = root == "/"
    return {
        "kernel": platform.release() if is_real else first_line(root, "proc/sys/kernel/osrelease"),
        "io_uring_errno": io_uring_errno() if is_real else None,
        "io_uring_disabled": whole(first_line(root, "proc/sys/kernel/io_uring_disabled")),
        "nr_open": whole(first_line(root, "proc/sys/fs/nr_open")),
        "cpus": cpus_of(first_line(root, "sys/devices/system/cpu/online")),
        "numa_nodes": numa_nodes(root),
        "memory_bytes": memory_bytes(root),
        "interfaces": interfaces(root),
        "disk_free_bytes": disk_free(root, ROOT),
        "clock_synchronized": clock_synchronized() if is_real else None,
        "listeners": listeners(root),
        "systemd": os.path.isdir(os.path.join(root, "run/systemd/system")),
        "release": current_release(root),
        "topology": redacted(read(os.path.join(root, "etc/corelane/topology.toml"))),
        "settings": {service: redacted(read(os.path.join(root, "etc/corelane/%s.toml" % service))) for service in SERVICES},
        "running": running(root),
    }


def first_line(root, path):
    return read(os.path.join(root, path)).strip().split("\n")[0]


def whole(text):
    return int(text) if text and text.isdigit() else None


def cpus_of(text):
    """The CPUs of the kernel's form "0-3,8"; empty where nothing was read."""
    cpus = []
    for part in text.split(",") if text else []:
        first, _dash, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return cpus


def numa_nodes(root):
    folder = os.path.join(root, "sys/devices/system/node")
    names = sorted(name for name in names_in(folder) if re.fullmatch(r"node\d+", name))
    return {name[4:]: cpus_of(first_line(folder, name + "/cpulist")) for name in names}


def memory_bytes(root):
    match = re.search(r"^MemTotal:\s+(\d+) kB", read(os.path.join(root, "proc/meminfo")), re.MULTILINE)
    return int(match.group(1)) * 1024 if match else None


def interfaces(root):
    """The network cards: what has a device or, on a virtual host, is not a loopback."""
    folder = os.path.join(root, "sys/class/net")
    return {name: interface(folder, name) for name in names_in(folder) if name != "lo" and os.path.isdir(os.path.join(folder, name))}


def interface(folder, name):
    driver = os.path.join(folder, name, "device/driver")
    queues = [queue for queue in names_in(os.path.join(folder, name, "queues")) if queue.startswith("rx-")]
    speed = read_or_none(os.path.join(folder, name, "speed"))
    return {
        "up": first_line(folder, name + "/operstate") in ("up", "unknown"),
        "speed_mbps": int(speed) if speed and speed.isdigit() else None,
        "driver": os.path.basename(os.path.realpath(driver)) if os.path.exists(driver) else None,
        "rx_queues": len(queues),
        "numa_node": whole(read_or_none(os.path.join(folder, name, "device/numa_node"))),
    }


def read_or_none(path):
    """A file of /sys, which may refuse to be read (the speed of a card without a cable)."""
    try:
        return read(path).strip() or None
    except OSError:
        return None


def names_in(folder):
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def disk_free(root, path):
    """Bytes that are free where `path` is or will be."""
    path = os.path.join(root, path.lstrip("/"))
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    usage = os.statvfs(path)
    return usage.f_bavail * usage.f_frsize


def listeners(root):
    """TCP ports that are listened on, each with the program that listens, or "" where it cannot be found out."""
    inodes = {}
    for table in ("proc/net/tcp", "proc/net/tcp6"):
        for line in read(os.path.join(root, table)).splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == LISTENS:
                inodes[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    owners = owners_of(root, set(inodes))
    ports = {}
    for inode, port in inodes.items():
        ports[str(port)] = owners.get(inode, "")
    return ports


def owners_of(root, inodes):
    """The program of each socket."""
    found, proc = {}, os.path.join(root, "proc")
    for process in (name for name in names_in(proc) if name.isdigit()):
        folder = os.path.join(proc, process, "fd")
        for handle in names_in(folder):
            try:
                link = os.readlink(os.path.join(folder, handle))
                if link.startswith("socket:[") and link[8:-1] in inodes:
                    found[link[8:-1]] = os.readlink(os.path.join(proc, process, "exe"))
            except OSError:
                continue
    return found


def io_uring_errno():
    """What the kernel answers to the smallest ring: 0, or the number of its error."""
    call = ctypes.CDLL(None, use_errno=True).syscall
    parameters = ctypes.create_string_buffer(120)
    handle = call(SYS_IO_URING_SETUP, 1, parameters)
    if handle >= 0:
        os.close(handle)
        return 0
    return ctypes.get_errno() or errno.EINVAL


def clock_synchronized():
    """Whether something keeps the clock in step; None where the kernel does not say."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except AttributeError:
        return None
    return None if state < 0 else state != SYS_ADJTIMEX_UNSYNCHRONIZED


def tune_plan(profile, max_risk, only, overrides):
    """Exit status, output and error of corectl's plan with these overrides; None without corectl."""
    if not os.path.exists(CORECTL):
        return None
    command = [CORECTL, "tune", "plan", "--json", "--profile", profile]
    command += ["--max-risk", max_risk] if max_risk else []
    command += ["--only", ",".join(only)] if only else []
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(overrides)
        file.flush()
        try:
            return run(command + ["--overrides", file.name])
        except ProgramError as error:
            return 1, "", str(error)
