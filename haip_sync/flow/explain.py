"""Why a channel stands still, in sentences that a person understands. Pure: values in, text out."""

from __future__ import annotations

from haip_sync.errors import WaitCause
from haip_sync.flow.gates import Shortage
from haip_sync.flow.ledger import Ledger


def amount(number: int, unit: str) -> str:
    """Return `number` with its unit in the right number: "1 message", "3 messages"."""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def shortage_text(channel: str, shortage: Shortage, ledger: Ledger, *, ahead: int, last_grant_age_s: float | None) -> str:
    """Return what the next step of a sender on `channel` lacks. `ahead`: how many senders came first."""
    cause, needed, has = shortage.cause, shortage.needed, ledger.spendable
    texts = {
        WaitCause.MESSAGES: f"{channel} needs {amount(needed.messages, 'message')} of credit and has {has.messages}",
        WaitCause.BYTES: f"{channel} needs {amount(needed.byte_credits, 'byte')} of credit and has {has.byte_credits}",
        WaitCause.PAUSED_BY_US: f"{channel} is paused by us: resume_channel({channel!r}) lets it go on",
        WaitCause.PAUSED_BY_PEER: f"{channel} is paused by the peer, until it sends RESUME_CHANNEL",
        WaitCause.BEHIND_OTHERS: f"{amount(ahead, 'sender')} of {channel} came first",
        WaitCause.SOCKET: f"the peer does not read: what was admitted before is not written yet, {channel} has to wait",
        WaitCause.OFFLINE: f"{channel} has no connection",
    }
    is_credit = cause in (WaitCause.MESSAGES, WaitCause.BYTES)
    return f"{texts[cause]}; {grant_text(last_grant_age_s)}" if is_credit else texts[cause]


def likely_cause(shortage: Shortage, ledger: Ledger, last_grant_age_s: float | None) -> str:
    """Return what probably stands behind a lack of credit and what helps; empty for the causes that say it themselves."""
    if shortage.cause not in (WaitCause.MESSAGES, WaitCause.BYTES):
        return ""
    credit = ledger.messages if shortage.cause is WaitCause.MESSAGES else ledger.byte_credits
    if credit.peak and 2 * credit.spendable >= credit.peak:
        return (
            " The peer may renew only once half of its window is spent, and what waits cannot be split: "
            "a larger window or smaller frames would let it go on."
        )
    if last_grant_age_s is None:
        return " The peer may grant only when it is asked: request_credits asks it, and so does a strategy."
    return ""


def nobody_waits_text(channel: str, ledger: Ledger, hold: WaitCause | None) -> str:
    """Return how it stands with a channel on which nobody waits."""
    if hold is not None:
        return f"{channel} is {hold.value.replace('_', ' ')}; nobody waits."
    has = ledger.spendable
    return f"{channel}: nobody waits; {amount(has.messages, 'message')} and {amount(has.byte_credits, 'byte')} may be sent now."


def grant_text(age_s: float | None) -> str:
    """Return when the peer last granted."""
    if age_s is None:
        return "the peer has granted nothing since the handshake"
    return f"the peer's last grant is {age_s:.1f} s old"
