"""Why a channel stands still, in sentences that a person understands. Pure: values in, text out."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from haip_sync.errors import WaitCause
from haip_sync.flow.gates import Shortage
from haip_sync.flow.ledger import NOTHING, Ledger
from haip_sync.state import Explanation

LikelyCause = Literal[
    "paused_by_us",
    "paused_by_peer",
    "offline",
    "socket",
    "peer_refused",
    "peer_grants_nothing",
    "peer_grants_too_little",
    "peer_stopped_granting",
    "peer_renews_at_half",
]
"""What probably stands behind a wait; see `ADVICE` for those that a lack of credit can have."""

ADVICE: Final[dict[str, str]] = {
    "peer_grants_nothing": "The peer may grant only when it is asked: request_credits asks it, and so does a strategy",
    "peer_refused": "The peer refused a message for want of credit: its books differ from ours, and what was left is forfeited",
    "peer_grants_too_little": (
        "The peer has granted since this wait began, but less than what waits needs at once, or to those who came first"
    ),
    "peer_stopped_granting": "Nothing was granted since this wait began: request_credits asks the peer for more",
    "peer_renews_at_half": (
        "The peer may renew only once half of its window is spent, and what waits cannot be split: "
        "a larger window or smaller frames would let it go on"
    ),
}
"""What helps against each likely cause that the lack itself does not name."""

_ASKING_HELPS: Final = frozenset({"peer_grants_nothing", "peer_stopped_granting"})
_BY_CREDIT: Final = (WaitCause.MESSAGES, WaitCause.BYTES)
_NAMED: Final[dict[WaitCause, LikelyCause]] = {
    WaitCause.PAUSED_BY_US: "paused_by_us",
    WaitCause.PAUSED_BY_PEER: "paused_by_peer",
    WaitCause.OFFLINE: "offline",
    WaitCause.SOCKET: "socket",
}


_HOLDS: Final = {
    WaitCause.PAUSED_BY_US: "{channel} is paused by us: resume_channel('{channel}') lets it go on",
    WaitCause.PAUSED_BY_PEER: "{channel} is paused by the peer, until it sends RESUME_CHANNEL",
    WaitCause.SOCKET: "the peer does not read: what was admitted before is not written yet, {channel} has to wait",
    WaitCause.WRITER: "a text that somebody streams holds {channel}: it is open, and nothing more was written to it",
}


class Offline(msgspec.Struct, frozen=True):
    """A broken line, and what is done about it."""

    since_s: float
    """When it broke, in seconds on the monotonic clock."""
    why: str
    attempt: int = 0
    """Which attempt to connect again is planned or under way; 0: none yet."""
    next_try_s: float | None = None
    """When that is made; None: it is under way."""
    last_failure: str = ""
    """Why the last attempt failed; empty: there was none."""

    def text(self, now_s: float) -> str:
        """Return since when, why, and what comes next."""
        said = f"offline since {max(0.0, now_s - self.since_s):.1f} s: {self.why}"
        if not self.attempt:
            return said
        when = "is under way" if self.next_try_s is None else f"in {max(0.0, self.next_try_s - now_s):.1f} s"
        last = f" (the last failed: {self.last_failure})" if self.last_failure else ""
        return f"{said}; attempt {self.attempt} to connect again {when}{last}"


class Standing(msgspec.Struct, frozen=True):
    """One place in a channel's queue at one moment."""

    channel: str
    ledger: Ledger
    shortage: Shortage
    """What holds whoever stands there."""
    first: Shortage
    """What holds the first in line: the same where nobody came before."""
    ahead: int
    """How many came before."""
    in_line: int
    """How many stand in all."""
    wait_s: float
    last_grant_age_s: float | None
    """None: the peer has granted nothing since the handshake."""
    offline_text: str = ""
    """What is known of a broken line."""
    asked_age_s: float | None = None
    """How long ago the peer was asked for credit; None: it has granted since, or nobody asked."""


def amount(number: int, unit: str) -> str:
    """Return `number` with its unit in the right number: "1 message", "3 messages"."""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def lack_text(standing: Standing) -> str:
    """Return what holds whoever stands there, how much of it is missing, and how old the last grant is."""
    if standing.shortage.cause is WaitCause.BEHIND_OTHERS:
        before = f"{amount(standing.ahead, 'sender')} of {standing.channel} came first"
        return f"{before}; the first is held up: {_held_text(standing)}"
    return _held_text(standing)


def _held_text(standing: Standing) -> str:
    channel, cause = standing.channel, standing.first.cause
    needed, has, missing = standing.first.needed, standing.ledger.spendable, standing.ledger.missing(standing.first.needed)
    if cause is WaitCause.MESSAGES:
        lack = _credit_text(channel, amount(needed.messages, "message"), has.messages, missing.messages)
    elif cause is WaitCause.BYTES:
        lack = _credit_text(channel, amount(needed.byte_credits, "byte"), has.byte_credits, missing.byte_credits)
    elif cause is WaitCause.OFFLINE:
        return f"{channel} is {standing.offline_text or 'offline'}"
    else:
        return _HOLDS.get(cause, "{channel} is being served").format(channel=channel)
    return f"{lack}; {grant_text(standing.last_grant_age_s)}"


def _credit_text(channel: str, needed: str, has: int, missing: int) -> str:
    return f"{channel} needs {needed} of credit and has {has} ({missing} missing)"


def place_text(standing: Standing) -> str:
    """Return the place in line: "first of 3 in line"."""
    if standing.in_line <= 1 and not standing.ahead:
        return "alone in line"
    place = "first" if not standing.ahead else f"number {standing.ahead + 1}"
    return f"{place} of {max(standing.in_line, standing.ahead + 1)} in line"


def likely_cause(standing: Standing) -> LikelyCause | None:
    """Return what probably stands behind the wait; None where somebody is just being served."""
    cause, ledger = standing.first.cause, standing.ledger
    if cause not in _BY_CREDIT:
        return _NAMED.get(cause)
    credit = ledger.messages if cause is WaitCause.MESSAGES else ledger.byte_credits
    if credit.spendable and 2 * credit.spendable >= credit.peak:
        return "peer_renews_at_half"
    if credit.forfeited and not credit.spendable:
        return "peer_refused"
    if standing.last_grant_age_s is None:
        return "peer_grants_nothing"
    return "peer_stopped_granting" if standing.last_grant_age_s >= standing.wait_s else "peer_grants_too_little"


def advice_text(standing: Standing) -> str:
    """Return what helps, as a sentence with its full stop and a space before it; empty where the lack says it itself."""
    cause = likely_cause(standing)
    text = ADVICE.get(cause or "")
    if cause in _ASKING_HELPS and standing.asked_age_s is not None:
        text = f"The peer was asked for more {standing.asked_age_s:.1f} s ago, and has granted nothing since"
    return f" {text}." if text else ""


def explanation(standing: Standing) -> Explanation:
    """Return why a channel stands still, from the place of the first in its line."""
    missing = standing.ledger.missing(standing.first.needed)
    amounts = {WaitCause.MESSAGES: missing.messages, WaitCause.BYTES: missing.byte_credits}
    who = f"{amount(standing.in_line, 'sender')} waiting, the first for {standing.wait_s:.1f} s"
    return Explanation(
        channel=standing.channel,
        text=f"{lack_text(standing)}. {who}.{advice_text(standing)}",
        cause=standing.first.cause.value,
        likely_cause=likely_cause(standing),
        missing=amounts.get(standing.first.cause, 0),
        waiting=standing.in_line,
        oldest_wait=standing.wait_s,
        last_grant_age=standing.last_grant_age_s,
    )


def nobody_waits(
    channel: str, ledger: Ledger, hold: WaitCause | None, last_grant_age_s: float | None, offline_text: str = ""
) -> Explanation:
    """Return how it stands with a channel on which nobody waits."""
    has = ledger.spendable
    text = f"{channel}: nobody waits; {amount(has.messages, 'message')} and {amount(has.byte_credits, 'byte')} may be sent now."
    if hold is WaitCause.OFFLINE:
        text = f"{channel} is {offline_text}; nobody waits."
    elif hold is not None:
        text = f"{channel} is {hold.value.replace('_', ' ')}; nobody waits."
    return Explanation(
        channel=channel,
        text=text,
        cause=None,
        likely_cause=None if hold is None else _NAMED[hold],
        missing=NOTHING.messages,
        waiting=0,
        oldest_wait=0.0,
        last_grant_age=last_grant_age_s,
    )


def over(channel: str, why: str, last_grant_age_s: float | None) -> Explanation:
    """Return what there is to say of a channel whose connection is over."""
    return Explanation(
        channel=channel,
        text=f"{channel}: {why}",
        cause=None,
        likely_cause="offline",
        missing=0,
        waiting=0,
        oldest_wait=0.0,
        last_grant_age=last_grant_age_s,
    )


def grant_text(age_s: float | None) -> str:
    """Return when the peer last granted."""
    if age_s is None:
        return "the peer has granted nothing since the handshake"
    return f"the peer's last grant is {age_s:.1f} s old"
