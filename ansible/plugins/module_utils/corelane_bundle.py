"""A release on the controller: the archive, and the manifest and signature that lie beside it.

Not: installing. Invariants: nothing of an archive is read before its manifest's signature and its own sum were right.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess

from ansible.module_utils.corelane_minisign import SignatureError, verify

SUFFIX = ".tar.zst"
UNPACK_SECONDS = 60
REFUSED = 2
"""Exit status of a program that refuses its settings."""


class BundleError(Exception):
    """What is wrong with a release, with the file's name."""


class Bundle:
    """A release whose signature was right."""

    def __init__(self, archive, public_key):
        self.archive = os.path.expanduser(archive)
        if not self.archive.endswith(SUFFIX):
            raise BundleError("%s: not an archive; its name ends with %s" % (self.archive, SUFFIX))
        self.stem = self.archive[: -len(SUFFIX)]
        self.key = content(os.path.expanduser(public_key)).decode(errors="replace")
        self.manifest = content(self.stem + ".json").decode(errors="replace")
        self.signature = content(self.stem + ".json.minisig").decode(errors="replace")
        try:
            verify(self.manifest.encode(), self.signature, self.key)
        except SignatureError as error:
            raise BundleError("%s.json: %s" % (self.stem, error))
        self.facts = json.loads(self.manifest)
        self.digest = hashlib.sha256(self.manifest.encode()).hexdigest()

    def check_archive(self):
        if self.facts["archive"]["file"] != os.path.basename(self.archive):
            raise BundleError("%s: the manifest is of %s" % (self.archive, self.facts["archive"]["file"]))
        if sum_of(self.archive) != self.facts["archive"]["sha256"]:
            raise BundleError("%s: not the archive of its manifest" % self.archive)

    def extract(self, path, target):
        """Puts one file of the archive into `target`. Raises BundleError."""
        self.check_archive()
        member = "%s/%s" % (os.path.basename(self.stem), path)
        unpack = subprocess.run(
            ["tar", "--extract", "--zstd", "--to-stdout", "--file", self.archive, member],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=UNPACK_SECONDS, check=False,
        )  # fmt: skip
        if unpack.returncode:
            raise BundleError("%s: %s cannot be unpacked: %s" % (self.archive, path, unpack.stderr.decode(errors="replace").strip()))
        with open(target, "wb") as file:
            file.write(unpack.stdout)


def faults(archive, public_key):
    """What is wrong with a release: for each fault the variable, what it is, and what to do."""
    key, found = os.path.expanduser(public_key), []
    if not os.path.isfile(key):
        remedy = "copy the public half of the key that signs releases there, or name another file"
        found.append(("corelane_release_public_key", "%s: no such file" % key, remedy))
    if not os.path.isfile(os.path.expanduser(archive)):
        remedy = "cargo xtask release --key makes one; or name another archive"
        found.append(("corelane_release", "%s: no such file" % os.path.expanduser(archive), remedy))
    if shutil.which("zstd") is None:
        found.append(("corelane_release", "the controller has no zstd, which unpacks releases", "apt-get install zstd"))
    if found:
        return found
    try:
        Bundle(archive, public_key).check_archive()
    except (BundleError, ValueError, KeyError) as error:
        remedy = "take archive, manifest and signature from the maker again; corelane_release_public_key names the maker's key"
        return [("corelane_release", str(error), remedy)]
    return []


class SettingsReader:
    """Reads settings with the programs of a release, on the controller: hosts that have none yet are served as well.

    Not: whether a host has what the settings need; that is --check, on the host.
    """

    def __init__(self, archive, public_key, folder):
        self.bundle = Bundle(archive, public_key)
        self.folder = folder
        self.known = {}

    def refusals(self, service, text):
        """The lines of the program about settings that it refuses; None where it cannot run here."""
        if (service, text) not in self.known:
            self.known[service, text] = self.asked(service, text)
        return self.known[service, text]

    def asked(self, service, text):
        program, settings = os.path.join(self.folder, service), os.path.join(self.folder, service + ".toml")
        if not os.path.exists(program):
            self.bundle.extract("bin/" + service, program)
            os.chmod(program, 0o700)
        with open(settings, "w", encoding="utf-8") as file:
            file.write(text)
        env = {key: value for key, value in os.environ.items() if not key.startswith("CORELANE_")}
        try:
            read = subprocess.run(
                [program, "--print-config", "--config", settings],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=UNPACK_SECONDS, env=env, check=False,
            )  # fmt: skip
        except OSError:
            return None
        said = read.stderr.decode(errors="replace").strip()
        if read.returncode not in (0, REFUSED):
            return None
        return re.sub(r"^(?:%s: )?%s(?::\d+)?: " % (service, re.escape(settings)), "", said, flags=re.MULTILINE).splitlines()


def content(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise BundleError("%s: %s" % (path, error.strerror))


def sum_of(path):
    total = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                total.update(block)
    except OSError as error:
        raise BundleError("%s: %s" % (path, error.strerror))
    return total.hexdigest()
