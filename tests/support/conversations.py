"""Conversations written as data: what they may say, and how they are read. See tests/conformance/README.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from haip_sync import HAIPError
from haip_sync.protocol.names import ACCEPTED_TYPES

THEIRS = "22222222-2222-4222-8222-222222222222"
OURS = "11111111-1111-4111-8111-111111111111"

_ACTIONS = frozenset({"peer", "greets", "echo", "raw", "raw_hex", "nested", "binary_hex", "we", "waits_s"})
_EXPECTATIONS = frozenset({"hears", "told", "delivered", "credit", "paused", "window", "raises", "match", "ends"})


@dataclass(frozen=True)
class Conversation:
    """One conversation of a file."""

    name: str
    rule: str
    steps: list[dict[str, Any]]
    settings: dict[str, Any] = field(default_factory=dict)
    dialect: str = "auto"
    shows: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raise `ValueError` for a step that says nothing that is known."""
        for step in self.steps:
            if len(step.keys() & _ACTIONS) != 1 or step.keys() - _ACTIONS - _EXPECTATIONS:
                raise ValueError(f"{self.name}: a step has one action, and expectations: {step}")


def load(folder: Path) -> list[Conversation]:
    """Return all conversations of a folder's files."""
    found = [Conversation(**entry) for path in sorted(folder.glob("*.json")) for entry in json.loads(path.read_text("utf-8"))]
    for conversation in found:
        conversation.check()
    return found


class Side(Protocol):
    """Our side, alone or behind a socket."""

    def hear(self, data: bytes | str) -> None:
        """Take in what the peer sends: a text message, or (bytes) one whose text may be no UTF-8."""

    def hear_binary(self, data: bytes) -> None:
        """Take in a binary message of the peer's."""

    def do(self, command: list[Any]) -> None:
        """Carry out a command of the application's. Raises what it raises."""

    def wait(self, seconds: float) -> None:
        """Let time pass, as far as gaps in the peer's numbers go."""

    def settle(self, *, greeted: bool, ends: str | None) -> None:
        """Return once everything so far has had its effect; `ends`: the error that it ended with."""

    def said(self) -> list[dict[str, Any]]:
        """Return the frames that we sent since the last call, as JSON."""

    def told(self) -> list[str]:
        """Return what the application was told since the last call: "us:CODE", "peer:CODE", "warning"."""

    def delivered(self) -> list[dict[str, Any]]:
        """Take every data frame that is there for the application."""

    def credit(self, channel: str) -> dict[str, int]:
        """Return messages, bytes and aside of a channel's send balance."""

    def paused(self, channel: str) -> list[str]:
        """Return who holds the channel: "us", "peer"."""

    def window(self, channel: str) -> dict[str, int]:
        """Return messages and bytes that the peer may still send."""


class PeerVoice:
    """Makes what the peer says out of a step."""

    def __init__(self) -> None:
        self._seq = 0
        self.last: dict[str, Any] = {}
        self.ours: list[dict[str, Any]] = []

    def words(self, step: dict[str, Any]) -> bytes | str:
        """Return the text message of a step."""
        if "raw" in step:
            return str(step["raw"])
        if "raw_hex" in step:
            return bytes.fromhex(step["raw_hex"])
        if "echo" in step:
            return json.dumps(self._fill(self.ours[-1] | step["echo"]))
        if "nested" in step:
            return self._envelope({"type": "MESSAGE", "channel": "USER", "payload": []}).replace("[]", _deep(step["nested"]))
        if "greets" in step:
            return self._envelope({"type": "HAI", "payload": _hello(step["greets"])} | step["greets"].get("envelope", {}))
        return self._envelope(step["peer"])

    def _envelope(self, members: dict[str, Any]) -> str:
        if "seq" not in members:
            self._seq += 1
        first = {"id": f"peer-{len(self.ours)}-{self._seq}", "session": THEIRS, "seq": str(self._seq), "ts": "1", "pv": 1}
        frame = self._fill(first | {"channel": "SYSTEM"} | members)
        self.last = {name: value for name, value in frame.items() if value != "$gone"}
        return json.dumps(self.last)

    def _fill(self, value: Any) -> Any:
        """Put in what `$ours.id`, `$ours.-2.id`, `$theirs.id` and the like stand for."""
        if isinstance(value, dict):
            return {name: self._fill(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._fill(inner) for inner in value]
        if isinstance(value, str) and value.startswith("$ours."):
            *which, member = value.split(".")[1:]
            return self.ours[int(which[0]) if which else -1][member]
        if isinstance(value, str) and value.startswith("$theirs."):
            return self.last[value.split(".")[1]]
        return value


def run(conversation: Conversation, side: Side) -> None:
    """Hold a conversation with our side, and check every step of it. What a step does not expect must not happen."""
    voice = PeerVoice()
    greeted = False
    side.settle(greeted=False, ends=None)
    voice.ours += side.said()
    assert [frame["type"] for frame in voice.ours] == ["HAI"]
    for number, step in enumerate(conversation.steps, 1):
        where = f"step {number}, {json.dumps(step)}"
        greeted = greeted or "greets" in step
        _act(step, voice, side, where)
        side.settle(greeted=greeted, ends=step.get("ends"))
        delivered = side.delivered() if greeted and "ends" not in step else []
        said = side.said()
        voice.ours += said
        assert _fits(said, voice._fill(step.get("hears", []))), f"{where}: the peer hears {json.dumps(said)}"
        assert side.told() == step.get("told", []), f"{where}: the application is told"
        assert _fits(delivered, voice._fill(step.get("delivered", []))), f"{where}: delivered was {json.dumps(delivered)}"
        _check_books(step, side, where)


def _act(step: dict[str, Any], voice: PeerVoice, side: Side, where: str) -> None:
    if "binary_hex" in step:
        side.hear_binary(bytes.fromhex(step["binary_hex"]))
    elif "waits_s" in step:
        side.wait(step["waits_s"])
    elif "we" not in step:
        side.hear(voice.words(step))
    elif "raises" not in step:
        side.do(step["we"])
    else:
        raised = _raised(side, step["we"])
        assert type(raised).__name__ == step["raises"], f"{where}: raised {raised!r}"
        assert step.get("match", "") in str(raised), f"{where}: raised {raised!r}"


def _raised(side: Side, command: list[Any]) -> HAIPError | None:
    try:
        side.do(command)
    except HAIPError as exc:
        return exc
    return None


def _check_books(step: dict[str, Any], side: Side, where: str) -> None:
    for name in ("credit", "window"):
        for channel, wanted in step.get(name, {}).items():
            found = getattr(side, name)(channel)
            assert found | wanted == found, f"{where}: {name} of {channel} is {found}"
    for channel, wanted in step.get("paused", {}).items():
        assert side.paused(channel) == wanted, f"{where}: {channel}"


def _fits(found: Any, wanted: Any) -> bool:
    """Return whether `found` has everything that is wanted: lists of the same length, mappings with these members."""
    if isinstance(wanted, dict):
        return isinstance(found, Mapping) and all(
            (name not in found) if inner == "$gone" else name in found and _fits(found[name], inner)
            for name, inner in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_fits, found, wanted))
    return bool(found == wanted)


def _hello(changes: dict[str, Any]) -> dict[str, Any]:
    credit = {"initial_credit_messages": 10, "initial_credit_bytes": 100_000}
    hello = {
        "haip_version": "1.1.2",
        "accept_major": [1],
        "accept_events": [*ACCEPTED_TYPES, "MESSAGE"],
        "capabilities": {"binary_frames": True, "flow_control": credit},
    }
    hello |= {name: value for name, value in changes.items() if name not in ("envelope", "refuses")}
    refused = changes.get("refuses", [])
    return hello | {"accept_events": [name for name in hello["accept_events"] if name not in refused]}


def _deep(levels: int) -> str:
    return "[" * levels + "]" * levels
