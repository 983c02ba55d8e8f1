"""Certificates for tests, made anew each time."""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Authority:
    """An authority whose certificates lie in `folder`."""

    def __init__(self, folder, name="ca"):
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self.builder(self.name, self.key, 3650).add_extension(x509.BasicConstraints(True, None), True)
        self.path = os.path.join(folder, name + ".pem")
        self.write(self.path, certificate.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def builder(self, subject, key, days):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=400))
        return builder.not_valid_after(now + datetime.timedelta(days=days))

    def issue(self, name, uri=None, ip=None, days=90.0, is_server=True):
        """Paths of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.UniformResourceIdentifier(uri)] if uri else []
        names += [x509.IPAddress(ipaddress.ip_address(ip))] if ip else []
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH] + ([ExtendedKeyUsageOID.SERVER_AUTH] if is_server else [])
        builder = self.builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, days)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False) if names else builder
        chain, own = os.path.join(self.folder, name + ".pem"), os.path.join(self.folder, name + ".key")
        self.write(chain, builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        self.write(own, key.private_bytes(serialization.Encoding.PEM, *form))
        return chain, own

    @staticmethod
    def write(path, content):
        with open(path, "wb") as file:
            file.write(content)
