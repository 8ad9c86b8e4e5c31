"""What a monitor asks a client to do: typed messages, each named after what it has the client's method do."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(max_length=16_384)]
Name = Annotated[str, Meta(max_length=256)]
Amount = Annotated[int, Meta(ge=0, le=1 << 53)]


class Said(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="say"):
    """The root of all messages and commands."""


class PauseChannel(Said, frozen=True, kw_only=True):
    """`HAIPClient.pause_channel`."""

    channel: Name
    reason: Text | None = None


class ResumeChannel(Said, frozen=True, kw_only=True):
    """`HAIPClient.resume_channel`."""

    channel: Name
    reason: Text | None = None


class RequestCredits(Said, frozen=True, kw_only=True):
    """`HAIPClient.request_credits`."""

    channel: Name
    messages: Amount = 0
    byte_credits: Amount = 0
    reason: Text | None = None


class ClearQueue(Said, frozen=True, kw_only=True):
    """`HAIPClient.clear_queue`: what is queued there is taken back and never sent."""

    channel: Name
    reason: Text | None = None


class UseStrategy(Said, frozen=True, kw_only=True):
    """`HAIPClient.set_strategy`, with one of the library's own by its name and settings."""

    strategy: Name
    """manual, threshold, conservative, aggressive or adaptive."""
    settings: dict[Name, int | float | Name | None] = {}
    """Arguments of its class, as `message_threshold`; what is left out takes its default."""
    reason: Text | None = None


class SendTestMessage(Said, frozen=True, kw_only=True):
    """`HAIPClient.send_text_message`, waiting in line for a second at most."""

    channel: Name
    text: Text
    reason: Text | None = None


class ExplainChannel(Said, frozen=True, kw_only=True):
    """`HAIPClient.explain`; changes nothing."""

    channel: Name


class ReadMetrics(Said, frozen=True, kw_only=True):
    """`HAIPClient.metrics`; changes nothing."""


Question = ExplainChannel | ReadMetrics
"""Commands that a program carries out for any monitor."""
Command = PauseChannel | ResumeChannel | RequestCredits | ClearQueue | UseStrategy | SendTestMessage | Question
