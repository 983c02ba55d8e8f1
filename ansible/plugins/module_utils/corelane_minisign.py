"""Signatures of minisign, checked with the standard library alone: a fresh host has no program that could do it.

Not: making keys or signatures. Not constant in time: everything here is public.

Source: minisign's format (prehashed signatures: BLAKE2b-512); RFC 8032, 5.1 (Ed25519).
"""

from __future__ import annotations

import base64
import binascii
import hashlib

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)

KEY_BYTES = 42
SIGNATURE_BYTES = 74
PLAIN = b"Ed"
PREHASHED = b"ED"


class SignatureError(Exception):
    """Why a signature does not count."""


def verify(content, signature_text, key_text):
    """Whether `signature_text` (a .minisig file) is a signature of `content` (bytes) by the key in `key_text` (a .pub file).

    Returns the trusted comment. Raises SignatureError.
    """
    key_id, key = parse_key(key_text)
    algorithm, signer, signature, comment, whole = parse_signature(signature_text)
    if signer != key_id:
        raise SignatureError("signed with key %s, trusted is %s" % (shown(signer), shown(key_id)))
    signed = hashlib.blake2b(content).digest() if algorithm == PREHASHED else content
    if not is_signed(key, signed, signature):
        raise SignatureError("the signature is not one of this content")
    if not is_signed(key, signature + comment.encode(), whole):
        raise SignatureError("the trusted comment was changed")
    return comment


def parse_key(text):
    raw = decoded(text.strip().splitlines()[-1:], "a public key of minisign")
    if len(raw) != KEY_BYTES or raw[:2] != PLAIN:
        raise SignatureError("not a public key of minisign")
    return raw[2:10], raw[10:]


def parse_signature(text):
    lines = text.splitlines()
    if len(lines) < 4 or not lines[2].startswith("trusted comment: "):
        raise SignatureError("not a signature of minisign")
    raw = decoded(lines[1:2], "a signature of minisign")
    whole = decoded(lines[3:4], "a signature of minisign")
    if len(raw) != SIGNATURE_BYTES or raw[:2] not in (PLAIN, PREHASHED) or len(whole) != 64:
        raise SignatureError("not a signature of minisign")
    return raw[:2], raw[2:10], raw[10:], lines[2][len("trusted comment: "):], whole


def decoded(lines, what):
    try:
        return base64.b64decode("".join(lines), validate=True)
    except (binascii.Error, ValueError):
        raise SignatureError("not %s" % what)


def shown(key_id):
    """A key's id as minisign prints it."""
    return key_id[::-1].hex().upper()


def is_signed(key, message, signature):
    """Ed25519: whether S·B = R + H(R, A, M)·A."""
    own, commitment = point(key), point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if own is None or commitment is None or scalar >= ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    left, right = times(scalar, BASE), plus(commitment, times(challenge, own))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


def point(encoded):
    """A point in extended coordinates (X, Y, Z, T), or None where the bytes are none."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def plus(one, other):
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * D * one[3] * other[3] % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(scalar, base):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = plus(result, base)
        base = plus(base, base)
        scalar >>= 1
    return result


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
