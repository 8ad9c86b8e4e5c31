"""Watching and steering a script that is already running, from another process of the same user.

The script's side is switched on with `HAIPClient(..., monitor=True)` or `HAIP_SYNC_MONITOR=1`. This is the monitor's side:
`list_programs` finds the scripts, a `ProgramLink` attaches to one. Nothing here listens on a network port.
"""

from haip_sync.errors import AttachError, CommandError
from haip_sync.observe.command_messages import (
    ClearQueue,
    Command,
    ExplainChannel,
    PauseChannel,
    ReadMetrics,
    RequestCredits,
    ResumeChannel,
    SendTestMessage,
    UseStrategy,
)
from haip_sync.observe.link import ProgramLink
from haip_sync.observe.listing import ProgramInfo, list_programs, places_passed_over
from haip_sync.observe.messages import (
    Answer,
    ChannelSample,
    ClientSummary,
    Sample,
)
from haip_sync.observe.rendezvous import why_not_here
from haip_sync.observe.waits import WaitsBegan, WaitsEnded
from haip_sync.observe.watched import Taken
from haip_sync.one_line import on_one_line

__all__ = [
    "Answer",
    "AttachError",
    "ChannelSample",
    "ClearQueue",
    "ClientSummary",
    "Command",
    "CommandError",
    "ExplainChannel",
    "PauseChannel",
    "ProgramInfo",
    "ProgramLink",
    "ReadMetrics",
    "RequestCredits",
    "ResumeChannel",
    "Sample",
    "SendTestMessage",
    "Taken",
    "UseStrategy",
    "WaitsBegan",
    "WaitsEnded",
    "list_programs",
    "on_one_line",
    "places_passed_over",
    "why_not_here",
]
