"""Loads modules of plugins/modules for tests, also where Ansible is not installed."""

import importlib.util
import sys
import types

from tests.paths import ANSIBLE


def module(name):
    """The Python module of an Ansible module."""
    try:
        import ansible.module_utils.basic  # noqa: F401
    except ImportError:
        basic = types.ModuleType("ansible.module_utils.basic")
        basic.AnsibleModule = None
        sys.modules["ansible.module_utils.basic"] = basic
    spec = importlib.util.spec_from_file_location(name, ANSIBLE / "plugins" / "modules" / (name + ".py"))
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded
