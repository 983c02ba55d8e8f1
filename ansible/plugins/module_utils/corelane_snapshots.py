"""Settings files of a host as they were before a step changed them, so that a step can bring them back.

```
 /opt/corelane/configuration/rollout/<id>.json    {path: text}
```

**Not** what `corectl release` keeps: that is one configuration for each release, this is one for each change.

**Invariants**: readable by root alone, since settings may have secrets. At most `KEPT` stay. What is loaded is what was saved, or nothing.
"""

from __future__ import annotations

import json
import os

from ansible.module_utils.corelane_files import read, remove, write
from ansible.module_utils.corelane_identity import configuration_id

FOLDER = "/opt/corelane/configuration/rollout"

KEPT = 16
"""Changes of configuration that stay on the host."""

SUFFIX = ".json"


class Snapshots:
    """The snapshots in a folder."""

    def __init__(self, folder=FOLDER):
        self.folder = folder

    def save(self, texts):
        """Keeps these texts by path; returns their id. The oldest ones go, beyond `KEPT`."""
        own = configuration_id(texts)
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        write(self._path(own), json.dumps(texts, sort_keys=True), 0o600)
        for old in self._oldest_first()[:-KEPT]:
            if old != own:
                remove(self._path(old))
        return own

    def load(self, wanted):
        """The texts by path that have this id; None where they are not kept, or were changed."""
        try:
            texts = json.loads(read(self._path(wanted)))
        except ValueError:
            return None
        is_whole = isinstance(texts, dict) and configuration_id(texts) == wanted
        return texts if is_whole else None

    def _path(self, own):
        return os.path.join(self.folder, own + SUFFIX)

    def _oldest_first(self):
        names = [name for name in os.listdir(self.folder) if name.endswith(SUFFIX) and not name.startswith(".")]
        names.sort(key=lambda name: os.stat(os.path.join(self.folder, name)).st_mtime_ns)
        return [name[:-len(SUFFIX)] for name in names]
