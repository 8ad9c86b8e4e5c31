"""What is remembered from one day to the next, and what never is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray

from monitor_app.model.addresses import problem_of, without_secrets
from monitor_app.model.servers import MAX_SERVERS, Server, from_text, to_text, with_server, without_server
from monitor_app.settings import Settings
from monitor_app.theme import Mode

SECRET = "hunter2-s3cret"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the settings are."""
    return tmp_path / "monitor.ini"


def test_layout_theme_and_servers_come_back(path: Path) -> None:
    """What one window kept, the next one finds."""
    first = Settings(path)
    first.keep_layout(QByteArray(b"\0geometry\xff"), QByteArray(b"state"))
    first.keep_theme(Mode.DARK)
    first.remember_server("ws://a:1", 'näme, with "signs"')
    first.remember_server("wss://b/path")
    first.save()
    second = Settings(path)
    assert second.layout == (QByteArray(b"\0geometry\xff"), QByteArray(b"state"))
    assert second.theme is Mode.DARK
    assert second.servers == (Server("", "wss://b/path"), Server('näme, with "signs"', "ws://a:1"))
    second.forget_server("ws://a:1")
    second.forget_layout()
    second.save()
    third = Settings(path)
    assert third.servers == (Server("", "wss://b/path"),)
    assert third.layout == (QByteArray(), QByteArray())
    assert third.trouble == ""


def test_no_token_is_ever_in_the_file(path: Path) -> None:
    """Whatever part of an address can hold a token is left out before anything is written."""
    settings = Settings(path)
    for url in (f"ws://user:{SECRET}@a:1/x", f"ws://a:1/x?token={SECRET}", f"ws://a:1/x#{SECRET}", f"ws://{SECRET}@b:1"):
        settings.remember_server(url, "name")
    settings.save()
    assert [server.address for server in settings.servers] == ["ws://b:1", "ws://a:1/x"]
    assert SECRET not in path.read_text()
    assert SECRET not in to_text([Server("name", f"ws://u:{SECRET}@a:1")])
    assert {name for name in os.listdir(path.parent) if name.startswith("monitor")} == {"monitor.ini"}


@pytest.mark.parametrize(
    "content",
    [
        b"\0\1\2\xff" * 100,
        b"[General]\nsomebody=else\n",
        b"not an ini file at all",
        b"[haip-monitor]\nformat=99\n[window]\nstate=abc\n",
        b"[haip-monitor]\nform",
        b"x" * ((1 << 20) + 1),
        b"[haip-monitor]\nformat=1\n[window]\nstate=@Variant(nonsense)\n",
    ],
    ids=["binary", "foreign", "text", "future", "cut off", "huge", "object"],
)
def test_a_file_that_is_not_ours_is_put_aside(path: Path, content: bytes) -> None:
    """The window begins with its defaults, the file is kept under another name, and what follows is remembered."""
    path.write_bytes(content)
    settings = Settings(path)
    assert settings.layout == (QByteArray(), QByteArray())
    assert settings.servers == ()
    assert settings.theme is Mode.SYSTEM
    assert "monitor.ini.unreadable" in settings.trouble
    assert path.with_name("monitor.ini.unreadable").read_bytes() == content
    settings.remember_server("ws://a:1")
    assert Settings(path).servers == (Server("", "ws://a:1"),)


def test_values_that_make_no_sense_are_passed_over(path: Path) -> None:
    """One wrong value costs itself and nothing else."""
    path.write_text(
        "[haip-monitor]\nformat=1\n[window]\ntheme=plaid\ngeometry=1, 2\nstate=***\n"
        '[connect]\nservers="[[\\"good\\", \\"ws://a:1\\"], [1, 2], \\"x\\", [\\"bad\\", \\"http://b\\"]]"\n'
    )
    settings = Settings(path)
    assert settings.trouble == ""
    assert settings.theme is Mode.SYSTEM
    assert settings.layout == (QByteArray(), QByteArray())
    assert settings.servers == (Server("good", "ws://a:1"),)


def test_a_file_that_cannot_be_written_is_told_and_harms_nothing(tmp_path: Path) -> None:
    """Where a folder stands in the way there is no memory, and a sentence says so."""
    path = tmp_path / "file" / "monitor.ini"
    path.parent.write_text("a file, where a folder should be")
    settings = Settings(path)
    settings.keep_theme(Mode.DARK)
    settings.save()
    assert settings.theme is Mode.DARK
    assert settings.trouble


def test_servers_are_few_and_the_latest_is_first() -> None:
    """A server that is used again moves to the front and keeps its name, unless it is given another."""
    servers: tuple[Server, ...] = ()
    for number in range(MAX_SERVERS + 5):
        servers = with_server(servers, f"ws://a:{number + 1}", f"name {number}")
    assert len(servers) == MAX_SERVERS
    again = with_server(servers, "ws://a:20")
    assert again[0] == Server("name 19", "ws://a:20")
    assert with_server(again, "ws://a:20", "new")[0].title == "new (ws://a:20)"
    assert Server("", "ws://a:1").title == "ws://a:1"
    assert len(without_server(again, "ws://a:20")) == MAX_SERVERS - 1
    assert from_text(to_text(again)) == again
    assert from_text("[1, [2]]") == from_text("{") == from_text(None) == ()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "There is no address"),
        ("host:1", "does not begin with ws:// or wss://"),
        (f"http://u:{SECRET}@host", "http://host does not begin"),
        ("ws://", "names no host"),
        ("ws://host:port", "cannot be read"),
        ("ws://[::1", "cannot be read"),
        ("ws://host:0", "names the port 0"),
    ],
)
def test_an_address_that_cannot_be_is_told_without_its_secrets(url: str, words: str) -> None:
    """The sentence says what is wrong and how to write it."""
    problem = problem_of(url)
    assert words in problem
    assert "ws://host:port" in problem
    assert SECRET not in problem


def test_good_addresses_have_no_problem() -> None:
    """Both schemes, with and without port and path."""
    assert [problem_of(url) for url in ("ws://h", "wss://h:1/p?q=1", "WS://[::1]:80")] == ["", "", ""]
    assert without_secrets("user:pass@host") == "host"
