#!/usr/bin/python3
"""Certificates and keys of a host."""

from __future__ import annotations

DOCUMENTATION = """
module: corelane_certificates
short_description: Writes certificates and keys, and sees that the services use them
description:
  - Each file takes the place of the one before as a whole, readable by root and the services' group only. The controller's half reads them there.
  - A service that runs is told to read them; the module ends when it has, and fails where it refuses them. Nothing is restarted.
author: Corelane
options:
  files:
    description: The files; src on the controller, dest, and whether it is secret.
    type: list
    elements: dict
    required: true
  texts:
    description: The texts of the files by dest; the controller's half sets them.
    type: dict
    required: true
  secret:
    description: Those of them that are secret; likewise.
    type: list
    elements: str
    default: []
  group:
    description: The group that may read them.
    type: str
    default: corelane
  services:
    description: The services that use them.
    type: list
    elements: str
    choices: [corelane, shardstored]
    default: []
  seconds:
    description: How long a service may take to read them.
    type: int
    default: 30
  lock_seconds:
    description: How long to wait for the lock of the host, which a step of another run may hold.
    type: int
    default: 600
"""

EXAMPLES = """
- name: Certificates of an edge
  corelane_certificates:
    files: [{ src: ~/pki/blue/edge-1.pem, dest: /etc/corelane/pki/edge.pem, secret: false }]
    services: [corelane]
"""

RETURN = """
written:
  description: The files that are others now.
  returned: always
  type: list
"""

import os
import re

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_configuration import GROUP
from ansible.module_utils.corelane_files import ProgramError, must, read, replace
from ansible.module_utils.corelane_http import HttpError, request, wait
from ansible.module_utils.corelane_installed import running
from ansible.module_utils.corelane_lock import LockError, changing
from ansible.module_utils.corelane_pem import fingerprint
from ansible.module_utils.corelane_service import Service, ServiceError, parsed

KINDS = {"corelane": "edge", "shardstored": "node"}

APPLIED = re.compile(r'^corelane_tls_reloads_total\{result="applied"\} (\S+)$', re.MULTILINE)

LOOK_SECONDS = 0.2

FOLDER_MODE = 0o750
SECRET_MODE = 0o640
PUBLIC_MODE = 0o644

SHOWN = {"/etc/corelane/pki/edge.pem": "cluster", "/etc/corelane/pki/node.pem": "cluster"}
"""What a service calls the certificate of a file; that of clients has the file's own name."""


def name_of(path):
    """What the status of a service calls the certificate of a file."""
    return SHOWN.get(path) or os.path.basename(path).rpartition(".")[0]


class Reader:
    """A service that runs, and what it says of its files."""

    def __init__(self, service, texts):
        self.name, self.service = service, Service(KINDS[service]).read_settings()
        self.leaves = {name_of(path): fingerprint(text) for path, text in texts.items() if is_leaf_of(path, service)}
        self.applied = self.count()

    def count(self):
        found = APPLIED.search(request("GET", self.service.admin, "/metrics").text)
        return float(found.group(1)) if found else 0.0

    def wrong(self):
        """The certificates that it shows others of than it is to; those that its settings do not name are left out."""
        status = parsed(request("GET", self.service.admin, "/v1/status").text) or {}
        shown = {one["name"]: one["fingerprint_sha256"].replace(":", "").lower() for one in (status.get("tls") or {}).get("certificates") or []}
        return sorted(name for name, wanted in self.leaves.items() if name in shown and shown[name] != wanted)

    def take(self, seconds, is_written):
        """Waits until it uses what was written; raises ServiceError."""
        if is_written:
            must(["systemctl", "reload", self.name])
        if not wait(seconds, lambda: not self.wrong() and (self.count() > self.applied or not is_written), LOOK_SECONDS):
            said = ", ".join(self.wrong()) or "what was written"
            raise ServiceError("%s does not use %s after %d s: %s" % (self.name, said, seconds, self.service.last_words()))


def is_leaf_of(path, service):
    """Whether a file is a certificate that the service shows."""
    if path == "/etc/corelane/pki/%s.pem" % KINDS[service]:
        return True
    return service == "corelane" and path.startswith("/etc/corelane/tls/") and path.endswith(".pem")


def uses(service, path):
    """Whether a service reads a file."""
    others = {"corelane": "node", "shardstored": "edge"}[service]
    return not path.startswith("/etc/corelane/pki/%s." % others) and (service == "corelane" or not path.startswith("/etc/corelane/tls/"))


def write(paths, given):
    group = given["group"]
    for folder in sorted({os.path.dirname(path) for path in paths}):
        if not os.path.isdir(folder):
            os.makedirs(folder, FOLDER_MODE)
            must(["chgrp", group, folder])
            os.chmod(folder, FOLDER_MODE)
    for path in paths:
        replace(path, given["texts"][path], SECRET_MODE if path in given["secret"] else PUBLIC_MODE, group)


def main():
    module = AnsibleModule(
        argument_spec={
            "texts": {"type": "dict", "required": True, "no_log": True},
            "secret": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "group": {"type": "str", "default": GROUP},
            "services": {"type": "list", "elements": "str", "choices": ["corelane", "shardstored"], "default": []},
            "seconds": {"type": "int", "default": 30},
            "lock_seconds": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        with changing(module, "certificates"):
            changed = [path for path, text in given["texts"].items() if read(path) != text]
            if not module.check_mode:
                readers = [Reader(service, given["texts"]) for service in given["services"] if service in running()]
                write(changed, given)
                for reader in readers:
                    reader.take(given["seconds"], any(uses(reader.name, path) for path in changed))
    except (HttpError, LockError, ProgramError, ServiceError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(changed), written=changed)


if __name__ == "__main__":
    main()
