"""The log without a window: filters in slices, cuts that are marked, rows as trees, files that are whole or not there."""

from __future__ import annotations

import csv
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from haip_sync import Message, SendAdmitted, WarningRaised
from haip_sync.observe import WaitsBegan, WaitsEnded
from monitor_app.model.audit import AuditTrail
from monitor_app.model.cutting import MAX_BINARY, MAX_DEPTH, MAX_MEMBERS, MAX_TEXT, cut, cut_bytes, cut_text, one_line
from monitor_app.model.event_log import EventLog, LogRow, Tone, row_of_event, row_of_notice
from monitor_app.model.export import STEP_ROWS, Export, ExportError, Format, Table
from monitor_app.model.inspection import as_text, plain_row, tree_of
from monitor_app.model.log_filter import BUDGET_S, FilteredLog, RowFilter
from monitor_app.model.source import Notice


def row(number: int, channel: str | None = "USER", kind: str = "X") -> LogRow:
    """Return a plain row."""
    return LogRow(float(number), channel, kind, f"number {number}", Tone.PLAIN)


def message(payload: Any, **changes: Any) -> Message:
    """Return a message of the peer's."""
    given = {"type": "MESSAGE", "id": "i", "session": "s", "seq": "1", "channel": "USER", "time_s": 1.0, **changes}
    return Message(payload=payload, **given)


def settle(found: FilteredLog) -> None:
    """Let a filter come to the end of the log."""
    while found.behind:
        looked = found.look()
        found.take_gone(looked)
        found.take_new(looked)


# ---- Filtering


def test_filters_hold_together() -> None:
    """Channel, type and text are all asked for; the case does not matter."""
    log = EventLog()
    for number in range(20):
        log.add(row(number, ("USER", "AGENT")[number % 2], ("X", "Y")[number % 4 // 2]))
    found = FilteredLog(log)
    found.choose(RowFilter(channel="AGENT", kind="Y", text="NUMBER 1"))
    settle(found)
    assert [shown.text for shown in found.rows] == ["number 11", "number 15", "number 19"]


def test_a_look_ends_when_its_budget_is_spent() -> None:
    """A hundred thousand rows are filtered in slices; between two of them the window can breathe."""
    log = EventLog()
    for number in range(100_000):
        log.add(row(number))
    times = iter(number * BUDGET_S for number in range(10_000))
    found = FilteredLog(log, now_s=lambda: next(times))
    looked = found.look()
    assert 0 < len(looked.new) < 10_000
    assert found.behind == 100_000 - len(looked.new)
    found.take_new(looked)
    settle(found)
    assert len(found.rows) == 100_000
    assert [shown.time_s for shown in found.rows[:3]] == [0.0, 1.0, 2.0]


def test_rows_that_leave_the_log_leave_the_filter_even_while_it_works() -> None:
    """However much the ring turns between two looks, what is shown is what the log holds."""
    log = EventLog(max_rows=5)
    found = FilteredLog(log)
    found.choose(RowFilter(text="number"))
    for burst in (3, 4, 50, 1):
        for _ in range(burst):
            log.add(row(log.end))
        settle(found)
        looked = found.look()
        found.take_gone(looked)
        assert [shown.text for shown in found.rows] == [kept.text for kept in log.rows]


def test_the_log_knows_the_kinds_that_occurred_and_no_more_than_a_hundred() -> None:
    """A filter offers what there is; a peer that invents error codes cannot fill it without end."""
    log = EventLog()
    for number in range(500):
        log.add(row(number, kind=f"CODE_{number}"))
    assert len(log.kinds) == 100


# ---- Cutting


def test_every_cut_says_how_much_is_gone() -> None:
    """Text and binary name their missing bytes, lists and mappings their missing members, depth what lies below."""
    assert cut_text("é" * 10, 4) == "éééé… 12 more bytes"
    assert cut_bytes(bytes(range(5)), 3) == "00 01 02… 2 more bytes"
    assert cut("x" * (MAX_TEXT + 7)).endswith("… 7 more bytes")
    assert cut(b"\0" * (MAX_BINARY + 1)).endswith("… 1 more bytes")
    assert cut(list(range(MAX_MEMBERS + 3)))[-1] == "… 3 more items"
    assert cut({str(number): 1 for number in range(MAX_MEMBERS + 2)})["…"] == "2 more members"
    deep: Any = "bottom"
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]
    assert "nested too deep to show" in str(cut(deep))
    assert cut({"a": [1, None, True, 2.5]}) == {"a": [1, None, True, 2.5]}
    assert one_line("a\n  b\tc" + "x" * 50, 8) == "a b cxxx… 47 more bytes"


def test_a_message_keeps_what_is_worth_showing_and_not_its_payload() -> None:
    """A hundred thousand rows of a megabyte each would not fit: a row holds a cut copy, and says so."""
    made = row_of_event(message("y" * 1_000_000, binary=b"\1" * 1_000_000))
    assert made is not None
    assert made.text.endswith("more bytes")
    assert len(made.text) < 200
    assert len(str(made.detail)) < 10_000
    assert isinstance(made.detail, dict)
    assert made.detail["payload"].endswith("… 998 000 more bytes")


def test_single_messages_have_rows_and_control_frames_have_none_of_their_own() -> None:
    """What is a row already (grants, pauses) or no news (PONG) is not told twice; what left says what it cost."""
    assert row_of_event(message({}, type="FLOW_UPDATE")) is None
    assert row_of_event(message({}, type="PONG")) is None
    sent = SendAdmitted(
        time_s=1.0,
        channel="USER",
        event_type="MESSAGE",
        message_id="m",
        frames=2,
        messages=2,
        byte_credits=99,
        wait_s=1.5,
        last=True,
    )
    made = row_of_event(sent)
    assert made is not None
    assert (made.kind, made.text, made.tone) == (
        "MESSAGE",
        "sent 2 frames after 1.5 s; spent 2 messages, 99 B; id m",
        Tone.SENT,
    )


def test_waits_that_an_attached_script_counted_have_a_row_for_each_end() -> None:
    """How many, for what, what the first lacks, and how long they took."""
    began = WaitsBegan(
        time_s=1.0,
        channel="USER",
        cause="messages",
        messages_needed=3,
        bytes_needed=0,
        credits=1,
        byte_credits=2_048,
        waiting=2,
        times=5,
    )
    rows = [
        row_of_event(began),
        row_of_event(msgspec.structs.replace(began, cause="offline", messages_needed=0, times=1, waiting=1)),
        row_of_event(WaitsEnded(time_s=1.0, channel="USER", cause="bytes", times=4, total_s=2.04)),
        row_of_event(WaitsEnded(time_s=1.0, channel="USER", cause="a new one", times=1, total_s=0.01)),
    ]
    assert [(row.kind, row.text) for row in rows if row is not None] == [
        ("BLOCKED", "5 sends had to wait: no credit in messages; the first needs 3 messages, has 1; 2 stand now"),
        ("BLOCKED", "1 send had to wait: no connection"),
        ("ADMITTED", "4 sends went on after 2.0 s together: no credit in bytes"),
        ("ADMITTED", "1 send went on after less than 0.1 s: a new one"),
    ]


# ---- Inspecting


def test_rows_become_trees(clock: Any) -> None:
    """An event has its name and every member, a message its payload down to the leaves."""
    made = row_of_event(message({"text": "hello", "list": [1, {"deep": None}]}))
    assert made is not None
    tree = tree_of("row", plain_row(made, clock))
    detail = next(child for child in tree.children if child.name == "detail")
    payload = next(child for child in detail.children if child.name == "payload")
    assert payload.value == "2 members"
    assert (payload.children[0].name, payload.children[0].value) == ("text", "hello")
    assert payload.children[1].children[1].children[0].value == "null"
    warning = row_of_event(WarningRaised(time_s=1.0, text="a warning", channel="USER"))
    assert warning is not None
    assert plain_row(warning, clock)["detail"]["event"] == "WarningRaised"


def test_an_action_and_a_notice_can_be_inspected(clock: Any) -> None:
    """Who and why are in the row of an action; a notice that nobody asked for shows itself."""
    trail = AuditTrail(clock, "mara")
    trail.begin("pause", "USER", reason="tea")
    notice = Notice(time_s=1.0, channel="USER", action="pause", result="asked for", ok=True)
    made = plain_row(row_of_notice(notice, trail.answer(notice)), clock)
    assert (made["detail"]["who"], made["detail"]["reason"]) == ("mara", "tea")
    assert plain_row(row_of_notice(notice), clock)["detail"]["result"] == "asked for"
    assert json.loads(as_text(made))["what"] == "asked for (by mara: “tea”)"


# ---- Exporting


def table(count: int) -> Table:
    """Return a table whose cells need quoting."""
    return Table(("number", "text"), ({"number": n, "text": f'a "{n}",\nb', "more": [n]} for n in range(count)), count)


def left_behind(folder: Path) -> list[str]:
    """Return the names in a folder."""
    return sorted(os.listdir(folder))


def test_csv_has_the_columns_and_json_lines_everything(tmp_path: Path) -> None:
    """Both can be read back; quotes, commas and line ends survive."""
    count = STEP_ROWS + 3
    Export(table(count), tmp_path / "t.csv", Format.CSV).run()
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["number", "text"]
    assert rows[1] == ["0", 'a "0",\nb']
    assert len(rows) == count + 1
    Export(table(2), tmp_path / "t.jsonl", Format.JSON_LINES).run()
    lines = (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[1]) == {"number": 1, "text": 'a "1",\nb', "more": [1]}
    assert left_behind(tmp_path) == ["t.csv", "t.jsonl"]


def test_an_export_goes_in_steps_and_can_be_given_up(tmp_path: Path) -> None:
    """Until the last step the old file is as it was; given up, nothing new is left."""
    target = tmp_path / "t.csv"
    target.write_text("old")
    target.chmod(0o640)
    export = Export(table(STEP_ROWS * 3), target, Format.CSV)
    assert export.step()
    assert (export.done, export.total) == (STEP_ROWS, STEP_ROWS * 3)
    assert target.read_text() == "old"
    export.abort()
    assert left_behind(tmp_path) == ["t.csv"]
    Export(table(1), target, Format.CSV).run()
    assert target.read_text().startswith("number")
    assert target.stat().st_mode & 0o777 == 0o640


def test_behind_a_link_the_file_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    """Whoever has a link to another disk finds the rows there."""
    (tmp_path / "disk").mkdir()
    link = tmp_path / "t.csv"
    link.symlink_to(tmp_path / "disk" / "t.csv")
    for _ in range(2):
        Export(table(1), link, Format.CSV).run()
    assert link.is_symlink()
    assert (tmp_path / "disk" / "t.csv").read_text().startswith("number")
    assert left_behind(tmp_path) == ["disk", "t.csv"]


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    """A pipe, or a device as /dev/null is, stays what it is; the error says what to do."""
    pipe = tmp_path / "t.csv"
    os.mkfifo(pipe)
    with pytest.raises(ExportError, match=r"is no ordinary file\. Give another name\. Nothing was changed\."):
        Export(table(1), pipe, Format.CSV)
    assert pipe.is_fifo()
    assert left_behind(tmp_path) == ["t.csv"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The error names the folder, which is what is wrong, and says what to do, and that nothing was written."""
    with pytest.raises(ExportError, match=r"There is no folder .*/gone\. Make it first, or give another one\. Nothing was"):
        Export(table(1), tmp_path / "gone" / "t.csv", Format.CSV)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, r"the disk is full\. Nothing was changed\. Free some space, or give another folder\.$"),
        (errno.EACCES, r"you may not write there\. Nothing was changed\. Give another folder\.$"),
        (errno.EIO, r"error\. Nothing was changed\.$"),
    ],
)
def test_a_disk_that_fills_up_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    """Noticed at the last moment: the old file stays, the new one is gone, and the sentence says what to do where it can."""
    target = tmp_path / "t.csv"
    target.write_text("old")

    def full(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportError, match=words):
        Export(table(1), target, Format.CSV).run()
    assert target.read_text() == "old"
    assert left_behind(tmp_path) == ["t.csv"]


def test_a_record_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    """An error of another kind passes through, and the unfinished file is gone."""

    def records() -> Iterator[dict[str, int]]:
        yield {"number": 1}
        raise LookupError("no more")

    export = Export(Table(("number",), records(), 2), tmp_path / "t.csv", Format.CSV)
    with pytest.raises(LookupError):
        export.step()
    assert left_behind(tmp_path) == []
