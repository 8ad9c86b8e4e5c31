"""Certificates made when the tests run, and TLS contexts of both kinds that use them."""

from __future__ import annotations

import ssl
from functools import cache

import trustme


@cache
def authority() -> trustme.CA:
    """Return the authority that signs what the tests use; nobody's system knows it."""
    return trustme.CA()


def server_context(certificate: trustme.LeafCert | None = None, *, clients: trustme.CA | None = None) -> ssl.SSLContext:
    """Return a server's context, by default for localhost; `clients` signs the certificates that its clients must show."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (certificate or authority().issue_cert("localhost", "127.0.0.1", "::1")).configure_cert(context)
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(shown: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """Return a client's context that trusts the tests' authority, and shows a certificate if it is given one."""
    # Named here, so that the system's own are not read as well: that takes 0.07 s.
    context = ssl.create_default_context(cadata=authority().cert_pem.bytes().decode())
    if shown is not None:
        shown.configure_cert(context)
    return context
