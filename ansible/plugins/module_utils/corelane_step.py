"""One host's part of a rollout, from beginning to end on the host itself.

```
 look ─▶ save ─▶ switch ─▶ check ─▶ drain ─▶ restart ─▶ hold ─▶ verify ─▶ smoke ─▶ undrain      updated
                    │         │        │         │         │        │        │
                    └─────────┴────────┴─ back ──┴─────────┴────────┴────────┘                   refused, or broken
```

A controller that dies, or a network that is lost, does not stop a step: it is one process on the host.

Not: deciding which host is next. Not: fetching the release, which lies on the host already.

Invariants: when a step ends, the service serves: the release that was asked for, or the one before with its configuration. Where it
cannot be brought back, the outcome is `broken` and says why. Nothing that serves is touched before the new configuration was checked
by the new program. A node that holds values is not restarted unless their loss was accepted.
"""

from __future__ import annotations

import os
import time

from ansible.module_utils.corelane_files import read, remove, write
from ansible.module_utils.corelane_http import HttpError
from ansible.module_utils.corelane_identity import configuration_id, identity
from ansible.module_utils.corelane_service import ServiceError
from ansible.module_utils.corelane_smoke import smoke

ROOT = "/opt/corelane"

UPDATED, UNCHANGED, REFUSED, BROKEN = "updated", "unchanged", "refused", "broken"


class StepError(Exception):
    """Why the step does not go on, in a sentence for an operator."""


class Releases:
    """The releases of this host: `corectl release`."""

    def __init__(self, run, root=ROOT, key="/etc/corelane/release.pub"):
        self.run = run
        self.root = root
        self.key = key

    def current(self):
        """The digest of what a start runs, or None."""
        try:
            return os.path.basename(os.readlink(os.path.join(self.root, "current")))
        except OSError:
            return None

    def install(self, archive, allow_downgrade):
        self._corectl("install", archive, "--key", self.key, *(["--allow-downgrade"] if allow_downgrade else []))

    def switch(self, digest):
        """Back, or forward, to an installed release and the configuration that it had."""
        self._corectl("rollback", digest)

    def verify(self):
        self._corectl("verify", "current", "--key", self.key)

    def has_drifted(self):
        """Whether the host is not as it was tuned."""
        return self.run([os.path.join(self.root, "current/bin/corectl"), "tune", "status"])[0] == 1

    def _corectl(self, *words):
        status, text = self.run([os.path.join(self.root, "current/bin/corectl"), "release"] + list(words), 300)
        if status != 0:
            raise StepError("corectl release %s: %s" % (words[0], text or "status %s" % status))


class Wanted:
    """What a step is to bring about."""

    def __init__(self, action, digest, archive=None, configuration=None, **options):
        self.action = action
        self.digest = digest
        self.archive = archive
        # Paths to texts.
        self.configuration = configuration or {}
        # Of a rollback: the settings to go back to. Without it they are those that `corectl release` kept with the release.
        self.configuration_id = options.get("configuration_id")
        self.allow_downgrade = options.get("allow_downgrade", False)
        self.accept_data_loss = options.get("accept_data_loss", False)
        self.drain_seconds = options.get("drain_seconds", 60)
        self.drain_seconds_min = options.get("drain_seconds_min", 4)
        self.start_seconds = options.get("start_seconds", 240)
        self.ready_seconds = options.get("ready_seconds", 60)
        self.smoke_seconds = options.get("smoke_seconds", 2)
        self.smoke_path = options.get("smoke_path", "/v1/kv/default/")


def settings_texts(kind):
    """The settings of a service by path: what a rollout of configuration changes, and takes back."""
    return {kind.config: read(kind.config)}


class Step:
    """The step of one service. `run` runs programs; `smoke` is replaced by tests. `snapshots` are the settings that this host had before;
    without them a step keeps none."""

    def __init__(self, service, releases, wanted, run, smoke=smoke, snapshots=None):
        self.service = service
        self.releases = releases
        self.wanted = wanted
        self.run = run
        self.smoke = smoke
        self.snapshots = snapshots
        self.timeline = []
        self.saved = {}
        self.before = releases.current()
        self.was = identity(self.before, configuration_id(self._settings()))
        self.restarted = False
        self.switched = False
        self.requests = 0

    def result(self):
        """Does the step. Returns outcome, why, before, was, after, what was done with seconds; never raises."""
        why = ""
        try:
            self._do("settings", self.service.read_settings)
            if self._is_there():
                outcome = UNCHANGED
            else:
                self._forward()
                outcome = UPDATED
        except (StepError, ServiceError, HttpError, OSError, ValueError) as error:
            why = str(error)
            outcome, left = self._back()
            why += left
        return {
            "outcome": outcome, "why": why, "before": self.before, "was": self.was, "after": self.releases.current(),
            "timeline": self.timeline, "smoke_requests": self.requests, "changed": outcome not in (UNCHANGED, REFUSED) or self.restarted,
        }

    def _do(self, name, function, *arguments):
        began = time.monotonic()
        try:
            return function(*arguments)
        finally:
            self.timeline.append([name, round(time.monotonic() - began, 2)])

    def _is_there(self):
        """Whether nothing is to be done, but for a drain that somebody left."""
        digest = self.wanted.digest
        if self.before != digest or self.service.running_release() != digest or self._changes() or not self._has_settings():
            return False
        return self.service.is_active() and self.service.undrain_if_possible()

    def _changes(self):
        return [path for path, text in sorted(self.wanted.configuration.items()) if read(path) != text]

    def _put(self, path, text):
        """A file that was not there before has an empty text."""
        if text:
            write(path, text)
        else:
            remove(path)

    def _settings(self):
        """The settings of the service, as a snapshot has them: texts by path."""
        return settings_texts(self.service.kind)

    def _has_settings(self):
        """Whether a rollback finds the settings that it is to go back to."""
        wanted = self.wanted.configuration_id
        return not wanted or configuration_id(dict(self._settings(), **self.wanted.configuration)) == wanted

    def _save(self):
        """Keeps the settings for a way back, and finds those that are to come back."""
        # Now: a release that was here before brings the settings back that it had then.
        self.saved = dict((path, read(path)) for path in sorted(set(self._settings()) | set(self.wanted.configuration)))
        if self.snapshots is not None:
            self.snapshots.save(self._settings())
            if self.wanted.configuration_id:
                self.wanted.configuration = self.snapshots.load(self.wanted.configuration_id) or {}

    def _forward(self):
        had_drifted = self.releases.has_drifted()
        self._data_loss()
        self._do("save", self._save)
        if self.before != self.wanted.digest:
            self.switched = True
            if self.wanted.action == "rollback":
                self._do("switch", self.releases.switch, self.wanted.digest)
            else:
                self._do("install", self.releases.install, self.wanted.archive, self.wanted.allow_downgrade)
        if self.releases.current() != self.wanted.digest:
            raise StepError("release %s was installed instead of %s" % (self.releases.current(), self.wanted.digest))
        if not self._has_settings():
            raise StepError(
                "the settings to go back to (%s) are not kept on this host; corelane_rollback_to=DIGEST takes those that belong to a release"
                % self.wanted.configuration_id[:12])
        self._do("check", self._check)
        is_balanced = self.service.kind.has_http and self.service.is_active()
        if is_balanced:
            self._do("drain", self.service.drain, self.wanted.drain_seconds, self.wanted.drain_seconds_min)
        for path in self._changes():
            self._put(path, self.wanted.configuration[path])
        self.restarted = True
        self._do("restart", self.service.restart, self.wanted.start_seconds)
        # A file of the release or the operator may have moved the listeners.
        self._do("settings", self.service.read_settings)
        if is_balanced:
            # Nobody but the smoke load asks it before it was verified.
            self.service.tell("drain")
        self._do("verify", self._verify, had_drifted)
        self._do("smoke", self._smoke)
        if is_balanced:
            self.service.tell("undrain")
            self.service.wait_ready(self.wanted.ready_seconds)

    def _data_loss(self):
        if self.service.kind.has_http or self.wanted.accept_data_loss or not self.service.is_active():
            return
        items = self.service.status()["totals"]["items"]
        if items:
            raise StepError("a restart would empty this node of %d values; accept it with corelane_accept_node_data_loss: true" % items)

    def _check(self):
        """The new program's opinion of the configuration, before anything is moved."""
        kind = self.service.kind
        # In the same folder, since relative paths start there; not called .toml, since others are included by that name.
        staged = dict((path, "%s/.%s.staged" % os.path.split(path)) for path in self.wanted.configuration)
        topology = next((path for path in staged if path.endswith("/topology.toml")), None)
        command = [os.path.join(self.releases.root, "current/bin", kind.program), "--check", "--config", staged.get(kind.config, kind.config)]
        command += ["--topology", staged[topology]] if topology and self._names(topology) else []
        try:
            for path, own in staged.items():
                write(own, self.wanted.configuration[path])
            status, said = self.run(command)
        finally:
            for own in staged.values():
                remove(own)
        if status != 0:
            for path, own in staged.items():
                said = said.replace(own, path)
            raise StepError("the configuration is refused by the new release: %s" % said)

    def _names(self, topology):
        """Whether the settings use the topology; an edge that is its own store has none."""
        text = self.wanted.configuration.get(self.service.kind.config) or read(self.service.kind.config)
        return 'topology = "%s"' % topology in text

    def _verify(self, had_drifted):
        self.service.wait_ready(self.wanted.ready_seconds)
        running = self.service.running_release()
        if running != self.wanted.digest:
            raise StepError("%s runs release %s instead of %s" % (self.service.kind.unit, running, self.wanted.digest))
        self.releases.verify()
        if self.releases.has_drifted() and not had_drifted:
            raise StepError("the host is no longer tuned as confirmed: corectl tune status")

    def _smoke(self):
        if not self.service.listen:
            return
        self.requests, fault = self.smoke(self.service.listen, self.wanted.smoke_seconds, self.wanted.smoke_path)
        if fault:
            raise StepError("smoke load: %s" % fault)
        faults = self.service.not_ready()
        if faults:
            raise StepError("not ready after the smoke load: %s" % "; ".join(faults))

    def _back(self):
        """To what there was before: (outcome, what is to be added to the reason)."""
        try:
            if self.switched and self.before and self.releases.current() != self.before:
                self._do("back", self.releases.switch, self.before)
            for path, text in self.saved.items():
                if read(path) != text:
                    self._put(path, text)
            if self.restarted:
                self._do("restart", self.service.restart, self.wanted.start_seconds)
                self.service.read_settings().wait_ready(self.wanted.ready_seconds)
                self._do("smoke", self._smoke)
            if self.service.undrain_if_possible() or not self.restarted and not self.service.is_active():
                return REFUSED, ""
            return BROKEN, "; and it is not ready: %s" % "; ".join(self.service.not_ready())
        except (StepError, ServiceError, HttpError, OSError, ValueError) as error:
            return BROKEN, "; and it could not be put back: %s" % error
