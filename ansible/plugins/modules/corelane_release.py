#!/usr/bin/python3
"""The release of a host."""

from __future__ import annotations

DOCUMENTATION = """
module: corelane_release
short_description: Installs a signed release, and makes it the one that a start runs
description:
  - The controller verifies the release, and sends it where it is not installed. The host verifies signature, archive and every file again,
    by the key of this play, before anything is unpacked. Starts and restarts nothing.
  - The release of a running service is replaced only with O(may_restart).
author: Corelane
options:
  archive:
    description: The archive on the controller; manifest and signature lie beside it.
    type: path
  public_key:
    description: The public key on the controller.
    type: path
  allow_downgrade:
    description: Whether an older release may replace a newer one.
    type: bool
    default: false
  may_restart:
    description: Whether the release of a running service may be replaced.
    type: bool
    default: false
  state:
    description: Whether a release is installed, or all of them are removed.
    type: str
    choices: [present, absent]
    default: present
  manifest:
    description: Set by the controller; text of the manifest.
    type: str
  signature:
    description: Set by the controller; text of the signature.
    type: str
  key:
    description: Set by the controller; text of the public key.
    type: str
  folder:
    description: Set by the controller; where on the host the archive and corectl lie.
    type: path
  lock_seconds:
    description: How long to wait for the lock of the host, which a step of another run may hold.
    type: int
    default: 600
"""

EXAMPLES = """
- name: Install the release
  corelane_release:
    archive: "{{ corelane_release }}"
    public_key: "{{ corelane_release_public_key }}"
"""

RETURN = """
digest:
  description: What the release is called on the host.
  returned: state is present
  type: str
previous:
  description: What a start ran before.
  returned: state is present
  type: str
stays:
  description: What is left on the host.
  returned: state is absent
  type: list
wants_files:
  description: Whether the controller has to send the archive.
  returned: state is present
  type: bool
pending:
  description: Why the release was not replaced; empty where it was, or is the wanted one.
  returned: state is present
  type: str
restart_required:
  description: Services that run another release than a start would run now.
  returned: state is present
  type: list
"""

import hashlib
import json
import os
import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_files import ProgramError, diff, must, read, remove, run, write
from ansible.module_utils.corelane_installed import CORECTL, CURRENT, ROOT, current_release, running
from ansible.module_utils.corelane_lock import LockError, changing
from ansible.module_utils.corelane_minisign import SignatureError, verify

KEY_FILE = "/etc/corelane/release.pub"
SIGNATURE_FILE = CURRENT + "/manifest.json.minisig"
UNIT_FOLDER = CURRENT + "/lib/systemd/system/"
UNITS = ("corelane.service", "shardstored.service", "corelane-tune.service", "corelane.slice")
LINKS = "/etc/systemd/system/"

OTHER_UNITS = ("corelane-tune-watch.timer", "corelane-tune-watch.service", "corelane-perf-agent.service")
"""Units of other roles, which start programs of the release."""

FOLDERS = (ROOT, "/etc/corelane", "/var/cache/corelane", "/run/corelane", "/run/shardstored", "/run/corelane-deploy")

STAYS = ("/var/lib/corelane", "/var/log/corelane")
"""What tuning has saved, and logs: whoever takes a host out may want to look at them."""


class HostRelease:
    """What is installed, beside what is wanted."""

    def __init__(self, module):
        self.module = module
        self.wanted = module.params
        self.digest = hashlib.sha256(self.wanted["manifest"].encode()).hexdigest()
        self.version = json.loads(self.wanted["manifest"])["version"]
        self.current = current_release()
        self.running = running()
        self.unlinked = [unit for unit in UNITS if not os.path.lexists(LINKS + unit)]
        self.key_before = read(KEY_FILE)
        self.signature_before = read(SIGNATURE_FILE)

    def is_installed(self):
        return self.current == self.digest

    def pending(self):
        if self.is_installed() or not self.running or self.wanted["may_restart"]:
            return ""
        services = " and ".join(sorted(self.running))
        return "%s runs release %s: rollout.yml brings %s to it" % (services, short(self.current), short(self.digest))

    def result(self, changed):
        lines = ["release %s" % (short(self.current) or "none")], ["release %s" % short(self.digest)]
        after = [] if self.pending() or self.is_installed() else lines[1]
        before = lines[0] if after else []
        before += ["%s: not linked" % unit for unit in self.unlinked]
        after += ["%s: linked" % unit for unit in self.unlinked]
        differs = [diff(ROOT, text(before), text(after))] if before or after else []
        if self.key_before != self.wanted["key"]:
            differs.append(diff(KEY_FILE, self.key_before, self.wanted["key"]))
        if self.is_signed_anew():
            differs.append(diff(SIGNATURE_FILE, self.signature_before, self.wanted["signature"]))
        others = [service for service, digest in self.running.items() if digest != self.digest]
        return {
            "changed": changed,
            "diff": differs,
            "digest": self.digest,
            "version": self.version,
            "previous": self.current or "",
            "pending": self.pending(),
            "restart_required": sorted(others) if not self.pending() else [],
            "wants_files": not self.is_installed() and not self.pending(),
        }

    def is_signed_anew(self):
        """Whether the release that is installed has another signature now, as it has after a change of keys."""
        return self.is_installed() and self.signature_before != self.wanted["signature"]

    def differs(self):
        wants_release = not self.is_installed() and not self.pending()
        return wants_release or bool(self.unlinked) or self.key_before != self.wanted["key"] or self.is_signed_anew()

    def check_files(self):
        """What is installed is still what was signed."""
        if self.is_installed() and self.key_before == self.wanted["key"] and not self.is_signed_anew():
            status, out, err = run([CORECTL, "release", "verify", "current"])
            if status:
                remedy = "find out who changed it, then take the host out (decommission.yml) and install it anew"
                raise ProgramError("release %s on this host is not as it was signed: %s; %s" % (short(self.digest), (err + out).strip(), remedy))

    def install(self):
        # The result says what was there before.
        result = self.result(True)
        write(KEY_FILE, self.wanted["key"])
        if not self.is_installed() and not self.pending():
            command = [self.verified_corectl(), "release", "install", self.archive(), "--key", KEY_FILE]
            must(command + (["--allow-downgrade"] if self.wanted["allow_downgrade"] else []))
        if self.is_signed_anew():
            verify(self.wanted["manifest"].encode(), self.wanted["signature"], self.wanted["key"])
            write(SIGNATURE_FILE, self.wanted["signature"])
        if self.unlinked:
            must(["systemd-sysusers", CURRENT + "/lib/sysusers.d/corelane.conf"])
            must(["systemctl", "link"] + [UNIT_FOLDER + unit for unit in self.unlinked])
        must(["systemctl", "daemon-reload"])
        result["wants_files"] = False
        return result

    def archive(self):
        return os.path.join(self.wanted["folder"], json.loads(self.wanted["manifest"])["archive"]["file"])

    def verified_corectl(self):
        """The program that installs: the one that came along, if it is that of the signed manifest."""
        manifest = self.wanted["manifest"]
        verify(manifest.encode(), self.wanted["signature"], self.wanted["key"])
        signed = [one["sha256"] for one in json.loads(manifest)["files"] if one["path"] == "bin/corectl"]
        path = os.path.join(self.wanted["folder"], "corectl")
        with open(path, "rb") as file:
            found = hashlib.sha256(file.read()).hexdigest()
        if [found] != signed:
            raise SignatureError("corectl that came along is not that of the manifest")
        stem = self.archive()[: -len(".tar.zst")]
        for suffix, content in ((".json", manifest), (".json.minisig", self.wanted["signature"])):
            write(stem + suffix, content)
        os.chmod(path, 0o700)
        return path


def short(digest):
    return (digest or "")[:12]


def text(lines):
    return "".join(line + "\n" for line in lines)


def absent(module):
    others = [unit for unit in OTHER_UNITS if os.path.lexists(LINKS + unit)]
    files = [LINKS + unit for unit in UNITS + OTHER_UNITS if os.path.lexists(LINKS + unit)]
    folders = [path for path in FOLDERS if os.path.isdir(path)]
    if running() and not module.check_mode:
        module.fail_json(msg="%s still runs; stop it first" % ", ".join(sorted(running())))
    if not module.check_mode:
        if others:
            must(["systemctl", "disable", "--now"] + others)
        for path in files:
            remove(path)
        for path in folders:
            shutil.rmtree(path)
        if files:
            must(["systemctl", "daemon-reload"])
    gone = files + folders
    stays = [path for path in STAYS if os.path.isdir(path)] + ["the user corelane"]
    module.exit_json(changed=bool(gone), diff=[diff("files", text(gone), "")] if gone else [], stays=stays)


def present(module):
    host = HostRelease(module)
    host.check_files()
    if host.pending():
        module.warn(host.pending())
    lacks_files = host.result(False)["wants_files"] and not module.params["folder"]
    if not host.differs() or module.check_mode or lacks_files:
        module.exit_json(**host.result(host.differs()))
    module.exit_json(**host.install())


def main():
    module = AnsibleModule(
        argument_spec={
            "archive": {"type": "path"},
            "public_key": {"type": "path", "no_log": False},
            "allow_downgrade": {"type": "bool", "default": False},
            "may_restart": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "manifest": {"type": "str"},
            "signature": {"type": "str"},
            "key": {"type": "str", "no_log": False},
            "folder": {"type": "path"},
            "lock_seconds": {"type": "int", "default": 600},
        },
        required_if=[("state", "present", ("manifest", "signature", "key"))],
        supports_check_mode=True,
    )
    try:
        with changing(module, "release"):
            if module.params["state"] == "absent":
                absent(module)
            present(module)
    except (LockError, ProgramError, SignatureError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
