"""An edge or a node on this host: its unit, its settings, and what it says of itself.

Not: changing files, but for the note of who has drained it. Not: deciding what to do when something fails.

Invariants: every wait has a deadline. Addresses are those that the program itself reads from its configuration.

Source: docs/operations.md, "Restart without a failed request"; systemctl(1).
"""

from __future__ import annotations

import contextlib
import json
import os
import time

from ansible.module_utils import corelane_address as address
from ansible.module_utils.corelane_begun import BegunNote
from ansible.module_utils.corelane_drain_note import PERSON, STEP, UNKNOWN, DrainNote, drained_by
from ansible.module_utils.corelane_files import attempt
from ansible.module_utils.corelane_http import HttpError, request, wait
from ansible.module_utils.corelane_installed import CURRENT, running_release
from ansible.module_utils.corelane_settings import own_admin

# How often a process is looked at while it is waited for.
LOOK_SECONDS = 0.2

# How long an active service that does not say who has drained it is asked again.
ASK_SECONDS = 10

# States of a unit without a process; those that systemd starts again after a pause have none meanwhile.
DOWN = ("inactive", "failed", "dead")
PAUSED = ("auto-restart", "auto-restart-queued")

# What `/v1/status` counts, of what is used here.
COUNTED = ("requests", "connections", "items", "memory_used_bytes")

# Characters of an answer that is none, for a message.
SAID_MAX = 200

# For systemd, and for the process to give its memory back, on top of what its settings allow.
STOP_MARGIN_SECONDS = 60


class ServiceError(Exception):
    """What is wrong with the service, in a sentence for an operator."""


def parsed(text):
    """JSON as Python values; None where it is none."""
    try:
        return json.loads(text)
    # The latter: of text that nests too deep.
    except (ValueError, RecursionError):
        return None


class Kind:
    """What edges and nodes differ in."""

    def __init__(self, unit, config, has_http):
        self.unit = unit
        self.config = config
        self.has_http = has_http
        self.program = unit


KINDS = {
    "edge": Kind("corelane", "/etc/corelane/corelane.toml", True),
    "node": Kind("shardstored", "/etc/corelane/shardstored.toml", False),
}


def settings_of(text):
    """The keys outside tables of what `--print-config` prints, as Python values."""
    found = {}
    for line in text.splitlines():
        if line.startswith("["):
            break
        if line.startswith("#") or " = " not in line:
            continue
        key, _equals, value = line.partition(" = ")
        value = value.rsplit("  # from:", 1)[0].strip()
        try:
            found[key.strip()] = json.loads(value)
        except ValueError:
            found[key.strip()] = value
    return found


def seconds_of(duration):
    """Seconds of a duration as `--print-config` prints it, such as "6s" or "250ms"; raises ValueError."""
    if not isinstance(duration, str):
        raise ValueError("found %r, allowed: a duration such as \"6s\"" % (duration,))
    for unit, factor in (("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)):
        number = duration[:-len(unit)]
        if duration.endswith(unit) and number.isdigit():
            return int(number) * factor
    raise ValueError("found %r, allowed: a duration such as \"6s\"" % (duration,))


def stop_seconds(settings):
    """How long a process with these settings may take to end, at most."""
    return sum(seconds_of(settings.get(key, "0s")) for key in ("lame_duck", "drain_timeout"))


class Service:
    """The service of a kind on this host."""

    def __init__(self, kind):
        self.kind = KINDS[kind]
        self.settings = {}
        self.note = DrainNote(kind)
        self.begun = BegunNote(kind)

    def read_settings(self):
        """Reads the settings as the installed program does; raises ServiceError."""
        program = os.path.join(CURRENT, "bin", self.kind.program)
        status, text = attempt([program, "--config", self.kind.config, "--print-config"])
        if status != 0:
            raise ServiceError("%s cannot be read: %s" % (self.kind.config, text))
        self.settings = settings_of(text)
        return self

    @property
    def admin(self):
        return own_admin(self.settings)

    @property
    def command(self):
        return self.settings.get("command_listen")

    @property
    def listen(self):
        """The first address that serves HTTP, or None."""
        listen = self.settings.get("listen") if self.kind.has_http else None
        return address.local(listen[0] if isinstance(listen, list) else listen) if listen else None

    def property(self, name):
        """A property of the unit, as text."""
        status, text = attempt(["systemctl", "show", "--value", "--property", name, self.kind.unit])
        return text if status == 0 else ""

    def is_active(self):
        """Whether it has, or may have, a process that clients ask; raises ServiceError where systemd does not say."""
        status, text = attempt(["systemctl", "show", "--property", "ActiveState,SubState", self.kind.unit])
        found = dict(line.partition("=")[::2] for line in text.splitlines())
        if status != 0 or not found.get("ActiveState"):
            raise ServiceError("systemctl does not say whether %s runs: %s" % (self.kind.unit, text or "status %s" % status))
        return found["ActiveState"] not in DOWN and found.get("SubState") not in PAUSED

    def restart(self, seconds):
        """Restarts the unit and waits until it serves; raises ServiceError with the end of its journal."""
        attempt(["systemctl", "daemon-reload"])
        attempt(["systemctl", "reset-failed", self.kind.unit])
        status, text = attempt(["systemctl", "restart", self.kind.unit], seconds)
        if status != 0:
            raise ServiceError("%s does not start: %s" % (self.kind.unit, self.last_words() or text))

    def stop(self):
        """Stops the unit, which may take what its settings allow; raises ServiceError."""
        status, text = attempt(["systemctl", "stop", self.kind.unit], stop_seconds(self.settings) + STOP_MARGIN_SECONDS)
        if status != 0:
            raise ServiceError("%s does not stop: %s" % (self.kind.unit, text))

    def last_words(self):
        """The last thing that the service, not systemd, wrote."""
        found = attempt(["journalctl", "--no-pager", "--output=cat", "--lines=20", "_SYSTEMD_UNIT=%s.service" % self.kind.unit])[1]
        lines = [line for line in found.splitlines() if line.strip() and not line.startswith("-- ")]
        return lines[-1] if lines else ""

    def running_release(self):
        """The digest of the release whose program runs, or None where it is another program."""
        return running_release(self.property("MainPID"))

    def status(self):
        """`/v1/status`, which has `drain` (None, or what it says of it) and `totals` with the numbers `COUNTED`; raises HttpError."""
        answer = request("GET", self.admin, "/v1/status")
        if answer.status != 200:
            raise HttpError("%s/v1/status: status %d" % (self.admin, answer.status))
        found = parsed(answer.text)
        if not isinstance(found, dict) or "drain" not in found:
            raise HttpError("%s/v1/status answers otherwise than this release: no drain" % self.admin)
        totals = found.get("totals")
        for key in COUNTED:
            if not isinstance(totals, dict) or not isinstance(totals.get(key), int):
                raise HttpError("%s/v1/status answers otherwise than this release: totals.%s is no number" % (self.admin, key))
        return found

    def not_ready(self):
        """Why `/readyz` is not 200, but for a drain; an empty list where it is."""
        try:
            answer = request("GET", self.admin, "/readyz")
            if answer.status == 200:
                return []
        except HttpError as error:
            return [str(error)]
        found = parsed(answer.text)
        reasons = found.get("reasons") if isinstance(found, dict) else None
        if not reasons or not isinstance(reasons, list) or not all(isinstance(reason, str) for reason in reasons):
            return ["%s/readyz: status %d, %s" % (self.admin, answer.status, answer.text[:SAID_MAX].strip())]
        return [reason for reason in reasons if not reason.startswith("draining by request")]

    def wait_ready(self, seconds):
        """Waits until it is ready, or would be without a drain; raises ServiceError."""
        if not wait(seconds, lambda: not self.not_ready(), LOOK_SECONDS):
            raise ServiceError("%s is not ready after %d s: %s" % (self.kind.unit, seconds, "; ".join(self.not_ready())))

    def tell(self, what):
        """Sends the command `drain` or `undrain`; raises ServiceError."""
        if not self.command:
            raise ServiceError("%s has no command_listen: it cannot be told to %s" % (self.kind.config, what))
        try:
            answer = request("POST", self.command, "/v1/%s" % what)
        except HttpError as error:
            raise ServiceError("%s does not take commands: %s" % (self.kind.unit, error)) from error
        if answer.status != 200:
            raise ServiceError("%s refuses %s: status %d, %s" % (self.kind.unit, what, answer.status, answer.text.strip()))

    def drained_by(self):
        """Who has drained it: (owner, who) of corelane_drain_note; (None, None) where nobody has.

        One that runs and does not answer is a person's where the note says so; raises ServiceError where it does not.
        """
        faults = []

        def ask():
            try:
                return [self.status()["drain"] if self.is_active() else None]
            except HttpError as error:
                faults.append(str(error))
                return None

        found, note = wait(ASK_SECONDS, ask, LOOK_SECONDS), self.note.read() or {}
        if found:
            return drained_by(found[0], note)
        if note.get("owner") == PERSON:
            return PERSON, note.get("who") or UNKNOWN
        raise ServiceError("%s does not say whether a person has drained it: %s" % (self.kind.unit, faults[-1]))

    def hold(self, owner, who):
        """Takes it out of its balancers' sight, and notes for whom."""
        self.note.write(owner, who)
        self.tell("drain")
        drain = self.status()["drain"]
        self.note.write(owner, who, drain.get("since") if isinstance(drain, dict) else None)

    def release(self):
        """Puts it back; raises ServiceError."""
        self.tell("undrain")
        self.note.remove()

    def drain(self, seconds, seconds_min, owner=STEP, who="", quiet_seconds=1.5):
        """Takes the service out and waits until nobody asks any more: no connection, or no request for a while.

        A drain that does not succeed is taken back before ServiceError is raised.
        """
        try:
            self.hold(owner, who)
            self.wait_quiet(seconds, seconds_min, quiet_seconds)
        except BaseException as error:
            with contextlib.suppress(ServiceError, OSError):
                self.release()
            if not isinstance(error, Exception):
                raise
            raise ServiceError("not drained: %s" % (error if str(error) else type(error).__name__)) from error

    def wait_quiet(self, seconds, seconds_min, quiet_seconds=1.5):
        """Waits until nobody asks a service that is drained; raises ServiceError."""
        least = max(seconds_min, seconds_of(self.settings.get("lame_duck", "0s")))
        if not wait(seconds, _Quiet(self, time.monotonic() + least, quiet_seconds), LOOK_SECONDS):
            raise ServiceError("clients still send requests %d s after the drain began; does the balancer look at /readyz?" % seconds)

    def undrain_if_possible(self):
        """Takes a drain back; returns whether the service serves."""
        try:
            self.release()
        except (ServiceError, OSError):
            pass
        return self.is_active() and not self.not_ready()


class _Quiet:
    """A probe: nobody has asked for a while."""

    def __init__(self, service, not_before, quiet_seconds):
        self.service = service
        self.not_before = not_before
        self.quiet_seconds = quiet_seconds
        self.requests = None
        self.since = time.monotonic()

    def __call__(self):
        totals = self.service.status()["totals"]
        now = time.monotonic()
        if totals["requests"] != self.requests:
            self.requests, self.since = totals["requests"], now
        if now < self.not_before:
            return False
        return totals["connections"] == 0 or now - self.since >= self.quiet_seconds
