"""The canary's judge: windows of the same minutes, of hosts of one group.

**Not**: collecting windows (corelane_exposition), and deciding what follows from a verdict (corelane_rollout).

**Invariants**: a criterion fails only where chance does not explain what was seen, and the difference is larger than the limit. It
passes only where the limit is kept without doubt: the upper bound of what was seen is within it. Everything else is "not enough data",
also what could not be compared with anything. A verdict has the sentences that explain it.

**Source**: Przyborowski and Wilenski 1940 (two Poisson rates compared by a binomial); Wilson and Hilferty 1931 (bounds of a Poisson
rate); corelane_histogram.
"""

from __future__ import annotations

import math

from ansible.module_utils.corelane_histogram import count, merged, quantile_bounds, quantile_edge, superiority

PASS, FAIL, UNKNOWN = "pass", "fail", "not enough data"

LIMITS = {
    # Requests that the canary must have answered to pass.
    "requests_min": 200,
    # Chance that a release as good as the old one is refused, for each criterion.
    "false_alarm": 0.001,
    # Chance that a release at a limit passes, for each criterion.
    "missed_alarm": 0.05,
    # How many times as often as the others the canary may answer 5xx, and how often at all.
    "errors_ratio_max": 2.0,
    "errors_share_max": 0.001,
    # How many times the CPU seconds per request of the others.
    "cpu_ratio_max": 1.5,
    # How many times the quantiles of the others, and from how many measured requests of a route on; 0 leaves latency out.
    "latency_ratio_max": 2.0,
    "latency_samples_min": 100,
    # How often a request of the canary may be slower than one of the others: 0.5 where both are alike.
    "slower_share_max": 0.75,
    # What the others differ in is no fault of the release: this much above the worst of them.
    "above_worst": 1.1,
}

# Label, quantile, and the measured requests from which on it must be within the limit to pass. Of 440 the slowest one bounds the 99th
# percentile from above (missed_alarm), which says little of a long tail; of 1,000 it is the fourth slowest.
_QUANTILES = (("p50", 0.5, 0), ("p99", 0.99, 1000))


def judge(canary, others, limits=None):
    """The verdict on a canary: {"verdict": …, "sentence": …, "criteria": [{"name", "verdict", "sentence"}, …]}.

    ``canary`` and ``others`` are windows with ``host``. A window with ``failed`` (why the host could not be watched) is a failure of the
    canary, and is left out among the others. Without others that could be watched CPU and latency are "not enough data".
    """
    limits = dict(LIMITS, **(limits or {}))
    host = canary.get("host", "the canary")
    if canary.get("failed"):
        return _verdict(host, [_criterion("watched", FAIL, "%s could not be watched: %s" % (host, canary["failed"]))])
    watched = [window for window in others if not window.get("failed")]
    criteria = [_errors(host, canary, watched, limits)]
    if watched:
        criteria.append(_cpu(host, canary, watched, limits))
        criteria.extend(_latencies(host, canary, watched, limits))
    else:
        gone = ", ".join("%s (%s)" % (window.get("host"), window["failed"]) for window in others)
        text = "CPU and latency: %s could be compared with no host%s" % (host, "; these could not be watched: %s" % gone if gone else "")
        criteria.append(_criterion("compared", UNKNOWN, text))
    return _verdict(host, criteria)


def judge_clients(clients, limits=None):
    """The verdict on hosts that use what was updated: only that they answer no 5xx. ``clients`` are windows, as for `judge`.

    Each can fail; that the limit is kept without doubt is asked of all together, since each of many has few requests.
    """
    limits = dict(LIMITS, **dict(limits or {}, requests_min=0))
    watched = [window for window in clients if not window.get("failed")]
    if not watched:
        gone = "; ".join("%s: %s" % (window.get("host"), window["failed"]) for window in clients)
        return _verdict("clients", [_criterion("clients", UNKNOWN, "no client could be watched: %s" % gone)])
    each = [_errors(window.get("host", "a client"), window, [], limits) for window in watched]
    failed = [criterion for criterion in each if criterion["verdict"] == FAIL]
    return _verdict("clients", failed or [_errors("all clients together", _sum(watched), [], limits)])


def _sum(windows):
    return {
        "requests": sum(window["requests"] for window in windows),
        "responses": {"5xx": sum(window["responses"].get("5xx", 0) for window in windows)},
    }


def probes(host, asked):
    """The criterion of content: ``asked`` is a list of {"path", "found", "expected", "compared_with"}: answers as short texts, and the host
    that gave the expected one. ``expected`` is None where no host could be asked."""
    unknown = [probe for probe in asked if probe["expected"] is None]
    wrong = [probe for probe in asked if probe["expected"] is not None and probe["found"] != probe["expected"]]
    if wrong:
        first = wrong[0]
        text = "%s answers %d of %d probes otherwise than %s: %s gave %s instead of %s" % (
            host, len(wrong), len(asked), first["compared_with"], first["path"], first["found"], first["expected"])
        return _criterion("content", FAIL, text)
    if unknown:
        text = "content: %d of %d probes of %s could be compared with no host: %s: %s" % (
            len(unknown), len(asked), host, unknown[0]["path"], unknown[0]["found"])
        return _criterion("content", UNKNOWN, text)
    names = ", ".join(sorted(set(probe["compared_with"] for probe in asked)))
    return _criterion("content", PASS, "%s answers all %d probes as %s" % (host, len(asked), names))


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


# So many terms are summed at most; beyond them a normal distribution says the same to many digits.
TERMS_MAX = 100000
EDGE_TERMS_MAX = 10000


def binomial_tail(successes, trials, chance):
    """P(X >= successes) of a binomial; exact up to TERMS_MAX trials."""
    if successes <= 0:
        return 1.0
    if chance <= 0 or successes > trials:
        return 0.0
    if chance >= 1:
        return 1.0
    successes, trials = int(successes), int(trials)
    if trials <= TERMS_MAX or trials - successes <= EDGE_TERMS_MAX:
        return _binomial_sum(range(successes, trials + 1), trials, chance)
    if successes <= EDGE_TERMS_MAX:
        return max(0.0, 1.0 - _binomial_sum(range(successes), trials, chance))
    return _normal_tail(successes - 0.5 - trials * chance, trials * chance * (1 - chance))


def _binomial_sum(range_, trials, chance):
    logs = [
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        + k * math.log(chance) + (trials - k) * math.log1p(-chance)
        for k in range_
    ]
    largest = max(logs)
    return min(1.0, math.exp(largest) * sum(math.exp(log - largest) for log in logs))


def _normal_tail(above, variance):
    """P(X >= above) of a normal distribution around 0."""
    return 0.5 * math.erfc(above / math.sqrt(2 * variance))


def poisson_tail(successes, mean):
    """P(X >= successes) of a Poisson distribution."""
    if successes <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    if successes > TERMS_MAX:
        return _normal_tail(successes - 0.5 - mean, mean)
    below = sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(int(successes)))
    return max(0.0, 1.0 - below)


def poisson_upper(events, chance):
    """The mean that a Poisson distribution, of which ``events`` were seen, does not exceed but with this chance."""
    seen = events + 1.0
    return seen * (1 - 1 / (9 * seen) + _deviations(chance) / (3 * math.sqrt(seen))) ** 3


def _errors(host, canary, others, limits):
    failed, asked = int(canary["responses"].get("5xx", 0)), int(canary["requests"])
    others_failed = int(sum(window["responses"].get("5xx", 0) for window in others))
    others_asked = int(sum(window["requests"] for window in others))
    seen = "%s answered %d of %d requests with 5xx" % (host, failed, asked)
    seen += ", the others %d of %d" % (others_failed, others_asked) if others_asked else ""
    fault = _errors_fault(failed, asked, others_failed, others_asked, limits)
    if fault:
        return _criterion("errors", FAIL, "%s: %s" % (seen, fault))
    if asked < limits["requests_min"]:
        return _criterion("errors", UNKNOWN, "%s, and it takes %d to judge" % (seen, limits["requests_min"]))
    share = limits["errors_share_max"]
    most = poisson_upper(failed, limits["missed_alarm"]) / asked if asked else 1.0
    if most <= share or _are_fewer(failed, asked, others_failed, others_asked, limits):
        return _criterion("errors", PASS, seen)
    return _criterion("errors", UNKNOWN, "%s: so few requests that it may be %.2g %%, and %g %% are allowed; watch for longer" % (
        seen, 100 * most, 100 * share))


def _errors_fault(failed, asked, others_failed, others_asked, limits):
    """Why there are too many 5xx, or None where chance explains them."""
    ratio, share = limits["errors_ratio_max"], limits["errors_share_max"]
    if not failed:
        return None
    is_above_share = poisson_tail(failed, asked * share) < limits["false_alarm"]
    if not others_asked:
        return "more than %g %%" % (100 * share) if is_above_share else None
    chance = _chance_of_more(failed, asked, others_failed, others_asked, ratio)
    if chance < limits["false_alarm"]:
        return "more than %g times as many (chance %.2g)" % (ratio, chance)
    # Where the others have hardly any, the ratio is known badly, and that there are more at all is known well.
    is_above_ratio = failed * others_asked > ratio * others_failed * asked
    if is_above_share and is_above_ratio and _chance_of_more(failed, asked, others_failed, others_asked, 1.0) < limits["false_alarm"]:
        return "more than %g %%, and more than the others" % (100 * share)
    return None


def _chance_of_more(failed, asked, others_failed, others_asked, ratio):
    """How likely so many are, or more, where there are ``ratio`` times as many as at the others."""
    weight = ratio * asked
    return binomial_tail(failed, failed + others_failed, weight / (weight + others_asked))


def _are_fewer(failed, asked, others_failed, others_asked, limits):
    """Whether there are fewer than ``errors_ratio_max`` times as many as at the others, without doubt."""
    if not others_asked:
        return False
    weight = limits["errors_ratio_max"] * asked
    so_many_at_most = 1.0 - binomial_tail(failed + 1, failed + others_failed, weight / (weight + others_asked))
    return so_many_at_most < limits["missed_alarm"]


def _cpu(host, canary, others, limits):
    needed = limits["requests_min"]
    if canary["requests"] >= max(1, needed) and canary["cpu_seconds"] <= 0:
        text = "CPU: the counters of %s did not move in %d requests" % (host, canary["requests"])
        return _criterion("cpu", UNKNOWN, text)
    watched = [window for window in others if window["requests"] >= needed and window["cpu_seconds"] > 0]
    if canary["requests"] < needed or not watched:
        text = "CPU: %s answered %d requests, the busiest of the others %d, and it takes %d to judge" % (
            host, canary["requests"], max(window["requests"] for window in others), needed)
        return _criterion("cpu", UNKNOWN, text)
    low, middle, high = _cpu_per_request([canary])
    theirs_low, theirs, theirs_high = _cpu_per_request(watched)
    worst_low, _middle, worst = map(max, zip(*(_cpu_per_request([window]) for window in watched)))
    limit = limits["cpu_ratio_max"]
    text = "CPU per request: %s %.0f us, the others %.0f us" % (host, 1e6 * middle, 1e6 * theirs)
    if low > limit * theirs_high and low > limits["above_worst"] * worst:
        return _criterion("cpu", FAIL, "%s: more than %g times as much" % (text, limit))
    if high <= limit * theirs_low or high <= limits["above_worst"] * worst_low:
        return _criterion("cpu", PASS, text)
    return _criterion("cpu", UNKNOWN, "%s: so little CPU time that its counter's steps decide; watch for longer" % text)


def _cpu_per_request(windows):
    requests = float(sum(window["requests"] for window in windows))
    used = sum(window["cpu_seconds"] for window in windows)
    wrong = math.sqrt(sum(window["cpu_error_seconds"] ** 2 for window in windows))
    return max(0.0, used - wrong) / requests, used / requests, (used + wrong) / requests


def _latencies(host, canary, others, limits):
    criteria, needed = [], limits["latency_samples_min"]
    if not needed:
        return []
    for route in sorted(canary["histograms"]):
        ours = canary["histograms"][route]
        theirs = [window["histograms"][route] for window in others if route in window["histograms"]]
        theirs = [histogram for histogram in theirs if count(histogram) >= needed]
        # A route that hardly anybody uses says nothing, and is asked for nothing.
        if count(ours) >= needed and theirs:
            criteria.append(_latency(host, route, ours, theirs, limits))
    if not criteria:
        text = "latency: of no route %d requests were measured both at %s and at one of the others" % (needed, host)
        return [_criterion("latency", UNKNOWN, text)]
    return criteria


def _latency(host, route, ours, theirs, limits):
    name = "latency of %s" % route
    fault = _latency_fault(host, name, ours, theirs, limits)
    if fault:
        return _criterion(name, FAIL, fault)
    all_theirs, z, seen, doubts = merged(theirs), _deviations(limits["missed_alarm"]), [], []
    for label, q, samples_min in _QUANTILES:
        if count(ours) < samples_min:
            continue
        low, high = quantile_bounds(ours, q, z)
        # Upper edges of buckets on both sides, so that what a bucket hides is no difference.
        most = max([limits["latency_ratio_max"] * quantile_edge(all_theirs, q)] + [quantile_edge(histogram, q) for histogram in theirs])
        seen.append("%s %s to %s" % (label, _seconds(low), _seconds(high)) if high < 1e9 else "%s above %s" % (label, _seconds(low)))
        if high > most:
            doubts.append("%s may be above %s" % (label, _seconds(most)))
    share, error = superiority(ours, all_theirs)
    slowest = max(superiority(histogram, all_theirs)[0] for histogram in theirs)
    if share + z * error > max(limits["slower_share_max"], slowest * limits["above_worst"]):
        doubts.append("%.0f %% of requests may be slower than one to the others" % (100 * min(1.0, share + z * error)))
    text = "%s of %s: %s" % (name, host, ", ".join(seen))
    if doubts:
        return _criterion(name, UNKNOWN, "%s: %s; watch for longer" % (text, ", ".join(doubts)))
    return _criterion(name, PASS, text)


def _latency_fault(host, name, ours, theirs, limits):
    """Why a route is too slow, or None where chance explains it."""
    all_theirs, z = merged(theirs), _deviations(limits["false_alarm"])
    for label, q, _samples_min in _QUANTILES:
        low = quantile_bounds(ours, q, z)[0]
        usual = quantile_bounds(all_theirs, q, z)[1]
        worst = max(quantile_bounds(histogram, q, z)[1] for histogram in theirs)
        if low > limits["latency_ratio_max"] * usual and low > worst:
            return "%s: %s of %s is above %s, that of the others below %s" % (name, label, host, _seconds(low), _seconds(usual))
    share, error = superiority(ours, all_theirs)
    slowest = max(superiority(histogram, all_theirs)[0] for histogram in theirs)
    if share - z * error > limits["slower_share_max"] and share > slowest * limits["above_worst"]:
        return "%s: %.0f %% of requests to %s are slower than one to the others" % (name, 100 * share, host)
    return None


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
