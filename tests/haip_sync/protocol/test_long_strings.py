"""Long strings are written by orjson where that is installed: the same bytes, and the same errors."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haip_sync import ConfigError
from haip_sync.protocol import long_strings
from haip_sync.protocol.envelope import encode_json
from haip_sync.protocol.long_strings import LONG, fast_writer, with_written_strings

PLAIN = msgspec.json.Encoder().encode
SURROGATES = range(0xD800, 0xE000)
VALUES = st.one_of(
    st.integers(-5, 5), st.none(), st.text(max_size=3), st.builds(lambda text: text * LONG, st.text(min_size=1, max_size=2))
)


def test_every_character_is_written_alike() -> None:
    """What orjson makes of each character there is msgspec makes of it too."""
    write = fast_writer()
    assert write is not None, "the tests need the extra `fast`"
    every = [chr(code) for code in range(sys.maxunicode + 1) if code not in SURROGATES]
    for at in range(0, len(every), LONG):
        text = "".join(every[at : at + LONG])
        assert write(text) == PLAIN(text)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4) | VALUES)
def test_whatever_is_long_the_bytes_are_the_same(value: Any) -> None:
    """Long and short members, or a string alone, come out as if msgspec had written them, and stay as they are."""
    before = value.copy() if isinstance(value, dict) else value
    assert PLAIN(with_written_strings(value)) == PLAIN(value) == encode_json(value)
    assert value == before


def test_a_long_string_is_given_to_orjson() -> None:
    """What msgspec is handed is written already; a short one is not."""
    long = "x" * LONG
    assert with_written_strings({"a": long, "b": "y"}) == {"a": msgspec.Raw(PLAIN(long)), "b": "y"}
    assert with_written_strings(long) == msgspec.Raw(PLAIN(long))
    assert with_written_strings({"a": long[1:]}) == {"a": long[1:]}


@pytest.mark.parametrize("make", [lambda text: text, lambda text: {"a": text}])
def test_a_lone_surrogate_in_a_long_string_is_refused(make: Any) -> None:
    """It is refused as in a short one, in the same words, whether the last one was long or not."""
    with pytest.raises((ConfigError, UnicodeEncodeError)) as short:
        encode_json(make("\ud800"))
    for _ in range(2):
        encode_json("x" * LONG)
        with pytest.raises(type(short.value)) as long:
            encode_json(make("\ud800" + "x" * LONG))
    assert "surrogates not allowed" in str(long.value) and "surrogates not allowed" in str(short.value)  # noqa: PT018


def test_without_orjson_msgspec_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed nothing is missing."""

    def missing(_name: str) -> None:
        raise ImportError

    monkeypatch.setattr(long_strings, "import_module", missing)
    assert fast_writer.__wrapped__() is None
    monkeypatch.setattr(long_strings, "fast_writer", lambda: None)
    value = {"a": "x" * LONG}
    assert with_written_strings(value) == value
