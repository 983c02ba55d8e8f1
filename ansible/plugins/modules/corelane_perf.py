#!/usr/bin/python
"""Loads a fleet as scenarios say, from this host or through agents, and leaves results and a report in a folder."""

from __future__ import annotations

DOCUMENTATION = """
module: corelane_perf
short_description: Runs coreperf against a fleet
description:
  - Runs each scenario several times, or searches the highest rate within an objective, and makes a page of the results.
  - A run that was not valid is reported, and fails nothing.
options:
  coreperf: {type: path, default: /opt/corelane/current/bin/coreperf, description: The load generator.}
  scenarios: {type: list, elements: path, required: true, description: Files of scenarios on this host.}
  target: {type: str, required: true, description: Where the load goes, C(HOST:PORT).}
  agents: {type: list, elements: str, default: [], description: Agents that load instead of this host.}
  rounds: {type: int, default: 3, description: Runs or searches of each scenario.}
  options: {type: list, elements: str, default: [], description: Further options of C(coreperf run).}
  objective: {type: str, default: "", description: Search the highest rate within it instead.}
  seconds_max: {type: int, default: 1800, description: After so many seconds one run is given up.}
  out: {type: path, required: true, description: Folder for the results on this host; made anew.}
author: Corelane
"""

EXAMPLES = """
- name: Load the fleet
  corelane_perf:
    scenarios: [/run/corelane-perf/web.toml]
    target: 192.0.2.1:8080
    agents: ["192.0.2.51:7700", "192.0.2.52:7700"]
    out: /run/corelane-perf/results
"""

RETURN = """
lines: {type: list, elements: str, returned: always, description: A line for each run.}
valid: {type: bool, returned: always, description: Whether every run was valid.}
started: {type: str, returned: always, description: When it began in UTC, fit for the name of a folder.}
archive: {type: str, returned: always, description: All results and the report, a tar archive on this host.}
"""

import json
import os
import shutil
import tarfile
import time

from ansible.module_utils import corelane_load as load
from ansible.module_utils.basic import AnsibleModule

# Exit status of a run that was made and shows nothing.
NOT_VALID = 1

# The tail of what a failed command wrote.
ERROR_CHARACTERS = 2000


def call(module, command):
    """Runs a command with a deadline; anything but done and not valid fails the module."""
    limited = ["timeout", "--kill-after=10", str(module.params["seconds_max"]), *command]
    status, out, err = module.run_command(limited)
    if status not in (0, NOT_VALID):
        module.fail_json(msg="%s: exit status %d: %s" % (" ".join(command), status, (err or out)[-ERROR_CHARACTERS:].strip()))


def read(module, path):
    """A result as JSON; a command that left none has failed."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        module.fail_json(msg="%s: no result: %s" % (path, error))


def one_run(module, scenario, url, number):
    """Runs once; the line, and whether it was valid."""
    params = module.params
    folder = load.result_folder(params["out"], scenario, number)
    call(module, load.run_command(params["coreperf"], scenario, url, params["agents"], params["options"], folder))
    result = read(module, folder + "/result.json")
    return load.run_line(scenario, number, result), result["valid"]


def one_search(module, scenario, url, number):
    params = module.params
    path = load.search_file(params["out"], scenario, number)
    call(module, load.search_command(params["coreperf"], scenario, url, params["objective"], path))
    result = read(module, path)
    return load.search_line(scenario, number, result), bool(result["met"])


def measure(module):
    """All rounds of all scenarios; a round after the other, so that a change of the host meets all scenarios alike."""
    params = module.params
    urls = []
    for scenario in params["scenarios"]:
        with open(scenario, encoding="utf-8") as file:
            urls.append((scenario, load.url_at(file.read(), params["target"])))
    each = one_search if params["objective"] else one_run
    return [each(module, scenario, url, number) for number in range(1, params["rounds"] + 1) for scenario, url in urls]


def main():
    module = AnsibleModule(
        argument_spec={
            "coreperf": {"type": "path", "default": "/opt/corelane/current/bin/coreperf"},
            "scenarios": {"type": "list", "elements": "path", "required": True},
            "target": {"type": "str", "required": True},
            "agents": {"type": "list", "elements": "str", "default": []},
            "rounds": {"type": "int", "default": 3},
            "options": {"type": "list", "elements": "str", "default": []},
            "objective": {"type": "str", "default": ""},
            "seconds_max": {"type": "int", "default": 1800},
            "out": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    out = module.params["out"]
    archive = out.rstrip("/") + ".tar"
    started = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    if module.check_mode:
        module.exit_json(changed=False, lines=[], valid=True, archive=archive, started=started)
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    try:
        found = measure(module)
    except (load.LoadError, OSError) as error:
        module.fail_json(msg=str(error))
    if not module.params["objective"]:
        call(module, [module.params["coreperf"], "report", out, "--html", out + "/report.html"])
    lines = [line for line, _valid in found]
    with open(out + "/summary.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    with tarfile.open(archive, "w") as tar:
        tar.add(out, arcname=".")
    module.exit_json(changed=True, lines=lines, valid=all(valid for _line, valid in found), archive=archive, started=started)


if __name__ == "__main__":
    main()
