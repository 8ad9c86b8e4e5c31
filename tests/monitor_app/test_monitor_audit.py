"""The audit trail, and the commands that are written down in it."""

from __future__ import annotations

import getpass
import json
import os
from pathlib import Path
from typing import Any

import pytest

from monitor_app.model.audit import ActionMark, AuditTrail, Outcome, record_of, sentence_of, system_user
from monitor_app.model.audit_file import MOST_BYTES
from monitor_app.model.ingest import Ingest
from monitor_app.model.source import Notice
from monitor_app.model.strategy_plan import StrategyPlan


def notice(action: str, result: str, *, channel: str | None = "USER", ok: bool = True) -> Notice:
    """Return the result of a command."""
    return Notice(time_s=1000.0, channel=channel, action=action, result=result, ok=ok)


@pytest.fixture
def ingest(source: Any, clock: Any) -> Ingest:
    """Return an ingest whose actions are mara's."""
    made = Ingest(source, clock)
    made.audit.who = "mara"
    return made


def test_an_action_is_written_down_before_and_after_it_is_done(ingest: Ingest, source: Any, clock: Any) -> None:
    """The entry has who, when, where, why, and, once the source answers, what came of it."""
    ingest.commands.pause("USER", "codec restart")
    [entry] = ingest.audit.entries
    assert (entry.who, entry.time_s, entry.channel, entry.reason) == ("mara", clock.time_s, "USER", "codec restart")
    assert entry.outcome is Outcome.WAITING
    source.notices.append(notice("pause", "asked for"))
    ingest.tick()
    [entry] = ingest.audit.entries
    assert (entry.outcome, entry.result) == (Outcome.DONE, "asked for")
    assert ingest.log.rows[-1].text == "asked for (by mara: “codec restart”)"


def test_an_error_is_a_result(ingest: Ingest, source: Any) -> None:
    """What the source could not do is in the trail, in its words."""
    ingest.commands.request("USER", 3, 0)
    source.notices.append(notice("request", "must be positive", ok=False))
    ingest.tick()
    [entry] = ingest.audit.entries
    assert (entry.outcome, entry.result, entry.details) == (Outcome.FAILED, "must be positive", "+3 messages")


def test_answers_go_to_the_oldest_action_of_their_kind_and_channel(ingest: Ingest, source: Any) -> None:
    """Two requests on one channel and one on another are answered each on its own."""
    for channel, messages in (("USER", 1), ("AGENT", 2), ("USER", 3)):
        ingest.commands.request(channel, messages, 0)
    source.notices.extend([notice("request", "other", channel="AGENT"), notice("request", "first")])
    ingest.tick()
    assert [entry.result for entry in ingest.audit.entries] == ["first", "other", ""]


def test_what_nobody_did_here_is_no_entry(ingest: Ingest, source: Any) -> None:
    """A script's notice is a row of the log, not an action."""
    source.notices.append(notice("script", "The script has ended.", channel=None))
    ingest.tick()
    assert ingest.audit.entries == ()
    assert ingest.log.rows[-1].text == "The script has ended."


@pytest.mark.parametrize("action", ["pause", "resume", "request", "test message", "clear queue", "strategy"])
def test_read_only_refuses_every_command_and_says_so(ingest: Ingest, source: Any, action: str) -> None:
    """Nothing reaches the source; trail and log have the refusal, and an earlier action keeps its own answer."""
    calls = {
        "pause": lambda: ingest.commands.pause("USER", None),
        "resume": lambda: ingest.commands.resume("USER", "why"),
        "request": lambda: ingest.commands.request("USER", 1, 1),
        "test message": lambda: ingest.commands.send_test_message("USER", "text"),
        "clear queue": lambda: ingest.commands.clear_queue("USER", None, messages=1, byte_count=1),
        "strategy": lambda: ingest.commands.use_strategy(StrategyPlan("manual")),
    }
    calls[action]()
    assert len(source.calls) == 1
    ingest.commands.read_only = True
    calls[action]()
    ingest.tick()
    assert len(source.calls) == 1
    assert [entry.outcome for entry in ingest.audit.entries] == [Outcome.WAITING, Outcome.REFUSED]
    assert "read-only" in ingest.log.rows[-1].text


def test_a_source_that_takes_no_commands_gets_none(ingest: Ingest, source: Any) -> None:
    """What the source says against steering is the reason that is given, and the one for disabled controls."""
    source.steering_refused = "This recording is over."
    ingest.commands.pause("USER", None)
    assert source.calls == []
    assert ingest.commands.why_not(connected=True) == "This recording is over."


def test_connecting_is_written_down_without_secrets(ingest: Ingest, source: Any) -> None:
    """An address is cleaned before it enters the trail, and the token never does."""
    ingest.commands.connect_to("ws://user:hunter2@host:1/?token=hunter2", "hunter2")
    ingest.commands.reconnect()
    assert "hunter2" not in str(ingest.audit.entries)
    assert [entry.details for entry in ingest.audit.entries] == ["to ws://host:1/", "again to ws://fake:1"]


def test_the_trail_is_bounded_and_counts_what_it_lost(clock: Any) -> None:
    """The oldest entries go, and it is known how many."""
    trail = AuditTrail(clock, "mara", max_entries=3)
    for number in range(5):
        trail.begin("pause", "USER", details=str(number))
    assert [entry.number for entry in trail.entries] == [3, 4, 5]
    assert trail.dropped == 2


def test_actions_are_marks_of_their_channel(ingest: Ingest, clock: Any) -> None:
    """A view can take time, kind and text of each action since a moment."""
    ingest.commands.pause("USER", "tea")
    clock.time_s += 5.0
    ingest.commands.resume("USER")
    ingest.commands.pause("AGENT", None)
    marks = ingest.audit.marks_since("USER", clock.time_s - 1.0)
    assert marks == [ActionMark(clock.time_s, "resume", "mara: resume on USER: no answer yet")]
    assert len(ingest.audit.marks_since("USER", 0.0)) == 2


def test_an_entry_reads_as_a_sentence_and_as_a_record(ingest: Ingest, clock: Any) -> None:
    """The export has a full time with its offset, and every column."""
    ingest.commands.pause("USER", "tea")
    [entry] = ingest.audit.entries
    assert sentence_of(entry) == "mara: pause on USER (“tea”): no answer yet"
    record = record_of(entry, clock)
    assert record["who"] == "mara"
    assert str(record["time"]).startswith("20")
    assert "T" in str(record["time"])
    assert record["outcome"] == "no answer yet"


def test_a_user_whom_the_system_does_not_know_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container without a passwd entry there is still a who."""

    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert system_user().startswith("uid ")


def test_what_the_source_would_not_answer_is_no_action(ingest: Ingest, source: Any) -> None:
    """A source that is connecting already, or never connects, ignores the call; the trail has no entry without an end."""
    source.connecting = True
    ingest.commands.connect_to("ws://a:1", None)
    ingest.commands.reconnect()
    source.connecting, source.can_reconnect = False, False
    ingest.commands.reconnect()
    assert ingest.audit.entries == ()
    assert source.calls == []


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return what a file of JSON lines holds."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_trail_is_kept_in_a_file_of_the_users(ingest: Ingest, source: Any, tmp_path: Path) -> None:
    """A line stands there before the action is done, another once it is answered; only the user reads it, without any token."""
    path = tmp_path / "new" / "audit.jsonl"
    source.address = "ws://fake:1/?token=secret"
    ingest.keep_audit(path)
    ingest.commands.pause("USER", "codec restart")
    [line] = read_lines(path)
    assert (line["who"], line["action"], line["reason"], line["outcome"]) == ("mara", "pause", "codec restart", "no answer yet")
    source.notices.append(notice("pause", "asked for"))
    ingest.tick()
    first, second = read_lines(path)
    assert (first["pid"], first["number"]) == (second["pid"], second["number"]) == (os.getpid(), 1)
    assert second["outcome"] == "done"
    assert path.stat().st_mode & 0o777 == 0o600
    assert "secret" not in path.read_text(encoding="utf-8")


def test_a_full_audit_file_makes_room_and_the_one_before_stays(ingest: Ingest, tmp_path: Path) -> None:
    """The old file is beside the new one, whole."""
    path = tmp_path / "audit.jsonl"
    path.write_text("x" * MOST_BYTES, encoding="utf-8")
    ingest.keep_audit(path)
    ingest.commands.resume("USER")
    assert len(read_lines(path)) == 1
    assert (tmp_path / "audit.jsonl.1").stat().st_size == MOST_BYTES


def test_an_audit_file_that_cannot_be_written_is_told_once_and_holds_up_nothing(
    ingest: Ingest, source: Any, tmp_path: Path
) -> None:
    """The actions are done, and the log says that the trail lives in the window only."""
    (tmp_path / "audit.jsonl").mkdir()
    ingest.keep_audit(tmp_path / "audit.jsonl")
    ingest.commands.pause("USER", None)
    ingest.commands.resume("USER")
    assert [call[0] for call in source.calls] == ["pause", "resume"]
    assert len([row for row in ingest.log.rows if "lives in this window only" in row.text]) == 1
