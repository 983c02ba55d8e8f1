"""TOML as the binaries read it, written from what an inventory says.

Not: reading TOML; comments. Invariants: the same value gives the same text.
"""

from __future__ import annotations

import json
import re

BARE = re.compile(r"[A-Za-z0-9_-]+")


def document(values, header=""):
    """A document of a dictionary: plain keys first, then tables, then arrays of tables."""
    return header + "".join(line + "\n" for line in lines_of(values, []))


def lines_of(values, path):
    plain = [key for key in values if not isinstance(values[key], dict) and not is_tables(values[key])]
    lines = ["%s = %s" % (key_text(key), value_text(values[key])) for key in plain]
    for key, value in values.items():
        name = ".".join(key_text(part) for part in path + [key])
        if isinstance(value, dict):
            lines += ["", "[%s]" % name] + lines_of(value, path + [key])
        elif is_tables(value):
            for one in value:
                lines += ["", "[[%s]]" % name] + lines_of(one, path + [key])
    return lines


def is_tables(value):
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(one, dict) for one in value)


def key_text(key):
    key = str(key)
    return key if BARE.fullmatch(key) else json.dumps(key)


def value_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[%s]" % ", ".join(value_text(one) for one in value)
    if isinstance(value, str):
        # JSON leaves DEL as it is, TOML does not allow it.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    raise ValueError("%r has no form in TOML" % (value,))
