"""Batches of a rollout: pure arithmetic over names of hosts.

**Not**: asking hosts anything. Who serves at the moment is an argument.

**Invariants**: every host is in exactly one batch. A batch never leaves fewer hosts in service than the minimum, neither in the
group nor, in proportion, in a zone with more than one host.
"""

from __future__ import annotations

import math

# Batches of one group, at most: what a loop over them is bounded by.
BATCHES_MAX = 1000


class BatchError(ValueError):
    """The operator's: a number that makes no sense, or a minimum that leaves no host to update."""


def share(value, total, what):
    """Hosts that ``value`` means: a count, or a percentage of ``total`` as in "25%". Not rounded."""
    text = str(value).strip()
    try:
        if text.endswith("%"):
            percent = float(text[:-1])
            if not 0 <= percent <= 100:
                raise ValueError
            return total * percent / 100.0
        count = int(text)
        if count < 0:
            raise ValueError
        return float(count)
    except ValueError:
        raise BatchError("%s: found %r, allowed: a number of hosts, or a percentage from 0%% to 100%%" % (what, value))


def minimum_in_service(value, total):
    """Hosts that must serve at any time. A number is taken as it is; a percentage below 100 % is rounded up, but leaves one host to
    update, or no small group could ever be."""
    # 10 % of 500 is 50, whatever floating-point numbers say.
    needed = int(math.ceil(round(share(value, total, "corelane_rollout_min_in_service"), 6)))
    is_part = str(value).strip().endswith("%") and share(value, 100, "") < 100
    return min(needed, max(0, total - 1)) if is_part else needed


def batch_size(value, total):
    """Hosts of a batch: a percentage is rounded down, to one host at least."""
    size = int(math.floor(round(share(value, total, "corelane_rollout_batches"), 6)))
    if size < 1 and not str(value).strip().endswith("%"):
        raise BatchError("corelane_rollout_batches: found %r, allowed: 1 host or more" % (value,))
    return max(1, size)


def spread(hosts, zones):
    """The hosts in an order that takes one of each zone in turn, so that a batch weakens all zones alike."""
    by_zone = {}
    for host in hosts:
        by_zone.setdefault(zones.get(host, ""), []).append(host)
    queues = list(by_zone.values())
    ordered = []
    for turn in range(max([len(queue) for queue in queues] or [0])):
        ordered.extend(queue[turn] for queue in queues if turn < len(queue))
    return ordered


def zone_limits(hosts, minimum, zones):
    """Hosts of each zone that may be in one batch: the zone's part of what the group may lose, one at least."""
    sizes = {}
    for host in hosts:
        sizes[zones.get(host, "")] = sizes.get(zones.get(host, ""), 0) + 1
    total = len(hosts)
    return dict((zone, max(1, size * (total - minimum) // total)) for zone, size in sizes.items())


def plan(hosts, steps, minimum, zones=None, done=(), out=()):
    """Batches of the hosts of one group that are not done.

    ``steps`` are sizes, as counts or percentages of the group; the last one is used until all are done. ``minimum`` is what must
    serve at any time. ``zones`` name that of each host. ``done`` need nothing; ``out`` do not serve and are in no batch.

    Raises BatchError where the minimum leaves no host to update.
    """
    if len(set(hosts)) != len(hosts):
        raise BatchError("a host is in the group twice")
    if not steps:
        raise BatchError("corelane_rollout_batches: found nothing, allowed: sizes of batches, such as [1, \"25%\"]")
    zones, total = zones or {}, len(hosts)
    needed = minimum_in_service(minimum, total)
    passed_over, lost = set(done) | set(out), len(set(out) & set(hosts))
    waiting = [host for host in spread(hosts, zones) if host not in passed_over]
    most = total - needed - lost
    if waiting and most < 1:
        already = ", and %d do not already" % lost if lost else ""
        raise BatchError(
            "corelane_rollout_min_in_service: %d of %d hosts must serve%s, so none may be updated" % (needed, total, already))
    limits = zone_limits(hosts, needed, zones) if hosts else {}
    sizes = [batch_size(step, total) for step in steps]
    batches = []
    while waiting and len(batches) < BATCHES_MAX:
        size = min(sizes[min(len(batches), len(sizes) - 1)], most)
        batch = pick(waiting, size, limits, zones)
        batches.append(batch)
        taken = set(batch)
        waiting = [host for host in waiting if host not in taken]
    if waiting:
        raise BatchError("corelane_rollout_batches: %d hosts are left after %d batches; name larger ones" % (len(waiting), BATCHES_MAX))
    return batches


def pick(waiting, size, limits, zones):
    """The first hosts that may be out together, ``size`` at most; never none."""
    batch, of_zone = [], {}
    for host in waiting:
        if len(batch) == size:
            break
        zone = zones.get(host, "")
        if of_zone.get(zone, 0) >= limits[zone]:
            continue
        batch.append(host)
        of_zone[zone] = of_zone.get(zone, 0) + 1
    return batch


def admit(batch, in_service, needed):
    """Which hosts of a batch may be taken out now, and which must wait.

    ``in_service`` are the hosts of the group that serve at this moment. A host that does not serve may always be updated: that
    takes nothing away.
    """
    serving = [host for host in batch if host in in_service]
    count = max(0, len(set(in_service)) - needed)
    held = serving[count:]
    return [host for host in batch if host not in held], held
