"""What a step has begun on this host and not verified yet, for the step that comes after one that was killed.

```
 /run/corelane-deploy/edge.begun.json    {"release": digest before, "configuration": id of the settings before, "releases": those that
                                          killed steps may have left, "drifted": whether the host was not tuned before, "restarted": whether a
                                          restart was begun}
```

Not: the settings themselves, which corelane_snapshots keeps by their id.

Invariants: there from before a release is installed until it is verified, or until what ran before serves again. What somebody else has
installed since makes it void.
"""

from __future__ import annotations

import json
import os

from ansible.module_utils.corelane_drain_note import FOLDER
from ansible.module_utils.corelane_files import read, remove, write


class BegunNote:
    """The note of one service."""

    def __init__(self, service, folder=None):
        self.path = os.path.join(folder or FOLDER, service + ".begun.json")

    def read(self, current):
        """The note, or None where there is none or the release ``current`` is none of its own."""
        try:
            found = json.loads(read(self.path) or "null")
        except (OSError, ValueError):
            return None
        is_whole = isinstance(found, dict) and {"release", "configuration"} <= set(found) and isinstance(found.get("releases"), list)
        return found if is_whole and current in found["releases"] else None

    def write(self, note):
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        write(self.path, json.dumps(note), 0o600)

    def remove(self):
        remove(self.path)
