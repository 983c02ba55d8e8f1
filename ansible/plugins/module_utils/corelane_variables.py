"""The corelane_* variables of an inventory: whether each is declared, has its type and lies in its range.

Not: reading files, Ansible's own types. Declarations are those of roles/*/meta/argument_specs.yml, given as a dictionary of
name to option; argument specifications have no ranges and let unknown variables pass, which is why this exists.

Invariants: pure functions; every fault is reported, not the first one.
"""

from __future__ import annotations

import difflib
import ipaddress
import re

PREFIX = "corelane_"

# What may hold the seed of the key hash: of these no message has the value.
SECRET = ("corelane_topology", "corelane_edge_settings", "corelane_node_settings")
WORD_MAX = 200
"""Characters of a value that a message has."""

# Inclusive. A port of 0 would let the kernel choose, and nobody would find it.
RANGES = {
    "corelane_http_port": (1, 65535),
    "corelane_admin_port": (1, 65535),
    "corelane_shard_port": (1, 65535),
    "corelane_node_admin_port": (1, 65535),
    "corelane_node_id": (1, 65535),
    "corelane_disk_bytes_min": (0, 1 << 50),
    "corelane_link_mbps_min": (0, 10000000),
    "corelane_clock_offset_seconds_max": (0.0, 3600.0),
    "corelane_rollout_bake_seconds": (0, 7 * 86400),
    "corelane_rollout_watch_seconds": (0, 7 * 86400),
    "corelane_drain_seconds": (1, 86400),
    "corelane_drain_seconds_min": (0, 3600),
    "corelane_start_seconds": (1, 86400),
    "corelane_smoke_seconds": (1, 600),
    "corelane_lock_seconds": (0, 86400),
    "corelane_canary_requests_min": (0, 1 << 40),
    "corelane_canary_errors_ratio_max": (1.0, 1000.0),
    # Of 0 nothing shows that it is kept.
    "corelane_canary_errors_share_max": (0.000001, 1.0),
    "corelane_canary_cpu_ratio_max": (1.0, 1000.0),
    "corelane_canary_latency_ratio_max": (1.0, 1000.0),
    "corelane_canary_latency_samples_min": (0, 1 << 40),
    "corelane_canary_slower_share_max": (0.5, 1.0),
    "corelane_host_exporter_port": (0, 65535),
    "corelane_perf_agent_port": (1, 65535),
    "corelane_perf_agent_seconds_max": (1, 7 * 86400),
    "corelane_perf_rounds": (1, 64),
    "corelane_perf_seconds_max": (1, 86400),
    "corelane_tune_ab_rounds": (1, 64),
    "corelane_tune_ab_attempts": (1, 10),
    "corelane_tune_ab_port": (1, 65535),
    "corelane_scale_rate": (1, 1e12),
    "corelane_scale_utilisation": (0.01, 1.0),
    "corelane_scale_spare_hosts": (0, 500),
    "corelane_scale_zones": (0, 64),
}

ADDRESSES = ("corelane_listen_address", "corelane_admin_address")
NAMES = ("corelane_zone", "corelane_rack")
NAME = re.compile(r"[a-zA-Z0-9._-]{1,63}")

# Python's own conversions take more: "8_080", digits of all scripts, spaces and line ends.
WHOLE = re.compile(r"-?[0-9]+")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
DIGITS_MAX = 400


def declarations(specs_by_role):
    """All variables that roles declare, those of the role fleet first; other roles name one of them again where they require it.

    `specs_by_role` has the content of each role's meta/argument_specs.yml.
    """
    options = {}
    for role in sorted(specs_by_role, key=lambda role: (role != "fleet", role)):
        for entry in specs_by_role[role]["argument_specs"].values():
            for key, option in entry.get("options", {}).items():
                options.setdefault(key, option)
    return options


class Fault:
    """What is wrong, where, and what to do about it."""

    def __init__(self, key, problem, remedy):
        self.key = key
        self.problem = problem
        self.remedy = remedy

    def __str__(self):
        return "%s: %s; %s" % (self.key, self.problem, self.remedy)

    def __eq__(self, other):
        return isinstance(other, Fault) and str(self) == str(other)

    def __hash__(self):
        return hash(str(self))

    __repr__ = __str__


def nearest(name, known):
    """The declared name that is most like `name`, or None."""
    by_rest = {key[len(PREFIX):]: key for key in sorted(known)}
    found = difflib.get_close_matches(name[len(PREFIX):], list(by_rest), n=1, cutoff=0.6)
    return by_rest[found[0]] if found else None


def check_host(variables, options):
    """The faults of one host's variables, in the order of their names.

    `variables` has all variables of the host, `options` all declarations.
    """
    faults = []
    for key in sorted(key for key in variables if key.startswith(PREFIX)):
        if key not in options:
            near = nearest(key, options)
            remedy = 'did you mean "%s"?' % near if near else "ansible/README.md lists all variables"
            faults.append(Fault(key, "unknown variable", remedy))
            continue
        faults += check_value(key, variables[key], options[key])
    return faults


def check_value(key, value, option):
    """The faults of one declared variable's value."""
    if value is None:
        return [Fault(key, "has no value", "set it or remove it")]
    wanted = option.get("type", "str")
    if not has_type(value, wanted):
        return [Fault(key, "found " + shown(key, value), "allowed: a value of type %s" % wanted)]
    return check_choice(key, value, option) + check_range(key, value)


def shown(key, value):
    """A value as a message has it: short, and of secret ones the type alone."""
    if key in SECRET or (not isinstance(value, (int, float)) and "hash_seed" in str(value)):
        return "a value of type %s" % type(value).__name__
    return word(value)


def word(value):
    """A value on one short line."""
    try:
        text = repr(value)
    except ValueError:
        # Python writes no integers of thousands of digits.
        return "a number of too many digits"
    return text if len(text) <= WORD_MAX else text[:WORD_MAX] + "..."


def check_choice(key, value, option):
    choices = option.get("choices")
    values = value if isinstance(value, list) else [value]
    wrong = [one for one in values if choices is not None and one not in choices]
    return [Fault(key, "found " + shown(key, one), "allowed: " + ", ".join(map(str, choices))) for one in wrong]


def check_range(key, value):
    if key in RANGES and not RANGES[key][0] <= number_of(value) <= RANGES[key][1]:
        return [Fault(key, "found " + (value if isinstance(value, str) and len(value) < WORD_MAX else word(value)), "allowed: %s to %s" % RANGES[key])]
    if key in NAMES and not NAME.fullmatch(value):
        return [Fault(key, "found %r" % value, "allowed: 1 to 63 of a-z A-Z 0-9 . _ -")]
    if key in ADDRESSES and not is_address(value):
        return [Fault(key, "found %r" % value, "allowed: an IP address")]
    return []


def has_type(value, wanted):
    """Whether a value has a type of argument specifications; numbers in quotes are numbers, as they are for Ansible."""
    if wanted == "raw":
        return True
    if wanted == "bool":
        return isinstance(value, bool) or isinstance(value, str) and value.lower() in ("true", "false", "yes", "no")
    if wanted in ("int", "float"):
        return not isinstance(value, bool) and is_number(value, int if wanted == "int" else float)
    kinds = {"str": str, "path": str, "list": (list, tuple), "dict": dict}
    return isinstance(value, kinds[wanted])


def is_number(value, kind):
    if isinstance(value, (int, float)):
        return kind is float or isinstance(value, int)
    if not isinstance(value, str):
        return False
    if kind is int:
        return len(value) <= DIGITS_MAX and WHOLE.fullmatch(value) is not None
    return len(value) <= DIGITS_MAX and NUMBER.fullmatch(value) is not None


def number_of(value):
    """The number that a value is; of an integer the integer, which may be too large for any other kind."""
    return value if isinstance(value, (int, float)) else int(value) if WHOLE.fullmatch(value) else float(value)


def is_address(value):
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def with_defaults(variables, options):
    """A host's variables, and the defaults of those that it does not set; None where there is neither."""
    values = {key: option.get("default") for key, option in options.items()}
    values.update((key, value) for key, value in variables.items() if key in options)
    return values


def table(options):
    """The variables as a table of Markdown, in the order of their declaration."""
    lines = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    for key, option in options.items():
        kind = option.get("type", "str")
        if "choices" in option:
            kind = ", ".join("`%s`" % choice for choice in option["choices"])
        default = "`%s`" % json_like(option["default"]) if "default" in option else ""
        lines.append("| `%s` | %s | %s | %s |" % (key, kind, default, option["description"]))
    return "\n".join(lines) + "\n"


def json_like(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[%s]" % ", ".join(json_like(one) for one in value)
    return str(value)
