"""The canary's judge: windows of the same minutes, of hosts of one group.

**Not**: collecting windows (corelane_exposition), and deciding what follows from a verdict (corelane_rollout).

**Invariants**: a criterion fails only where chance does not explain what was seen, and the difference is larger than the limit. It
passes only where the limit is kept without doubt. Everything else is "not enough data". A verdict has the sentences that explain it.

**Source**: Przyborowski and Wilenski 1940 (two Poisson rates compared by a binomial); corelane_histogram.
"""

from __future__ import annotations

import math

from ansible.module_utils.corelane_histogram import count, merged, quantile_bounds, superiority

PASS, FAIL, UNKNOWN = "pass", "fail", "not enough data"

LIMITS = {
    # Requests that the canary must have answered.
    "requests_min": 200,
    # Chance that a release as good as the old one is refused, for each criterion.
    "false_alarm": 0.001,
    # How many times as often as the others the canary may answer 5xx, and how often where there are no others.
    "errors_ratio_max": 2.0,
    "errors_share_max": 0.001,
    # How many times the CPU seconds per request of the others.
    "cpu_ratio_max": 1.5,
    # How many times the quantiles of the others, and from how many measured requests on.
    "latency_ratio_max": 2.0,
    "latency_samples_min": 100,
    # How often a request of the canary may be slower than one of the others: 0.5 where both are alike.
    "slower_share_max": 0.75,
    # What the others differ in is no fault of the release: this much above the worst of them.
    "above_worst": 1.1,
}

_QUANTILES = (("p50", 0.5), ("p99", 0.99))


def judge(canary, others, limits=None):
    """The verdict on a canary: {"verdict": …, "sentence": …, "criteria": [{"name", "verdict", "sentence"}, …]}.

    ``canary`` and ``others`` are windows with ``host``; without others only what holds of any release is judged. A window with
    ``failed`` (why the host could not be watched) is a failure of the canary, and is left out among the others.
    """
    limits = dict(LIMITS, **(limits or {}))
    host = canary.get("host", "the canary")
    if canary.get("failed"):
        return _verdict(host, [_criterion("watched", FAIL, "%s could not be watched: %s" % (host, canary["failed"]))])
    others = [window for window in others if not window.get("failed")]
    criteria = [_errors(host, canary, others, limits)]
    if others:
        criteria.append(_cpu(host, canary, others, limits))
        criteria.extend(_latencies(host, canary, others, limits))
    return _verdict(host, criteria)


def probes(host, asked, compared_with):
    """The criterion of content: ``asked`` is a list of {"path", "found", "expected"}, answers as short texts."""
    wrong = [probe for probe in asked if probe["found"] != probe["expected"]]
    if wrong:
        first = wrong[0]
        text = "%s answers %d of %d probes otherwise than %s: %s gave %s instead of %s" % (
            host, len(wrong), len(asked), compared_with, first["path"], first["found"], first["expected"])
        return _criterion("content", FAIL, text)
    return _criterion("content", PASS, "%s answers all %d probes as %s" % (host, len(asked), compared_with))


def with_criterion(verdict, criterion):
    """The verdict with one criterion more."""
    return _verdict(verdict["host"], verdict["criteria"] + [criterion])


def _criterion(name, verdict, sentence):
    return {"name": name, "verdict": verdict, "sentence": sentence}


def _verdict(host, criteria):
    found = [criterion["verdict"] for criterion in criteria]
    verdict = FAIL if FAIL in found else UNKNOWN if UNKNOWN in found else PASS
    telling = [criterion["sentence"] for criterion in criteria if criterion["verdict"] == verdict]
    return {"host": host, "verdict": verdict, "sentence": "; ".join(telling), "criteria": criteria}


def binomial_tail(successes, trials, chance):
    """P(X >= successes) of a binomial, exact."""
    if successes <= 0:
        return 1.0
    if chance <= 0 or successes > trials:
        return 0.0
    if chance >= 1:
        return 1.0
    logs = [
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        + k * math.log(chance) + (trials - k) * math.log1p(-chance)
        for k in range(int(successes), int(trials) + 1)
    ]
    largest = max(logs)
    return min(1.0, math.exp(largest) * sum(math.exp(log - largest) for log in logs))


def poisson_tail(successes, mean):
    """P(X >= successes) of a Poisson distribution."""
    if successes <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    below = sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(int(successes)))
    return max(0.0, 1.0 - below)


def _errors(host, canary, others, limits):
    failed, asked = int(canary["responses"].get("5xx", 0)), int(canary["requests"])
    if asked < limits["requests_min"] and failed == 0:
        text = "%s answered %d requests, and it takes %d to judge" % (host, asked, limits["requests_min"])
        return _criterion("errors", UNKNOWN, text)
    others_failed = int(sum(window["responses"].get("5xx", 0) for window in others))
    others_asked = int(sum(window["requests"] for window in others))
    seen = "%s answered %d of %d requests with 5xx" % (host, failed, asked)
    compared = ", the others %d of %d" % (others_failed, others_asked) if others_asked else ""
    if others_asked and failed:
        weight = limits["errors_ratio_max"] * asked
        chance = binomial_tail(failed, failed + others_failed, weight / (weight + others_asked))
        if chance < limits["false_alarm"]:
            return _criterion("errors", FAIL, "%s%s: more than %g times as many (chance %.2g)" % (
                seen, compared, limits["errors_ratio_max"], chance))
    share = limits["errors_share_max"]
    if not others_asked and poisson_tail(failed, asked * share) < limits["false_alarm"]:
        return _criterion("errors", FAIL, "%s: more than %g %%" % (seen, 100 * share))
    return _criterion("errors", PASS, seen + compared)


def _cpu(host, canary, others, limits):
    needed = limits["requests_min"]
    watched = [window for window in others if window["requests"] >= needed]
    if canary["requests"] < needed or not watched:
        text = "CPU: %s answered %d requests, the busiest of the others %d, and it takes %d" % (
            host, canary["requests"], max(window["requests"] for window in others), needed)
        return _criterion("cpu", UNKNOWN, text)
    low, middle, high = _cpu_per_request([canary])
    theirs_low, theirs, theirs_high = _cpu_per_request(watched)
    worst = max(_cpu_per_request([window])[2] for window in watched)
    limit = limits["cpu_ratio_max"]
    text = "CPU per request: %s %.0f us, the others %.0f us" % (host, 1e6 * middle, 1e6 * theirs)
    if low > limit * theirs_high and low > limits["above_worst"] * worst:
        return _criterion("cpu", FAIL, "%s: more than %g times as much" % (text, limit))
    if high <= limit * theirs_low or high <= worst:
        return _criterion("cpu", PASS, text)
    return _criterion("cpu", UNKNOWN, "%s: so little CPU time that its counter's steps decide; watch for longer" % text)


def _cpu_per_request(windows):
    requests = float(sum(window["requests"] for window in windows))
    used = sum(window["cpu_seconds"] for window in windows)
    wrong = math.sqrt(sum(window["cpu_error_seconds"] ** 2 for window in windows))
    return max(0.0, used - wrong) / requests, used / requests, (used + wrong) / requests


def _latencies(host, canary, others, limits):
    criteria, needed = [], limits["latency_samples_min"]
    for route in sorted(canary["histograms"]):
        ours = canary["histograms"][route]
        theirs = [window["histograms"][route] for window in others if route in window["histograms"]]
        theirs = [histogram for histogram in theirs if count(histogram) >= needed]
        # A route that hardly anybody uses says nothing, and is asked for nothing.
        if count(ours) >= needed and theirs:
            criteria.append(_latency(host, route, ours, theirs, limits))
    return criteria


def _latency(host, route, ours, theirs, limits):
    name, all_theirs = "latency of %s" % route, merged(theirs)
    z = _deviations(limits["false_alarm"])
    seen = []
    for label, q in _QUANTILES:
        low, high = quantile_bounds(ours, q, z)
        usual = quantile_bounds(all_theirs, q, z)[1]
        worst = max(quantile_bounds(histogram, q, z)[1] for histogram in theirs)
        if low > limits["latency_ratio_max"] * usual and low > worst:
            return _criterion(name, FAIL, "%s: %s of %s is above %s, that of the others below %s" % (
                name, label, host, _seconds(low), _seconds(usual)))
        seen.append("%s %s to %s" % (label, _seconds(low), _seconds(high)) if high < 1e9 else "%s above %s" % (label, _seconds(low)))
    share, error = superiority(ours, all_theirs)
    slowest = max(superiority(histogram, all_theirs)[0] for histogram in theirs)
    if share - z * error > limits["slower_share_max"] and share > slowest * limits["above_worst"]:
        return _criterion(name, FAIL, "%s: %.0f %% of requests to %s are slower than one to the others" % (
            name, 100 * share, host))
    return _criterion(name, PASS, "%s of %s: %s" % (name, host, ", ".join(seen)))


def _deviations(chance):
    """Standard deviations that a normal variable exceeds with this chance, by halving."""
    low, high = 0.0, 10.0
    for _step in range(60):
        middle = (low + high) / 2
        if 0.5 * math.erfc(middle / math.sqrt(2)) > chance:
            low = middle
        else:
            high = middle
    return high


def _seconds(value):
    return "%.3g ms" % (1000 * value) if value >= 0.001 else "%.3g us" % (1e6 * value)
