"""What there is to do in the folder of a cluster's authority: calls of `corectl pki`, by what `corectl pki show --json` says.

```
 rotation:   (none) ─ begin ─▶ begun ─ switch ─▶ switched ─ finish ─▶ finished ─ end ─▶ (none)
 ca.pem         old            both               both                  new
 leaves         old            old                new                   new
```

Not: running anything.

Invariants: pure functions. Each call is one that may be made again after it was cut off; what is done already is no call.
"""

from __future__ import annotations

STEPS = ("begin", "switch", "finish", "end")

# States of certificates that `renew` replaces.
DUE = ("due", "ended")

LISTS_SECONDS = 30 * 86400
"""Lists of what was revoked are made anew when so much is left of them: a third."""


def stem(one):
    return "%s-%s" % (one["role"], one["id"])


def authorities(shown):
    """The ids of authorities by what they are: current, next, previous."""
    return {row["id"]: row["authority"] for row in shown["rows"] if row["role"] == "authority"}


def issue_calls(shown, wanted):
    """Certificates that are missing, or were made for other names."""
    there = {row["name"]: row for row in shown["rows"]}
    calls = []
    for one in wanted:
        row, names = there.get(stem(one)), list(one["names"]) + list(one["ips"])
        if row is not None and sorted(row["names"]) == sorted(names):
            continue
        words = ["issue", one["role"], one["id"]]
        for option, values in (("--name", one["names"]), ("--ip", one["ips"])):
            for value in values:
                words += [option, value]
        calls.append(words + (["--replace"] if row is not None else []))
    return calls


def is_renewal_due(shown):
    """Whether `renew` would replace something: a certificate of which a third is left or that another authority issued, or a list."""
    issuer = authorities(shown).get("current")
    leaves = [row for row in shown["rows"] if row["role"] != "authority"]
    return any(row["state"] in DUE or row["authority"] != issuer for row in leaves) or shown["lists_seconds_left"] < LISTS_SECONDS


def rotation_step(step, shown, started):
    """(calls, what is started from now on) of one step of a rotation. `started` is the id of the authority that is to go, or None."""
    now = authorities(shown)
    if step == "begin":
        started = started or now["current"]
        return ([] if "next" in now or now["current"] != started else [["rotate-ca", "begin"]]), started
    if started is None:
        return [], None
    if step == "switch":
        return ([["rotate-ca", "switch"]] if "next" in now and now["current"] == started else []), started
    if step == "finish":
        return ([["rotate-ca", "finish"]] if now.get("previous") == started else []), started
    return [], (started if started in now.values() else None)
