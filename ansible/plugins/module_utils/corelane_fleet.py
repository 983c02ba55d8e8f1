"""A whole fleet, judged before anything is changed: variables, topology, release, and what every host is.

Not: reading files or asking hosts. Invariants: pure functions; all faults of all hosts come at once, each with host, key and remedy.
"""

from __future__ import annotations

import difflib
import json

from ansible.module_utils import corelane_certificate_checks as certificate_checks
from ansible.module_utils import corelane_host_checks as host_checks
from ansible.module_utils import corelane_settings as settings
from ansible.module_utils import corelane_topology as topology_checks
from ansible.module_utils import corelane_variables as variables
from ansible.module_utils.corelane_files import redacted
from ansible.module_utils.corelane_variables import Fault

FLEET_WIDE = ("corelane_topology", "corelane_release", "corelane_release_public_key")
"""Variables that are one for all hosts of the product."""


SETTINGS = (
    ("corelane", "corelane_edge_settings", settings.edge_file),
    ("shardstored", "corelane_node_settings", settings.node_file),
)
"""Services, the variables that their settings come from, and their files."""


NOT_ASKED = {"not_asked": True}
"""What was found on a host that a run leaves out (--limit): its variables count, the host itself does not."""


class Member:
    """A host: its name, groups, variables, and what was found on it.

    `found` is what corelane_preflight returned, {"failed": why}, None for a host that was not reached, or NOT_ASKED.
    """

    def __init__(self, name, groups, values, found):
        self.name = name
        self.groups = set(groups)
        self.values = values
        self.found = found

    def services(self):
        groups = (("edges", "corelane"), ("nodes", "shardstored"))
        return [service for group, service in groups if group in self.groups]


class Verdict:
    """What was found about a fleet: pairs of host and Fault."""

    def __init__(self):
        self.faults = []
        self.warnings = []
        self.changes = []


def judge(members, options, release, is_unreachable_allowed=False, check=None):
    """The verdict. `release` answers for the controller's files: `fault(archive, key)` is what is wrong with a release, or None;
    `refusals(service, text)` the lines with which its program refuses settings, `digest()` what it is called on a host. `check` reads
    certificates (corelane_chain_check.checked); without it they are not looked at."""
    verdict = Verdict()
    product = [member for member in members if member.services()]
    for member in members:
        try:
            judge_member(verdict, member, options, release, is_unreachable_allowed, check)
        except Exception as error:
            verdict.faults.append((member.name, no_judgement(error)))
    for judgement in (one_for_all, judge_topology, judge_zones, lambda those: judge_releases(those, release)):
        try:
            verdict.faults += judgement(product)
        except Exception as error:
            verdict.faults.append((product[0].name, no_judgement(error)))
    return verdict


def judge_member(verdict, member, options, release, is_unreachable_allowed, check=None):
    """All about one host by itself."""
    faults = variables.check_host(member.values, options)
    verdict.faults += [(member.name, fault) for fault in faults]
    if not member.services():
        return
    wrong = {fault.key for fault in faults}
    right = {key: value for key, value in member.values.items() if key not in wrong}
    if "corelane_profile" in wrong and "tune" in (member.found or {}):
        # What corectl says to a profile that there is not is known already.
        member.found = dict(member.found, tune=None)
    values = variables.with_defaults(right, options)
    judge_host(verdict, member, values, release.digest(), is_unreachable_allowed)
    verdict.faults += [(member.name, fault) for fault in judge_settings(member, values, release)]
    if check is not None:
        verdict.faults += [(member.name, fault) for fault in certificate_checks.faults(values, member.groups, member.name, check)]


def no_judgement(error):
    """What was not foreseen is a fault as well; its text may hold values, and is left out."""
    where = error.__traceback__
    while where.tb_next is not None:
        where = where.tb_next
    place = "%s:%d" % (where.tb_frame.f_code.co_name, where.tb_lineno)
    problem = "it could not be judged: %s in %s" % (type(error).__name__, place)
    return Fault("preflight", problem, "correct the faults of other variables first; then report this one")


def judge_host(verdict, member, values, digest, is_unreachable_allowed):
    """`values` are those of its variables that are right, and defaults for all others."""
    if member.found is None:
        fault = Fault("unreachable", "the host does not answer", "bring it back, or take it out of the inventory")
        (verdict.warnings if is_unreachable_allowed else verdict.faults).append((member.name, fault))
    elif member.found == NOT_ASKED:
        return
    elif member.found.get("failed"):
        verdict.faults.append((member.name, Fault("preflight", member.found["failed"], "see what the host lacks; it needs Python 3.9")))
    else:
        faults, warned = host_checks.check(member.found["facts"], values, member.services())
        faults += settings.check_overrides(values["corelane_profile_overrides"]) + judge_tune(member.found.get("tune"))
        after = redacted(settings_topology(values))
        succession = topology_checks.succession_fault(member.found["facts"]["topology"], after)
        faults += [succession] if succession else []
        verdict.faults += [(member.name, fault) for fault in faults]
        verdict.warnings += [(member.name, fault) for fault in warned]
        verdict.changes += [(member.name, line) for line in changes(member, values, digest)]


def judge_settings(member, values, release):
    """What the programs of the release say against the settings of a host."""
    found = []
    for service, key, text_of in SETTINGS:
        if service not in member.services() or (service == "shardstored" and values["corelane_node_id"] is None):
            continue
        try:
            lines = release.refusals(service, text_of(values))
        except ValueError as error:
            lines = [str(error)]
        found += [Fault(key, line, "docs/config.md lists all keys") for line in lines]
    return found


def settings_topology(values):
    topology = values.get("corelane_topology")
    return topology_checks.file_text(topology) if topology and not topology_checks.check(topology) else ""


def judge_tune(tune):
    """What corectl says against the profile, where it is installed."""
    if tune is None or tune[0] == 0:
        return []
    remedy = "corectl tune plan on the host shows it; correct corelane_profile_overrides"
    try:
        return [Fault("corelane_profile", problem, remedy) for problem in json.loads(tune[1])["problems"]]
    except ValueError:
        return [Fault("corelane_profile", tune[2].strip() or "corectl tune plan failed", remedy)]


def changes(member, values, digest):
    """What site or a rollout would change, one line each; `digest` is the release that is wanted, None where there is none."""
    facts, tune = member.found["facts"], member.found.get("tune")
    lines = []
    if digest and facts["release"] != digest:
        lines.append("release: %s -> %s%s" % ((facts["release"] or "none")[:12], digest[:12], " (rollout.yml)" if facts["running"] else ""))
    if values.get("corelane_topology"):
        old = topology_checks.epoch_of(facts["topology"])
        new = values["corelane_topology"].get("epoch")
        lines += ["topology: epoch %s -> %s (site.yml)" % (old or "none", new)] if old != new else []
    lines += settings_changes(member, values)
    if tune is None:
        return lines + ["tuning: profile %s; its plan is known once corectl is installed" % values["corelane_profile"]]
    try:
        planned = [line for line in json.loads(tune[1])["lines"] if line.get("action") == "change"]
    except (ValueError, KeyError):
        return lines
    return lines + ["tuning: %s" % knob_text(line) for line in planned]


def settings_changes(member, values):
    """Lines of settings that differ from those of the host, one change each."""
    found = []
    for service, _key, text_of in SETTINGS:
        before = member.found["facts"]["settings"][service]
        if service not in member.services() or not before or (service == "shardstored" and values["corelane_node_id"] is None):
            continue
        try:
            compared = difflib.unified_diff(before.splitlines(), redacted(text_of(values)).splitlines(), n=0, lineterm="")
        except ValueError:
            continue
        # Not the two lines that name the files.
        found += ["settings of %s: %s" % (service, line) for line in list(compared)[2:] if line[0] in "+-"]
    return found


def knob_text(line):
    """A change of a setting on one line; the new content of a file is left to --diff."""
    target = "[%s]" % line["target"] if line.get("target") else ""
    if "\n" in str(line.get("wanted")):
        return "%s%s is written" % (line["knob"], target)
    return "%s%s: %s -> %s" % (line["knob"], target, current_text(line), line.get("wanted"))


def current_text(line):
    """What a setting of corectl's plan is now: its value, or a word for none ("absent")."""
    current = line.get("current")
    return current.get("value", "") if isinstance(current, dict) else str(current or "")


def one_for_all(product):
    """Variables that must be the same on all hosts."""
    found = []
    for key in FLEET_WIDE:
        having = [member for member in product if key in member.values]
        for member in having[1:]:
            if member.values[key] != having[0].values[key]:
                problem = "not that of %s" % having[0].name
                found.append((member.name, Fault(key, problem, "set it once for the group corelane")))
        for member in product if key != "corelane_topology" else []:
            if key not in member.values:
                found.append((member.name, Fault(key, "not set", "set it for the group corelane; ansible/README.md")))
    return found


def judge_topology(product):
    having = [member for member in product if isinstance(member.values.get("corelane_topology"), dict)]
    nodes = {member.name: member for member in product if "nodes" in member.groups}
    topology = having[0].values["corelane_topology"] if having else {}
    if not topology:
        remedy = "set it for the group corelane: docs/topology.md"
        return [(name, Fault(topology_checks.KEY, "not set, and the host is a node", remedy)) for name in sorted(nodes)]
    found = [(having[0].name, fault) for fault in topology_checks.check(topology)]
    facts = {name: {"id": number(member, "corelane_node_id"), "zone": member.values.get("corelane_zone"),
                    "port": number(member, "corelane_shard_port")} for name, member in nodes.items()}  # fmt: skip
    return found + topology_checks.check_hosts(topology, facts)


def number(member, key):
    value = member.values.get(key)
    return int(value) if variables.has_type(value, "int") else None


def judge_zones(product):
    """Where one host has a zone, all have: a host without one would count for no batch and no replica."""
    without = [member.name for member in product if not member.values.get("corelane_zone")]
    if not without or len(without) == len(product):
        return []
    return [(name, Fault("corelane_zone", "not set, and other hosts have one", "set it: a-z A-Z 0-9 . _ -")) for name in without]


def judge_releases(product, release):
    found, seen = [], set()
    for member in product:
        pair = member.values.get("corelane_release"), member.values.get("corelane_release_public_key")
        # What is no path is a fault already.
        if not all(isinstance(one, str) for one in pair) or pair in seen:
            continue
        seen.add(pair)
        found += [(member.name, Fault(*fault)) for fault in release.faults(*pair)]
    return found
