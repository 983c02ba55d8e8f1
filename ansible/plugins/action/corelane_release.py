"""The controller's half of corelane_release: verifies, looks at the host, and sends what it lacks."""

from __future__ import annotations

import os
import tempfile

import ansible.module_utils as package
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# Ansible sends module_utils along with modules, and does not put them on the controller's own path.
OWN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "module_utils")
if OWN not in package.__path__:
    package.__path__.append(OWN)

from ansible.module_utils.corelane_bundle import Bundle, BundleError  # noqa: E402


class ActionModule(ActionBase):
    """See the module of the same name."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if arguments.get("state", "present") == "absent":
            return self.module(arguments, task_vars)
        try:
            bundle = Bundle(arguments["archive"], arguments["public_key"])
        except KeyError as error:
            raise AnsibleActionFail("%s is required" % error)
        except BundleError as error:
            raise AnsibleActionFail(str(error))
        arguments.update(manifest=bundle.manifest, signature=bundle.signature, key=bundle.key)
        result = self.module(arguments, task_vars)
        if result.get("failed") or self._task.check_mode or not result.get("wants_files"):
            return result
        return self.sent(bundle, arguments, task_vars)

    def sent(self, bundle, arguments, task_vars):
        """The result with the files on the host."""
        folder = self._make_tmp_path()
        try:
            with tempfile.TemporaryDirectory() as own:
                corectl = os.path.join(own, "corectl")
                bundle.extract("bin/corectl", corectl)
                self._transfer_file(corectl, self._connection._shell.join_path(folder, "corectl"))
            self._transfer_file(bundle.archive, self._connection._shell.join_path(folder, os.path.basename(bundle.archive)))
            return self.module(dict(arguments, folder=folder), task_vars)
        except BundleError as error:
            raise AnsibleActionFail(str(error))
        finally:
            self._remove_tmp_path(folder, force=True)

    def module(self, arguments, task_vars):
        return self._execute_module(module_name="corelane_release", module_args=arguments, task_vars=task_vars)
