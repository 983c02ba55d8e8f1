"""The files of a host, as its variables say: what the edge, the node and the tuner read.

Not: checking keys of the services: their own --check does. Invariants: pure functions; operators' settings win over what is set here.
"""

from __future__ import annotations

import re

from ansible.module_utils.corelane_address import local, with_port
from ansible.module_utils.corelane_certificate_files import cluster_settings, https_settings, is_reached_by_others
from ansible.module_utils.corelane_toml import document
from ansible.module_utils.corelane_variables import Fault

FOLDER = "/etc/corelane"
TOPOLOGY_FILE = FOLDER + "/topology.toml"
TUNE_FILE = FOLDER + "/tune.toml"
HEADER = "# Written by Ansible: changes belong into the inventory, %s.\n"

# The kernel counts no more CPUs than 8192.
CPU_MAX = 8191

UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
UNITS.update({"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12})


def edge_settings(values):
    """The keys of corelane.toml."""
    settings = {
        "listen": [with_port(values["corelane_listen_address"], values["corelane_http_port"])],
        "admin": with_port(values["corelane_admin_address"], values["corelane_admin_port"]),
        "command_listen": "unix:/run/corelane/command",
    }
    if values.get("corelane_topology"):
        settings["topology"] = TOPOLOGY_FILE
    if "listener" in values["corelane_edge_settings"]:
        del settings["listen"]
    if values.get("corelane_https_port"):
        settings["listen_tls"] = [with_port(values["corelane_listen_address"], values["corelane_https_port"])]
    return _with(settings, values, values["corelane_edge_settings"], "edge")


def node_settings(values):
    """The keys of shardstored.toml."""
    settings = {
        "node_id": int(values["corelane_node_id"]),
        "listen": [with_port(values["corelane_listen_address"], values["corelane_shard_port"])],
        "admin": with_port(values["corelane_admin_address"], values["corelane_node_admin_port"]),
        "command_listen": "unix:/run/shardstored/command",
        "topology": TOPOLOGY_FILE,
    }
    return _with(settings, values, values["corelane_node_settings"], "node")


def _with(settings, values, own, role):
    """The settings, and above them what the operator says of the cluster, and above all the operator's own keys."""
    tables = {"cluster": cluster_settings(values, role)}
    if role == "edge":
        tables.update(https_settings(values))
    for table, keys in tables.items():
        settings[table] = dict(keys, **own[table]) if isinstance(own.get(table), dict) else keys
    together = dict(settings, **{key: value for key, value in own.items() if key not in tables or not isinstance(value, dict)})
    if together["cluster"].get("chain") and is_reached_by_others(together["admin"]):
        together.setdefault("admin_tls", True)
    return {key: value for key, value in together.items() if value != {}}


def own_admin(settings):
    """Where a service is asked from its own host: its socket of commands, which answers all that the admin listener does and needs no
    certificate; without one the admin listener."""
    command = settings.get("command_listen") or ""
    return command if command.startswith("unix:") else local(settings.get("admin", ""))


def edge_file(values):
    return document(edge_settings(values), HEADER % "corelane_edge_settings")


def node_file(values):
    return document(node_settings(values), HEADER % "corelane_node_settings")


def tune_file(overrides):
    """What a host says for itself; empty without overrides, and for what are none (preflight says so)."""
    return document(overrides, HEADER % "corelane_profile_overrides") if overrides and isinstance(overrides, dict) else ""


def cpu_list(value):
    """The CPUs of a list or of "0-3,8"; None where the text names none ("auto", "profile") or is none."""
    if isinstance(value, (list, tuple)):
        return [int(one) for one in value] if all(_is_cpu(one) for one in value) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return [value] if 0 <= value <= CPU_MAX else None
    cpus = []
    for part in str(value).split(","):
        match = re.fullmatch(r"\s*([0-9]{1,4})(?:-([0-9]{1,4}))?\s*", part)
        if not match:
            return None
        first, last = int(match.group(1)), int(match.group(2) or match.group(1))
        if not first <= last <= CPU_MAX:
            return None
        cpus += range(first, last + 1)
    return cpus


def is_impossible(value):
    """Whether a text is written as CPUs are, and names none that there can be."""
    return cpu_list(value) is None and re.fullmatch(r"[0-9,\s-]+", str(value)) is not None


def _is_cpu(value):
    return not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,4}", str(value)) is not None and int(value) <= CPU_MAX


def size_bytes(text):
    """The bytes of a size with a unit, or None."""
    match = re.fullmatch(r"(\d+)([A-Za-z]+)", str(text))
    return int(match.group(1)) * UNITS[match.group(2)] if match and match.group(2) in UNITS else None


def named_cpus(values, is_edge, is_node):
    """Pairs of a key and the CPUs that it names."""
    places = cpu_places(values, is_edge, is_node)
    return [(key, cpus) for key, cpus in ((key, cpu_list(value)) for key, value in places) if cpus]


def cpu_places(values, is_edge, is_node):
    """Pairs of a key that may name CPUs and its value."""
    places = []
    for key, counts in (("corelane_edge_settings", is_edge), ("corelane_node_settings", is_node)):
        settings = values.get(key)
        if counts and isinstance(settings, dict):
            places += [(key + "." + name, settings[name]) for name in ("cores", "control_cpu") if name in settings]
    overrides = values.get("corelane_profile_overrides")
    layout = overrides.get("layout") if isinstance(overrides, dict) else None
    if isinstance(layout, dict):
        key = "corelane_profile_overrides.layout."
        places += [(key + name, layout[name]) for name in ("housekeeping", "workers") if name in layout]
    return places


def check_overrides(overrides):
    """The faults of what a host says for itself; corectl checks knobs by name."""
    allowed = ("knobs", "layout", "drivers")
    return [
        Fault("corelane_profile_overrides", 'unknown table "%s"' % key, "allowed: " + ", ".join(allowed))
        for key in overrides
        if key not in allowed
    ]
