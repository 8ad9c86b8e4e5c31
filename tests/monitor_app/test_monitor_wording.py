"""Sentences of the library's as an operator reads them: the cause first, and nothing that only a program can call."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from support.still_clock import StillClock

import haip_sync.observe
import monitor_app
from haip_sync import AuthError, ChannelStalled, ConfigError, ConnectError, Disconnected, Reconnecting
from haip_sync.flow.explain import ADVICE
from monitor_app.main_window import MainWindow
from monitor_app.model.attempt import cancelled
from monitor_app.model.audit import AuditTrail
from monitor_app.model.event_log import row_of_event, row_of_notice
from monitor_app.model.failures import failure_of, told_of_failure
from monitor_app.model.source import Notice
from monitor_app.model.wording import cause_first, cause_of, for_operators, kept_together

ADDRESS = "ws://127.0.0.1:36001"
GONE = f"{ADDRESS} cannot be reached: connection refused. Is a server running there? Nothing was sent."
STOPS = f"{ADDRESS} closed the connection with code 1001 (server stops)"


@pytest.mark.parametrize(
    ("text", "first", "cause"),
    [
        (
            GONE,
            f"cannot be reached: connection refused ({ADDRESS}). Is a server running there? Nothing was sent.",
            "cannot be reached: connection refused",
        ),
        (STOPS, f"{STOPS.removeprefix(ADDRESS).strip()} ({ADDRESS})", "closed the connection with code 1001 (server stops)"),
        (f"{ADDRESS}: the peer is gone.", f"the peer is gone ({ADDRESS}).", "the peer is gone"),
        ("the line is dead", "the line is dead", "the line is dead"),
    ],
)
def test_the_address_comes_after_the_cause(text: str, first: str, cause: str) -> None:
    """A row that is cut off says what happened before it says where; nothing is lost where the whole is told."""
    assert cause_first(text) == first
    assert cause_of(text) == cause


def test_advice_for_programs_is_advice_for_operators() -> None:
    """None of the sentences that the library makes of a wait names a call of its own."""
    pauses = (
        "USER is paused by us: resume_channel('USER') lets it go on",
        "USER is paused by the peer, until it sends RESUME_CHANNEL",
    )
    for text in (*ADVICE.values(), *pauses):
        assert "_" not in for_operators(text)
    assert for_operators(ADVICE["peer_stopped_granting"]).endswith("a request asks the peer for more")


def test_the_log_says_the_cause_of_a_loss_first() -> None:
    """Of a lost line, of every attempt, and of a channel that stands still, which the column beside it names."""
    lost = row_of_event(Disconnected(time_s=1.0, reason=STOPS, code=1001, in_good_order=True))
    assert lost is not None
    assert lost.text.startswith("closed the connection with code 1001")
    again = row_of_event(Reconnecting(time_s=1.0, attempt=2, delay_s=0.8, next_try_s=1.8, reason=GONE))
    assert again is not None
    assert again.text == "cannot be reached: connection refused; attempt 2 in 0.8 s"
    why = "AUDIO_IN needs 6034 bytes of credit and has 0; nothing was granted: request_credits asks the peer for more"
    stalled = row_of_event(ChannelStalled(time_s=1.0, channel="AUDIO_IN", cause="bytes", waiting=1, stalled_s=5.0, text=why))
    assert stalled is not None
    assert stalled.text == "needs 6034 bytes of credit and has 0; nothing was granted: a request asks the peer for more"


def test_a_failed_attempt_is_told_once_and_cause_first() -> None:
    """In the log and the audit trail, which have one line for it; what the operator did himself comes under its own name."""
    assert told_of_failure(failure_of(ConnectError(GONE), ADDRESS)).startswith(
        f"Cannot be reached: connection refused ({ADDRESS})."
    )
    refused = failure_of(AuthError(f"{ADDRESS} refused the token: it closed the connection"), ADDRESS)
    assert told_of_failure(refused).startswith(f"Refused the token: it closed the connection ({ADDRESS}). Give another")
    bad = failure_of(ConfigError("the address has no host"), "")
    assert told_of_failure(bad).startswith("The address cannot be used. the address has no host.")
    assert told_of_failure(cancelled(ADDRESS)) == f"Connecting was cancelled. {ADDRESS} had not answered yet."


def test_who_did_it_stands_within_the_sentence() -> None:
    """A full stop before the brackets would make two of one."""
    entry = AuditTrail(StillClock(), "mara").begin("connect", None)
    row = row_of_notice(Notice(time_s=1.0, channel=None, action="connect", result=f"Connected to {ADDRESS}.", ok=True), entry)
    assert row.text == f"Connected to {ADDRESS} (by mara)"


def test_the_causes_have_room_in_the_log(window: MainWindow, clock: StillClock) -> None:
    """At the smallest size, without widening: an attempt that failed, and what came of an action."""
    window.resize(1280, 800)
    source = window.ingest.source
    source.events.append(Reconnecting(time_s=clock.time_s, attempt=2, delay_s=0.8, next_try_s=1000.8, reason=GONE))
    window.ingest.commands.request("USER", 1, 0)
    source.notices.append(Notice(time_s=clock.time_s, channel="USER", action="request", result="not connected at all", ok=False))
    window.refresh()
    window.log_panel.show_audit()
    for view, row in ((window.log, -2), (window.log_panel.audit, -1)):
        model = view.model()
        column = model.columnCount() - 1
        index = model.index(model.rowCount() + row, column)
        needed = view.fontMetrics().horizontalAdvance(str(index.data(Qt.ItemDataRole.DisplayRole)))
        assert needed + 8 <= view.columnWidth(column), index.data()


def test_a_number_stays_on_the_line_of_its_unit() -> None:
    """Only there no line ends: between words it may, so that the sentence is as long as before and still finds room."""
    text = "12 KiB left. Last grant +9 messages, +18 KiB, 1.2 s ago. Paused for 2 min 5 s."
    kept = kept_together(text)
    assert kept.split(" ") == [
        "12\xa0KiB",
        "left.",
        "Last",
        "grant",
        "+9",
        "messages,",
        "+18\xa0KiB,",
        "1.2\xa0s\xa0ago.",
        "Paused",
        "for",
        "2\xa0min",
        "5\xa0s.",
    ]
    assert kept.replace("\xa0", " ") == text


def test_the_control_dock_tears_no_number_from_its_unit(window: MainWindow, source: Any) -> None:
    """The sentence of the chosen channel is in few narrow lines."""
    source.change("USER", credits=46, byte_credits=512, backlog=31, oldest_wait=6.2, waiting_for="bytes", missing=7168)
    window.refresh()
    assert window.control.answer._text.text().startswith("Needs 7.5\xa0KiB, has 512\xa0B. ")


def texts_of(package: str) -> Iterator[tuple[str, str]]:
    """Return where each text of a package stands that is no docstring, and the text."""
    for path in sorted(Path(package).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                node.value.value = None  # a docstring; ast.walk comes to what is in a node after the node
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.name}:{node.lineno}", node.value


@pytest.mark.parametrize("package", [monitor_app.__file__, haip_sync.observe.__file__], ids=["monitor_app", "observe"])
def test_what_runs_elsewhere_is_a_script_wherever_it_is_told_of(package: str) -> None:
    """An operator attaches to a script and reads of a script ever after; `program` is the code's word."""
    found = {where: text for where, text in texts_of(package) if re.search(r"\bprograms?\b", text, re.IGNORECASE)}
    assert {where: text for where, text in found.items() if text != "monitor-programs"} == {}  # a thread's name
