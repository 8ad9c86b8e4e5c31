"""Long strings are written by orjson and read by jiter where these are installed: the same bytes, and the same errors."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haip_sync import ConfigError
from haip_sync.protocol import long_strings
from haip_sync.protocol.envelope import decode_envelope, encode_json, encode_payload
from haip_sync.protocol.frames import FrameMaker
from haip_sync.protocol.long_strings import (
    LONG,
    STAND_IN,
    LateJson,
    fast_reader,
    fast_writer,
    put_in_place,
    read_string,
    with_written_strings,
)

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
    """Where it is not installed nothing is missing, and a string with escapes, which takes long to write, is written once."""

    def missing(_name: str) -> None:
        raise ImportError

    monkeypatch.setattr(long_strings, "import_module", missing)
    assert fast_writer.__wrapped__() is None
    monkeypatch.setattr(long_strings, "fast_writer", lambda: None)
    value = {"a": '"' * LONG}
    assert with_written_strings(value) == value
    encode_json("x" * LONG)
    assert encode_payload(value) == PLAIN(value)


@pytest.mark.parametrize("write", [fast_writer(), None], ids=["orjson", "msgspec"])
@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), st.integers(1, 10**6), st.integers(0, 10**6))
def test_a_frame_that_writes_its_string_late_is_the_same(write: Any, value: dict[str, Any], seq: int, ack: int) -> None:
    """Whenever its string is written, a frame has the same bytes, as many as it says, and as often as it is asked."""
    maker = FrameMaker("session", lambda: "id")
    at_once = maker.make("USER", "MESSAGE", PLAIN(value))
    encode_json("x" * LONG)  # only after a long one is looked for long ones
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_strings, "fast_writer", lambda: write)
        late = maker.make("USER", "MESSAGE", encode_payload(value))
    assert late.render(seq, ack, 7) == late.render(seq, ack, 7) == at_once.render(seq, ack, 7)
    assert late.size(seq, ack) == at_once.size(seq, ack) == len(late.render(seq, ack, 7))
    assert late.about_bytes == at_once.about_bytes


@pytest.mark.parametrize(
    ("character", "write"),
    [("x", fast_writer()), ("x", None), ("\n", fast_writer()), ('"', fast_writer()), ("\x7f", None)],
    ids=["orjson", "msgspec", "a line end, orjson", "a quote, orjson", "what looks like a control character"],
)
def test_what_is_kept_of_a_long_string_is_the_callers_own(monkeypatch: pytest.MonkeyPatch, character: str, write: Any) -> None:
    """No copy of it lives as long as the frame; what else the payload said is as it was, whatever becomes of the payload."""
    monkeypatch.setattr(long_strings, "fast_writer", lambda: write)
    payload: dict[str, Any] = {"a": [1], "text": character * LONG}
    text = payload["text"]
    encode_json(text)
    late = encode_payload(payload)
    assert isinstance(late, LateJson)
    assert late.text is text
    expected = PLAIN(payload)
    payload["a"].append(2)
    payload["text"] = "y"
    assert b"".join(late.pieces()) == expected
    assert len(late) == len(expected)


@pytest.mark.parametrize(
    "payload",
    [{"a": "ä" * LONG}, {"a": "x" * LONG, "b": "y" * LONG}, "x" * LONG, {"a": "x" * (LONG - 1)}, {"a": ["x" * LONG]}],
    ids=["not ASCII", "two", "no object", "short", "deeper"],
)
def test_what_is_not_so_plain_is_written_at_once(payload: object) -> None:
    """Where the string may be larger than what it is written as, or is not the only one, nothing is put off."""
    encode_json("x" * LONG)
    assert encode_payload(payload) == PLAIN(payload)


def test_a_payload_beside_a_long_string_that_json_cannot_carry_is_refused() -> None:
    """The same error as for any other payload."""
    encode_json("x" * LONG)
    with pytest.raises(ConfigError, match="cannot be written as JSON"):
        encode_payload({"text": "x" * LONG, "b": object()})


def read_by_msgspec(written: bytes) -> str | None:
    """Return what msgspec makes of a string; None: it refuses it."""
    try:
        return str(msgspec.json.decode(written, type=str))
    except ValueError:
        return None


def test_every_escape_is_read_alike() -> None:
    """What jiter makes of each character of ASCII, each escape of one letter and each of four digits msgspec makes of it too."""
    assert fast_reader() is not msgspec.json.decode, "the tests need the extra `fast`"
    plain = [bytes((code,)) for code in range(128)]
    escaped = [b"\\" + letter for letter in plain]
    numbered = [b"\\u%04x" % code for code in range(1 << 16)]
    halves = [b"\\ud83d\\ude00", b"\\ud83d\\u0041", b"\\ud83dx", b"\\ude00\\ud83d", b"\\ud83d\\ud83d\\ude00"]
    for inside in (*plain, *escaped, *numbered, *halves):
        written = b'"a%bz"' % inside
        assert read_string(written) == read_by_msgspec(written), written


@given(st.text(), st.sampled_from([b"", b'"', b"\\", b"\xff", b",", b"\x00"]))
def test_what_is_no_string_is_none(text: str, spoiled: bytes) -> None:
    """A string in any alphabet is read; with something behind it, or without its end, it is none."""
    written = PLAIN(text) if all(ord(character) not in SURROGATES for character in text) else b'""'
    assert read_string(written) == read_by_msgspec(written)
    assert read_string(written[:-1] + spoiled) == read_by_msgspec(written[:-1] + spoiled)
    assert read_string(b"[1]") is None


@pytest.mark.parametrize("text", ["x", "two\nlines ", 'a "quote" ', "grüße ", "\U0001f600"])
@pytest.mark.parametrize("has_jiter", [True, False])
def test_a_frame_around_a_long_string(monkeypatch: pytest.MonkeyPatch, text: str, has_jiter: bool) -> None:
    """It is read whole, in whatever alphabet, with jiter or without."""
    if not has_jiter:
        monkeypatch.setattr(long_strings, "fast_reader", lambda: msgspec.json.decode)
    payload = {"message_id": "m", "text": text * LONG, "empty": ""}
    frame = PLAIN({"id": "1", "channel": "USER", "type": "TEXT_MESSAGE_PART", "payload": payload})
    assert decode_envelope(frame).payload == payload


def test_the_stand_in_is_found_as_a_member_only() -> None:
    """A payload that is no object, or has it deeper, is left for the decoder of the whole."""
    payload = {"a": "", "b": STAND_IN}
    assert put_in_place(payload, "text")
    assert payload == {"a": "", "b": "text"}
    assert not put_in_place({"a": [STAND_IN]}, "text")
    assert not put_in_place(STAND_IN, "text")


def test_without_jiter_msgspec_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed nothing is missing."""

    def missing(_name: str) -> None:
        raise ImportError

    monkeypatch.setattr(long_strings, "import_module", missing)
    assert fast_reader.__wrapped__() is msgspec.json.decode
