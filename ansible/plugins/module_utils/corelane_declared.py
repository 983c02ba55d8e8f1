"""The variables that the roles declare, read from their argument specifications.

**Not** for hosts: the controller has the roles, and YAML.
"""

from __future__ import annotations

import glob
import os

import yaml

from ansible.module_utils.corelane_variables import declarations

ROLES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "roles")


def declared():
    """All variables of all roles."""
    specs = {}
    for path in glob.glob(os.path.join(ROLES, "*", "meta", "argument_specs.yml")):
        with open(path, encoding="utf-8") as file:
            specs[path.split(os.sep)[-3]] = yaml.safe_load(file)
    return declarations(specs)
