"""Addresses: `IP:PORT`, `[IP]:PORT`, `HOST:PORT`, `unix:/path`.

Invariants: pure functions. IPv6 addresses have their brackets before a port, and nowhere else.
"""

from __future__ import annotations

import ipaddress

# Where a listener on all addresses is asked from its own host.
_OWN = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


def with_port(host, port):
    """`HOST:PORT` of a name or an IP address."""
    return "[%s]:%s" % (host, port) if ":" in host else "%s:%s" % (host, port)


def local(listen):
    """Where a listener is asked from its own host: one on all addresses is asked at the loopback one."""
    host, _colon, port = listen.rpartition(":")
    return "%s:%s" % (_OWN.get(host, host), port)


def admin_from_outside(settings, host):
    """As `from_outside`, of the admin listener that settings name: after `tls:` where it takes operators with certificates only."""
    found = from_outside(settings.get("admin"), host)
    return "tls:" + found if found and settings.get("admin_tls") else found


def from_outside(listen, host):
    """Where a listener is asked from another host, or None. `host` is its own host, as seen from there."""
    if not listen or listen.startswith("unix:"):
        return None
    ip, _colon, port = listen.rpartition(":")
    ip = ipaddress.ip_address(ip.strip("[]"))
    if ip.is_unspecified:
        return with_port(host, port)
    return None if ip.is_loopback and not host.startswith("127.") else listen
