"""Credit without a server: for tests of your own code that asks whether it may send.

```python
def test_my_sender_stops_when_credit_is_gone():
    credit = MockFlowControl(FlowControlConfig(initial_credits=2))
    sender = MySender(credit)
    assert [sender.try_send("hello") for _ in range(3)] == [True, True, False]
    credit.add_credits("USER", 1)
    assert sender.try_send("hello")
```
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from haip_sync.config import FlowControlConfig, check_channel, check_count, check_timeout
from haip_sync.errors import ConfigError, FlowControlError, FlowControlTimeout, MessageTooLargeError, WaitCause
from haip_sync.flow.explain import amount
from haip_sync.flow.ledger import Cost, Ledger


class Credits(NamedTuple):
    """What a channel may spend now."""

    messages: int
    byte_credits: int


class MockFlowControl:
    """The credit of any number of channels, with the client's own arithmetic. Any thread may call any method.

    Every channel begins with the `initial_credits` and `initial_credit_bytes` of the configuration (by default 10 messages and
    1 MiB, on USER, AGENT, SYSTEM and any other). What is added above `max_credits` or `max_credit_bytes` is set aside, and
    enters as credit is spent: nothing that was granted is lost.

    Args:
        flow_control: First balances and caps, as for `HAIPClient`; None: the defaults.

    Raises `ConfigError` for a wrong argument, before anything changes.
    """

    def __init__(self, flow_control: FlowControlConfig | None = None) -> None:
        if flow_control is not None and not isinstance(flow_control, FlowControlConfig):
            raise ConfigError(f"flow_control must be a FlowControlConfig, not {type(flow_control).__name__}")
        self._config = flow_control or FlowControlConfig()
        # Guards the ledgers; notified when credit is added.
        self._changed = threading.Condition()
        self._ledgers: dict[str, Ledger] = {}

    def consume_credits(self, channel: str, messages: int = 1, byte_credits: int = 0) -> bool:
        """Take so much, messages and bytes together, and return True; where either does not suffice take nothing: False."""
        cost = _cost(messages, byte_credits)
        with self._changed:
            ledger = self._ledger(channel)
            if not ledger.covers(cost):
                return False
            self._ledgers[channel] = ledger.spend(cost)
            return True

    def add_credits(self, channel: str, messages: int = 0, byte_credits: int = 0) -> None:
        """Grant so much, as a peer's FLOW_UPDATE does, and wake whoever waits for it."""
        cost = _cost(messages, byte_credits)
        with self._changed:
            self._ledgers[channel] = self._ledger(channel).grant(cost)
            self._changed.notify_all()

    def get_credits(self, channel: str) -> Credits:
        """Return what may be spent now; what the caps set aside is not in it."""
        with self._changed:
            return Credits(*self._ledger(channel).spendable)

    def get_set_aside(self, channel: str) -> Credits:
        """Return what was granted above the caps and has not entered yet."""
        with self._changed:
            return Credits(*self._ledger(channel).set_aside)

    def wait_for_credits(self, channel: str, *, messages: int = 1, byte_credits: int = 0, timeout: float | None = None) -> None:
        """Wait until so much may be spent on `channel`; takes nothing. As `HAIPClient.wait_for_credits`, without its queue.

        `timeout` is in seconds; None waits for ever. Raises `FlowControlTimeout` (with timeout 0 `FlowControlError`), whose
        `cause` says what was missing; `MessageTooLargeError` for more bytes than the cap, `ConfigError` for more messages.
        """
        timeout_s = check_timeout("timeout", timeout)
        needed = _cost(messages, byte_credits)
        with self._changed:
            caps = self._ledger(channel)
            if needed.messages > caps.messages.cap:
                raise ConfigError(f"messages must be at most max_credits of {channel}, {caps.messages.cap}, not {messages}")
            if byte_credits > caps.byte_credits.cap:
                raise MessageTooLargeError(channel, frame_bytes=byte_credits, max_credit_bytes=caps.byte_credits.cap)
            if not self._wait(lambda: self._ledger(channel).covers(needed), timeout_s):
                raise _shortage(channel, self._ledger(channel), needed, timeout_s)

    def reset(self) -> None:
        """Give every channel its first balance back, as a new connection does."""
        with self._changed:
            self._ledgers.clear()
            self._changed.notify_all()

    def _wait(self, is_there: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait for `is_there`. Requires the lock."""
        return self._changed.wait_for(is_there, None if timeout_s is None else min(timeout_s, threading.TIMEOUT_MAX))

    def _ledger(self, channel: str) -> Ledger:
        """Return the ledger of `channel`, its first one where it has none yet. Requires the lock."""
        known = self._ledgers.get(check_channel(channel))
        if known is not None:
            return known
        return Ledger.opened(Cost(*self._config.initial_for(channel)), Cost(*self._config.caps_for(channel)))


def _cost(messages: object, byte_credits: object) -> Cost:
    return Cost(check_count("messages", messages), check_count("byte_credits", byte_credits))


def _shortage(channel: str, ledger: Ledger, needed: Cost, timeout_s: float | None) -> FlowControlError:
    """Return what to raise where `needed` is not there."""
    missing, has = ledger.missing(needed), ledger.spendable
    cause = WaitCause.MESSAGES if missing.messages else WaitCause.BYTES
    what = (
        f"{channel} needs {amount(needed.messages, 'message')} and {amount(needed.byte_credits, 'byte')} of credit and has "
        f"{has.messages} and {has.byte_credits}"
    )
    if not timeout_s:
        return FlowControlError(what, cause=cause, channel=channel)
    return FlowControlTimeout(f"{what} after {timeout_s:g} s", cause=cause, channel=channel)
