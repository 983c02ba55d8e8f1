"""Signatures: two that minisign made, and what is not one. The keys were made for this test and sign nothing else."""

import unittest

from tests import paths  # noqa: F401
from ansible.module_utils import corelane_minisign as minisign

CONTENT = b"hello\n"
KEY = "untrusted comment: minisign public key 9B4E16A6CD077A51\nRWRRegfNphZOmxkSJHaz6NUoSH3sZVwP1LocAxzHl4vQdUDCZWwARvMy\n"
OTHER_KEY = "untrusted comment: other\nRWS61UaP0u2xNAb1yXgicMiW+EtBQ1s591kd/UXi7839Svoaom5AR1zz\n"
PREHASHED = """untrusted comment: untrusted
RURRegfNphZOm/uAkpABol65wTA1AK6ZPMgHidVr4C6fyfohgufYigeaGJLcIJuguvyW115IOW1Nh0HPIvIe1gv4H++5EP9YZwY=
trusted comment: trusted words
iqBcngNpasFrN6lDv0y9WDMLjb7aSz4Kd097lzLc+tVhKYSSfzNc4CtK95Hbf3AYKxA5SiUWvCp0xaMKJMlZAg==
"""
PLAIN = """untrusted comment: signature from minisign secret key
RWRRegfNphZOmwlAlX0oq0U0USGHGsSpe7AlV++kWXeqEdxIcgnupHoGbik7rdTr0BsmeE55sftO9BrqBQ9Q4k8ATtk5xwBG6wM=
trusted comment: legacy
svp+Um6HN8UHfzhr8J5fYTouz6EQPWm534flsBVpcu0VLjYdB23IhZEn0cn82397arx3CwQBhoDwGsBSFvAiCw==
"""


class Signatures(unittest.TestCase):
    def refused(self, content, signature, key):
        with self.assertRaises(minisign.SignatureError) as caught:
            minisign.verify(content, signature, key)
        return str(caught.exception)

    def test_those_of_minisign_are_right(self):
        self.assertEqual(minisign.verify(CONTENT, PREHASHED, KEY), "trusted words")
        self.assertEqual(minisign.verify(CONTENT, PLAIN, KEY), "legacy")

    def test_what_was_changed_is_refused(self):
        self.assertEqual(self.refused(b"hello", PREHASHED, KEY), "the signature is not one of this content")
        self.assertEqual(self.refused(b"hello", PLAIN, KEY), "the signature is not one of this content")
        self.assertEqual(self.refused(CONTENT, PREHASHED.replace("trusted words", "other words"), KEY), "the trusted comment was changed")

    def test_another_key_is_named(self):
        self.assertEqual(self.refused(CONTENT, PREHASHED, OTHER_KEY), "signed with key 9B4E16A6CD077A51, trusted is 34B1EDD28F46D5BA")

    def test_what_is_no_signature_is_refused(self):
        for text in ("", "a\nb\nc\nd\n", PREHASHED.replace("RURR", "RURX"), PREHASHED.replace("RURRegfN", "AAAAegfN")):
            self.refused(CONTENT, text, KEY)
        self.assertEqual(self.refused(CONTENT, PREHASHED, "no key"), "not a public key of minisign")

    def test_a_scalar_beyond_the_order_is_refused(self):
        _id, key = minisign.parse_key(KEY)
        _algorithm, _signer, signature, _comment, _whole = minisign.parse_signature(PLAIN)
        self.assertTrue(minisign.is_signed(key, CONTENT, signature))
        # The order of the group added to the scalar gives the same point: without the check one signature has two forms.
        larger = int.from_bytes(signature[32:], "little") + minisign.ORDER
        self.assertFalse(minisign.is_signed(key, CONTENT, signature[:32] + larger.to_bytes(32, "little")))
