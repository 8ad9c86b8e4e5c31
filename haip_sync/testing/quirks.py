"""Where servers in the field differ from the specification, each as an option. No state, no thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_type_hints

from haip_sync.config import check_choice, check_flag, check_seconds


@dataclass(frozen=True, kw_only=True)
class Quirks:
    """How a `DevServer` misbehaves; `Quirks()` does not. Immutable, may be shared; `dataclasses.replace` changes one.

    Raises `ConfigError` naming the option for any wrong value.
    """

    seq: Literal["decimal", "not_decimal", "repeated"] = "decimal"
    """What stands in `seq` of our frames: numbers that rise by one; a time in ms with nine random letters behind it; or each
    number on two frames, which have ids of their own."""
    echoes: bool = False
    """Send each data frame of the client's that we take back at once as it came, with the client's id, session and seq. It is
    debited from what the client grants us, covered or not."""
    hai: Literal["at_once", "before_client", "after_client", "late"] = "at_once"
    """When our HAI leaves: without waiting for the client's (but where a client may come back to resume, a moment is left for
    it to say so); in no case later than the client's, so that nobody can resume; as the answer to it; or `hai_delay` seconds
    after the client's first frame, and nothing is read before."""
    hai_delay: float = 0.2
    """Seconds for `hai="late"`, on the server's clock."""
    session_in_frames: Literal["own", "client"] = "own"
    """Whose session id our frames carry. Before the client's HAI it is always our own."""
    unknown_types: bool = False
    """Send, after every third data frame, one of these in turn: a data frame of a type that nobody knows (if the client's
    credit covers it), a PING with a member that nobody knows, and such a PING with `crit` set."""
    refusal: Literal["FLOW_CONTROL_VIOLATION", "INSUFFICIENT_CREDITS"] = "FLOW_CONTROL_VIOLATION"
    """The code of the ERROR that answers a frame without credit."""
    names_related_id: bool = True
    """Whether that ERROR, and those for want of a tool or a transaction, say in `related_id` which frame it was."""
    unknown_tool: Literal["TOOL_DONE", "ERROR"] = "TOOL_DONE"
    """What answers the call of a tool that there is not: TOOL_DONE with status ERROR, or `ERROR{TOOL_NOT_FOUND}`."""
    flow_update: Literal["accepted", "unsupported"] = "accepted"
    """Whether a FLOW_UPDATE of the client's is read, or answered with UNSUPPORTED_TYPE and changes nothing."""
    announces_flow_update: bool = True
    """Whether our HAI's `accept_events` names FLOW_UPDATE, whatever we do with one."""
    debits_every_frame: bool = False
    """As `count_control_frames` of `DevServer`: control frames cost, too."""
    never_grants: bool = False
    """The policy is `Never` unless another one is given."""

    def __post_init__(self) -> None:
        for name, hint in _HINTS.items():
            value: Any = getattr(self, name)
            if hint is bool:
                check_flag(f"quirks.{name}", value)
            elif hint is float:
                check_seconds(f"quirks.{name}", value)
            else:
                check_choice(f"quirks.{name}", value, get_args(hint))

    @classmethod
    def published(cls) -> Quirks:
        """Return what the published servers have in common: see each option. They announce FLOW_UPDATE and do not take it."""
        return cls(
            seq="not_decimal",
            refusal="INSUFFICIENT_CREDITS",
            names_related_id=False,
            unknown_tool="ERROR",
            flow_update="unsupported",
            debits_every_frame=True,
            never_grants=True,
        )


_HINTS: Final = get_type_hints(Quirks)
