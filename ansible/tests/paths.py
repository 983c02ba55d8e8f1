"""Where tests find what they test: `python3 -m unittest discover` runs in ansible/ without Ansible's import paths."""

import atexit
import os
import pathlib
import sys
import tempfile
import types

ANSIBLE = pathlib.Path(__file__).resolve().parent.parent
MODULES = ANSIBLE / "plugins" / "modules"
MODULE_UTILS = ANSIBLE / "plugins" / "module_utils"


def importable():
    """Has modules found by their names, and plugins/module_utils where Ansible's modules import it from, also without Ansible."""
    try:
        import ansible.module_utils as package
    except ImportError:
        sys.modules["ansible"] = types.ModuleType("ansible")
        package = sys.modules["ansible.module_utils"] = types.ModuleType("ansible.module_utils")
        package.__path__ = []
    if str(MODULE_UTILS) not in package.__path__:
        package.__path__.append(str(MODULE_UTILS))
    if str(MODULES) not in sys.path:
        sys.path.append(str(MODULES))


def harmless():
    """Has nothing write to the machine's own /run."""
    from ansible.module_utils import corelane_configuration, corelane_drain_note

    corelane_configuration.RUN_FOLDER = "/nowhere"
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    corelane_drain_note.FOLDER = os.path.join(folder.name, "notes")


importable()
harmless()
