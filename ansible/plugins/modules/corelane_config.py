#!/usr/bin/python3
"""The configuration of a service."""

from __future__ import annotations

DOCUMENTATION = """
module: corelane_config
short_description: Writes the settings of a service and the topology, checked by the service's own program
description:
  - A file is checked by C(--check) of the installed program before it takes the place of the one before. A running service is told to read it.
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
import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_files import ProgramError, diff, must, read, remove, run, write
from ansible.module_utils.corelane_host import RELEASES, running
from ansible.module_utils.corelane_lock import LockError, changing
from ansible.module_utils.corelane_settings import FOLDER, TOPOLOGY_FILE
from ansible.module_utils.corelane_topology import succession_fault

REFUSED = 2
PRIVATE, GROUP = 0o640, "corelane"
"""Settings may have secrets; the services run with this group."""
NEEDS_RESTART = "(needs a restart)"


class ServiceConfig:
    """What is there, beside what is wanted."""

    def __init__(self, module):
        self.wanted = module.params
        self.path = "%s/%s.toml" % (FOLDER, self.wanted["service"])
        self.before = {self.path: read(self.path), TOPOLOGY_FILE: read(TOPOLOGY_FILE)}
        self.after = {self.path: self.wanted["settings"], TOPOLOGY_FILE: self.wanted["topology"] or self.before[TOPOLOGY_FILE]}
        self.program = "%s/current/bin/%s" % (RELEASES, self.wanted["service"])
        self.is_running = self.wanted["service"] in running("/")
        self.restart_keys = []
        self.checked = False

    def changed(self):
        return [path for path in self.after if self.after[path] != self.before[path]]

    def check(self):
        """Asks the program; raises ProgramError where it refuses."""
        fault = succession_fault(self.before[TOPOLOGY_FILE], self.after[TOPOLOGY_FILE])
        if fault:
            raise ProgramError(str(fault))
        if not os.path.exists(self.program):
            return
        staged = {path: self.staged(path) for path in self.after if self.after[path]}
        # systemd makes this folder when it starts the unit, and --check looks whether sockets can be made in it.
        runtime = "/run/" + self.wanted["service"]
        lacks_runtime = not os.path.isdir(runtime)
        try:
            if lacks_runtime:
                os.mkdir(runtime, 0o750)
            self.ask(staged)
        finally:
            if lacks_runtime:
                shutil.rmtree(runtime, ignore_errors=True)
            for path in staged.values():
                remove(path)

    def staged(self, path):
        # Beside the file, since paths in it are relative to its folder; not called .toml, since others are included by that name.
        staged = "%s/.%s.staged" % (FOLDER, os.path.basename(path))
        write(staged, self.after[path], PRIVATE)
        return staged

    def ask(self, staged):
        command = [self.program, "--check", "--config", staged[self.path]]
        with_topology = TOPOLOGY_FILE in staged and self.names_topology()
        command += ["--topology", staged[TOPOLOGY_FILE]] if with_topology else []
        command += ["--against", self.wanted["admin"]] if self.is_running else []
        env = {key: value for key, value in os.environ.items() if not key.startswith("CORELANE_")}
        status, out, err = run(command, env=env)
        self.checked = True
        if status == REFUSED or (status and not self.is_running):
            said = (err + out).strip()
            for path, own in staged.items():
                said = said.replace(own, path)
            raise ProgramError("%s refuses its settings: %s" % (self.wanted["service"], said))
        keys = [line.split(":")[0] for line in out.splitlines() if line.endswith(NEEDS_RESTART)]
        self.restart_keys = [key for key in keys if not (with_topology and key == "topology")]

    def names_topology(self):
        return 'topology = "%s"' % TOPOLOGY_FILE in self.after[self.path]

    def pending(self):
        if not self.restart_keys or self.wanted["may_restart"] or self.path not in self.changed():
            return ""
        return "settings that need a restart wait for rollout.yml: %s" % ", ".join(self.restart_keys)

    def written(self):
        return [path for path in self.changed() if path != self.path or not self.pending()]

    def write(self):
        for path in self.written():
            write(path, self.after[path], PRIVATE, GROUP)
        if self.is_running and self.written():
            must(["systemctl", "reload", self.wanted["service"]])


def main():
    module = AnsibleModule(
        argument_spec={
            "service": {"type": "str", "choices": ["corelane", "shardstored"], "required": True},
            "settings": {"type": "str", "required": True},
            "topology": {"type": "str", "default": ""},
            "admin": {"type": "str", "required": True},
            "may_restart": {"type": "bool", "default": False},
            "lock_seconds": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    try:
        with changing(module, "settings of " + module.params["service"]):
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
        changed=bool(config.written()),
        diff=[diff(path, config.before[path], config.after[path]) for path in config.written()],
        checked=config.checked,
        pending=config.pending(),
        restart_keys=config.restart_keys,
    )


if __name__ == "__main__":
    main()
