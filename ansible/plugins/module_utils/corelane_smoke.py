"""Smoke load: writes values, reads them back, compares every byte, removes them.

Not: a measurement. Not: other keys than its own, whose names begin with `corelane-smoke-`.

Invariants: what was written, or may have been, is removed, also after a wrong answer or none. A wrong answer is told with key and place.
"""

from __future__ import annotations

import os
import time

from ansible.module_utils.corelane_http import Client, HttpError

# Bytes of values: nothing, a short one, one of several packets.
SIZES = (0, 1, 100, 4096, 65536)

# Between rounds: some hundred requests a second are enough to see what does not work.
PAUSE_SECONDS = 0.02


def smoke(address, seconds, path="/v1/kv/default/"):
    """Loads an edge for `seconds`. Returns (requests, first fault or None)."""
    client = Client(address)
    requests, until = 0, time.monotonic() + seconds
    try:
        while True:
            size = SIZES[(requests // 3) % len(SIZES)]
            fault = _round(client, path + "corelane-smoke-" + os.urandom(8).hex(), os.urandom(size))
            requests += 3
            if fault or time.monotonic() >= until:
                return requests, fault
            time.sleep(PAUSE_SECONDS)
    finally:
        client.close()


def _round(client, path, value):
    """Writes, reads and removes one value; returns what was wrong, or None."""
    fault = _write_and_read(client, path, value)
    # Also where the write was not answered: it may have been done.
    left = _remove(client, path)
    return fault or left


def _write_and_read(client, path, value):
    try:
        answer = client.request("PUT", path, value)
        if answer.status not in (200, 201, 204):
            return "PUT %s: status %d" % (path, answer.status)
        answer = client.request("GET", path)
    except HttpError as error:
        return str(error)
    if answer.status != 200:
        return "GET %s: status %d after it was written" % (path, answer.status)
    return None if answer.body == value else "GET %s: %s" % (path, _difference(answer.body, value))


def _remove(client, path):
    try:
        status = client.request("DELETE", path).status
    except HttpError as error:
        return str(error)
    return None if status in (200, 202, 204) else "DELETE %s: status %d" % (path, status)


def _difference(found, expected):
    if len(found) != len(expected):
        return "%d bytes instead of %d" % (len(found), len(expected))
    at = next(index for index in range(len(expected)) if found[index] != expected[index])
    return "byte %d is 0x%02x instead of 0x%02x" % (at, found[at], expected[at])
