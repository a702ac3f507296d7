"""A certificate authority of a test's own, and a certificate that it issued for 127.0.0.1: authority.pem and server.pem (with its key)."""

import datetime
import ipaddress
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

folder = pathlib.Path(sys.argv[1])
now = datetime.datetime.now(datetime.timezone.utc)
day = datetime.timedelta(days=1)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def builder(subject, key):
    made = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name("authority")).public_key(key.public_key())
    return made.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)


authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
root = builder("authority", authority).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
leaf = builder("server", server).add_extension(address, critical=False)

pem = serialization.Encoding.PEM
private = server.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
(folder / "authority.pem").write_bytes(root.sign(authority, hashes.SHA256()).public_bytes(pem))
(folder / "server.pem").write_bytes(leaf.sign(authority, hashes.SHA256()).public_bytes(pem) + private)
