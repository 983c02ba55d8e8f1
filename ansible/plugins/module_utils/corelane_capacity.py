"""How many hosts a load needs, from what hosts were measured to carry, with its uncertainty.

    rates measured on hosts --> Capacity (mean, interval) --> HostPlan for a load: fewest, likely, most hosts

Not: a forecast of the load, or a measurement. Hosts are taken to be alike; measure one of each kind and plan each kind by itself.

Invariants: pure functions. `low <= mean <= high`; more load never needs fewer hosts; what is recommended carries the load
where the capacity is at the low end of its interval.

Source: Student's t distribution, two-sided 95 % (for the interval of a mean of few values).
"""

from __future__ import annotations

import math
import statistics

# Two-sided 95 % quantiles of Student's t, by degrees of freedom from 1; beyond the last one the normal distribution's.
T_95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)
NORMAL_95 = 1.960


# Requests per second, of one host and of a fleet.
RATE_MAX = 1e12


class CapacityError(ValueError):
    """What was given cannot be planned with; the text says what to do."""


class Capacity:
    """Requests per second of one host: the mean of what was measured, and the 95 % interval of that mean."""

    def __init__(self, mean, low, high, count):
        self.mean = mean
        self.low = low
        self.high = high
        self.count = count

    def __repr__(self):
        return "Capacity(%g, %g, %g, %d)" % (self.mean, self.low, self.high, self.count)


class Measurement:
    """One answer about one host: at least `met`, less than `missed` requests per second. The two are equal where a rate was counted."""

    def __init__(self, met, missed, source=""):
        for rate in (met, missed):
            if isinstance(rate, bool) or not isinstance(rate, (int, float)):
                raise CapacityError("%s: a rate of type %s is no number" % (source or "a measurement", type(rate).__name__))
        if not 0 < met <= missed or missed > RATE_MAX or not math.isfinite(missed):
            raise CapacityError("%s: %s to %s requests/s is no range of rates" % (source or "a measurement", met, missed))
        self.met = met
        self.missed = missed
        self.source = source

    @property
    def middle(self):
        return (self.met + self.missed) / 2


def measurement_of(document, source=""):
    """The measurement that a file of coreperf holds: of `search --out`, or `result.json` of a closed loop.

    Raises CapacityError for a file of another kind, a run that was not valid, or one at a rate that was set.
    """
    if not isinstance(document, dict):
        raise CapacityError("%s: neither of coreperf search nor a result.json" % source)
    if "objective" in document:
        met, missed = document.get("met") or 0, document.get("missed")
        if isinstance(met, (int, float)) and met <= 0:
            raise CapacityError("%s: no rate met %s" % (source, document["objective"]))
        if missed is None:
            raise CapacityError("%s: no rate was too many; search from a higher rate" % source)
        return Measurement(met, missed, source)
    if "rate_answered" not in document:
        raise CapacityError("%s: neither of coreperf search nor a result.json" % source)
    if not document.get("valid", False):
        raise CapacityError("%s: the run was not valid: %s" % (source, "; ".join(map(str, document.get("invalid_reasons") or []))))
    scenario = document.get("scenario")
    if isinstance(scenario, dict) and scenario.get("rate") is not None:
        raise CapacityError("%s: an open loop shows the rate that was asked for, not what the host carries" % source)
    return Measurement(document["rate_answered"], document["rate_answered"], source)


def capacity(measurements):
    """The capacity of a host: the interval of the mean of all measurements, as wide as each of them is uncertain by itself.

    One measurement alone has its own range only, and says nothing about how hosts or runs differ.
    """
    if not measurements:
        raise CapacityError("no measurement: run coreperf search against one host, three times or more")
    middles = [one.middle for one in measurements]
    mean = statistics.fmean(middles)
    own = statistics.fmean((one.missed - one.met) / 2 for one in measurements)
    spread = 0.0
    if len(middles) > 1:
        spread = t_95(len(middles) - 1) * statistics.stdev(middles) / math.sqrt(len(middles))
    half = spread + own
    # A mean of two or three values that differ much says little: there is no host that carries nothing.
    low = max(mean - half, min(one.met for one in measurements) / 2)
    return Capacity(mean, min(low, mean), mean + half, len(middles))


def t_95(degrees):
    return T_95[degrees - 1] if degrees <= len(T_95) else NORMAL_95


class Safety:
    """What a fleet keeps in hand."""

    def __init__(self, utilisation=0.6, spare_hosts=1, zones=1):
        if not 0 < utilisation <= 1:
            raise CapacityError("utilisation: found %s, allowed: above 0, up to 1" % utilisation)
        if spare_hosts < 0 or zones < 1:
            raise CapacityError("spare hosts are 0 or more, zones 1 or more")
        # Share of its capacity that a host is given: the rest is for peaks within a second and uneven balancing.
        self.utilisation = utilisation
        # Hosts that may be gone at once: one that died, or the batch of a rollout.
        self.spare_hosts = spare_hosts
        # With two or more, a whole zone may be gone instead.
        self.zones = zones


def hosts_for(rate, host_rate, safety):
    """Hosts so that `rate` is carried, each at `host_rate`, also when as many are gone as `safety` says."""
    if not 0 <= rate <= RATE_MAX * 10 or not host_rate > 0:
        raise CapacityError("rates are above 0, and at most %g requests/s" % RATE_MAX)
    serving = max(1, math.ceil(rate / (host_rate * safety.utilisation) - 1e-9))
    total = serving + safety.spare_hosts
    while total - lost_with_a_zone(total, safety) < serving:
        total += 1
    return total


def lost_with_a_zone(total, safety):
    """Hosts in the largest zone, hosts being spread evenly."""
    return math.ceil(total / safety.zones) if safety.zones > 1 else 0


class HostPlan:
    """Hosts for a load: were capacity at the high end of its interval, at the mean, at the low end."""

    def __init__(self, rate, fewest, likely, most):
        self.rate = rate
        self.fewest = fewest
        self.likely = likely
        self.most = most

    @property
    def recommended(self):
        return self.most

    def to_json(self):
        return {"rate": self.rate, "fewest": self.fewest, "likely": self.likely, "recommended": self.recommended}


def plan(rate, host, safety):
    """The hosts that `rate` requests per second need."""
    return HostPlan(
        rate,
        hosts_for(rate, host.high, safety),
        hosts_for(rate, host.mean, safety),
        hosts_for(rate, host.low, safety),
    )


# Shares of the wanted load that a plan shows beside it: a night, and growth.
SHARES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)


def plans(rate, host, safety, shares=SHARES):
    """Plans for shares of a load, in ascending order."""
    return [plan(rate * share, host, safety) for share in shares]


def carried(hosts, host_rate, safety):
    """The load that so many hosts carry: the largest for which hosts_for is at most `hosts`; 0 where all are spare."""
    serving = hosts - max(safety.spare_hosts, lost_with_a_zone(hosts, safety))
    return max(0, serving) * host_rate * safety.utilisation
