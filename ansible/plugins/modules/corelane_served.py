#!/usr/bin/python3
"""Ansible module, for the controller: sees from outside which certificates hosts show, and whom they take."""

from __future__ import annotations

DOCUMENTATION = """
module: corelane_served
short_description: Sees from outside which certificates hosts show
description:
  - Connects to each listener, compares the certificate that it shows with the file on the controller, and asks admin listeners as the operator.
  - Waits until all are right, and fails with all that are not. Changes nothing.
author: Corelane
options:
  listeners:
    description: The listeners; host, address, file of the certificate, and whether it is an admin listener.
    type: list
    elements: dict
    required: true
  identity:
    description: The operator's files; ca, chain, key.
    type: dict
    default: {}
  seconds:
    description: How long it may take until all are right.
    type: int
    default: 15
"""

EXAMPLES = """
- name: See what is shown
  corelane_served:
    listeners: [{ host: edge-1, address: "192.0.2.11:443", file: ~/pki/blue/server-edge-1.pem, is_admin: false }]
  delegate_to: localhost
"""

RETURN = """
seen:
  description: How many listeners were asked.
  returned: success
  type: int
"""

import os
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.corelane_files import read
from ansible.module_utils.corelane_http import TLS, HttpError, identify, request
from ansible.module_utils.corelane_pem import fingerprint, fingerprint_of

CONNECT_SECONDS = 5.0
LOOK_SECONDS = 0.2
THREADS = 32


def shown(address):
    """The fingerprint of the certificate that a listener shows, which it does before it asks for another."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, _colon, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS) as stream:
        with context.wrap_socket(stream) as secured:
            return fingerprint_of(secured.getpeercert(binary_form=True))


def fault(listener):
    """What is wrong with a listener, or None."""
    try:
        if shown(listener["address"]) != fingerprint(read(os.path.expanduser(listener["file"]))):
            return "%s: %s shows another certificate than %s" % (listener["host"], listener["address"], listener["file"])
        if listener["is_admin"]:
            request("GET", TLS + listener["address"], "/healthz")
    except (OSError, HttpError, ValueError) as error:
        return "%s: %s: %s" % (listener["host"], listener["address"], error)
    return None


def faults(listeners, seconds):
    """What is wrong with each of them, once all is right or after `seconds`."""
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(THREADS) as threads:
        while True:
            found = [one for one in threads.map(fault, listeners) if one]
            if not found or time.monotonic() >= until:
                return found
            time.sleep(LOOK_SECONDS)


def main():
    module = AnsibleModule(
        argument_spec={
            "listeners": {"type": "list", "elements": "dict", "required": True},
            "identity": {"type": "dict", "default": {}},
            "seconds": {"type": "int", "default": 15},
        },
        supports_check_mode=True,
    )
    identify(module.params["identity"])
    found = faults(module.params["listeners"], module.params["seconds"])
    if found:
        module.fail_json(msg="\n".join(found))
    module.exit_json(changed=False, seen=len(module.params["listeners"]))


if __name__ == "__main__":
    main()
