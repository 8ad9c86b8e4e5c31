"""Numbers as people read them."""

from __future__ import annotations

import pytest

from monitor_app.model import units


@pytest.mark.parametrize(
    ("byte_count", "text"),
    [(0, "0"), (512, "0.5"), (1024, "1"), (7 * 1024 + 512, "7.5"), (10 << 20, "10 240"), (20, "0.02")],
)
def test_bytes_read_as_kib(byte_count: int, text: str) -> None:
    """KiB have a decimal where it matters and groups of digits where there are many."""
    assert units.format_kib(byte_count) == text


def test_few_bytes_are_not_rounded_to_kib() -> None:
    """Below one KiB bytes are said as they are."""
    assert units.format_bytes(231) == "231 B"
    assert units.format_bytes(2048) == "2 KiB"


@pytest.mark.parametrize(
    ("one", "other", "texts"),
    [
        (6034, 6012, ("6 034 B", "6 012 B")),
        (256_000, 256_100, ("256 000 B", "256 100 B")),
        (6034, 4500, ("5.9 KiB", "4.4 KiB")),
        (6034, 6034, ("5.9 KiB", "5.9 KiB")),
        (900, 0, ("900 B", "0 B")),
    ],
)
def test_two_amounts_that_differ_read_so(one: int, other: int, texts: tuple[str, str]) -> None:
    """Where rounding would make them the same, their bytes are told; nowhere else."""
    assert units.format_apart(one, other) == texts


@pytest.mark.parametrize(
    ("byte_count", "text"), [(0, "0 B"), (64 << 10, "64 KiB"), (10 << 20, "10 MiB"), ((10 << 20) + 1024, "10 241 KiB")]
)
def test_whole_mib_read_as_such_where_room_is_scarce(byte_count: int, text: str) -> None:
    """The cap of a channel, 10 MiB by default, has its place beside a heading."""
    assert units.format_large(byte_count) == text


def test_a_credit_names_only_what_it_has() -> None:
    """Of messages and bytes only those that are not zero are named."""
    assert units.format_credit(1, 0) == "+1 message"
    assert units.format_credit(0, 1024) == "+1 KiB"
    assert units.format_credit(50, 2048) == "+50 messages, +2 KiB"
    assert units.format_credit(0, 0) == "nothing"


@pytest.mark.parametrize(("seconds", "text"), [(6.21, "6.2 s"), (83.0, "1 min 23 s"), (3_700.0, "1 h 1 min"), (0.0, "0.0 s")])
def test_durations_have_the_units_that_matter(seconds: float, text: str) -> None:
    """A duration is said in one or two units."""
    assert units.format_duration(seconds) == text


@pytest.mark.parametrize(("value", "top"), [(0, 1), (3, 3), (11, 20), (61, 80), (100, 100), (900, 1000)])
def test_an_axis_ends_at_a_round_number(value: float, top: float) -> None:
    """The top of an axis is a round number that is not below the value."""
    assert units.nice_ceiling(value) == top


@pytest.mark.parametrize(("value", "top"), [(0, 1), (64, 64), (65, 96), (97, 128), (10_240, 12_288)])
def test_an_axis_of_kib_ends_at_a_binary_number(value: float, top: float) -> None:
    """The top of an axis of KiB is a power of two, or one and a half of one."""
    assert units.binary_ceiling(value) == top


def test_a_time_axis_is_marked_at_whole_steps() -> None:
    """A time axis has at most eight steps, its edges among the marks."""
    assert units.time_ticks(-120.0, 0.0) == [-120, -100, -80, -60, -40, -20, 0]
    assert units.time_ticks(-30.0, 0.0)[0] == -30
    assert units.time_ticks(-7.5, -2.5) == [-7, -6, -5, -4, -3]
    assert units.format_moment(0) == "now"
    assert units.format_moment(-20).endswith("20 s")


def test_a_session_is_told_by_its_two_ends() -> None:
    """A session id is cut in the middle; a short one is not."""
    assert units.short_session("6f1c0000-0000-4000-8000-00000000e2a9") == "6f1c…e2a9"
    assert units.short_session("abc") == "abc"


def test_rates_have_a_decimal_below_ten() -> None:
    """Small rates have a decimal, great ones and zero have none."""
    assert [units.format_rate(rate) for rate in (0.0, 7.42, 1234.5)] == ["0", "7.4", "1234"]


def test_what_rounds_to_ten_has_no_decimal() -> None:
    """A rate or a size just below ten is never wider than one above it: the cell would cut its unit."""
    assert [units.format_rate(rate) for rate in (9.94, 9.96, 10.04)] == ["9.9", "10", "10"]
    assert [units.format_flow(kib * 1024) for kib in (9.94, 9.96, 10.04)] == ["9.9 KiB/s", "10 KiB/s", "10 KiB/s"]
    assert [units.format_kib(kib * 1024) for kib in (9.96, -9.96)] == ["10", "-10"]


def test_a_flow_of_bytes_has_at_most_three_digits_before_its_unit() -> None:
    """From a thousand KiB on a flow is in MiB, so that it is never cut off in its column."""
    flows = (0.0, 1536.0, 999.0 * 1024, 999.6 * 1024, 1249.0 * 1024, 250.4 * 1024 * 1024)
    assert [units.format_flow(flow) for flow in flows] == [
        "0 KiB/s",
        "1.5 KiB/s",
        "999 KiB/s",
        "1 MiB/s",
        "1.2 MiB/s",
        "250 MiB/s",
    ]


def test_long_spans_are_marked_in_minutes() -> None:
    """An hour has few marks, in minutes; short ones have seconds."""
    assert units.time_ticks(-3600.0, 0.0) == [-3600, -3000, -2400, -1800, -1200, -600, 0]
    assert [units.format_moment(second) for second in (-3600, -600, -90, -120, 0)] == [
        f"{units.MINUS}60 min",
        f"{units.MINUS}10 min",
        f"{units.MINUS}90 s",
        f"{units.MINUS}120 s",
        "now",
    ]


def test_a_part_and_its_whole_have_one_unit() -> None:
    """Narrow cells name the unit once, with the whole; large windows are in MiB."""
    assert units.format_part(97, 96 * 1024) == ("0.1", "96 K")
    assert units.format_part(1 << 20, 10 << 20) == ("1", "10 M")


def test_shares_are_percents_and_little_is_not_nothing() -> None:
    """What is there is never shown as 0 %."""
    assert [units.format_share(share) for share in (0.0, 0.001, 0.006, 0.256)] == ["0 %", "<1 %", "1 %", "26 %"]
    assert [units.format_share(share) for share in (0.994, 0.996, 0.9999, 1.0)] == ["99 %", ">99 %", ">99 %", "100 %"]


def test_numbers_fit_into_narrow_cells() -> None:
    """One decimal below ten where there is one, groups of digits above."""
    assert [units.format_number(value) for value in (0.0, 3.0, 3.26, 46.7, 12_345.6)] == ["0", "3", "3.3", "47", "12 346"]


def test_a_long_name_keeps_both_of_its_ends() -> None:
    """Names that differ at the end only can be told apart on a button."""
    assert units.short_name("AUDIO_IN") == "AUDIO_IN"
    assert units.short_name("A_WORKER_WITH_A_LONG_NAME_15") == "A_WORKER_…E_15"
    assert len(units.short_name("A_WORKER_WITH_A_LONG_NAME_15", 9)) == 9


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (12.54, "12.5 s"),
        (99.2, "99 s"),
        (599.0, "599 s"),
        (600.0, "10 min"),
        (3599.0, "59 min"),
        (4080.0, "1.1 h"),
    ],
)
def test_a_duration_has_one_unit_in_a_narrow_cell(seconds: float, text: str) -> None:
    """A wait of hours is read at a glance as well; what is no number is a dash."""
    assert units.brief_duration(seconds) == text
    assert units.brief_duration(float("nan")) == units.NONE


def test_sizes_and_ticks_stay_short_however_great_they_are() -> None:
    """Six digits at most, whatever the unit."""
    assert [units.brief_size(kib << 10) for kib in (0, 9_999, 10_000, 35_068, 20 << 20)] == [
        "0 KiB",
        "9999 KiB",
        "9.8 MiB",
        "34 MiB",
        "20 GiB",
    ]
    assert [units.format_tick(value) for value in (0.0, 524_288.0, 1_048_576.0, 2e9)] == ["0", "524 288", "1 M", "2 000 M"]
