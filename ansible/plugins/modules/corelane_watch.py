#!/usr/bin/python
"""Ansible module, for the controller: watches hosts with a new release beside those with the old one, and judges."""

from __future__ import annotations

DOCUMENTATION = r"""
module: corelane_watch
short_description: Judge hosts that were updated by what they do under load
description:
  - Reads /metrics of all hosts twice, at the same two moments, and compares what happened between.
  - Asks the probes of a watched host and of one that was not touched, and compares the answers. What could be compared with nobody is
    not enough data, and so is a probe that is not answered 2xx there.
  - Changes nothing.
options:
  hosts: { description: The hosts to judge, type: list, elements: str, required: true }
  others: { description: Hosts of the same group that serve, type: list, elements: str, default: [] }
  untouched: { description: Those of them that answer as before; probes are compared with them, type: list, elements: str, default: [] }
  clients: { description: Edges that use the hosts where these are nodes; what they answer is judged too, type: list, elements: str, default: [] }
  admin: { description: Addresses of admin listeners by host, type: dict, required: true }
  http: { description: Addresses that serve HTTP by host, type: dict, default: {} }
  seconds: { description: How long to watch, type: int, required: true }
  limits: { description: Limits of the judge, type: dict, default: {} }
  probes: { description: Paths whose answers are compared, type: list, elements: str, default: [] }
  identity: { description: "Files with which admin listeners over TLS are asked: ca, chain, key", type: dict, default: {} }
author: Corelane
"""

EXAMPLES = r"""
- name: Watch
  corelane_watch:
    hosts: [edge-1]
    others: [edge-2, edge-3]
    untouched: [edge-2, edge-3]
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
from ansible.module_utils.corelane_canary import FAIL, PASS, UNKNOWN, judge, judge_clients, probes, with_criterion
from ansible.module_utils.corelane_exposition import parse, window
from ansible.module_utils.corelane_http import HttpError, identify, request

ARGUMENTS = {
    "hosts": {"type": "list", "elements": "str", "required": True},
    "others": {"type": "list", "elements": "str", "default": []},
    "untouched": {"type": "list", "elements": "str", "default": []},
    "clients": {"type": "list", "elements": "str", "default": []},
    "admin": {"type": "dict", "required": True},
    "http": {"type": "dict", "default": {}},
    "seconds": {"type": "int", "required": True},
    "limits": {"type": "dict", "default": {}},
    "probes": {"type": "list", "elements": "str", "default": []},
    "identity": {"type": "dict", "default": {}},
}

# Hosts to compare with: more say no more.
OTHERS_MAX = 50

# Hosts that are tried, one after the other, for an answer to compare with.
PROBED_MAX = 5

# A host that does not answer so often in a row need not be watched to the end.
LOST_LOOKS = 3

LOOK_SECONDS = 2.0
THREADS = 32


def look(address):
    """(when, samples) of a host, or the reason why not."""
    if not address:
        return "where its admin listener is reached is not known"
    # Whatever one host answers, it is that host which is not watched, and not the run that ends.
    try:
        answer = request("GET", address, "/metrics")
        return (time.monotonic(), parse(answer.text)) if answer.status == 200 else "%s/metrics: status %d" % (address, answer.status)
    except Exception as error:
        return reason(error)


def reason(error):
    """What went wrong, with its kind where it is none of those that are foreseen."""
    return str(error) if isinstance(error, (HttpError, ValueError)) else "%s: %s" % (type(error).__name__, error)


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
    except Exception as error:
        return {"host": host, "failed": reason(error)}


def judged(own, others, limits):
    """The verdict on one host. What cannot be judged fails; what cannot be compared with is left out."""
    try:
        return judge(own, others, limits)
    except Exception:
        pass
    kept = []
    for other in others:
        try:
            judge(other, [other], limits)
            kept.append(other)
        except Exception as error:
            kept.append({"host": other.get("host"), "failed": "cannot be compared with (%s)" % reason(error)})
    try:
        return judge(own, kept, limits)
    except Exception as error:
        return judge({"host": own.get("host"), "failed": reason(error)}, [], limits)


def stand_by(addresses, seconds):
    """Waits, but not for hosts that have gone for good."""
    until, lost = time.monotonic() + seconds, dict.fromkeys(addresses, 0)
    while time.monotonic() < until and not any(count >= LOST_LOOKS for count in lost.values()):
        time.sleep(max(0.0, min(LOOK_SECONDS, until - time.monotonic())))
        for host, address in addresses.items():
            try:
                request("GET", address, "/readyz", seconds=LOOK_SECONDS)
                lost[host] = 0
            except Exception:
                lost[host] += 1


def answer_of(address, path):
    """An answer as a short text that is equal where the answers are, and whether it is one to compare with: that two hosts fail alike
    says nothing of what they hold."""
    try:
        answer = request("GET", address, path)
        return "%d %s" % (answer.status, hashlib.sha256(answer.body).hexdigest()[:12]), 200 <= answer.status < 300
    except Exception as error:
        return "no answer (%s)" % reason(error), False


def probe(path, address, compared):
    """What `address` answers to a path, beside the first of `compared`, pairs of a host and its address, that answers 2xx."""
    found, reasons = None, []
    for other, its_address in compared:
        # A value that changes between two looks is asked for a second time.
        for _attempt in range(2):
            found, expected = answer_of(address, path)[0], answer_of(its_address, path)
            if found == expected[0]:
                break
        if expected[1]:
            return {"path": path, "found": found, "expected": expected[0], "compared_with": other}
        reasons.append("%s: %s" % (other, expected[0]))
    return {"path": path, "found": "; ".join(reasons) or "nobody answers as before", "expected": None, "compared_with": None}


def with_probes(verdict, given, host):
    """The verdict and what the probes add to it. Nodes have clients instead, and serve no HTTP."""
    if not given["probes"] or given["clients"]:
        return verdict
    address = given["http"].get(host)
    if not address:
        said = "its HTTP listener cannot be reached from here"
        asked = [{"path": path, "found": said, "expected": None, "compared_with": None} for path in given["probes"]]
    else:
        compared = [(other, given["http"][other]) for other in given["untouched"] if other != host and given["http"].get(other)]
        asked = [probe(path, address, compared[:PROBED_MAX]) for path in given["probes"]]
    return with_criterion(verdict, probes(host, asked))


def together(verdicts):
    """One verdict on all hosts of a batch: the worst."""
    found = [verdict["verdict"] for verdict in verdicts]
    worst = FAIL if FAIL in found else UNKNOWN if UNKNOWN in found else PASS
    return {
        "verdict": worst,
        "sentence": "; ".join(verdict["sentence"] for verdict in verdicts if verdict["verdict"] == worst),
        "criteria": [dict(criterion, host=verdict["host"]) for verdict in verdicts for criterion in verdict["criteria"]],
    }


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    identify(given["identity"])
    others = [host for host in given["others"] if host not in given["hosts"]][:OTHERS_MAX]
    names = given["hosts"] + others + [host for host in given["clients"] if host not in given["hosts"]]
    addresses = dict((host, given["admin"].get(host)) for host in names)
    before = look_at_all(addresses)
    stand_by(dict((host, addresses[host]) for host in given["hosts"]), given["seconds"])
    after = look_at_all(addresses)
    windows = dict((host, between(host, before[host], after[host])) for host in names)
    limits = dict((key, float(value)) for key, value in given["limits"].items())
    compared = [windows[host] for host in others]
    verdicts = [with_probes(judged(windows[host], compared, limits), given, host) for host in given["hosts"]]
    if given["clients"]:
        verdicts.append(judge_clients([windows[host] for host in given["clients"]], limits))
    short = dict((host, dict((key, value) for key, value in found.items() if key != "histograms")) for host, found in windows.items())
    module.exit_json(changed=False, verdict=together(verdicts), windows=short)


if __name__ == "__main__":
    main()
