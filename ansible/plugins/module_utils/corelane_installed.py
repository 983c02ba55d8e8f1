"""What is installed on a host, and what of it runs.

```
 /opt/corelane/current -> releases/<digest>        <digest>: the SHA-256 of the release's manifest
 /opt/corelane/releases/<digest>/manifest.json     {"files": [{"path": "bin/corelane", "sha256": …}, …]}
```

Not: installing anything: corectl does that.

Invariants: reads only. `root` is a folder that stands for the host; without one it is the host.

Source: tools/release, docs/operations.md "Releases".
"""

from __future__ import annotations

import hashlib
import json
import os
import re

ROOT = "/opt/corelane"
CURRENT = ROOT + "/current"
CORECTL = CURRENT + "/bin/corectl"
SERVICES = ("corelane", "shardstored")

_PROGRAM = re.compile(re.escape(ROOT) + r"/releases/([0-9a-f]{64})/bin/(\w+)")

# Bytes that are summed at once.
_CHUNK = 1 << 20


def in_root(root, path):
    """A path of the host below the folder that stands for it."""
    return os.path.join(root, path.lstrip("/"))


def current_release(root="/"):
    """The digest of what a start runs, or None."""
    try:
        return os.path.basename(os.readlink(in_root(root, CURRENT)))
    except OSError:
        return None


def release_of(program):
    """(digest, name) of a release's program by its path, or (None, None) for another program."""
    found = _PROGRAM.match(program)
    return found.groups() if found else (None, None)


def running_release(pid, root="/"):
    """The digest of the release that a process runs, or None where it runs another program."""
    try:
        return release_of(os.readlink(in_root(root, "proc/%s/exe" % pid)))[0]
    except OSError:
        return None


def running(root="/"):
    """The digests that run, by service."""
    found, proc = {}, in_root(root, "proc")
    try:
        processes = sorted(name for name in os.listdir(proc) if name.isdigit())
    except OSError:
        return found
    for process in processes:
        try:
            digest, name = release_of(os.readlink(os.path.join(proc, process, "exe")))
        except OSError:
            continue
        if name in SERVICES:
            found[name] = digest
    return found


def sums_fault(digest, root="/"):
    """What is wrong with the files of an installed release, or None where they are those of its manifest, and that is the digest's."""
    folder = in_root(root, "%s/releases/%s" % (ROOT, digest))
    try:
        with open(os.path.join(folder, "manifest.json"), "rb") as file:
            manifest = file.read()
        if hashlib.sha256(manifest).hexdigest() != digest:
            return "%s/manifest.json is not that of release %s" % (folder, digest)
        for entry in json.loads(manifest.decode())["files"]:
            path = os.path.join(folder, entry["path"])
            if sum_of(path) != entry["sha256"]:
                return "%s was changed" % path
    except (OSError, ValueError, KeyError, TypeError) as error:
        return "%s cannot be checked: %s" % (folder, error)
    return None


def sum_of(path):
    """The SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()
