"""Every state that stands still says what to do, and has the one useful button, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot
from support.states import make_connection

from haip_sync import AuthError, ConnectError
from monitor_app.main_window import MainWindow
from monitor_app.model.absence import absence_of
from monitor_app.model.failures import failure_of, failure_of_loss
from monitor_app.model.remedies import ATTACH, ATTACH_AGAIN, Offer
from monitor_app.model.source import Failure

LEFT = Qt.MouseButton.LeftButton


class StandInLink:
    """A link to a program, as far as its absence is told."""

    def __init__(self, *, has_ended: bool, trouble: str | None) -> None:
        self.has_ended = has_ended
        self.trouble = trouble
        self.is_forwarded = False
        self.program = type("Program", (), {"name": "feed.py"})


def ways_to_try(window: MainWindow) -> list[QPushButton]:
    """Return the buttons in sight that try to connect again."""
    return [found for found in window.findChildren(QPushButton) if found.isVisible() and "Try again" in found.text()]


def never_connected(source: Any) -> None:
    """Let an attempt have failed, before any connection stood."""
    source.state = make_connection(connected=False, phase="closed", epoch=0)
    source.failure = Failure(title="The server cannot be reached", text="Nobody listens there.")


def over(source: Any) -> None:
    """Let a connection that stood be over."""
    source.lose()


def mending(source: Any) -> None:
    """Let the client try to come back by itself."""
    source.state = make_connection(connected=False, phase="offline", attempt=3)


@pytest.mark.parametrize("what", [never_connected, over, mending])
def test_there_is_one_button_that_tries_again(qtbot: QtBot, window: MainWindow, source: Any, what: Callable[[Any], None]) -> None:
    """In the centre where the centre speaks of the connection, on top where it shows the plots; it does what F5 does."""
    if what is never_connected:
        window._centre.reset()
    what(source)
    window.refresh()
    (retry,) = ways_to_try(window)
    qtbot.mouseClick(retry, LEFT)
    assert source.calls == [("reconnect",)]


def test_whose_client_tries_again_by_itself_is_told_so(window: MainWindow, source: Any) -> None:
    """Nothing can be done about a script's client from here, so there is no button, and the sentence says what comes."""
    source.can_reconnect = False
    mending(source)
    window.refresh()
    assert not window.answer.action.isVisible()
    assert window.answer.evidence.text().endswith("The client tries again by itself.")


@pytest.mark.parametrize(("offer", "call"), [(ATTACH_AGAIN, "attach again"), (ATTACH, "list")])
def test_the_strip_on_top_has_the_way_out_of_an_absence(
    qtbot: QtBot, window: MainWindow, source: Any, monkeypatch: pytest.MonkeyPatch, offer: Offer, call: str
) -> None:
    """What was left is looked at again by a click, and where a program is gone the list of the others is a click away."""
    monkeypatch.setattr(
        "monitor_app.dialogs.Programs", lambda: pytest.fail("looked for programs") if call != "list" else QuietPrograms()
    )
    source.can_reconnect = False
    source.state = make_connection(connected=False)
    source.steering_refused = "Gone."
    source.failure = Failure(title="Gone", text="It has ended.", offer=offer)
    window.refresh()
    assert (window.answer.action.text(), window.answer.action.isEnabled()) == (offer.text, True)
    qtbot.mouseClick(window.answer.action, LEFT)
    if call == "list":
        assert window.dialogs._attach_dialog is not None
        window.dialogs._attach_dialog.reject()
    else:
        assert source.calls == [(call,)]


class QuietPrograms:
    """A list of programs without any."""

    passed_over = ()

    def start(self) -> None:
        """Look for nothing."""

    def current(self) -> list[object]:
        """Return none."""
        return []

    def close(self) -> None:
        """End nothing."""


@pytest.mark.parametrize(
    ("link", "is_detached", "is_withdrawn", "advice", "offer"),
    [
        (StandInLink(has_ended=True, trouble="feed.py has ended."), False, False, "Attach to it anew", ATTACH),
        (StandInLink(has_ended=False, trouble="feed.py is stopped."), False, False, "as soon as it answers", ATTACH),
        (StandInLink(has_ended=False, trouble=None), False, True, "Others of its clients", ATTACH),
        (StandInLink(has_ended=False, trouble=None), True, False, "Attach again", ATTACH_AGAIN),
    ],
    ids=["ended", "silent", "closed", "left"],
)
def test_an_absence_says_what_to_do(link: Any, is_detached: bool, is_withdrawn: bool, advice: str, offer: Offer) -> None:
    """Whether the program ended, fell silent, closed its client or was left: a sentence, and a button."""
    absence = absence_of(link, "sender", is_detached=is_detached, is_withdrawn=is_withdrawn)
    assert absence is not None
    assert advice in f"{absence.text} {absence.advice}"
    assert absence.offer == offer


def test_the_end_of_a_scripts_connection_says_who_can_mend_it() -> None:
    """Where the monitor cannot connect it does not leave the reader to look for the button."""
    assert failure_of_loss("ws://a:1", "it broke", None, of_script=True).text.endswith("Only the script can connect again.")
    assert "script" not in failure_of_loss("ws://a:1", "it broke", None).text


def test_the_button_that_helps_is_the_loud_one(window: MainWindow, source: Any) -> None:
    """Where nobody answered it tries again; where the token was refused it asks for another."""
    window._centre.reset()
    for error, retry, connect in ((ConnectError("nobody"), "main", ""), (AuthError("refused"), "", "main")):
        never_connected(source)
        source.failure = failure_of(error, "ws://a:1")
        window.refresh()
        assert window.page.retry.isVisible()
        assert (window.page.retry.property("look"), window.page.connect_button.property("look")) == (retry, connect)
