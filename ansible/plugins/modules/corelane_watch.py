#!/usr/bin/python
"""Ansible module, for the controller: watches hosts with a new release beside those with the old one, and judges."""

from __future__ import annotations

DOCUMENTATION = r"""
module: corelane_watch
short_description: Judge hosts that were updated by what they do under load
description:
  - Reads /metrics of all hosts twice, at the same two moments, and compares what happened between.
  - Asks the probes of a watched host and of one of the others, and compares the answers.
  - Changes nothing.
options:
  hosts: { description: The hosts to judge, type: list, elements: str, required: true }
  others: { description: Hosts of the same group with the release before, type: list, elements: str, default: [] }
  clients: { description: Edges that use the hosts where these are nodes; what they answer is judged too, type: list, elements: str, default: [] }
  admin: { description: Addresses of admin listeners by host, type: dict, required: true }
  http: { description: Addresses that serve HTTP by host, type: dict, default: {} }
  seconds: { description: How long to watch, type: int, required: true }
  limits: { description: Limits of the judge, type: dict, default: {} }
  probes: { description: Paths whose answers are compared, type: list, elements: str, default: [] }
author: Corelane
"""

EXAMPLES = r"""
- name: Watch
  corelane_watch:
    hosts: [edge-1]
    others: [edge-2, edge-3]
    admin: { edge-1: "10.0.0.1:9180", edge-2: "10.0.0.2:9180", edge-3: "10.0.0.3:9180" }
    seconds: 300
"""

RETURN = r"""
verdict: { description: "verdict (pass, fail, not enough data), sentence, criteria", returned: always, type: dict }
windows: { description: What each host did, returned: always, type: dict }
"""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_canary import FAIL, PASS, UNKNOWN, judge, probes, with_criterion
from ansible.module_utils.corelane_exposition import parse, window
from ansible.module_utils.corelane_http import HttpError, request

ARGUMENTS = {
    "hosts": {"type": "list", "elements": "str", "required": True},
    "others": {"type": "list", "elements": "str", "default": []},
    "clients": {"type": "list", "elements": "str", "default": []},
    "admin": {"type": "dict", "required": True},
    "http": {"type": "dict", "default": {}},
    "seconds": {"type": "int", "required": True},
    "limits": {"type": "dict", "default": {}},
    "probes": {"type": "list", "elements": "str", "default": []},
}

# Hosts to compare with: more say no more.
OTHERS_MAX = 50

# A host that does not answer so often in a row need not be watched to the end.
LOST_LOOKS = 3

LOOK_SECONDS = 2.0
THREADS = 32


def look(address):
    """(when, samples) of a host, or the reason why not."""
    try:
        answer = request("GET", address, "/metrics")
    except HttpError as error:
        return str(error)
    return (time.monotonic(), parse(answer.text)) if answer.status == 200 else "%s/metrics: status %d" % (address, answer.status)


def look_at_all(addresses):
    with ThreadPoolExecutor(THREADS) as threads:
        return dict(zip(addresses, threads.map(look, addresses.values())))


def between(host, before, after):
    """The window of a host, with its name; with `failed` where there is none."""
    failed = next((found for found in (before, after) if isinstance(found, str)), None)
    try:
        if failed:
            raise ValueError(failed)
        return dict(window(before[1], after[1], round(after[0] - before[0], 3)), host=host)
    except ValueError as error:
        return {"host": host, "failed": str(error)}


def stand_by(addresses, seconds):
    """Waits, but not for hosts that have gone for good."""
    until, lost = time.monotonic() + seconds, dict.fromkeys(addresses, 0)
    while time.monotonic() < until and not any(count >= LOST_LOOKS for count in lost.values()):
        time.sleep(max(0.0, min(LOOK_SECONDS, until - time.monotonic())))
        for host, address in addresses.items():
            try:
                request("GET", address, "/readyz", seconds=LOOK_SECONDS)
                lost[host] = 0
            except HttpError:
                lost[host] += 1


def answer_of(address, path):
    """An answer as a short text that is equal where the answers are."""
    try:
        answer = request("GET", address, path)
    except HttpError as error:
        return "no answer (%s)" % error
    return "%d %s" % (answer.status, hashlib.sha256(answer.body).hexdigest()[:12])


def with_probes(verdict, given, host):
    """The verdict and what the probes add to it."""
    others = [other for other in given["others"] if other in given["http"]]
    if not given["probes"] or not others or host not in given["http"]:
        return verdict
    asked = []
    for path in given["probes"]:
        # A value that changes between two looks is asked for a second time.
        for _attempt in range(2):
            found, expected = (answer_of(given["http"][name], path) for name in (host, others[0]))
            if found == expected:
                break
        asked.append({"path": path, "found": found, "expected": expected})
    return with_criterion(verdict, probes(host, asked, others[0]))


def together(verdicts):
    """One verdict on all hosts of a batch: the worst."""
    found = [verdict["verdict"] for verdict in verdicts]
    worst = FAIL if FAIL in found else UNKNOWN if UNKNOWN in found else PASS
    return {
        "verdict": worst,
        "sentence": "; ".join(verdict["sentence"] for verdict in verdicts if verdict["verdict"] == worst),
        "criteria": [dict(criterion, host=verdict["host"]) for verdict in verdicts for criterion in verdict["criteria"]],
    }


def clients_verdict(windows, limits):
    """What edges that use a node answered: only that it was no 5xx."""
    verdicts = [judge(window_, [], dict(limits, requests_min=0)) for window_ in windows if not window_.get("failed")]
    return verdicts


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    others = [host for host in given["others"] if host not in given["hosts"]][:OTHERS_MAX]
    names = given["hosts"] + others + [host for host in given["clients"] if host not in given["hosts"]]
    addresses = dict((host, given["admin"][host]) for host in names)
    before = look_at_all(addresses)
    stand_by(dict((host, addresses[host]) for host in given["hosts"]), given["seconds"])
    after = look_at_all(addresses)
    windows = dict((host, between(host, before[host], after[host])) for host in names)
    limits = dict((key, float(value)) for key, value in given["limits"].items())
    compared = [windows[host] for host in others]
    verdicts = [with_probes(judge(windows[host], compared, limits), given, host) for host in given["hosts"]]
    verdicts.extend(clients_verdict([windows[host] for host in given["clients"]], limits))
    short = dict((host, dict((key, value) for key, value in found.items() if key != "histograms")) for host, found in windows.items())
    module.exit_json(changed=False, verdict=together(verdicts), windows=short)


if __name__ == "__main__":
    main()
