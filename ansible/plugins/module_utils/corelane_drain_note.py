"""Who has taken a service out of its balancers' sight: a step of ours, which puts it back, or a person, who does.

```
 /run/corelane-deploy/edge.json    {"owner": "step" | "person", "who": "root from 10.0.0.1", "at": seconds since 1970,
                                    "since": what /v1/status says of the drain, "restarting": true while a step restarts the service}
```

A drain does not outlive the process, and the note does not outlive the host's memory. A drain without a note, or of another moment than
that of the note, is a person's: somebody used `command_listen`.

Not: draining (corelane_service).

Invariants: pure but for `DrainNote`. A step that was killed leaves a note by which the next one knows what it left.
"""

from __future__ import annotations

import calendar
import json
import os
import time

from ansible.module_utils.corelane_files import read, remove, write

FOLDER = "/run/corelane-deploy"

STEP, PERSON = "step", "person"

UNKNOWN = "somebody"

# The service writes moments in whole seconds.
_SECONDS = 1.0


def drained_by(drain, note):
    """(owner, who) of a drain, or (None, None) without one.

    ``drain`` is that of `/v1/status`, ``note`` what was noted, or None. A person's drain that a step's restart has ended counts: the step
    was killed before it took the service out again.
    """
    note = note or {}
    if drain is not None and not isinstance(drain, dict):
        return PERSON, UNKNOWN
    if drain is None or drain.get("cause") != "request":
        is_kept = note.get("owner") == PERSON and note.get("restarting")
        return (PERSON, note.get("who") or UNKNOWN) if is_kept else (None, None)
    if note.get("owner") and _is_of(drain.get("since"), note):
        return note["owner"], note.get("who") or UNKNOWN
    return PERSON, UNKNOWN


def _is_of(since, note):
    if note.get("since") is not None:
        return note["since"] == since
    # Killed between the note and the service's answer, or while it was restarted.
    began = _seconds_of(since)
    return began is not None and began + _SECONDS >= note.get("at", 0)


def _seconds_of(moment):
    try:
        return calendar.timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ"))
    except (TypeError, ValueError):
        return None


class DrainNote:
    """The note of one service."""

    def __init__(self, service, folder=None):
        self.path = os.path.join(folder or FOLDER, service + ".json")

    def read(self):
        try:
            found = json.loads(read(self.path) or "null")
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def write(self, owner, who, since=None, restarting=False):
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        note = {"owner": owner, "who": who, "at": time.time(), "since": since, "restarting": restarting}
        write(self.path, json.dumps(note), 0o600)

    def remove(self):
        remove(self.path)
