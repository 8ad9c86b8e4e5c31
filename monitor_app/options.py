"""The command line of `haip-monitor`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from haip_sync.observe import on_one_line
from monitor_app.model.addresses import problem_of
from monitor_app.model.history import SPANS_S

SCREENSHOT_DURATION_S: Final = 20.0
_SPAN_S: Final = 120
_DEMO_SPAN_S: Final = 30
_SPANS_S: Final = tuple(round(span_s) for span_s in SPANS_S)
_LONGEST_S: Final = 2_000_000
"""23 days: what a timer of Qt's counts to."""
_SIDE: Final = re.compile(r"[0-9]{1,5}")
_LONGEST_SIDE: Final = 8_192
"""Pixels: more than any screen has. Qt does not survive a window whose picture has no room in memory."""
_THEMES: Final = ("system", "dark", "light")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for."""

    url: str | None = None
    token: str | None = None
    lists: bool = False
    """Print the running programs, and end."""
    attach: tuple[str, ...] = ()
    """Running programs to attach to: names, process ids, paths of sockets."""
    client: str | None = None
    """Which client of the program; None: the one that waits longest."""
    demo: bool = False
    demo_file: Path | None = None
    duration_s: float | None = None
    screenshot: Path | None = None
    theme: str | None = None
    """None: the one that was chosen last."""
    read_only: bool = False
    size: tuple[int, int] | None = None
    span_s: float = 120.0


def parse(argv: Sequence[str] | None) -> Options:
    """Return the options in `argv`. Ends the process with code 2 and a sentence for what cannot be."""
    parser = _parser()
    given = parser.parse_args(argv)
    _check_what_to_watch(parser, given)
    _check_server(parser, given)
    if given.demo and not Path(given.demo).is_file():
        parser.error(f"--demo: {given.demo} is not a file")
    if given.screenshot is not None:
        _check_screenshot(parser, given.screenshot)
    duration_s = given.duration
    if duration_s is None and given.screenshot is not None:
        duration_s = SCREENSHOT_DURATION_S
    return Options(
        url=given.url,
        token=given.token,
        lists=given.list,
        attach=tuple(given.attach),
        client=given.client,
        demo=given.demo is not None,
        demo_file=Path(given.demo) if given.demo else None,
        duration_s=duration_s,
        screenshot=given.screenshot,
        theme=given.theme,
        read_only=given.read_only,
        size=given.size,
        span_s=float(given.span or (_DEMO_SPAN_S if given.demo is not None else _SPAN_S)),
    )


def _check_what_to_watch(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    wanted = [word for word, is_given in _ways_to_watch(given) if is_given]
    if given.list and wanted:
        parser.error(f"--list prints the running scripts and nothing else: leave out {wanted[0]}")
    if not wanted and (given.duration or given.screenshot):
        parser.error("--duration and --screenshot need something to watch: a URL, --attach or --demo")
    if len(wanted) > 1:
        parser.error(f"give {' or '.join(wanted)}, not both")
    if given.client is not None and len(given.attach) != 1:
        parser.error("--client says which client of the one script that --attach names")


def _check_server(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Refuse now what nobody can connect to: without a display there is nobody to write another address into a dialog."""
    if given.url is not None and (problem := problem_of(given.url.strip())):
        parser.error(on_one_line(" ".join(problem.splitlines())))
    if given.token == "":
        parser.error("--token must not be empty; to send none leave it out")
    if given.token is not None and not _is_unicode(given.token):
        parser.error("--token is not UTF-8")


def _is_unicode(text: str) -> bool:
    """Return whether an argument's bytes were text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _ways_to_watch(given: argparse.Namespace) -> tuple[tuple[str, bool], ...]:
    return (("a URL", given.url is not None), ("--demo", given.demo is not None), ("--attach", bool(given.attach)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="haip-monitor", description="Show every channel of a HAIP connection live, and steer it."
    )
    parser.add_argument("url", nargs="?", metavar="URL", help="the server, ws://host:port, or wss://host:port for TLS")
    parser.add_argument("--token", help="the token that the server asks for")
    parser.add_argument("--list", action="store_true", help="print your running scripts that let themselves be watched, and end")
    parser.add_argument(
        "--attach",
        action="append",
        default=[],
        metavar="NAME|PID|SOCKET",
        help="watch a running script of yours; more than once: a window on each",
    )
    parser.add_argument("--client", metavar="NAME", help="the client of that script (by default the one that waits longest)")
    parser.add_argument(
        "--demo",
        nargs="?",
        const="",
        metavar="FILE",
        help="watch a development server in this process, to which script threads send the lines of FILE (the README)",
    )
    parser.add_argument("--duration", type=_seconds, metavar="S", help="end after S seconds")
    parser.add_argument(
        "--screenshot", type=Path, metavar="FILE", help="save the window as PNG at the end (after 20 s by default)"
    )
    parser.add_argument("--read-only", action="store_true", help="look only: nothing is steered until you switch it off")
    parser.add_argument("--theme", choices=_THEMES, help="colours (those of the last time, or the system's, by default)")
    parser.add_argument("--size", type=_size, metavar="WxH", help="size of the window, for example 1280x800")
    spans = ", ".join(map(str, _SPANS_S))
    parser.add_argument("--span", type=int, choices=_SPANS_S, metavar="S", help=f"seconds that are shown: {spans}")
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0 and at most {_LONGEST_S:,}")
    return seconds


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    sides = [int(side) for side in (width, height) if _SIDE.fullmatch(side)]
    if len(sides) != 2 or not all(1 <= side <= _LONGEST_SIDE for side in sides):  # noqa: PLR2004 - width and height
        raise argparse.ArgumentTypeError(f"{text} is not a size; write 1280x800, at most {_LONGEST_SIDE}x{_LONGEST_SIDE}")
    return sides[0], sides[1]


def _check_screenshot(parser: argparse.ArgumentParser, path: Path) -> None:
    """Refuse now what could not be written after a long wait. Opening for appending tries it and changes nothing."""
    if path.suffix.lower() != ".png":
        parser.error(f"--screenshot: {path} does not end in .png")
    existed = path.exists()
    if existed and not path.is_file():  # to open a pipe would wait for its reader
        parser.error(f"--screenshot: {path} is no file")
    try:
        with path.open("ab"):
            pass
    except OSError as error:
        parser.error(f"--screenshot: {path} cannot be written: {error.strerror}")
    if not existed:
        path.unlink()
