"""Numbers as people read them."""

from __future__ import annotations

import math
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * 1024
MINUS: Final = "\N{MINUS SIGN}"
NONE: Final = "\N{EN DASH}"
"""What stands where there is no value."""
_TICK_STEPS_S: Final = (1, 2, 5, 10, 20, 60, 120, 300, 600, 1200)
_MAX_TICKS: Final = 8
_SMALLEST_SPLIT: Final = 4
_ROUNDING: Final = 1e-6
_ONE_DECIMAL_FROM: Final = 0.1
"""Below this one decimal would read as nothing at all."""
_WHOLE_FROM: Final = 9.95
"""From here on one decimal would read as two digits and one."""
_SHORT_ID: Final = 10
_MIB_FROM_KIB: Final = 999.5
"""Rates from here on would read as four digits of KiB."""
_MINUTES_FROM: Final = 3
"""From here on whole minutes are read as such on an axis."""
_LEAST_PERCENT: Final = 0.005
_ALL: Final = 1 - 1e-5
_FIVE_DIGITS: Final = 10_000
_MILLION: Final = 1_000_000
_SECONDS_BELOW: Final = 600
"""Narrow cells tell seconds up to here."""
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


def format_kib(byte_count: float) -> str:
    """Return bytes in KiB without the unit: one decimal below ten, none above."""
    kib = byte_count / KIB
    if kib == int(kib) or abs(kib) >= _WHOLE_FROM:
        return f"{kib:,.0f}".replace(",", " ")
    return f"{kib:.1f}" if abs(kib) >= _ONE_DECIMAL_FROM else f"{kib:.2f}"


def format_bytes(byte_count: int) -> str:
    """Return bytes with the unit that suits them."""
    return f"{byte_count} B" if abs(byte_count) < KIB else f"{format_kib(byte_count)} KiB"


def format_large(byte_count: int) -> str:
    """Return bytes for a narrow place, in whole MiB where they are that."""
    return format_bytes(byte_count) if byte_count % MIB or not byte_count else f"{format_count(byte_count // MIB)} MiB"


def format_apart(one: int, other: int) -> tuple[str, str]:
    """Return two amounts of bytes with their units; those that would read the same and are not, in single bytes."""
    texts = format_bytes(one), format_bytes(other)
    return texts if texts[0] != texts[1] or one == other else (f"{format_count(one)} B", f"{format_count(other)} B")


def format_count(number: int) -> str:
    """Return a whole number with thin groups of three digits."""
    return f"{number:,}".replace(",", " ")


def format_messages(number: int) -> str:
    """Return a number of messages with its noun."""
    return "1 message" if number == 1 else f"{format_count(number)} messages"


def format_duration(seconds: float) -> str:
    """Return a span of time in the one or two units that matter; a dash for what is no number, as a program may claim."""
    if not math.isfinite(seconds):
        return NONE
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    if seconds < _HOUR_S:
        return f"{int(seconds // _MINUTE_S)} min {int(seconds % _MINUTE_S)} s"
    return f"{int(seconds // _HOUR_S)} h {int(seconds % _HOUR_S // _MINUTE_S)} min"


def brief_duration(seconds: float) -> str:
    """Return a span of time for narrow cells, in one unit; a dash for what is no number."""
    if not math.isfinite(seconds):
        return NONE
    if seconds < _SECONDS_BELOW:
        return f"{seconds:.1f} s" if seconds < _MINUTE_S else f"{seconds:.0f} s"
    return f"{int(seconds // _MINUTE_S)} min" if seconds < _HOUR_S else f"{format_rate(seconds / _HOUR_S)} h"


def format_credit(messages: int, byte_count: int) -> str:
    """Return an amount of both credits, leaving out the one that is zero: `+50 messages, +250 KiB`."""
    parts = []
    if messages:
        parts.append(f"+{format_messages(messages)}")
    if byte_count:
        parts.append(f"+{format_bytes(byte_count)}")
    return ", ".join(parts) or "nothing"


def format_rate(per_second: float) -> str:
    """Return a rate without its unit: one decimal below ten, none above."""
    return f"{per_second:.1f}" if 0 < per_second < _WHOLE_FROM else f"{per_second:.0f}"


def format_flow(bytes_per_s: float) -> str:
    """Return bytes a second for narrow cells, in MiB from a thousand KiB on: four digits and a unit have no room there."""
    kib = bytes_per_s / KIB
    if kib < _MIB_FROM_KIB:
        return f"{format_kib(bytes_per_s)} KiB/s"
    return f"{format_number(round(bytes_per_s / MIB, 1))} MiB/s"


def short_session(session_id: str) -> str:
    """Return the two ends of a session id: enough to tell two apart, short enough for a status bar."""
    compact = session_id.replace("-", "")
    return session_id if len(compact) <= _SHORT_ID else f"{compact[:4]}…{compact[-4:]}"


def short_name(name: str, most: int = 14) -> str:
    """Return a channel's name for a button or a heading: its two ends where it is long, since many differ at the end only."""
    tail = most // 3
    return name if len(name) <= most else f"{name[: most - tail - 1]}…{name[-tail:]}"


def brief_size(byte_count: int) -> str:
    """Return bytes with their unit for narrow cells: of four digits at most, and without groups of them."""
    if byte_count / KIB < _FIVE_DIGITS:
        return f"{format_kib(byte_count).replace(' ', '')} KiB"
    unit, name = (MIB, "MiB") if byte_count / MIB < _FIVE_DIGITS else (MIB * KIB, "GiB")
    return f"{format_number(round(byte_count / unit, 1))} {name}"


def format_tick(value: float) -> str:
    """Return a number of an axis: in millions where six digits are not enough."""
    return format_count(round(value)) if value < _MILLION else f"{format_number(round(value / _MILLION, 1))} M"


def time_ticks(left_s: float, right_s: float) -> list[int]:
    """Return the whole seconds at which a time axis from `left_s` to `right_s` is marked: eight at most."""
    step_s = next((step for step in _TICK_STEPS_S if (right_s - left_s) / step <= _MAX_TICKS), _TICK_STEPS_S[-1])
    first = math.ceil(left_s / step_s - _ROUNDING)
    last = math.floor(right_s / step_s + _ROUNDING)
    return [number * step_s for number in range(first, last + 1)]


def format_moment(seconds: int) -> str:
    """Return a time before now as an axis shows it."""
    if seconds == 0:
        return "now"
    minutes, rest = divmod(-seconds, _MINUTE_S)
    return f"{MINUS}{minutes} min" if minutes >= _MINUTES_FROM and not rest else f"{MINUS}{-seconds} s"


def nice_ceiling(value: float) -> float:
    """Return the next of 1, 2, 3, 4, 5, 6, 8 times a power of ten that is not below `value`: the top of an axis."""
    if value <= 1:
        return 1.0
    power = 10.0 ** (len(str(int(value))) - 1)
    return next(step * power for step in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 20.0) if step * power >= value)


def binary_ceiling(value: float) -> float:
    """Return the next power of two, or one and a half of one, that is not below `value`: the top of an axis of KiB."""
    top = 1.0
    while top < value:
        top *= 2
    return top * 0.75 if top >= _SMALLEST_SPLIT and top * 0.75 >= value else top


def format_number(value: float) -> str:
    """Return a number for narrow cells: one decimal below ten where it has one, groups of digits above."""
    if value == int(value) or abs(value) >= _WHOLE_FROM:
        return format_count(round(value))
    return f"{value:.1f}"


def format_share(share: float) -> str:
    """Return a part of a whole in percent; what rounds to nothing or to all and is not is told from it."""
    if 1 - _LEAST_PERCENT <= share < _ALL:
        return ">99 %"
    return "<1 %" if 0 < share < _LEAST_PERCENT else f"{share * 100:.0f} %"


def format_part(part: int, whole: int) -> tuple[str, str]:
    """Return bytes and what they are a part of for narrow cells, in one unit that the whole names: `12`, `96 K`."""
    unit, name = (MIB, "M") if whole >= MIB else (KIB, "K")
    return format_number(round(part / unit, 1)), f"{format_number(round(whole / unit, 1))} {name}"
