#!/usr/bin/python3
"""What a host is and what would change on it."""

from __future__ import annotations

DOCUMENTATION = """
module: corelane_preflight
short_description: Looks at a host before anything is changed
description:
  - Reads kernel, io_uring, network cards, queues, NUMA nodes, limits, clock, disk, ports and what is installed. Changes nothing.
author: Corelane
options:
  profile:
    description: The profile of which the plan is shown, where corectl is installed.
    type: str
    default: safe
  max_risk:
    description: The largest risk that tuning takes.
    type: str
  only:
    description: Only these groups of knobs.
    type: list
    elements: str
    default: []
  overrides:
    description: Text of what this host says for itself.
    type: str
    default: ""
"""

EXAMPLES = """
- name: Look at the host
  corelane_preflight:
    profile: throughput
"""

RETURN = """
facts:
  description: What the host is.
  returned: always
  type: dict
tune:
  description: Exit status, output and error of `corectl tune plan`; null without corectl.
  returned: always
  type: list
time:
  description: The host's clock, seconds since 1970.
  returned: always
  type: float
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_host import gather, tune_plan


def main():
    module = AnsibleModule(
        argument_spec={
            "profile": {"type": "str", "default": "safe"},
            "max_risk": {"type": "str"},
            "only": {"type": "list", "elements": "str", "default": []},
            "overrides": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    tune = tune_plan(wanted["profile"], wanted["max_risk"], wanted["only"], wanted["overrides"])
    module.exit_json(changed=False, facts=gather(), tune=tune, time=time.time())


if __name__ == "__main__":
    main()
