"""Texts are cut where credit ends, never inside a character or an escape."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haip_sync import ConfigError
from haip_sync.protocol.text_frames import cut_escaped, escape_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('\\"\n\x00u0\u2028é😀'), max_size=60)


@given(TEXTS, st.integers(1, 20))
def test_pieces_together_are_the_text(text: str, limit: int) -> None:
    """Cut into pieces of at most `limit` bytes, or one character where that is more, a text comes out whole."""
    escaped, at, pieces = escape_text(text), 0, []
    while at < len(escaped):
        end = cut_escaped(escaped, at, limit)
        assert end - at <= limit
        if end == at:
            end = next(e for n in range(1, 7) if (e := cut_escaped(escaped, at, n)) > at)
        pieces.append(json.loads(b'"' + escaped[at:end] + b'"'))
        at = end
    assert "".join(pieces) == text


@given(TEXTS, st.integers(0, 200))
def test_a_cut_is_as_long_as_it_can_be(text: str, limit: int) -> None:
    """No longer piece of whole characters would fit."""
    escaped = escape_text(text)
    end = cut_escaped(escaped, 0, limit)
    fitting = [len(escape_text(text[:n])) for n in range(len(text) + 1)]
    assert end == max(size for size in fitting if size <= limit)


def test_a_lone_surrogate_is_refused() -> None:
    """What UTF-8 cannot carry is a ConfigError, not half a message."""
    with pytest.raises(ConfigError, match="Nothing was sent"):
        escape_text("a\ud800b")
