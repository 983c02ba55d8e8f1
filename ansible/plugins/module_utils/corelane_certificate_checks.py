"""What would not work of the certificates that an inventory names, or would have made: found before anything is changed.

Not: reading files; `check` does, which is `corelane_chain_check.checked`.

Invariants: all faults come at once, each with the variable that names the file.
"""

from __future__ import annotations

import os

from ansible.module_utils import corelane_certificate_files as files
from ansible.module_utils.corelane_chain_check import ChainError, names, share_left
from ansible.module_utils.corelane_variables import Fault

SHARE_MIN = 0.1
"""A certificate of which less is left is refused: who renews it has had two thirds of its time and some."""

OWN = {"chain": "corelane_cluster_chain", "key": "corelane_cluster_key", "ca": "corelane_cluster_ca"}
OPERATOR = {"chain": "corelane_operator_chain", "key": "corelane_operator_key", "ca": "corelane_cluster_ca"}


def faults(values, groups, name, check):
    """The faults of one host; `values` are its variables with defaults."""
    found = []
    if files.uses_certificates(values):
        found += _of_cluster(values, groups, name, check)
    if "edges" in groups and values.get("corelane_https_port"):
        found += _of_https(values, check)
    return found


def _of_cluster(values, groups, name, check):
    if not files.is_own(values):
        is_wrong = "edges" in groups and not files.ID.fullmatch(name)
        remedy = "1 to 48 of a-z A-Z 0-9 . _ -, the first a letter or a digit; or bring your own with corelane_cluster_chain"
        return [Fault("inventory_hostname", "%s cannot be the name in a certificate" % name, remedy)] if is_wrong else []
    found, cluster = [], values["corelane_topology"]["cluster"]
    for group, role in files.ROLES:
        if group in groups:
            last = str(values["corelane_node_id"]) if role == "node" else ""
            found += _of_files(values, OWN, "spiffe://%s/%s/%s" % (cluster, role, last), role == "edge", check)
    if files.is_reached_by_others(str(values["corelane_admin_address"]) + ":0"):
        found += _of_operator(values)
    return list(dict.fromkeys(found))


def _of_operator(values):
    return [
        Fault(key, "not set, and the admin listener takes operators with certificates only", "name the file of the controller's own")
        for key in (OPERATOR["chain"], OPERATOR["key"]) if not values.get(key)
    ]  # fmt: skip


def _of_files(values, keys, identity, is_beginning, check):
    missing = [key for key in keys.values() if not values.get(key)]
    if missing:
        return [Fault(key, "not set, and %s is" % keys["chain"], "chain, key and authorities go together: name all three") for key in missing]
    try:
        certificate = check(values[keys["chain"]], values[keys["key"]], values[keys["ca"]])
    except ChainError as error:
        return [Fault(keys[error.what], str(error), "correct the file on the controller, or name another one")]
    found = []
    uris = [one for kind, one in names(certificate) if kind == "URI"]
    if not any(uri.startswith(identity) if is_beginning else uri == identity for uri in uris):
        problem = "%s is of %s, not of %s" % (values[keys["chain"]], ", ".join(uris) or "nobody in a cluster", identity)
        found.append(Fault(keys["chain"], problem, "docs/tls.md says what a certificate of the cluster has"))
    if share_left(certificate) < SHARE_MIN:
        found.append(Fault(keys["chain"], "%s ends on %s" % (values[keys["chain"]], certificate["notAfter"]), "renew it first"))
    return found


def _of_https(values, check):
    own = values.get("corelane_https_certificates") or {}
    found = []
    if not own and not values.get("corelane_topology", {}).get("cluster"):
        found.append(Fault("corelane_https_certificates", "not set, and without a topology there is no authority", "name chain and key of a certificate"))
    for name, one in own.items():
        key = "corelane_https_certificates." + name
        if not isinstance(one, dict) or not one.get("chain") or not one.get("key"):
            found.append(Fault(key, "has no chain or no key", "name both files on the controller"))
            continue
        try:
            check(one["chain"], one["key"])
        except ChainError as error:
            found.append(Fault("%s.%s" % (key, error.what), str(error), "correct the file on the controller, or name another one"))
    tickets = values.get("corelane_https_ticket_keys")
    if tickets and not os.path.isfile(os.path.expanduser(tickets)):
        found.append(Fault("corelane_https_ticket_keys", "%s: no such file" % tickets, "corectl pki ticket-keys --file makes one; or leave it out"))
    return found
