"""Sentences of the library's as an operator reads them: what he does in place of what a program calls, and the cause first.

A row of the log has room for some seventy characters. What stands behind them is in its tooltip and in the inspector, so that
the beginning has to say what happened; whose address it was can wait.
"""

from __future__ import annotations

import re
from typing import Final

_CALLS: Final = (
    (re.compile(r"request_credits asks"), "a request asks"),
    (re.compile(r"resume_channel\('[^']*'\) lets"), "Resume lets"),
    (re.compile(r"until it sends RESUME_CHANNEL"), "until it resumes it"),
)
_BEFORE_UNIT: Final = re.compile(r"(?<=\d) (?=(?:B|[KMGT]iB|ms|s|min|h)\b)")
_ADDRESSED: Final = re.compile(r"(wss?://\S+?):?\s+(\S.*)", re.DOTALL)


def for_operators(text: str) -> str:
    """Return `text` with what an operator can do, where it names what a program would call."""
    for call, words in _CALLS:
        text = call.sub(words, text)
    return text


def kept_together(text: str) -> str:
    """Return `text` so that no line ends between a number and its unit, nor before a last `ago`."""
    return _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", text).replace(" ago", "\N{NO-BREAK SPACE}ago")


def begins_with_address(text: str) -> bool:
    """Return whether `text` says of which server it is before it says what happened."""
    return _ADDRESSED.fullmatch(text) is not None


def cause_first(text: str) -> str:
    """Return `text` with the address that it begins with behind its first sentence: `cannot be reached (ws://a:1). Is it up?`."""
    found = _ADDRESSED.fullmatch(text)
    if found is None:
        return text
    head, dot, tail = found[2].partition(". ")
    end = "." if not dot and head.endswith(".") else ""
    return f"{head.removesuffix('.')} ({found[1]}){end}{dot}{tail}"


def cause_of(text: str) -> str:
    """Return what happened without whose address it was: the first sentence of `text`, with no full stop."""
    found = _ADDRESSED.fullmatch(text)
    return (text if found is None else found[2]).partition(". ")[0].removesuffix(".")
