"""The authority of a cluster, on the controller alone: runs `corectl pki` of the release whose signature is right."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile

import ansible.module_utils as package
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# Ansible sends module_utils along with modules, and does not put them on the controller's own path.
OWN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "module_utils")
if OWN not in package.__path__:
    package.__path__.append(OWN)

from ansible.module_utils import corelane_pki_plan as plan  # noqa: E402
from ansible.module_utils.corelane_bundle import Bundle, BundleError  # noqa: E402

SECONDS = 120
"""Longer than a thousand certificates take on a busy machine."""

STARTED = "rotation.json"
"""Which authority is to go, from the first step of a rotation to its end."""


class ActionModule(ActionBase):
    """See the module of the same name."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        given = dict(self._task.args)
        if not given["certificates"] and not given.get("ticket_keys"):
            return dict(result, changed=False, said=[])
        with tempfile.TemporaryDirectory() as own:
            folder = PkiFolder(given, os.path.join(own, "corectl"), self._task.check_mode)
            getattr(folder, given.get("state", "present"))()
            said = folder.said
        return dict(result, changed=bool(said), said=said)


class PkiFolder:
    """The folder, and what was done in it."""

    def __init__(self, given, corectl, is_check):
        self.given, self.corectl, self.is_check = given, corectl, is_check
        self.folder = os.path.expanduser(given["folder"])
        self.said = []
        self.look_at_place()

    def look_at_place(self):
        """Raises AnsibleActionFail where others could read the folder, or would get it with the repository."""
        if os.path.isdir(self.folder) and os.stat(self.folder).st_mode & 0o077:
            raise AnsibleActionFail("corelane_pki_dir: others can read %s, which has the keys of the cluster: chmod 0700" % self.folder)
        above = os.path.realpath(self.folder)
        while above != os.path.dirname(above):
            if os.path.exists(os.path.join(above, ".git")):
                raise AnsibleActionFail("corelane_pki_dir: %s lies in the repository %s; name a folder outside of it" % (self.folder, above))
            above = os.path.dirname(above)

    def present(self):
        """Makes what is missing, and renews what is due."""
        has_authority = os.path.exists(os.path.join(self.folder, "ca.pem"))
        if self.given["certificates"] and not has_authority:
            self.do(["init", "--cluster", self.given["cluster"]])
            has_authority = not self.is_check
        shown = self.shown() if has_authority else {"rows": []}
        for words in plan.issue_calls(shown, self.given["certificates"]):
            self.do(words)
        if has_authority:
            self.renew(shown)
        if self.given.get("ticket_keys") and not os.path.exists(os.path.join(self.folder, "ticket.keys")):
            self.do(["ticket-keys"])

    def renew(self, shown):
        if self.given.get("renew") == "all":
            # Not those that are new a moment ago.
            self.do(["renew", "--force"] + sorted(row["name"] for row in shown["rows"] if row["role"] != "authority"))
        elif plan.is_renewal_due(shown):
            self.do(["renew"])

    def ticket_keys_rotated(self):
        self.do(["ticket-keys", "--rotate"])

    def begin(self):
        self.rotate("begin")

    def switch(self):
        self.rotate("switch")
        shown = self.shown()
        if self.started() and plan.is_renewal_due(shown):
            self.do(["renew"])

    def finish(self):
        self.rotate("finish")

    def end(self):
        self.rotate("end")

    def rotate(self, step):
        started = self.started()
        calls, now = plan.rotation_step(step, self.shown(), started)
        if now != started and now is not None:
            self.note(now)
        for words in calls:
            self.do(words)
        if now is None and started is not None:
            self.note(None)

    def started(self):
        try:
            with open(os.path.join(self.folder, STARTED), encoding="utf-8") as file:
                return json.load(file)["from"]
        except FileNotFoundError:
            return None

    def note(self, authority):
        path = os.path.join(self.folder, STARTED)
        if self.is_check:
            return
        if authority is None:
            os.unlink(path)
            return
        new = path + ".new"
        with open(new, "w", encoding="utf-8") as file:
            json.dump({"from": authority}, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, path)

    def shown(self):
        """What `show` says; its exit status says that something is due as well."""
        status, out, err = self.run(["show", "--json"])
        if status not in (0, 1) or not out:
            raise AnsibleActionFail("corectl pki show: %s" % err)
        return json.loads(out)

    def do(self, words):
        self.said.append("corectl pki " + " ".join(words))
        if self.is_check:
            return
        status, _out, err = self.run(words)
        if status:
            raise AnsibleActionFail("corectl pki %s: %s" % (" ".join(words), err))

    def run(self, words):
        if not os.path.exists(self.corectl):
            try:
                Bundle(self.given["archive"], self.given["public_key"]).extract("bin/corectl", self.corectl)
            except BundleError as error:
                raise AnsibleActionFail(str(error)) from error
            os.chmod(self.corectl, 0o700)
        os.makedirs(os.path.dirname(self.folder), mode=0o700, exist_ok=True)
        done = subprocess.run(
            [self.corectl, "pki"] + words + ["--dir", self.folder],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=SECONDS, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace").strip()
