"""Judges the whole fleet on the controller: runs once, after corelane_preflight has looked at every host."""

from __future__ import annotations

import os
import tempfile

import ansible.module_utils as package
from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

# Ansible sends module_utils along with modules, and does not put them on the controller's own path.
OWN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "module_utils")
if OWN not in package.__path__:
    package.__path__.append(OWN)

from ansible.module_utils import corelane_bundle, corelane_declared, corelane_fleet  # noqa: E402
from ansible.module_utils.corelane_chain_check import checked  # noqa: E402


class ActionModule(ActionBase):
    """See the module of the same name."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        members = [self.member(name, task_vars) for name in task_vars["groups"]["all"]]
        allowed = boolean(self._task.args.get("allow_unreachable", False))
        with tempfile.TemporaryDirectory() as folder:
            release = ControllerRelease(folder, members)
            verdict = corelane_fleet.judge(members, corelane_declared.declared(), release, allowed, checked)
        origins = {member.name: member.origins for member in members}
        faults = [line_of(name, fault, origins) for name, fault in verdict.faults]
        result.update(
            changed=False,
            warned=[line_of(name, fault, origins) for name, fault in verdict.warnings],
            would_change=["%s: %s" % pair for pair in verdict.changes],
        )
        for line in result["warned"]:
            self._display.warning(line)
        if faults:
            result["failed"] = True
            count = "1 fault" if len(faults) == 1 else "%d faults" % len(faults)
            result["msg"] = "%s, and nothing was changed anywhere:\n%s" % (count, "\n".join(faults))
        return result

    def member(self, name, task_vars):
        """A host's variables, as far as they can be had, and what corelane_preflight found."""
        host = task_vars["hostvars"][name]
        values, broken, origins = {}, {}, {}
        for key in [key for key in host if key.startswith("corelane_")]:
            try:
                values[key] = host[key]
            except AnsibleError as error:
                values[key], broken[key] = None, error
            origins[key] = origin_of(values[key])
        found = host.get(self._task.args["register"])
        member = corelane_fleet.Member(name, host.get("group_names", []), plain(values), what_was_found(found))
        member.origins = origins
        return member


class ControllerRelease:
    """The release on the controller: what is wrong with it, and what its programs say to settings."""

    def __init__(self, folder, members):
        self.reader = None
        for member in members:
            pair = [member.values.get(key) for key in ("corelane_release", "corelane_release_public_key")]
            if self.reader is None and all(isinstance(one, str) for one in pair) and not self.faults(*pair):
                self.reader = corelane_bundle.SettingsReader(*pair, folder)

    def faults(self, archive, public_key):
        return corelane_bundle.faults(archive, public_key)

    def digest(self):
        return self.reader.bundle.digest if self.reader else None

    def refusals(self, service, text):
        """Nothing without a release: that is a fault of its own."""
        return (self.reader.refusals(service, text) if self.reader else None) or []


def what_was_found(result):
    if result is None:
        return corelane_fleet.NOT_ASKED
    if result.get("unreachable"):
        return None
    if result.get("failed"):
        return {"failed": str(result.get("msg", "it could not be looked at"))}
    return plain(result)


def plain(value):
    """The same without Ansible's own types."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def origin_of(value):
    """File and line that a variable was read from, or an empty text."""
    try:
        from ansible._internal._datatag._tags import Origin
    except ImportError:
        return ""
    origin = Origin.get_tag(value)
    if origin is None or not getattr(origin, "path", None):
        return ""
    path = os.path.relpath(origin.path)
    return "%s:%s" % (origin.path if path.startswith("..") else path, origin.line_num or 1)


def line_of(name, fault, origins):
    place = origins.get(name, {}).get(fault.key.split(".")[0].split("[")[0], "")
    return "%s: %s%s" % (name, fault, " (%s)" % place if place else "")
