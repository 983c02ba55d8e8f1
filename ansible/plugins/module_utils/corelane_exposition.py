"""Windows: the difference of two scrapes of a process, as plain data.

**Not**: fetching them.

**Invariants**: a process that was restarted between the two looks gives no window, since its counters began anew.

**Source**: Prometheus text format 0.0.4; docs/metrics.md.
"""

from __future__ import annotations

import math
import re

# A counter of CPU time is written in steps of 10 ms.
CPU_STEP_SECONDS = 0.01

# Stands for +Inf in histograms: JSON has no infinity.
ENDLESS_SECONDS = 1e9

_SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')

_REQUESTS = ("corelane_http_requests_total", "corelane_node_requests_total")
_DURATIONS = {
    "corelane_http_request_duration_seconds_bucket": "route",
    "corelane_node_request_duration_seconds_bucket": "operation",
}


def parse(text):
    """All samples: a dictionary from (name, sorted labels) to the value. Lines that are no samples are passed over."""
    samples = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        found = _SAMPLE.match(line)
        if not found:
            continue
        try:
            value = float(found.group(3))
        except ValueError:
            continue
        samples[(found.group(1), tuple(sorted(_LABEL.findall(found.group(2) or ""))))] = value
    return samples


def total(samples, name, **labels):
    """The sum of all samples of a name that have these labels."""
    wanted = set(labels.items())
    return sum(value for (found, has), value in samples.items() if found == name and wanted <= set(has))


def window(before, after, seconds):
    """What happened between two scrapes.

    Returns a dictionary: ``seconds``, ``requests``, ``responses`` by class, ``cpu_seconds`` and the most that it can be wrong by
    (``cpu_error_seconds``), ``histograms`` by route as lists of [upper bound in seconds, count], ``items``, ``version``.
    Raises ValueError where the process was restarted meanwhile, or the text is not that of a Corelane process.
    """
    start = "corelane_process_start_time_seconds"
    if not total(after, start) or not total(before, start):
        raise ValueError("/metrics is not that of a Corelane process")
    if total(before, start) != total(after, start):
        raise ValueError("the process was restarted while it was watched")
    used, wrong = _cpu(before, after)
    classes = ("2xx", "3xx", "4xx", "5xx")
    name = "corelane_http_responses_total"
    return {
        "seconds": seconds,
        "requests": sum(total(after, name_) - total(before, name_) for name_ in _REQUESTS),
        "responses": dict((c, total(after, name, **{"class": c}) - total(before, name, **{"class": c})) for c in classes),
        "cpu_seconds": used,
        "cpu_error_seconds": wrong,
        "histograms": _histograms(before, after),
        "items": total(after, "corelane_cache_items"),
        "version": _version(after),
    }


def _cpu(before, after):
    name = "corelane_process_cpu_seconds_total"
    moved = [value - before.get(key, 0.0) for key, value in after.items() if key[0] == name]
    moved = [value for value in moved if value > 0]
    # Each counter was cut to its step at both ends: an error of one step at most, and of 0.41 in the mean square. Three times that.
    count = max(1, len(moved))
    return round(sum(moved), 6), round(CPU_STEP_SECONDS * min(count, 1.22 * math.sqrt(count)), 6)


def _histograms(before, after):
    cumulative = {}
    for (name, labels), value in after.items():
        if name not in _DURATIONS:
            continue
        has = dict(labels)
        bound = min(float(has["le"].replace("+Inf", "inf")), ENDLESS_SECONDS)
        cumulative.setdefault(has[_DURATIONS[name]], []).append((bound, value - before.get((name, labels), 0.0)))
    histograms = {}
    for route, bounds in cumulative.items():
        counts, below = [], 0.0
        for bound, value in sorted(bounds):
            counts.append([bound, max(0.0, value - below)])
            below = max(below, value)
        if below > 0:
            histograms[route] = counts
    return histograms


def _version(samples):
    for (name, labels) in samples:
        if name == "corelane_process_build_info":
            has = dict(labels)
            return "%s %s" % (has.get("version", "?"), has.get("commit", "?"))
    return "?"
