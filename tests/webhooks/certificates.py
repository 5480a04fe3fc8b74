"""Certificates for subscribers that speak https: an authority of the test's own, and what it signs or does not."""

import datetime
import ipaddress
import pathlib
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _subject(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class Authority:
    """ca_file is what to trust; tls() makes the server's side."""

    def __init__(self, folder: pathlib.Path, name: str = "authority"):
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.ca_file = folder / f"{name}.pem"
        self.certificate = self._sign(_name(name), self.key, [], is_ca=True)
        self.ca_file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        self.made = 0

    def _sign(self, subject: x509.Name, key, hosts, is_ca=False, from_days=-1, until_days=1, self_signed=False):
        now = datetime.datetime.now(datetime.timezone.utc)
        issuer, signer = (subject, key) if self_signed or is_ca else (_name(self.name), self.key)
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now + from_days * DAY).not_valid_after(now + until_days * DAY)
                   .add_extension(x509.BasicConstraints(is_ca, None), critical=True))
        if hosts:
            names = x509.SubjectAlternativeName([_subject(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(signer, hashes.SHA256())

    def tls(self, *hosts: str, expired=False, self_signed=False) -> ssl.SSLContext:
        """A server whose certificate is for hosts (names or addresses)."""
        key = ec.generate_private_key(ec.SECP256R1())
        days = (-3, -1) if expired else (-1, 1)
        certificate = self._sign(_name(hosts[0]), key, hosts, from_days=days[0], until_days=days[1],
                                 self_signed=self_signed)
        self.made += 1
        file = self.folder / f"{self.name}-{self.made}.pem"
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context
