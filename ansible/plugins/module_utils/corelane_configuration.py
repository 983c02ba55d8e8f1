"""Files of configuration on a host: checked by the program that is to read them, and written by one writer.

```
 /etc/corelane/corelane.toml, shardstored.toml, topology.toml        root:corelane 0640
 /etc/corelane/.corelane.toml.XXXX.staged                            0600, while a program looks at it
```

Not: deciding when. Not: restarting or reloading anything.

Invariants: what can hold a secret (`hash_seed`) is never readable by all. Whoever stages holds the host's lock; what a killed process
left staged is removed by the next. What a program says names the real files.
"""

from __future__ import annotations

import contextlib
import glob
import os
import tempfile

from ansible.module_utils.corelane_files import ProgramError, attempt, read, remove, replace
from ansible.module_utils.corelane_settings import TOPOLOGY_FILE
from ansible.module_utils.corelane_topology import succession_fault

MODE, GROUP = 0o640, "corelane"
"""The services run with this group."""

RUN_FOLDER = "/run"

VALID, COMPARED = (0,), (0, 3, 4)
"""Exit statuses of `--check`, and of `--check --against`, for settings that are valid."""

_AT_RELOAD, _AT_RESTART = "(takes effect by a reload)", "(needs a restart)"


class Checked:
    """What a program says of settings: keys in which the running process differs."""

    def __init__(self, reload_keys=(), restart_keys=()):
        self.reload_keys = list(reload_keys)
        self.restart_keys = list(restart_keys)


def put(path, text):
    """Writes a file; an empty text removes it."""
    if text:
        replace(path, text, MODE, GROUP)
    else:
        remove(path)


class Staged:
    """Texts by path, beside the files that they are to be, for as long as the context is open."""

    def __init__(self, texts):
        self.texts = dict((path, text) for path, text in texts.items() if text)
        self.paths = {}

    def __enter__(self):
        try:
            for path, text in self.texts.items():
                self.paths[path] = _stage(path, text)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error):
        for own in self.paths.values():
            remove(own)

    def at(self, path):
        """Where a file is to be read: the staged one, or the one that there is."""
        return self.paths.get(path, path)

    def real(self, said):
        """What a program said, with the names of the files that are meant."""
        for path, own in self.paths.items():
            said = said.replace(own, path)
        return said


def _stage(path, text):
    # In the same folder, since relative paths start there; not called .toml, since others are included by that name.
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    for left in glob.glob(os.path.join(glob.escape(folder), ".%s.*staged" % glob.escape(name))):
        remove(left)
    handle, own = tempfile.mkstemp(dir=folder, prefix=".%s." % name, suffix=".staged")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return own


def check(program, config, texts, against=None, run=None):
    """Asks `program` of the settings file `config`, with these texts by path instead of what there is; returns a `Checked`.

    `against` is the admin listener of the running process, with which the settings are compared. Raises ProgramError where they are refused.
    """
    topology = TOPOLOGY_FILE
    if texts.get(topology):
        fault = succession_fault(read(topology), texts[topology])
        if fault:
            raise ProgramError(str(fault))
    with _runtime_folder(os.path.basename(program)), Staged(texts) as staged:
        command = [program, "--check", "--config", staged.at(config)]
        with_topology = topology in staged.paths and names_topology(texts.get(config) or read(config))
        command += ["--topology", staged.at(topology)] if with_topology else []
        command += ["--against", against] if against else []
        status, said = (run or attempt)(command)
        if status not in (COMPARED if against else VALID):
            raise ProgramError(staged.real(said))
    # The staged file's name is another, which is no change.
    lines = [line.strip() for line in said.splitlines() if not (with_topology and line.startswith("topology:"))]
    return Checked(*([line.split(":")[0] for line in lines if line.endswith(end)] for end in (_AT_RELOAD, _AT_RESTART)))


def names_topology(settings):
    """Whether settings use the topology; an edge that is its own store has none."""
    return 'topology = "%s"' % TOPOLOGY_FILE in settings


@contextlib.contextmanager
def _runtime_folder(service):
    """systemd makes the service's folder when it starts the unit, and `--check` looks whether sockets can be made in it."""
    folder = os.path.join(RUN_FOLDER, service)
    try:
        os.mkdir(folder, 0o750)
    except (FileExistsError, FileNotFoundError):
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            # Not what is in it: then somebody uses it by now.
            os.rmdir(folder)
