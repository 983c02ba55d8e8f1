#!/usr/bin/python3
"""Documentation of an action: it runs on the controller alone."""

from __future__ import annotations

DOCUMENTATION = """
module: corelane_pki
short_description: The authority of a cluster and the certificates that it issues, on the controller
description:
  - Runs once, with C(corectl pki) of the release. Makes what is missing, renews what is due, or does one step of a rotation.
  - What is done already is not done again, so that a run that was cut off is continued by the next.
  - Says names, never keys. Refuses a folder that others can read, or that lies in a repository.
author: Corelane
options:
  state:
    description: Which of these. The steps of a rotation are begin, switch, finish and end.
    type: str
    choices: [present, begin, switch, finish, end, ticket_keys_rotated]
    default: present
  folder:
    description: The folder of the authority.
    type: path
    required: true
  cluster:
    description: The name of the cluster.
    type: str
    required: true
  archive:
    description: The release, a path on the controller.
    type: path
    required: true
  public_key:
    description: The public key of releases.
    type: path
    required: true
  certificates:
    description: The certificates that there are to be; role, id, names and ips of each.
    type: list
    elements: dict
    required: true
  ticket_keys:
    description: Whether there are to be keys of tickets.
    type: bool
    default: false
  renew:
    description: Whether all certificates are renewed, or those that are due.
    type: str
    choices: [due, all]
    default: due
"""

EXAMPLES = """
- name: Make and renew certificates
  corelane_pki:
    folder: ~/.local/share/corelane/pki/blue
    cluster: blue
    archive: "{{ corelane_release }}"
    public_key: "{{ corelane_release_public_key }}"
    certificates: [{ role: edge, id: edge-1, names: [], ips: [192.0.2.11] }]
  run_once: true
"""

RETURN = """
said:
  description: What was done, or would be.
  returned: always
  type: list
"""
