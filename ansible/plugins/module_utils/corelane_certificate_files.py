"""Which certificates a fleet needs, where they lie on the controller and on hosts, and what settings name.

```
 controller                                      host
 PKI_DIR/CLUSTER/{ca,crl}.pem                ──▶ /etc/corelane/pki/{ca,crl}.pem
 PKI_DIR/CLUSTER/edge-HOST.{pem,key}         ──▶ /etc/corelane/pki/edge.{pem,key}          an edge; a node likewise: node-ID
 PKI_DIR/CLUSTER/server-HOST.{pem,key}       ──▶ /etc/corelane/tls/default.{pem,key}       clients of an edge
 PKI_DIR/CLUSTER/ticket.keys                 ──▶ /etc/corelane/tls/ticket.keys
```

Who has a PKI names files instead, with `corelane_cluster_*` and `corelane_https_certificates`.

Not: making, reading or writing any of them.

Invariants: pure functions. A private key goes to the host that it is of, and to no other; that of an authority goes to none.
"""

from __future__ import annotations

import ipaddress
import os
import re

CLUSTER_FOLDER, HTTPS_FOLDER = "/etc/corelane/pki", "/etc/corelane/tls"
CONTROLLER, SCRAPER = "ansible", "prometheus"
"""Names of operators: who runs playbooks, and who reads metrics."""

SCRAPER_FOLDER = "/etc/prometheus/corelane"
TICKET_KEYS = "ticket.keys"
ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,47}")
"""What an identity may be called."""

ROLES = (("edges", "edge"), ("nodes", "node"))


def uses_certificates(values):
    """Whether edges and nodes show each other certificates; without a topology there is nobody to show them to."""
    return bool((values.get("corelane_topology") or {}).get("cluster")) and values.get("corelane_cluster_plaintext", "loopback") != "allow"


def is_own(values):
    """Whether the certificates of a host come from an authority of the operator's."""
    return bool(values.get("corelane_cluster_chain"))


def is_reached_by_others(address):
    """Whether an address that a process listens on is more than its host's own."""
    if address.startswith("unix:"):
        return False
    host = address.rpartition(":")[0].strip("[]")
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def cluster_settings(values, role):
    """The keys of `[cluster]`."""
    if not uses_certificates(values):
        plaintext = values.get("corelane_cluster_plaintext", "loopback")
        return {} if plaintext == "loopback" else {"plaintext": plaintext}
    found = {"chain": "%s/%s.pem" % (CLUSTER_FOLDER, role), "key": "%s/%s.key" % (CLUSTER_FOLDER, role), "ca": CLUSTER_FOLDER + "/ca.pem"}
    if not is_own(values) or values.get("corelane_cluster_crl"):
        found["crl"] = CLUSTER_FOLDER + "/crl.pem"
    return found


def https_settings(values):
    """The tables of an edge that clients reach over TLS."""
    if not values.get("corelane_https_port"):
        return {}
    shown = {}
    for name, files in (values.get("corelane_https_certificates") or {"default": {}}).items():
        shown[name] = {"chain": "%s/%s.pem" % (HTTPS_FOLDER, name), "key": "%s/%s.key" % (HTTPS_FOLDER, name)}
        if isinstance(files, dict) and files.get("ocsp"):
            shown[name]["ocsp"] = "%s/%s.ocsp" % (HTTPS_FOLDER, name)
    own = values["corelane_edge_settings"].get("tls")
    # Early data take the place of tickets.
    takes_tickets = not (isinstance(own, dict) and own.get("early_data"))
    return {"certificate": shown, "tls": {"ticket_keys": "%s/%s" % (HTTPS_FOLDER, TICKET_KEYS)} if takes_tickets else {}}


def pki_folder(values):
    """The folder of a cluster's authority on the controller."""
    return os.path.join(os.path.expanduser(values["corelane_pki_dir"]), values["corelane_topology"]["cluster"])


def operator(values, name=CONTROLLER):
    """The files with which an operator asks admin listeners: `ca`, `chain`, `key`; empty where they take anybody."""
    if not uses_certificates(values):
        return {}
    if is_own(values):
        keys = {"ca": "corelane_cluster_ca", "chain": "corelane_operator_chain", "key": "corelane_operator_key"}
        return {one: os.path.expanduser(values[key]) for one, key in keys.items() if values.get(key)}
    stem = os.path.join(pki_folder(values), "operator-" + name)
    return {"ca": os.path.join(pki_folder(values), "ca.pem"), "chain": stem + ".pem", "key": stem + ".key"}


def host_files(values, groups, name):
    """What a host gets: `src` on the controller, `dest`, and whether others than the service may read it."""
    found = []
    if uses_certificates(values):
        for group, role in ROLES:
            found += _of_role(values, role, name) if group in groups else []
        found += _of_all(values) if found else []
    if "edges" in groups and values.get("corelane_https_port"):
        found += _https(values, name)
    return found


def scraper_files(values):
    """What the host of Prometheus gets."""
    files = operator(values, SCRAPER)
    names = (("ca", "ca.pem"), ("chain", "operator.pem"), ("key", "operator.key"))
    return [_file(files[key], "%s/%s" % (SCRAPER_FOLDER, name)) for key, name in names if files.get(key)]


def _file(src, dest):
    return {"src": os.path.expanduser(src), "dest": dest, "secret": dest.endswith((".key", ".keys"))}


def _of_role(values, role, name):
    if is_own(values):
        chain, key = values["corelane_cluster_chain"], values.get("corelane_cluster_key") or ""
    else:
        stem = os.path.join(pki_folder(values), "%s-%s" % (role, identity(values, role, name)))
        chain, key = stem + ".pem", stem + ".key"
    return [_file(chain, "%s/%s.pem" % (CLUSTER_FOLDER, role)), _file(key, "%s/%s.key" % (CLUSTER_FOLDER, role))]


def _of_all(values):
    if not is_own(values):
        return [_file(os.path.join(pki_folder(values), one), "%s/%s" % (CLUSTER_FOLDER, one)) for one in ("ca.pem", "crl.pem")]
    pairs = (("corelane_cluster_ca", "ca.pem"), ("corelane_cluster_crl", "crl.pem"))
    return [_file(values[key], "%s/%s" % (CLUSTER_FOLDER, one)) for key, one in pairs if values.get(key)]


def _https(values, name):
    found = []
    for shown, files in (values.get("corelane_https_certificates") or {}).items():
        pairs = (("chain", "pem"), ("key", "key"), ("ocsp", "ocsp"))
        found += [_file(files[key], "%s/%s.%s" % (HTTPS_FOLDER, shown, end)) for key, end in pairs if files.get(key)]
    if not found:
        stem = os.path.join(pki_folder(values), "server-" + name)
        found = [_file(stem + ".pem", HTTPS_FOLDER + "/default.pem"), _file(stem + ".key", HTTPS_FOLDER + "/default.key")]
    return found + [_file(ticket_keys(values), "%s/%s" % (HTTPS_FOLDER, TICKET_KEYS))]


def listeners(name, groups, values, settings_by_role, address_seen):
    """Where a host shows certificates to others: `host`, `address`, `file` on the controller, `is_admin`. `address_seen` is what the admin
    listener and others of these settings are reached by, as a function of settings and key."""
    sources = {one["dest"]: one["src"] for one in host_files(values, groups, name)}
    found = []
    for group, role in ROLES:
        if group not in groups:
            continue
        settings = settings_by_role[role](values)
        admin = address_seen(settings, "admin") if settings.get("admin_tls") else None
        if admin:
            found.append({"host": name, "address": admin, "file": sources[settings["cluster"]["chain"]], "is_admin": True})
        public = address_seen(settings, "listen_tls")
        default = (settings.get("certificate") or {}).get("default")
        if public and default and default["chain"] in sources:
            found.append({"host": name, "address": public, "file": sources[default["chain"]], "is_admin": False})
    return found


def ticket_keys(values):
    """The file of the keys of tickets on the controller."""
    return values.get("corelane_https_ticket_keys") or os.path.join(pki_folder(values), TICKET_KEYS)


def identity(values, role, name):
    """What an edge or a node is called in its certificate."""
    return str(values["corelane_node_id"]) if role == "node" else name


def wanted(members, operators):
    """The certificates that the cluster's authority issues: `role`, `id`, `names`, `ips`. `members` are (name, groups, values, address)."""
    found = []
    for name, groups, values, address in members:
        if uses_certificates(values) and not is_own(values):
            found += [_wanted(role, identity(values, role, name), [address]) for group, role in ROLES if group in groups]
        if "edges" in groups and values.get("corelane_https_port") and not values.get("corelane_https_certificates"):
            found.append(_wanted("server", name, list(values.get("corelane_https_names") or []) + [address]))
    if any(one["role"] in ("edge", "node") for one in found):
        found += [_wanted("operator", name, []) for name in [CONTROLLER, SCRAPER] + list(operators)]
    return found


def _wanted(role, own, names):
    addresses = [name for name in names if _is_address(name)]
    return {"role": role, "id": own, "names": [name for name in names if name not in addresses], "ips": addresses}


def _is_address(text):
    try:
        ipaddress.ip_address(text)
        return True
    except ValueError:
        return False


def shared_ticket_keys(members):
    """Whether the controller makes the keys of tickets."""
    return any(
        "edges" in groups and values.get("corelane_https_port") and not values.get("corelane_https_ticket_keys")
        for _name, groups, values, _address in members
    )
