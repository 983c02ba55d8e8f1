"""Certificates in PEM: which one a file has.

Not: whether it is good.

Invariants: pure functions.
"""

from __future__ import annotations

import hashlib
import re
import ssl

FIRST = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def fingerprint(text):
    """The SHA-256 of the first certificate of a file, in hexadecimal digits; None where there is none."""
    match = FIRST.search(text)
    return fingerprint_of(ssl.PEM_cert_to_DER_cert(match.group(0))) if match else None


def fingerprint_of(der):
    return hashlib.sha256(der).hexdigest()
