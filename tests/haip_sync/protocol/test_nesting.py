"""How deep JSON may be nested."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haip_sync import ProtocolError
from haip_sync.protocol.envelope import decode_envelope
from haip_sync.protocol.nesting import check_nesting

_tricky = st.sampled_from(["[", "{", "]}", '"[', "\\", '\\"[', "\\\\", "ä[", 1, None])
_json = st.recursive(
    _tricky,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["[", '"{', "k\\"]), inner, max_size=3),
    max_leaves=30,
)


def depth(value: Any) -> int:
    """Return the levels of arrays and objects."""
    if isinstance(value, (list, dict)):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth, inner), default=0)
    return 0


@given(_json)
def test_the_depth_is_counted_exactly(value: Any) -> None:
    """As deep as allowed passes, one level more does not, and brackets in strings do not count."""
    data = json.dumps([value], ensure_ascii=False).encode()
    levels = depth([value])
    check_nesting(data, levels)
    with pytest.raises(ProtocolError, match=f"nested deeper than {levels - 1} levels"):
        check_nesting(data, levels - 1)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    """A long flat array passes."""
    check_nesting(json.dumps([[]] * 10_000).encode(), 2)


@pytest.mark.parametrize("tail", [b"", b'"', b"\\", b'"[\\'])
def test_what_is_too_deep_is_refused_before_the_rest_is_looked_at(tail: bytes) -> None:
    """The first level too many ends it, whatever follows, JSON or not; and brackets before it that close again do not count."""
    shallow = b"[" + b"[[],{}]," * 50_000
    check_nesting(shallow + tail, 3)
    with pytest.raises(ProtocolError, match="nested deeper than 9 levels"):
        check_nesting(shallow + b"[" * 9 + tail, 9)


def test_a_deep_frame_is_never_decoded() -> None:
    """A frame that is too deep is refused as that, even where it is no JSON: nothing is built of it first."""
    with pytest.raises(ProtocolError, match="nested deeper than 64 levels"):
        decode_envelope(b"[" * 65)
