"""What every session of one server has in common, checked once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, get_args

from haip_sync.config import CreditUnit, check_choice, check_count, check_flag, check_seconds, told
from haip_sync.errors import ConfigError
from haip_sync.testing.arguments import check_names
from haip_sync.testing.books import Credit
from haip_sync.testing.policies import CreditPolicy, Never, RenewAtHalf
from haip_sync.testing.policy_names import check_policy
from haip_sync.testing.postbox import REPLAY_FRAMES
from haip_sync.testing.quirks import Quirks
from haip_sync.testing.tariff import Tariff
from haip_sync.testing.tools import DEFAULT_TOOLS, Tool, ToolFunction, check_tools
from haip_sync.testing.wire import DIALECTS, HAS_TRANSACTIONS, accepted_types

_FLOW_UPDATE: Final = frozenset({"FLOW_UPDATE"})

RESUME_WAIT_S: Final = 0.2


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """What every session of a server has in common. Immutable."""

    dialect: str
    accept_events: frozenset[str]
    """What our HAI would accept if there were no quirks."""
    initial: Credit | None
    agent: bool
    keep_received: int
    binary_frames: bool = True
    tools: Mapping[str, Tool] | None = None
    """None: the test itself answers TOOL_CALL and the like, if anybody does."""
    max_concurrent_runs: int = 1
    tariff: Tariff = field(default_factory=Tariff)
    quirks: Quirks = field(default_factory=Quirks)
    resumes: bool = True
    replay_frames: int = REPLAY_FRAMES
    resume_wait: float = RESUME_WAIT_S
    """How long our HAI waits for that of a client that may resume, so as to say what we have of it."""

    @cached_property
    def transaction_tools(self) -> Mapping[str, Tool]:
        """What a transaction may be begun with: what the server was given, and the defaults."""
        return {**DEFAULT_TOOLS, **(self.tools or {})}

    @cached_property
    def listed_tools(self) -> Mapping[str, Tool] | None:
        """What TOOL_LIST and TOOL_SCHEMA tell of; None: nobody answers them."""
        return self.transaction_tools if self.dialect in HAS_TRANSACTIONS else self.tools

    @cached_property
    def announced(self) -> frozenset[str]:
        """The `accept_events` of our HAI."""
        return self.accept_events if self.quirks.announces_flow_update else self.accept_events - _FLOW_UPDATE

    @cached_property
    def taken(self) -> frozenset[str]:
        """The types that are taken; every other one is answered with UNSUPPORTED_TYPE."""
        return self.accept_events if self.quirks.flow_update == "accepted" else self.accept_events - _FLOW_UPDATE


def check_settings(
    *,
    dialect: str,
    accept_events: Iterable[str] | None,
    initial_credits: int | None,
    initial_credit_bytes: int,
    credit_unit: CreditUnit,
    count_control_frames: bool,
    agent: bool,
    keep_received: int,
    binary_frames: bool,
    tools: Mapping[str, ToolFunction | Tool] | None,
    max_concurrent_runs: int,
    quirks: Quirks | None,
    resumes: bool,
    replay_frames: int,
    resume_wait: float = RESUME_WAIT_S,
) -> ServerSettings:
    """Return what `DevServer` was given, as sessions want it. Raises `ConfigError` naming what is wrong."""
    check_choice("dialect", dialect, DIALECTS)
    quirks = _check_quirks(quirks)
    check_choice("credit_unit", credit_unit, get_args(CreditUnit))
    counts = check_flag("count_control_frames", count_control_frames) or quirks.debits_every_frame
    return ServerSettings(
        dialect=dialect,
        accept_events=check_names("accept_events", accepted_types(dialect) if accept_events is None else accept_events),
        initial=_check_initial(initial_credits, initial_credit_bytes),
        agent=check_flag("agent", agent),
        keep_received=check_count("keep_received", keep_received, minimum=1),
        binary_frames=check_flag("binary_frames", binary_frames),
        tools=check_tools(tools),
        max_concurrent_runs=check_count("max_concurrent_runs", max_concurrent_runs),
        tariff=Tariff(credit_unit, counts),
        quirks=quirks,
        resumes=check_flag("resumes", resumes),
        replay_frames=check_count("replay_frames", replay_frames, minimum=1),
        resume_wait=check_seconds("resume_wait", resume_wait),
    )


def choose_policy(policy: CreditPolicy | str | None, quirks: Quirks) -> CreditPolicy:
    """Return the policy that `DevServer` was given, or its default. Raises `ConfigError`."""
    if policy is not None:
        return check_policy(policy)
    return Never() if quirks.never_grants else RenewAtHalf()


def _check_quirks(quirks: object) -> Quirks:
    if quirks is None:
        return Quirks()
    if not isinstance(quirks, Quirks):
        raise ConfigError(f"quirks must be a Quirks or None, not {told(quirks)}")
    return quirks


def _check_initial(initial_credits: int | None, initial_credit_bytes: int) -> Credit | None:
    byte_credits = check_count("initial_credit_bytes", initial_credit_bytes)
    return None if initial_credits is None else Credit(check_count("initial_credits", initial_credits), byte_credits)
