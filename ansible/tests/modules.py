"""Loads and runs modules of plugins/modules for tests, also where Ansible is not installed."""

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


class Ended(Exception):
    """A module has ended; what it returned is its argument."""


class Module:
    """Stands for AnsibleModule: has parameters with their defaults, and ends with what it returns."""

    given, check_mode = {}, False

    def __init__(self, argument_spec, supports_check_mode=False, **_more):
        assert supports_check_mode or not self.check_mode
        unknown = set(self.given) - set(argument_spec)
        missing = [key for key, spec in argument_spec.items() if spec.get("required") and key not in self.given]
        assert not unknown and not missing, (unknown, missing)
        self.params = dict((key, self.given.get(key, spec.get("default"))) for key, spec in argument_spec.items())
        self.warned = []

    def exit_json(self, **found):
        raise Ended(dict({"failed": False, "warned": self.warned}, **found))

    def fail_json(self, **found):
        raise Ended(dict({"failed": True, "warned": self.warned}, **found))

    def warn(self, text):
        self.warned.append(text)


def ran(name, given, check_mode=False, **names):
    """What a module returns of these parameters; `names` replace names of the module meanwhile."""
    loaded = module(name) if isinstance(name, str) else name
    loaded.AnsibleModule = type("Given", (Module,), {"given": given, "check_mode": check_mode})
    for one, value in names.items():
        assert hasattr(loaded, one), one
        setattr(loaded, one, value)
    try:
        loaded.main()
    except Ended as end:
        return end.args[0]
    raise AssertionError("the module has not ended")
