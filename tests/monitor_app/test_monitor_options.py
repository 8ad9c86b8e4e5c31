"""The command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monitor_app.options import SCREENSHOT_DURATION_S, parse


def test_an_address_and_a_token(tmp_path: Path) -> None:
    """What was given arrives; the rest has sensible values."""
    options = parse(["ws://a:1", "--token", "T"])
    assert (options.url, options.token, options.demo, options.duration_s) == ("ws://a:1", "T", False, None)
    assert options.span_s == 120.0
    assert (options.theme, options.read_only) == (None, False)


def test_read_only_and_a_theme_can_be_asked_for() -> None:
    """Both hold for this run; without them the theme is that of the last one."""
    options = parse(["ws://a:1", "--read-only", "--theme", "dark"])
    assert (options.theme, options.read_only) == ("dark", True)


def test_programs_are_attached_to_by_name_several_at_once() -> None:
    """Each by a word; for one of them the client can be said."""
    assert parse(["--attach", "a.py", "--attach", "17"]).attach == ("a.py", "17")
    assert parse(["--attach", "a.py", "--client", "c"]).client == "c"
    assert parse(["--list"]).lists


def test_a_screenshot_ends_by_itself(tmp_path: Path) -> None:
    """With a screenshot but no duration there is a default duration, and trying the path leaves nothing behind."""
    target = tmp_path / "s.png"
    options = parse(["--demo", "--screenshot", str(target), "--size", "1280x800"])
    assert options.duration_s == SCREENSHOT_DURATION_S
    assert options.size == (1280, 800)
    assert options.span_s == 30.0
    assert not target.exists()


def test_a_demo_takes_a_file(tmp_path: Path) -> None:
    """`--demo` alone takes the README, with a file it takes that."""
    text = tmp_path / "text"
    text.write_text("a line")
    assert parse(["--demo", str(text)]).demo_file == text
    assert parse(["--demo"]).demo_file is None


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--duration", "3"], "need something to watch"),
        (["ws://a:1", "--demo"], "not both"),
        (["ws://a:1", "--attach", "x"], "not both"),
        (["--attach", "x", "--list"], "leave out --attach"),
        (["--client", "c"], "the one script that --attach names"),
        (["--attach", "x", "--attach", "y", "--client", "c"], "the one script that --attach names"),
        (["--demo", "/no/such/file"], "is not a file"),
        (["http://x"], "http://x does not begin with ws:// or wss://. Write it as ws://host:port"),
        (["ws://"], "ws:// names no host"),
        (["ws://host:99999"], "ws://host:99999 is no address"),
        (["ws://host:0"], "ws://host:0 names the port 0"),
        ([""], "There is no address"),
        (["http://u:hidden@x\n\x1b[2J?token=hidden"], r"http://x \x1b[2J is no address"),
        (["ws://a:1", "--token", ""], "--token must not be empty"),
        (["ws://a:1", "--token", "\udcff"], "--token is not UTF-8"),
        (["ws://a:1", "--duration", "0"], "above 0"),
        (["ws://a:1", "--duration", "nan"], "above 0"),
        (["ws://a:1", "--duration", "1e7"], "at most 2,000,000"),
        (["ws://a:1", "--duration", "long"], "long is not a number of seconds"),
        (["ws://a:1", "--screenshot", "picture.jpeg"], "does not end in .png"),
        (["ws://a:1", "--screenshot", "/no/such/folder/s.png"], "cannot be written"),
        (["ws://a:1", "--size", "big"], "is not a size"),
        (["ws://a:1", "--size", "0x0"], "is not a size"),
        (["ws://a:1", "--size", "99999x1"], "at most 8192x8192"),
        (["ws://a:1", "--size", "²x³"], "is not a size"),
    ],
)
def test_what_cannot_be_is_refused_at_once(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong command line ends with code 2 and a sentence, before anything is waited for."""
    with pytest.raises(SystemExit) as end:
        parse(argv)
    assert end.value.code == 2
    assert words in capsys.readouterr().err


def test_a_screenshot_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe, which would wait for a reader, and a folder are refused by name."""
    pipe, folder = tmp_path / "pipe.png", tmp_path / "folder.png"
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder):
        with pytest.raises(SystemExit):
            parse(["--demo", "--screenshot", str(path)])
        assert f"--screenshot: {path} is no file" in capsys.readouterr().err


def test_the_existing_target_of_a_screenshot_is_not_touched(tmp_path: Path) -> None:
    """Trying whether a file can be written does not change it."""
    target = tmp_path / "s.png"
    target.write_bytes(b"old")
    parse(["--demo", "--screenshot", str(target)])
    assert target.read_bytes() == b"old"
