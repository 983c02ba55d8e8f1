"""What a host runs, as data that can be compared: its release and its settings.

```
{"release": digest of the manifest, "configuration": hash of the settings files}
```

**Not** the topology: it is the cluster's and its epoch never goes back, so `site.yml` brings it and no rollout does. Not the map of
cores and the tuning of a host, which have a way back of their own.

**Invariants**: pure functions. Two configurations have one id exactly where the same files have the same texts.
"""

from __future__ import annotations

import hashlib
import json


def configuration_id(texts):
    """The id of settings files: ``texts`` are their contents by path. A file that is not there has an empty text."""
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()


def identity(release, configuration=None):
    """What a host runs, or shall run. Without ``configuration`` it is whatever belongs to the release on that host."""
    return {"release": release, "configuration": configuration}


def satisfies(found, wanted):
    """Whether a host that runs ``found`` (None: not known) runs what is ``wanted``."""
    if not found or not wanted or found["release"] != wanted["release"]:
        return False
    return wanted["configuration"] is None or found["configuration"] == wanted["configuration"]
