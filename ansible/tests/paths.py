"""Where tests find what they test: `python3 -m unittest discover` runs in ansible/ without Ansible's import paths."""

import pathlib
import sys
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


importable()
