# SPDX-License-Identifier: MIT
"""A certificate authority for the tests, and the certificates that it issues."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tidings.delivery.dial import tls_context

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """Issues certificates as RFC 5280 requires them or, on request, as legacy authorities did."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def made(cls, folder: Path) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        name = name_of("authority")
        certificate = (
            unsigned(name, name, key, NOW + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(signing_only(), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        (folder / "authority.pem").write_bytes(pem_of(certificate))
        return cls(folder, key, certificate)

    @property
    def path(self) -> Path:
        """Return the file of the certificate that clients trust."""
        return self.folder / "authority.pem"

    def receiver_context(
        self, *names: str, expires: datetime = NOW + DAY, signed: bool = True, old: bool = False
    ) -> ssl.SSLContext:
        """Return the server context of a receiver with these names; `unsigned` makes the certificate self-signed."""
        key = ec.generate_private_key(ec.SECP256R1())
        signer = self.key if signed else key
        issuer = self.certificate.subject if signed else name_of("itself")
        subject = name_of("receiver") if signed else issuer
        builder = unsigned(subject, issuer, key, expires).add_extension(
            x509.SubjectAlternativeName([alternative(name) for name in names]), critical=False
        )
        if not old:
            builder = (
                builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            )
        certificate = builder.sign(signer, hashes.SHA256())
        path = self.folder / f"{certificate.serial_number}.pem"
        path.write_bytes(pem_of(certificate) + private_pem_of(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return the product's own client context, which also trusts this authority."""
        context = tls_context(verify=True)
        context.load_verify_locations(self.path)
        return context


def signing_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def name_of(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, expires: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 10 * DAY)
        .not_valid_after(expires)
    )


def pem_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def private_pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
