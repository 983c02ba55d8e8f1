"""Runs of the load generator as commands, and their results as lines: what the module corelane_perf does, without doing it.

Invariants: pure functions. Results lie as coreperf peers lays them out (SCENARIO/SERVER/ROUND), so that its report takes them.

Source: docs/perf-scenarios.md, docs/perf-results.md.
"""

from __future__ import annotations

import re

# The folder of a server's results; the report names the server by it.
SERVER = "corelane"

URL = re.compile(r'^(url\s*=\s*")(\w+)://[^/"]*([^"]*)"', re.MULTILINE)


class LoadError(ValueError):
    """A scenario that cannot be run; the text says why."""


def url_at(scenario, target):
    """The url of a scenario's text with another host and port."""
    found = URL.search(scenario)
    if found is None:
        raise LoadError("the scenario has no url")
    return "%s://%s%s" % (found.group(2), target, found.group(3))


def name_of(path):
    """A scenario's name: that of its file."""
    return path.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def run_command(coreperf, scenario, url, agents, options, out):
    """The command of one run."""
    command = [coreperf, "run", scenario, "--url", url, "--out", out]
    if agents:
        command += ["--agents", ",".join(agents)]
    return command + [word for option in options for word in option.split()]


def search_command(coreperf, scenario, url, objective, out):
    """The command of one search for the highest rate."""
    return [coreperf, "search", scenario, "--url", url, "--slo", objective, "--out", out]


def result_folder(out, scenario, round_number):
    return "%s/%s/%s/%d" % (out, name_of(scenario), SERVER, round_number)


def search_file(out, scenario, round_number):
    return "%s/search-%s-%d.json" % (out, name_of(scenario), round_number)


def run_line(scenario, round_number, result):
    """A run in one line: what it showed, or why it shows nothing."""
    head = "%s, round %d: %.0f requests/s" % (name_of(scenario), round_number, result["rate_answered"])
    if not result["valid"]:
        return head + ", not valid: " + "; ".join(result["invalid_reasons"])
    latency = result["latency"]
    return head + ", p50 %.0f us, p99 %.0f us, %d errors" % (latency["p50_us"], latency["p99_us"], result["errors"]["total"])


def search_line(scenario, round_number, result):
    """A search in one line."""
    if not result["met"]:
        return "%s, search %d: no rate met %s" % (name_of(scenario), round_number, result["objective"])
    most = "no rate was too many" if result["missed"] is None else "%.0f is too many" % result["missed"]
    return "%s, search %d: %.0f requests/s met %s, %s" % (name_of(scenario), round_number, result["met"], result["objective"], most)
