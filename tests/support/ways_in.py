"""The ways to say who we are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from haip_sync import BearerToken, QueryToken, SubprotocolToken

TOKEN = "S3cr3t-t0ken"

WAYS: dict[str, Callable[[str], dict[str, Any]]] = {
    "token": lambda token: {"token": token},
    "query": lambda token: {"auth": QueryToken(token)},
    "bearer": lambda token: {"auth": BearerToken(token)},
    "subprotocol": lambda token: {"auth": SubprotocolToken(token)},
    "subprotocol alone": lambda token: {"auth": SubprotocolToken(token, protocol=None)},
    "another subprotocol": lambda token: {"auth": SubprotocolToken(token, protocol="v1.haip")},
    "function": lambda token: {"auth": lambda: BearerToken(token)},
    "function of a string": lambda token: {"auth": lambda: token},
    "headers": lambda token: {"headers": {"authorization": f"Bearer {token}"}},
}

each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
