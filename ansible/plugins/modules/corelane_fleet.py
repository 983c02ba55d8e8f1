#!/usr/bin/python3
"""Documentation of an action: it runs on the controller alone."""

from __future__ import annotations

DOCUMENTATION = """
module: corelane_fleet
short_description: Judges a whole fleet before anything is changed
description:
  - Runs once, on the controller, after M(corelane_preflight) has looked at every host. Checks variables, topology, release and hosts, and fails
    with all faults at once. Changes nothing.
author: Corelane
options:
  register:
    description: The name under which the result of M(corelane_preflight) was registered.
    type: str
    required: true
  allow_unreachable:
    description: Whether hosts that do not answer are only warned of.
    type: bool
    default: false
"""

EXAMPLES = """
- name: Judge the fleet
  corelane_fleet:
    register: preflight_host
  run_once: true
"""

RETURN = """
warned:
  description: What does not stop the fleet; host, key, problem and remedy of each.
  returned: always
  type: list
would_change:
  description: What site would change.
  returned: always
  type: list
"""
