"""Windows: the difference of two scrapes of a process, as plain data.

**Not**: fetching them.

**Invariants**: a process that was restarted between the two looks gives no window, since its counters began anew. Neither does one
whose numbers cannot be right, or that lacks what every process has: what is missing is not taken for none.

**Source**: Prometheus text format 0.0.4; docs/metrics.md.
"""

from __future__ import annotations

import math
import re

# A counter of CPU time is written in steps of 10 ms.
CPU_STEP_SECONDS = 0.01

# Stands for +Inf in histograms: JSON has no infinity.
ENDLESS_SECONDS = 1e9

# Up to here each whole number has a value of its own.
VALUE_MAX = float(1 << 53)

_SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')

_REQUESTS = ("corelane_http_requests_total", "corelane_node_requests_total")
_RESPONSES = "corelane_http_responses_total"
_CPU = "corelane_process_cpu_seconds_total"
_START = "corelane_process_start_time_seconds"
_ITEMS = "corelane_cache_items"
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
    Raises ValueError where the process was restarted meanwhile, the text is not that of a Corelane process, or its numbers cannot be right.
    """
    if not total(after, _START) or not total(before, _START):
        raise ValueError("/metrics is not that of a Corelane process")
    for samples in (before, after):
        _check_values(samples)
    if total(before, _START) != total(after, _START):
        raise ValueError("the process was restarted while it was watched")
    for samples in (before, after):
        _check_families(samples)
    _check_counters(before, after)
    used, wrong = _cpu(before, after)
    classes = ("2xx", "3xx", "4xx", "5xx")
    name = _RESPONSES
    return {
        "seconds": seconds,
        "requests": sum(total(after, name_) - total(before, name_) for name_ in _REQUESTS),
        "responses": dict((c, total(after, name, **{"class": c}) - total(before, name, **{"class": c})) for c in classes),
        "cpu_seconds": used,
        "cpu_error_seconds": wrong,
        "histograms": _histograms(before, after),
        "items": total(after, _ITEMS),
        "version": _version(after),
    }


def _check_values(samples):
    read = _REQUESTS + (_RESPONSES, _CPU, _START, _ITEMS)
    for (name, _labels), value in samples.items():
        if (name in read or name in _DURATIONS) and not 0 <= value <= VALUE_MAX:
            raise ValueError("/metrics has the value %s of %s" % (value, name))


def _check_families(samples):
    """A node has no HTTP; each process has requests of one kind or the other, and CPU time."""
    names = set(name for name, _labels in samples)
    if not names.intersection(_REQUESTS):
        raise ValueError("/metrics has neither %s nor %s" % _REQUESTS)
    if _CPU not in names:
        raise ValueError("/metrics has no %s" % _CPU)
    answers = set(dict(labels).get("class") for name, labels in samples if name == _RESPONSES)
    if _REQUESTS[0] in names and "5xx" not in answers:
        raise ValueError('/metrics has no %s of class "5xx"' % _RESPONSES)


def _check_counters(before, after):
    """Counters of requests only rise, and stay. CPU time is that of the threads there are, which may end."""
    for key, value in before.items():
        name = key[0]
        if name not in _REQUESTS and name != _RESPONSES and name not in _DURATIONS:
            continue
        if key not in after:
            raise ValueError("/metrics has lost a series of %s" % name)
        if after[key] < value:
            raise ValueError("%s fell from %g to %g" % (name, value, after[key]))
    for key in after:
        if key not in before and (key[0] in _REQUESTS or key[0] == _RESPONSES):
            raise ValueError("/metrics has a new series of %s" % key[0])


def _cpu(before, after):
    moved = [value - before.get(key, 0.0) for key, value in after.items() if key[0] == _CPU]
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
        for label in ("le", _DURATIONS[name]):
            if label not in has:
                raise ValueError("/metrics has a sample of %s without %s" % (name, label))
        cumulative.setdefault(has[_DURATIONS[name]], []).append((_bound(name, has["le"]), value - before.get((name, labels), 0.0)))
    histograms = {}
    for route, bounds in cumulative.items():
        if max(bounds)[0] < ENDLESS_SECONDS:
            raise ValueError("/metrics has no bucket +Inf of %s" % route)
        counts, below = [], 0.0
        for bound, value in sorted(bounds):
            counts.append([bound, max(0.0, value - below)])
            below = max(below, value)
        if below > 0:
            histograms[route] = counts
    return histograms


def _bound(name, text):
    try:
        bound = float(text)
    except ValueError:
        bound = math.nan
    if not bound >= 0:
        raise ValueError("/metrics has a bucket of %s with le %s" % (name, text))
    return min(bound, ENDLESS_SECONDS)


def _version(samples):
    for (name, labels) in samples:
        if name == "corelane_process_build_info":
            has = dict(labels)
            return "%s %s" % (has.get("version", "?"), has.get("commit", "?"))
    return "?"
