"""Whether a host can be what its variables want it to be.

Not: gathering facts (corelane_host). Invariants: pure functions; every fault is reported; a fault stops the fleet, a warning does not.
"""

from __future__ import annotations

import errno
import re

from ansible.module_utils import corelane_settings as settings
from ansible.module_utils.corelane_variables import Fault, word

KERNEL_MIN = (6, 1)
"""The oldest kernel whose io_uring has all that the servers use."""

NR_OPEN_MIN = 1048576
"""LimitNOFILE of the units."""

PRODUCT = re.compile(r"/opt/corelane/releases/[0-9a-f]{64}/bin/")


def check(facts, values, services):
    """Faults and warnings of one host, as two lists. `services` are those that its groups give it."""
    faults = check_kernel(facts) + check_limits(facts) + check_disk(facts, values) + check_clock(facts, values)
    faults += check_link(facts, values)
    faults += check_cpus(facts, values, services) + check_memory(facts, values, services) + check_ports(facts, values, services)
    return faults, warnings(facts, values)


def check_kernel(facts):
    found = []
    version = re.match(r"(\d+)\.(\d+)", facts["kernel"] or "")
    if version and tuple(map(int, version.groups())) < KERNEL_MIN:
        found.append(Fault("kernel", "%s" % facts["kernel"], "install %d.%d or later" % KERNEL_MIN))
    if not facts["systemd"]:
        found.append(Fault("systemd", "it does not run here", "the services are units of systemd"))
    if facts["io_uring_disabled"] == 2:
        found.append(Fault("io_uring", "kernel.io_uring_disabled is 2", "sysctl kernel.io_uring_disabled=0, and see what sets it"))
    elif facts["io_uring_errno"]:
        name = errno.errorcode.get(facts["io_uring_errno"], facts["io_uring_errno"])
        found.append(Fault("io_uring", "io_uring_setup fails with %s" % name, "use a kernel, or a container, that allows it"))
    return found


def check_limits(facts):
    if facts["nr_open"] is not None and facts["nr_open"] < NR_OPEN_MIN:
        return [Fault("limits", "fs.nr_open is %d" % facts["nr_open"], "sysctl fs.nr_open=%d" % NR_OPEN_MIN)]
    return []


def check_disk(facts, values):
    wanted = int(values["corelane_disk_bytes_min"])
    if facts["disk_free_bytes"] < wanted:
        problem = "%d MiB are free for /opt/corelane" % (facts["disk_free_bytes"] >> 20)
        return [Fault("disk", problem, "free %d MiB, or lower corelane_disk_bytes_min" % (wanted >> 20))]
    return []


def check_clock(facts, values):
    offset, most = facts.get("clock_offset_seconds", 0.0), float(values["corelane_clock_offset_seconds_max"])
    if abs(offset) > most:
        problem = "%.1f s from the controller's" % offset
        return [Fault("clock", problem, "set it, and let something keep it; corelane_clock_offset_seconds_max allows %s s" % most)]
    return []


def check_link(facts, values):
    wanted = int(values["corelane_link_mbps_min"])
    speeds = [card["speed_mbps"] or 0 for card in facts["interfaces"].values() if card["up"]]
    if wanted > max(speeds, default=0):
        problem = "the fastest card that is up has %d Mbit/s" % max(speeds, default=0)
        return [Fault("nic", problem, "look at cable, switch and module: %d are wanted (corelane_link_mbps_min)" % wanted)]
    return []


def check_cpus(facts, values, services):
    found, online = [], set(facts["cpus"])
    for key, value in settings.cpu_places(values, "corelane" in services, "shardstored" in services):
        if settings.is_impossible(value):
            found.append(Fault(key, "found " + word(value), 'allowed: "N" or "FIRST-LAST", 0 to %d' % settings.CPU_MAX))
    for key, cpus in settings.named_cpus(values, "corelane" in services, "shardstored" in services):
        missing = sorted(set(cpus) - online)
        if missing and online:
            problem = "CPU %s does not exist; the host has %s" % (", ".join(map(str, missing)), ranges(sorted(online)))
            found.append(Fault(key, problem, "name CPUs of this host"))
    return found


def check_memory(facts, values, services):
    found = []
    for service, key in (("corelane", "corelane_edge_settings"), ("shardstored", "corelane_node_settings")):
        text = values[key].get("memory", "1GiB") if service in services else None
        wanted = settings.size_bytes(text)
        if wanted and facts["memory_bytes"] and wanted > facts["memory_bytes"]:
            problem = "%s, and the host has %d MiB" % (text, facts["memory_bytes"] >> 20)
            found.append(Fault(key + ".memory", problem, "lower it; docs/operations.md, Memory, says what else is needed"))
    return found


def wanted_ports(values, services):
    """Pairs of a variable and its port, of the services of a host."""
    keys = []
    if "corelane" in services:
        keys += ["corelane_http_port", "corelane_admin_port"]
    if "shardstored" in services:
        keys += ["corelane_shard_port", "corelane_node_admin_port"]
    return [(key, int(values[key])) for key in keys]


def check_ports(facts, values, services):
    found, wanted = [], wanted_ports(values, services)
    for index, (key, port) in enumerate(wanted):
        same = [other for other, its in wanted[:index] if its == port]
        if same:
            found.append(Fault(key, "%d is %s as well" % (port, same[0]), "give each its own"))
        owner = facts["listeners"].get(str(port))
        if owner is not None and not PRODUCT.match(owner):
            who = owner or "a program that could not be found out"
            found.append(Fault(key, "port %d is taken by %s" % (port, who), "stop it, or choose another port"))
    return found


def warnings(facts, values):
    found = []
    if facts["clock_synchronized"] is False:
        found.append(Fault("clock", "nothing keeps it in step", "run chrony or systemd-timesyncd"))
    up = {name: card for name, card in facts["interfaces"].items() if card["up"]}
    if not up:
        found.append(Fault("nic", "no network card is up", "plug it in"))
    sizes = {len(cpus) for cpus in facts["numa_nodes"].values() if cpus}
    overrides = values.get("corelane_profile_overrides") or {}
    if len(sizes) > 1 and "workers" not in (overrides.get("layout") or {}):
        problem = "nodes have %s CPUs" % " and ".join(map(str, sorted(sizes)))
        found.append(Fault("numa", problem, "say in corelane_profile_overrides.layout.workers which CPUs work"))
    for name, card in sorted(up.items()):
        if values["corelane_profile"] != "safe" and card["rx_queues"] < len(facts["cpus"]):
            problem = "%s has %d receive queues for %d CPUs" % (name, card["rx_queues"], len(facts["cpus"]))
            found.append(Fault("nic.queues", problem, "queues are shared; corectl tune plan shows by which CPUs"))
    return found


def ranges(cpus):
    """Sorted CPUs in the kernel's form."""
    parts, start = [], None
    for cpu, following in zip(cpus, cpus[1:] + [None]):
        start = cpu if start is None else start
        if following != cpu + 1:
            parts.append(str(start) if start == cpu else "%d-%d" % (start, cpu))
            start = None
    return ",".join(parts)
