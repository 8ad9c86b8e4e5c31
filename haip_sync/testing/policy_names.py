"""The names of the credit policies, as the command line and `DevServer(policy=...)` spell them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from haip_sync.config import told
from haip_sync.errors import ConfigError
from haip_sync.testing.policies import Bursty, CreditPolicy, Generous, Never, OnRequest, Paced, RenewAtHalf, Stingy

_WITHOUT_VALUE: Final[Mapping[str, Callable[[], CreditPolicy]]] = {
    policy.name: policy for policy in (Generous, OnRequest, RenewAtHalf, Paced, Bursty, Stingy, Never)
}
_WITH_VALUE: Final[Mapping[str, Callable[[float], CreditPolicy]]] = {
    RenewAtHalf.name: RenewAtHalf,
    Paced.name: Paced,
    Bursty.name: Bursty,
    Stingy.name: Stingy,
}

POLICY_NAMES: Final = tuple(_WITHOUT_VALUE)
"""Every name that `parse_policy` reads."""


def parse_policy(text: str) -> CreditPolicy:
    """Read `NAME` or `NAME:VALUE`: `renewing:IDLE_S`, `paced:PER_SECOND`, `bursty:EVERY_S`, `stingy:EVERY_S`.

    Raises `ConfigError` for an unknown name, a value where none belongs and a value out of range.
    """
    if not isinstance(text, str):
        raise ConfigError(f"the text of a policy must be NAME or NAME:VALUE, not {told(text)}")
    name, colon, value = text.partition(":")
    if name not in _WITHOUT_VALUE:
        raise ConfigError(f"policy must be one of {', '.join(POLICY_NAMES)}, not {told(name)}")
    if not colon:
        return _WITHOUT_VALUE[name]()
    if name not in _WITH_VALUE:
        raise ConfigError(f"policy {name} takes no value, but {told(value)} was given")
    try:
        number = float(value)
    except ValueError:
        raise ConfigError(f"policy {name} takes a number, not {told(value)}") from None
    return _WITH_VALUE[name](number)


def check_policy(value: object) -> CreditPolicy:
    """Return `value` if it is a policy, what `parse_policy` makes of it if it is text, else raise `ConfigError`."""
    if isinstance(value, str):
        return parse_policy(value)
    if not isinstance(value, CreditPolicy):
        raise ConfigError(f"policy must be a CreditPolicy or the text of one, not {told(value)}")
    return value
