"""What a Prometheus is to scrape, and a load generator to ask: addresses of an inventory's hosts, with labels.

Not: whether anybody listens there.

Invariants: pure functions. A target's `instance` is the host's name in the inventory, so that alerts and dashboards speak of hosts as
people do.

Source: Prometheus' documentation of file-based service discovery.
"""

from __future__ import annotations

from ansible.module_utils.corelane_address import with_port

TLS = """\
    scheme: https
    tls_config:
      ca_file: /etc/prometheus/corelane/ca.pem
      cert_file: /etc/prometheus/corelane/operator.pem
      key_file: /etc/prometheus/corelane/operator.key
"""
"""How Prometheus asks admin listeners that take operators with certificates only."""

LABELS = {"corelane_zone": "zone", "corelane_rack": "rack"}


def address_of(host, variables):
    """Where a host is reached: `ansible_host`, otherwise its name."""
    return str(variables.get("ansible_host", host))


def targets(hosts, hostvars, port_variable, port_default):
    """The entries of a file of targets, one a host, in the order of the inventory; hosts whose port is 0 have none."""
    found = []
    for host in hosts:
        variables = hostvars[host]
        port = int(variables.get(port_variable, port_default))
        if not port:
            continue
        labels = {"instance": host}
        cluster = (variables.get("corelane_topology") or {}).get("cluster")
        labels["cluster"] = str(cluster or "none")
        labels.update({label: str(variables[key]) for key, label in LABELS.items() if variables.get(key)})
        found.append({"targets": [with_port(address_of(host, variables), port)], "labels": labels})
    return found


def endpoints(hosts, hostvars, port_variable, port_default, address_variable="ansible_host"):
    """HOST:PORT of each host, in the order of the inventory; hosts may have another address in `address_variable`."""
    def address(host):
        return str(hostvars[host].get(address_variable) or address_of(host, hostvars[host]))

    return [with_port(address(host), hostvars[host].get(port_variable, port_default)) for host in hosts]


def over_tls(configuration, is_over_tls):
    """The scrape configuration of a fleet whose admin listeners take operators with certificates only."""
    jobs = ("  - job_name: corelane-edges\n", "  - job_name: corelane-nodes\n")
    for job in jobs if is_over_tls else ():
        configuration = configuration.replace(job, job + TLS)
    return configuration
