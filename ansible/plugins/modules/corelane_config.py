#!/usr/bin/python3
"""The configuration of a service."""

from __future__ import annotations

DOCUMENTATION = """
module: corelane_config
short_description: Writes the settings of a service and the topology, checked by the service's own program
description:
  - A file is checked by C(--check) of the installed program before it takes the place of the one before. A running service is told to read it,
    also when an earlier run has written it and could not tell.
  - Settings that need a restart are not written while the service runs, unless O(may_restart) is set; RV(pending) says so.
author: Corelane
options:
  service:
    description: Whose settings.
    type: str
    choices: [corelane, shardstored]
    required: true
  settings:
    description: Text of the settings.
    type: str
    required: true
  topology:
    description: Text of the topology; empty without one.
    type: str
    default: ""
  admin:
    description: Address of the service's admin listener, as this host reaches it.
    type: str
    required: true
  may_restart:
    description: Whether settings that need a restart may be written while the service runs. Nothing is restarted here.
    type: bool
    default: false
  lock_seconds:
    description: How long to wait for the lock of the host, which a step of another run may hold.
    type: int
    default: 600
"""

EXAMPLES = """
- name: Write the settings
  corelane_config:
    service: corelane
    settings: "{{ fleet_edge_file }}"
    admin: 127.0.0.1:9180
"""

RETURN = """
checked:
  description: Whether the program has checked the files; it cannot before it is installed.
  returned: always
  type: bool
pending:
  description: Why settings were not written; empty where they were.
  returned: always
  type: str
restart_keys:
  description: Keys whose change waits for a restart.
  returned: always
  type: list
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_configuration import Checked, check, put
from ansible.module_utils.corelane_files import ProgramError, diff, line_diff, must, read
from ansible.module_utils.corelane_installed import CURRENT, running
from ansible.module_utils.corelane_lock import LockError, looking
from ansible.module_utils.corelane_settings import FOLDER, TOPOLOGY_FILE


class ServiceConfig:
    """What is there, beside what is wanted."""

    def __init__(self, module):
        self.wanted = module.params
        self.path = "%s/%s.toml" % (FOLDER, self.wanted["service"])
        self.before = {self.path: read(self.path), TOPOLOGY_FILE: read(TOPOLOGY_FILE)}
        self.after = {self.path: self.wanted["settings"], TOPOLOGY_FILE: self.wanted["topology"] or self.before[TOPOLOGY_FILE]}
        self.program = "%s/bin/%s" % (CURRENT, self.wanted["service"])
        self.is_running = self.wanted["service"] in running()
        self.is_installed = os.path.exists(self.program)
        self.said = Checked()

    def changed(self):
        return [path for path in self.after if self.after[path] != self.before[path]]

    def check(self):
        """Asks the program; raises ProgramError where it refuses. A fresh host has none."""
        if self.is_installed:
            try:
                self.said = check(self.program, self.path, self.after, self.wanted["admin"] if self.is_running else None)
            except ProgramError as error:
                raise ProgramError("%s refuses its settings: %s" % (self.wanted["service"], error)) from error

    def pending(self):
        keys = self.said.restart_keys
        if not keys or self.wanted["may_restart"] or self.path not in self.changed():
            return ""
        return "settings that need a restart wait for rollout.yml: %s" % ", ".join(keys)

    def written(self):
        return [path for path in self.changed() if path != self.path or not self.pending()]

    def reloads(self):
        """Whether the process is to read its files: they change now, or changed before and it was not told."""
        return self.is_running and bool(self.written() or self.said.reload_keys and not self.pending())

    def write(self):
        for path in self.written():
            put(path, self.after[path])
        if self.reloads():
            must(["systemctl", "reload", self.wanted["service"]])

    def diffs(self):
        found = [line_diff(path, self.before[path], self.after[path]) for path in self.written()]
        if self.reloads() and not found:
            found.append(diff(self.wanted["service"], "", "read again: %s\n" % ", ".join(self.said.reload_keys)))
        return found


def main():
    module = AnsibleModule(
        argument_spec={
            "service": {"type": "str", "choices": ["corelane", "shardstored"], "required": True},
            "settings": {"type": "str", "required": True, "no_log": True},
            "topology": {"type": "str", "default": "", "no_log": True},
            "admin": {"type": "str", "required": True},
            "may_restart": {"type": "bool", "default": False},
            "lock_seconds": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    try:
        # In check mode as well: what the program is to look at lies beside the files meanwhile.
        with looking(module, "settings of " + module.params["service"]):
            config = ServiceConfig(module)
            if config.changed() or config.is_running:
                config.check()
            if not module.check_mode:
                config.write()
    except (LockError, ProgramError, OSError) as error:
        module.fail_json(msg=str(error))
    if config.pending():
        module.warn("%s: %s" % (config.wanted["service"], config.pending()))
    module.exit_json(
        changed=bool(config.written()) or config.reloads(),
        diff=config.diffs(),
        checked=config.is_installed,
        pending=config.pending(),
        restart_keys=config.said.restart_keys,
    )


if __name__ == "__main__":
    main()
