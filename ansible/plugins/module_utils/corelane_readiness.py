"""Who of a group serves, asked from the controller, and whether some of them may leave.

Not: hosts' own view of themselves (corelane_service).

Invariants: every host is asked once, within a time. One whose admin listener is not known, or does not answer, does not serve.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.corelane_batches import admit, minimum_in_service
from ansible.module_utils.corelane_http import HttpError, request

# A host that does not answer in this time is not in service.
READY_SECONDS = 3.0

# Asked at once.
THREADS = 32


def ready(hosts, admin):
    """The hosts that answer that they are ready; `admin` has their addresses."""
    with ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(is_ready, [admin.get(host) for host in hosts]))
    return [host for host, answer in zip(hosts, answers) if answer]


def is_ready(address):
    try:
        return bool(address) and request("GET", address, "/readyz", seconds=READY_SECONDS).status == 200
    except HttpError:
        return False


def leave_fault(leaving, members, in_service, minimum):
    """Why hosts may not leave the service of a group, or None. A host that does not serve takes nothing away.

    ``minimum`` is a number or a percentage of the group. Raises BatchError where it is neither.
    """
    needed = minimum_in_service(minimum, len(members))
    held = admit(leaving, in_service, needed)[1]
    if not held:
        return None
    silent = [host for host in members if host not in in_service]
    return "%s must stay: %d of %d hosts serve, and %d must (corelane_rollout_min_in_service)%s" % (
        ", ".join(held), len(in_service), len(members), needed, "; not ready: %s" % ", ".join(silent) if silent else "")
