"""The pure functions of module_utils as filters, for plays."""

from __future__ import annotations

import os

import ansible.module_utils as package
from ansible.errors import AnsibleError

# Ansible sends module_utils along with modules, and does not put them on the controller's own path.
OWN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "module_utils")
if OWN not in package.__path__:
    package.__path__.append(OWN)

from ansible.module_utils import corelane_certificate_files as certificates  # noqa: E402
from ansible.module_utils import corelane_address, corelane_declared, corelane_load, corelane_rollout_members  # noqa: E402
from ansible.module_utils import corelane_settings, corelane_slots, corelane_targets, corelane_topology, corelane_variables  # noqa: E402


def members(groups, hostvars):
    """What corelane_rollout_members says of each host of the groups, by host."""
    options, found = corelane_declared.declared(), {}
    for group, hosts in groups.items():
        for host in hosts:
            variables = variables_of(hostvars[host])
            found[host] = corelane_rollout_members.member(host, group, variables, corelane_variables.with_defaults(variables, options))
    return found


def wanted_certificates(groups, hostvars, operators):
    """What the module corelane_pki is given of a whole fleet: `certificates` and `ticket_keys`."""
    options, found = corelane_declared.declared(), []
    for name in sorted(set(groups.get("edges", []) + groups.get("nodes", []))):
        values = corelane_variables.with_defaults(variables_of(hostvars[name]), options)
        own = [group for group in ("edges", "nodes") if name in groups.get(group, [])]
        found.append((name, own, values, corelane_targets.address_of(name, hostvars[name])))
    wanted = certificates.wanted(found, operators)
    return {"certificates": wanted, "ticket_keys": certificates.shared_ticket_keys(found)}


def listeners(hosts, hostvars):
    """What corelane_served is to look at, of these hosts."""
    options, found = corelane_declared.declared(), []
    roles = {"edge": corelane_settings.edge_settings, "node": corelane_settings.node_settings}
    for name in hosts:
        own = variables_of(hostvars[name])
        values, address = corelane_variables.with_defaults(own, options), corelane_targets.address_of(name, own)

        def seen(settings, key, address=address):
            listen = settings.get(key)
            return corelane_address.from_outside(listen[0] if isinstance(listen, list) else listen, address)

        found += certificates.listeners(name, hostvars[name]["group_names"], values, roles, seen)
    return found


def scraper(groups, hostvars):
    """The files with which Prometheus asks admin listeners, as corelane_certificates is given them; none where they take anybody."""
    for name in groups.get("corelane", []):
        values = corelane_variables.with_defaults(variables_of(hostvars[name]), corelane_declared.declared())
        if certificates.uses_certificates(values) and certificates.is_reached_by_others(str(values["corelane_admin_address"]) + ":0"):
            return certificates.scraper_files(values)
    return []


def variables_of(host):
    """Its variables, but for those that cannot be had."""
    found = {}
    for key in host:
        if key.startswith("corelane_") or key == "ansible_host":
            try:
                found[key] = host[key]
            except AnsibleError:
                continue
    return found


class FilterModule:
    """Filters by name."""

    def filters(self):
        return {
            "corelane_edge_file": corelane_settings.edge_file,
            "corelane_edge_admin": lambda values: corelane_settings.own_admin(corelane_settings.edge_settings(values)),
            "corelane_node_file": corelane_settings.node_file,
            "corelane_node_admin": lambda values: corelane_settings.own_admin(corelane_settings.node_settings(values)),
            "corelane_topology_file": corelane_topology.file_text,
            "corelane_tune_file": corelane_settings.tune_file,
            "corelane_targets": corelane_targets.targets,
            "corelane_endpoints": corelane_targets.endpoints,
            "corelane_url_at": corelane_load.url_at,
            "corelane_items": corelane_slots.items_by_node,
            "corelane_rollout_members": members,
            "corelane_wanted_certificates": wanted_certificates,
            "corelane_pki_folder": certificates.pki_folder,
            "corelane_certificate_files": certificates.host_files,
            "corelane_tls_listeners": listeners,
            "corelane_scraper": scraper,
            "corelane_scraped_over_tls": corelane_targets.over_tls,
            "corelane_operator": certificates.operator,
        }
