#!/usr/bin/python
"""Ansible module: a host's part of a rollout or rollback, as one step under the host's lock."""

from __future__ import annotations

DOCUMENTATION = r"""
module: corelane_update
short_description: Bring another release to a service that serves, and prove that it serves
description:
  - Installs a release, checks the configuration with it, drains, restarts, verifies, loads for two seconds, and undrains.
  - What fails is taken back on the host itself, also when the controller is gone by then. The host's lock is held meanwhile.
  - Never fails; the outcome says what became of the host (updated, unchanged, refused, broken).
options:
  service: { description: Which service, type: str, required: true, choices: [edge, node] }
  action: { description: Install a release that lies on the host, or go to one that is installed, type: str, default: update, choices: [update, rollback] }
  digest: { description: The release, by the SHA-256 of its manifest, type: str, required: true }
  archive: { description: Where the archive lies on the host; manifest and signature beside it, type: path }
  configuration: { description: Texts of files by path, written where they differ, type: dict, default: {} }
  configuration_id: { description: "Of a rollback, which of the settings that this host had come back; those of the release without it", type: str }
  allow_downgrade: { description: Also when the release is older, type: bool, default: false }
  accept_data_loss: { description: Restart a node that holds values, type: bool, default: false }
  drain_seconds: { description: How long clients may take to leave, type: int, default: 60 }
  drain_seconds_min: { description: How long a drain lasts at least, so that balancers have looked, type: int, default: 4 }
  start_seconds: { description: "How long a start may take; what a stop may take comes on top", type: int, default: 240 }
  smoke_seconds: { description: How long the smoke load lasts, type: int, default: 2 }
  smoke_path: { description: Where the smoke load writes its values, type: str, default: /v1/kv/default/ }
  lock_seconds: { description: How long to wait for the host's lock, type: int, default: 600 }
  owner: { description: "Who asks, for those who wait for the lock or find the host drained; by default who sent the module", type: str, default: "" }
author: Corelane
"""

EXAMPLES = r"""
- name: Update
  corelane_update:
    service: edge
    digest: "{{ digest }}"
    archive: /var/cache/corelane/corelane-0.2.0-x86_64-unknown-linux-gnu.tar.zst
"""

RETURN = r"""
outcome: { description: "updated, unchanged, refused (the release before serves), broken", returned: always, type: str }
why: { description: Why it was refused or is broken, returned: always, type: str }
before: { description: Digest of the release before, returned: always, type: str }
was: { description: "What the host ran before: release, and the id of its settings", returned: always, type: dict }
after: { description: Digest of the release now, returned: always, type: str }
drained_by: { description: Who has drained the host and puts it back; empty where clients come back, returned: always, type: str }
timeline: { description: What was done, with seconds, returned: always, type: list }
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_files import attempt, read, remove
from ansible.module_utils.corelane_lock import HostLock, LockError, sender
from ansible.module_utils.corelane_service import Service
from ansible.module_utils.corelane_snapshots import Snapshots
from ansible.module_utils.corelane_step import REFUSED, UNCHANGED, UPDATED, Releases, Step, Wanted

ARCHIVE_SUFFIX = ".tar.zst"

ARGUMENTS = {
    "service": {"type": "str", "required": True, "choices": ["edge", "node"]},
    "action": {"type": "str", "default": "update", "choices": ["update", "rollback"]},
    "digest": {"type": "str", "required": True},
    "archive": {"type": "path"},
    "configuration": {"type": "dict", "default": {}, "no_log": True},
    "configuration_id": {"type": "str"},
    "allow_downgrade": {"type": "bool", "default": False},
    "accept_data_loss": {"type": "bool", "default": False},
    "drain_seconds": {"type": "int", "default": 60},
    "drain_seconds_min": {"type": "int", "default": 4},
    "start_seconds": {"type": "int", "default": 240},
    "smoke_seconds": {"type": "int", "default": 2},
    "smoke_path": {"type": "str", "default": "/v1/kv/default/"},
    "lock_seconds": {"type": "int", "default": 600},
    "owner": {"type": "str", "default": ""},
}


def step(module_params):
    """The result of the step, under the host's lock."""
    wanted = dict(module_params)
    service, owner, seconds = wanted.pop("service"), wanted.pop("owner") or sender(), wanted.pop("lock_seconds")
    try:
        with HostLock(owner, "%s to %s" % (wanted["action"], wanted["digest"][:12]), seconds) as lock:
            result = Step(Service(service), Releases(attempt), Wanted(**wanted, who=owner), attempt, snapshots=Snapshots()).result()
            result["warnings"] = drop(wanted["archive"])
            result["timeline"].insert(0, ["lock", round(lock.waited, 2)])
    except (LockError, OSError) as error:
        # The step has not begun.
        now = Releases(attempt).current()
        result = {"outcome": REFUSED, "why": str(error), "before": now, "after": now, "timeline": [], "changed": False}
    return result


def drop(archive):
    """Removes a release that was brought here to be installed, which another attempt brings again; returns what could not be removed."""
    if not archive or not archive.endswith(ARCHIVE_SUFFIX):
        return []
    stem = archive[:-len(ARCHIVE_SUFFIX)]
    try:
        for suffix in (ARCHIVE_SUFFIX, ".json", ".json.minisig"):
            remove(stem + suffix)
    except OSError as error:
        return ["%s stays: %s" % (archive, error)]
    return []


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    digest = module.params["digest"]
    if module.check_mode:
        before = Releases(attempt).current()
        is_there = before == digest and all(read(path) == text for path, text in module.params["configuration"].items())
        outcome = UNCHANGED if is_there else UPDATED
        module.exit_json(outcome=outcome, why="", before=before, after=digest, timeline=[], changed=outcome == UPDATED)
    result = step(module.params)
    for warning in result.pop("warnings", []):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
