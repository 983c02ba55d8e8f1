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
by the new program. What a step that was killed has begun is verified before it serves, or goes back to what ran before that step. A
node that holds values is not restarted unless their loss was accepted. An edge that a person has taken out of service stays out.
"""

from __future__ import annotations

import os
import time

from ansible.module_utils import corelane_configuration as configuration_files
from ansible.module_utils.corelane_drain_note import PERSON, STEP
from ansible.module_utils.corelane_files import ProgramError, read
from ansible.module_utils.corelane_http import HttpError
from ansible.module_utils.corelane_identity import configuration_id, identity
from ansible.module_utils.corelane_installed import CORECTL, CURRENT, current_release, sums_fault
from ansible.module_utils.corelane_service import ServiceError, stop_seconds
from ansible.module_utils.corelane_smoke import smoke

UPDATED, UNCHANGED, REFUSED, BROKEN = "updated", "unchanged", "refused", "broken"


class StepError(Exception):
    """Why the step does not go on, in a sentence for an operator."""


class Releases:
    """The releases of this host: `corectl release`."""

    def __init__(self, run, key="/etc/corelane/release.pub"):
        self.run = run
        self.key = key

    def current(self):
        """The digest of what a start runs, or None."""
        return current_release()

    def install(self, archive, allow_downgrade):
        self._corectl("install", archive, "--key", self.key, *(["--allow-downgrade"] if allow_downgrade else []))

    def switch(self, digest):
        """Back, or forward, to an installed release and the configuration that it had."""
        self._corectl("rollback", digest)

    def verify_signature(self):
        """That the current release is what was signed."""
        self._corectl("verify", "current", "--key", self.key)

    def verify_sums(self, digest):
        """That an installed release is what was verified when it was installed, whoever signed it then: keys are rotated."""
        fault = sums_fault(digest)
        if fault:
            raise StepError(fault)

    def has_drifted(self):
        """Whether the host is not as it was tuned."""
        return self.run([CORECTL, "tune", "status"])[0] == 1

    def _corectl(self, *words):
        status, text = self.run([CORECTL, "release"] + list(words), 300)
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
        # Who asks, for those who find the service drained.
        self.who = options.get("who", "")


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
        # What a step that was killed has begun here, or None; and what this one has begun.
        self.left = self.begun = None
        self.restarted = False
        self.switched = False
        self.is_balanced = False
        self.holder = (STEP, wanted.who)
        self.knows_holder = False
        self.requests = 0

    def result(self):
        """Does the step. Returns outcome, why, before, was, after, what was done with seconds; never raises."""
        why = ""
        try:
            self._do("settings", self.service.read_settings)
            owner, who = self.service.drained_by()
            if owner == PERSON:
                self.holder = (PERSON, who)
            self.knows_holder = True
            self._take_over()
            if self._is_there():
                outcome = UPDATED if self.left else UNCHANGED
            else:
                self._forward()
                outcome = UPDATED
        # Whatever went wrong, the service must come back: nobody else does it.
        except Exception as error:
            why = _reason(error)
            outcome, left = self._back()
            why += left
        return {
            "outcome": outcome, "why": why, "before": self.before, "was": self.was, "after": self.releases.current(),
            "timeline": self.timeline, "smoke_requests": self.requests, "changed": outcome not in (UNCHANGED, REFUSED) or self.restarted,
            "drained_by": self.holder[1] if self._is_kept() else "",
        }

    def _is_kept(self):
        """Whether a person has taken the service out, who puts it back."""
        return self.holder[0] == PERSON

    def _do(self, name, function, *arguments):
        began = time.monotonic()
        try:
            return function(*arguments)
        finally:
            self.timeline.append([name, round(time.monotonic() - began, 2)])

    def _take_over(self):
        """Finds what a killed step has begun: the way back is to what ran before it."""
        self.left = self.begun = self.service.begun.read(self.before)
        if not self.left:
            return
        self.before = self.left["release"]
        self.was = identity(self.before, self.left["configuration"])
        self.switched = True
        self.is_balanced = self.service.kind.has_http and self.service.is_active()
        self.saved = self._left_settings()

    def _left_settings(self):
        """The settings of before the killed step, where they are kept."""
        return self.snapshots.load(self.left["configuration"]) or {} if self.left and self.snapshots is not None else {}

    def _note_begun(self, **more):
        """Notes what is begun, until it is verified."""
        releases = (self.begun or {}).get("releases", [self.before])
        releases += [self.wanted.digest] if self.wanted.digest not in releases else []
        self.begun = dict(self.begun or {}, release=self.before, configuration=self.was["configuration"], releases=releases, **more)
        self.service.begun.write(self.begun)

    def _is_there(self):
        """Whether nothing is to be done, but for a drain that a step left, and for verifying what it has begun."""
        digest = self.wanted.digest
        if self.releases.current() != digest or self.service.running_release() != digest or self._changes() or not self._has_settings():
            return False
        if not self.service.is_active() or self._lacks_restart():
            return False
        if self.left:
            self._prove(self.left.get("drifted", False))
        return self._serves()

    def _lacks_restart(self):
        """Whether a killed step has changed what the process does not run yet."""
        is_as_before = identity(self.releases.current(), configuration_id(self._settings())) == self.was
        return self.left and not self.left.get("restarted") and not is_as_before

    def _prove(self, had_drifted):
        """Verifies what runs; then nothing is begun any more."""
        self._do("verify", self._verify, had_drifted)
        self._do("smoke", self._smoke)
        self.service.begun.remove()

    def _serves(self):
        """Has clients come back, unless a person has drained it, or may have; returns whether it is ready for them."""
        if self._is_kept() or not self.knows_holder:
            return self.service.is_active() and not self.service.not_ready()
        return self.service.undrain_if_possible()

    def _changes(self):
        return [path for path, text in sorted(self.wanted.configuration.items()) if read(path) != text]

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
        self.saved.update(self._left_settings())
        if self.snapshots is not None:
            self.snapshots.save(self._settings())
            if self.wanted.configuration_id:
                self.wanted.configuration = self.snapshots.load(self.wanted.configuration_id) or {}

    def _forward(self):
        had_drifted = self.left.get("drifted", False) if self.left else self.releases.has_drifted()
        self._data_loss()
        self._do("save", self._save)
        self._note_begun(drifted=had_drifted)
        if self.releases.current() != self.wanted.digest:
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
        self.is_balanced = self.service.kind.has_http and self.service.is_active()
        if self.is_balanced:
            self._do("drain", self._drain)
        for path in self._changes():
            configuration_files.put(path, self.wanted.configuration[path])
        self._restart()
        self._prove(had_drifted)
        if self.is_balanced and not self._is_kept():
            self.service.release()
            self.service.wait_ready(self.wanted.ready_seconds)

    def _drain(self):
        if self._is_kept():
            self.service.wait_quiet(self.wanted.drain_seconds, 0)
        else:
            self.service.drain(self.wanted.drain_seconds, self.wanted.drain_seconds_min, *self.holder)

    def _restart(self):
        """Restarts the service. An edge is drained again by the first command that it takes, so that it is verified before clients ask it."""
        stop = stop_seconds(self.service.settings)
        # Before, so that nothing lies between start and drain: a file of the release or the operator may have moved the listeners.
        self._do("settings", self.service.read_settings)
        self.restarted = True
        # A node has no balancer, and a person can have drained it nevertheless.
        is_held = self.is_balanced or self._is_kept()
        if is_held:
            self.service.note.write(*self.holder, restarting=True)
        self._note_begun(restarted=True)
        self._do("restart", self.service.restart, stop + self.wanted.start_seconds)
        if is_held:
            self.service.hold(*self.holder)

    def _data_loss(self):
        if self.service.kind.has_http or self.wanted.accept_data_loss or not self.service.is_active():
            return
        items = self.service.status()["totals"]["items"]
        if items:
            raise StepError("a restart would empty this node of %d values; accept it with corelane_accept_node_data_loss: true" % items)

    def _check(self):
        """The new program's opinion of the configuration, before anything is moved."""
        kind = self.service.kind
        program = os.path.join(CURRENT, "bin", kind.program)
        try:
            configuration_files.check(program, kind.config, self.wanted.configuration, run=self.run)
        except ProgramError as error:
            raise StepError("the configuration is refused by the new release: %s" % error) from error

    def _verify(self, had_drifted):
        self.service.wait_ready(self.wanted.ready_seconds)
        running = self.service.running_release()
        if running != self.wanted.digest:
            raise StepError("%s runs release %s instead of %s" % (self.service.kind.unit, running, self.wanted.digest))
        if self.wanted.action == "rollback":
            self.releases.verify_sums(self.wanted.digest)
        else:
            self.releases.verify_signature()
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

    def _leave_again(self):
        """Before what a killed step has restarted is restarted again: without values or clients that would be lost."""
        self._data_loss()
        if self.is_balanced and self.service.is_active() and not self.service.not_ready():
            self._do("drain", self._drain)
        self.restarted = True

    def _back(self):
        """To what there was before: (outcome, what is to be added to the reason)."""
        try:
            if self.left and self.left.get("restarted") and not self.restarted:
                self._leave_again()
            if self.switched and self.before and self.releases.current() != self.before:
                self._do("back", self.releases.switch, self.before)
            for path, text in self.saved.items():
                if read(path) != text:
                    configuration_files.put(path, text)
            if self.restarted:
                self._restart()
                self.service.wait_ready(self.wanted.ready_seconds)
                self._do("smoke", self._smoke)
            if self._serves() or not self.restarted and not self.service.is_active():
                if self.begun:
                    self.service.begun.remove()
                return REFUSED, ""
            return BROKEN, "; and it is not ready: %s" % "; ".join(self.service.not_ready())
        except Exception as error:
            return BROKEN, "; and it could not be put back: %s" % _reason(error)


def _reason(error):
    """Why a step does not go on. What nobody expected has its kind with it."""
    is_expected = isinstance(error, (StepError, ServiceError, HttpError, ProgramError, OSError, ValueError))
    return str(error) if is_expected else "%s: %s" % (type(error).__name__, error)
