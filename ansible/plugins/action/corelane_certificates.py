"""The controller's half of corelane_certificates: reads the files that a host gets."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """See the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        # Apart from the paths: of what goes without a log, Ansible blackens every text.
        texts, missing = {}, []
        files = arguments.pop("files")
        for one in files:
            try:
                with open(one["src"], encoding="utf-8") as file:
                    texts[one["dest"]] = file.read()
            except FileNotFoundError:
                missing.append(one["src"])
            except (OSError, UnicodeDecodeError) as error:
                raise AnsibleActionFail("%s: %s" % (one["src"], error)) from error
        if missing and not self._task.check_mode:
            raise AnsibleActionFail("the controller has no %s" % ", ".join(missing))
        if missing:
            # They are made in a run that is none of a check.
            return dict(result, changed=True, written=[])
        given = dict(arguments, texts=texts, secret=[one["dest"] for one in files if one["secret"]])
        return self._execute_module(module_name="corelane_certificates", module_args=given, task_vars=task_vars)
