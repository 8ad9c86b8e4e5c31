"""A peer that follows a test's script, on a real socket."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import haip_sync.testing
from haip_sync import ConnectionClosedError, HAIPClient, HAIPError
from haip_sync.testing import ScriptedPeer, scripted_peer

TIMEOUT_S = 20.0


def miser(peer: ScriptedPeer) -> None:
    """Have credit for a text come after its START alone."""
    peer.hears("HAI")
    peer.greets(messages=1)
    peer.hears("MESSAGE_START")
    peer.says("FLOW_UPDATE", {"channel": "USER", "add_messages": 2})
    assert peer.hears_frame("MESSAGE_END")["channel"] == "USER"
    peer.stays()


def test_a_script_has_a_real_client_wait_and_go_on() -> None:
    """What the script says is what the client lives by: a text with credit for its START leaves whole once more is granted."""
    with scripted_peer(miser) as url, HAIPClient(url) as client:
        client.send_text_message("USER", "hello", timeout=TIMEOUT_S)


def test_what_a_script_raises_is_raised_in_the_test() -> None:
    """A script that finds what it must not find fails the test, at the end of the block."""

    def disappointed(peer: ScriptedPeer) -> None:
        peer.hears("HAI")
        peer.greets(messages=0)
        raise AssertionError("the script is not content")

    with pytest.raises(AssertionError, match="not content"), scripted_peer(disappointed) as url, HAIPClient(url):
        pass


def test_what_the_block_raises_comes_first() -> None:
    """Of an error of the test and one of the script the test's own is raised."""

    def spoilt(peer: ScriptedPeer) -> None:
        peer.hears("HAI")
        raise AssertionError("the script is not content")

    with pytest.raises(HAIPError), scripted_peer(spoilt) as url:
        HAIPClient(url).connect(timeout=TIMEOUT_S)


def test_a_client_that_leaves_in_mid_script_is_no_error() -> None:
    """A script that waits for a frame when its client goes ends without a word."""

    def patient(peer: ScriptedPeer) -> None:
        peer.hears("HAI")
        peer.greets()
        peer.hears("MESSAGE_START")

    with scripted_peer(patient) as url, HAIPClient(url):
        pass


def test_a_script_that_ends_ends_its_connection() -> None:
    """The client hears that the line is closed, and a second connection begins the script anew."""
    heard = []

    def brief(peer: ScriptedPeer) -> None:
        peer.hears("HAI")
        peer.greets(messages=0)
        heard.append(peer.connection.id)

    with scripted_peer(brief) as url:
        for _ in range(2):
            with HAIPClient(url) as client, pytest.raises(ConnectionClosedError):
                client.send_text_message("USER", "hello", timeout=TIMEOUT_S)
    assert len(set(heard)) == 2


def test_without_websockets_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the names are refused with the command that brings it."""
    monkeypatch.setitem(sys.modules, "websockets.exceptions", None)
    monkeypatch.setitem(sys.modules, "websockets", None)
    monkeypatch.delitem(sys.modules, "haip_sync.testing.scripted", raising=False)
    with pytest.raises(ImportError, match=r"scripted_peer needs the package websockets: pip install websockets"):
        _ = haip_sync.testing.scripted_peer


def test_the_example_of_its_documentation_runs() -> None:
    """The example at the top of the module is a test that passes."""
    documentation = Path(haip_sync.testing.__path__[0], "scripted.py").read_text(encoding="utf-8")
    code = documentation.split("```python\n")[1].split("```")[0]
    names: dict[str, object] = {}
    exec(compile(code, "scripted.py", "exec"), names)  # noqa: S102 - our own documentation
    test = names["test_a_text_waits_for_the_rest_of_its_credit"]
    assert callable(test)
    test()
