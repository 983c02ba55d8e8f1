"""The controller's half of corelane_preflight: how far the host's clock is from the controller's."""

from __future__ import annotations

import time

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """See the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        before = time.time()
        result = self._execute_module(module_name="corelane_preflight", module_args=dict(self._task.args), task_vars=task_vars)
        after = time.time()
        if "time" in result:
            result["facts"]["clock_offset_seconds"] = offset(result["time"], before, after)
        return result


def offset(host, before, after):
    """The smallest offset that explains what was seen: the host looked at its clock at an unknown moment of the call."""
    return min(host - before, 0.0) if host < before else max(host - after, 0.0)
