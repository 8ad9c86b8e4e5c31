"""Whom TLS trusts, and what it means for a person when it does not."""

from __future__ import annotations

import ssl
from typing import Final

_UNKNOWN_AUTHORITY: Final = (
    "If you trust it, name the authority that signed it: ssl=ssl.create_default_context(cafile='authority.pem')"
)
# OpenSSL's X509_V_ERR_* codes.
_CERTIFICATE_TROUBLE: Final = {
    9: ("is not valid yet", "Is this machine's clock right?"),
    10: ("has expired", "The server needs a new one; if it has one, is this machine's clock right?"),
    18: ("is self-signed", "If you trust it, name it: ssl=ssl.create_default_context(cafile='certificate.pem')"),
    19: ("is signed by an authority that this machine does not know (self-signed)", _UNKNOWN_AUTHORITY),
    20: ("is signed by an authority that this machine does not know", _UNKNOWN_AUTHORITY),
    21: ("is signed by an authority that this machine does not know", _UNKNOWN_AUTHORITY),
    23: ("was revoked", "The server needs a new one"),
    62: ("is for another name", "Use the name that the certificate was made for"),
    64: ("is for another address", "Use the name that the certificate was made for"),
}
_WANTS_OURS: Final = (
    "Give one by ssl: context = ssl.create_default_context(); context.load_cert_chain('client.pem', 'client.key')"
)
_TROUBLE: Final = {
    "WRONG_VERSION_NUMBER": ("it does not speak TLS", "Is it a ws:// address?"),
    "RECORD_LAYER_FAILURE": ("it does not speak TLS", "Is it a ws:// address?"),
    "HTTP_REQUEST": ("it does not speak TLS", "Is it a ws:// address?"),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": ("it wants a certificate of ours", _WANTS_OURS),
    "SSLV3_ALERT_BAD_CERTIFICATE": ("it does not accept our certificate", _WANTS_OURS),
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": ("our certificate has expired", _WANTS_OURS),
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": ("it does not accept our certificate", _WANTS_OURS),
    "TLSV1_ALERT_UNKNOWN_CA": ("it does not know the authority that signed our certificate", _WANTS_OURS),
    "TLSV1_ALERT_PROTOCOL_VERSION": ("it speaks no version of TLS that we accept", "It is too old, or `ssl` too strict"),
    "UNSUPPORTED_PROTOCOL": ("it speaks no version of TLS that we accept", "It is too old, or `ssl` too strict"),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "it agrees to no cipher of ours, or wants a certificate of ours",
        _WANTS_OURS,
    ),
    "TLSV1_UNRECOGNIZED_NAME": ("it does not know that name", "Use the name that it is known by"),
}


def default_context() -> ssl.SSLContext:
    """Return a context that trusts whom the system trusts, and checks the name."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def explained(where: str, exc: OSError, reason: str) -> str:
    """Return in a sentence or two why TLS with `where` did not come about; `reason` is OpenSSL's."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        known = _CERTIFICATE_TROUBLE.get(exc.verify_code)
        what, advice = known or (f"was not accepted ({exc.verify_message})", _UNKNOWN_AUTHORITY)
        return f"{where} is not trusted: its certificate {what}. Nothing was sent. {advice}"
    what, advice = _TROUBLE.get(reason, (reason.replace("_", " ").lower() or str(exc), ""))
    return f"no TLS with {where}: {what}. Nothing was sent. {advice}".rstrip()
