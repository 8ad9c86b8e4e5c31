"""What programs that use HAIP test themselves with. Imported by tests and by the monitor's demo, never by the client.

`DevServer` and `scripted_peer` serve with the package `websockets`. They are loaded when they are first asked for: it takes long
to import, and everything else here works without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from haip_sync.testing.books import Books, Credit, Tally
from haip_sync.testing.fault_proxy import FaultProxy
from haip_sync.testing.fault_rules import Faults, FrameFault
from haip_sync.testing.fault_views import ProxyConnection
from haip_sync.testing.history import ClientHistory
from haip_sync.testing.invocation import ToolInvocation
from haip_sync.testing.mock_flow_control import Credits, MockFlowControl
from haip_sync.testing.numbering import Missing
from haip_sync.testing.pause_script import PauseStep
from haip_sync.testing.policies import (
    Bursty,
    ChannelPolicy,
    CreditPolicy,
    Generous,
    Never,
    OnRequest,
    Paced,
    RenewAtHalf,
    Stingy,
)
from haip_sync.testing.policy_names import POLICY_NAMES, parse_policy
from haip_sync.testing.quirks import Quirks
from haip_sync.testing.records import Breach, ReceivedCall, ReceivedFrame, ReceivedText, Refusal, Run, Transaction
from haip_sync.testing.session import Session
from haip_sync.testing.timers import Clock, ManualClock, SystemClock
from haip_sync.testing.tools import Tool

if TYPE_CHECKING:
    from haip_sync.testing.dev_server import DevServer
    from haip_sync.testing.scripted import ScriptedPeer, scripted_peer

__all__ = [
    "POLICY_NAMES",
    "Books",
    "Breach",
    "Bursty",
    "ChannelPolicy",
    "ClientHistory",
    "Clock",
    "Credit",
    "CreditPolicy",
    "Credits",
    "DevServer",
    "FaultProxy",
    "Faults",
    "FrameFault",
    "Generous",
    "ManualClock",
    "Missing",
    "MockFlowControl",
    "Never",
    "OnRequest",
    "Paced",
    "PauseStep",
    "ProxyConnection",
    "Quirks",
    "ReceivedCall",
    "ReceivedFrame",
    "ReceivedText",
    "Refusal",
    "RenewAtHalf",
    "Run",
    "ScriptedPeer",
    "Session",
    "Stingy",
    "SystemClock",
    "Tally",
    "Tool",
    "ToolInvocation",
    "Transaction",
    "parse_policy",
    "scripted_peer",
]

_WITH_WEBSOCKETS = {"DevServer": "dev_server", "ScriptedPeer": "scripted", "scripted_peer": "scripted"}
"""Names that need the package, and the modules that they come from."""


def __getattr__(name: str) -> Any:
    """Load what speaks with `websockets` on first use. Raises `ImportError`, naming what to install, without it."""
    if name not in _WITH_WEBSOCKETS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"haip_sync.testing.{_WITH_WEBSOCKETS[name]}"), name)
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] != "websockets":
            raise
        text = f"{name} needs the package websockets: pip install websockets"
        raise ImportError(text, name="websockets") from missing
