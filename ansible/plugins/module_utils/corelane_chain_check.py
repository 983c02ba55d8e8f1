"""A certificate and its key as a peer would see them: an in-memory handshake of this process with itself.

Not: asking hosts, and not what the service itself checks (`--check` on the host).

Invariants: no connection is made, and no message has anything of a key.

Source: Python's `ssl`, "Memory BIO Support".
"""

from __future__ import annotations

import os
import ssl
import time

# Longer than any handshake of two ends in one process.
TURNS_MAX = 16


class ChainError(Exception):
    """What is wrong with files: which of them (`chain`, `key` or `ca`), and what."""

    def __init__(self, what, problem):
        super().__init__(problem)
        self.what = what


def checked(chain, key, ca=None):
    """The certificate of `chain` as `ssl.SSLSocket.getpeercert` describes it. With `ca` it has to lead to one of its authorities.

    Raises ChainError. Without `ca` nothing is known of it but that the key is its own, and the description is None.
    """
    for what, path in (("chain", chain), ("key", key), ("ca", ca)):
        if path is not None and not os.path.isfile(os.path.expanduser(path)):
            raise ChainError(what, "%s: no such file" % os.path.expanduser(path))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        server.load_cert_chain(os.path.expanduser(chain), os.path.expanduser(key), password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        is_other = "KEY_VALUES_MISMATCH" in str(error)
        raise ChainError("key", "%s: %s" % (key, "not the key of %s" % chain if is_other else "cannot be used: %s" % error)) from error
    return None if ca is None else _shown(server, chain, ca)


def _no_password():
    raise ValueError("it is encrypted, and a service cannot ask for a password")


def _shown(server_context, chain, ca):
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    try:
        client_context.load_verify_locations(os.path.expanduser(ca))
    except (ssl.SSLError, OSError) as error:
        raise ChainError("ca", "%s: cannot be used: %s" % (ca, error)) from error
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, server = client_context.wrap_bio(to_client, to_server), server_context.wrap_bio(to_server, to_client, server_side=True)
    done = set()
    for _turn in range(TURNS_MAX):
        for end in (client, server):
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError as error:
                raise ChainError("chain", "%s: %s" % (chain, error.verify_message)) from error
            except ssl.SSLError as error:
                raise ChainError("chain", "%s: %s" % (chain, error)) from error
        if len(done) == 2:
            return client.getpeercert()
    raise ChainError("chain", "%s: no handshake with it ends" % chain)


def names(certificate):
    """(kind, name) of a description: `DNS`, `IP Address`, `URI`."""
    return list(certificate.get("subjectAltName", ()))


def share_left(certificate, now=None):
    """Which share of its lifetime a certificate has before it."""
    begin, end = (ssl.cert_time_to_seconds(certificate[key]) for key in ("notBefore", "notAfter"))
    return (end - (time.time() if now is None else now)) / max(end - begin, 1)
