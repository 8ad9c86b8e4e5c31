"""`haip-devserver`: the development server on its own, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import ssl
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, get_args

from haip_sync import testing
from haip_sync.config import DEFAULT_INITIAL_CREDIT_BYTES, DEFAULT_INITIAL_CREDITS, CreditUnit
from haip_sync.errors import ConfigError
from haip_sync.testing.pause_script import PauseStep
from haip_sync.testing.policy_names import POLICY_NAMES
from haip_sync.testing.postbox import REPLAY_FRAMES
from haip_sync.testing.wire import DIALECTS

if TYPE_CHECKING:
    from haip_sync.testing.dev_server import DevServer

_ENVIRONMENT_VARIABLE: Final = "HAIP_TOKEN"
_KEEP_RECEIVED: Final = 1000
_KEEP_SESSIONS: Final = 100
_FAILED: Final = 2
_PAUSE_TIMES: Final = 2


class _OutputError(Exception):
    """Standard output cannot be written; an `OSError` no longer, since that would be the address that cannot be had."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the server until SIGINT or SIGTERM; return 0 then, and 2 when it could not start (the reason goes to stderr)."""
    arguments = _parser().parse_args(argv)
    if arguments.verbose:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    try:
        return _run(_server(arguments))
    except (ConfigError, ImportError, _OutputError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"cannot listen on {arguments.host} port {arguments.port}: {error.strerror or error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="haip-devserver",
        description="A HAIP 1.1.2 development server that keeps books of credit and answers every text on AGENT.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8080, help="TCP port, 0 for a free one (default: %(default)s)")
    add(
        "--token",
        help=f"what clients must show, in the URL, as a bearer token or as a subprotocol; better put it in the variable "
        f"{_ENVIRONMENT_VARIABLE}",
    )
    add("--tls-cert", metavar="FILE", help="speak TLS (wss://) with this certificate, in PEM")
    add("--tls-key", metavar="FILE", help="its key, where it is not in the same file")
    add("--dialect", choices=DIALECTS, default="both", help="texts to accept (default: %(default)s)")
    add(
        "--policy",
        metavar="NAME[:VALUE]",
        help=f"when credit is given back: {', '.join(POLICY_NAMES)}; paced:50 is 50 messages a second, "
        "bursty:2, stingy:0.1 and renewing:0.1 are seconds (default: renewing)",
    )
    add("--initial-credits", type=int, default=DEFAULT_INITIAL_CREDITS, metavar="N", help="messages, per channel")
    add("--initial-bytes", type=int, default=DEFAULT_INITIAL_CREDIT_BYTES, metavar="N", help="bytes, per channel")
    add("--credit-unit", choices=get_args(CreditUnit), default="envelope", help="what one message pays (default: %(default)s)")
    add("--count-control-frames", action="store_true", help="debit clients' control frames from SYSTEM")
    add("--quirks", choices=("none", "published"), default="none", help="differ from the specification as published servers do")
    add("--no-resume", action="store_true", help="let clients that come back begin anew")
    add(
        "--replay-frames",
        type=int,
        default=REPLAY_FRAMES,
        metavar="N",
        help="our latest frames that clients may ask for again (default: %(default)s)",
    )
    add("--no-agent", action="store_true", help="answer nothing")
    add(
        "--pause",
        action="append",
        default=[],
        type=_pause,
        metavar="CHANNEL:AFTER:FOR",
        help="pause a channel AFTER seconds from each session's start, FOR seconds long; may be given several times",
    )
    add("--repeat-pauses", action="store_true", help="begin the pauses anew when the last is over")
    add("--verbose", action="store_true", help="log sessions to stderr")
    return parser


def _pause(text: str) -> PauseStep:
    channel, *times = text.split(":")
    if len(times) != _PAUSE_TIMES:
        raise argparse.ArgumentTypeError(f"{text!r} is not CHANNEL:AFTER:FOR")
    try:
        return PauseStep(float(times[0]), channel, float(times[1]))
    except ValueError as error:  # ConfigError is one.
        raise argparse.ArgumentTypeError(f"{text!r} is not CHANNEL:AFTER:FOR with seconds: {error}") from error


def _server(arguments: argparse.Namespace) -> DevServer:
    """Build the server. Raises `ConfigError`, or `ImportError` without the package websockets."""
    return testing.DevServer(
        arguments.host,
        arguments.port,
        token=arguments.token or os.environ.get(_ENVIRONMENT_VARIABLE) or None,
        ssl_context=_ssl_context(arguments.tls_cert, arguments.tls_key),
        dialect=arguments.dialect,
        policy=arguments.policy,
        initial_credits=arguments.initial_credits,
        initial_credit_bytes=arguments.initial_bytes,
        credit_unit=arguments.credit_unit,
        count_control_frames=arguments.count_control_frames,
        quirks=testing.Quirks.published() if arguments.quirks == "published" else None,
        agent=not arguments.no_agent,
        resumes=not arguments.no_resume,
        replay_frames=arguments.replay_frames,
        pause_script=arguments.pause,
        repeat_pauses=arguments.repeat_pauses,
        keep_received=_KEEP_RECEIVED,
        keep_sessions=_KEEP_SESSIONS,
    )


def _ssl_context(cert: str | None, key: str | None) -> ssl.SSLContext | None:
    """Return what TLS needs; None without a certificate. Raises `ConfigError` for files that do not do."""
    if cert is None:
        if key is not None:
            raise ConfigError("--tls-key needs --tls-cert")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"the certificate {cert} or its key cannot be used: {error}") from error
    return context


def _listen_to_signals() -> None:
    """Make SIGINT and SIGTERM raise KeyboardInterrupt, also where a shell started us with SIGINT ignored.

    An exception and not an event that the handler sets: the handler would take the lock that the interrupted wait holds.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def _ignore_signals() -> None:
    """Let the ending, which is bounded, run to its end however often Ctrl-C is pressed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _run(server: DevServer) -> int:
    try:
        _listen_to_signals()
        server.start()
        _greet(server.url)
        threading.Event().wait()
    except KeyboardInterrupt:
        _ignore_signals()
    finally:
        server.stop()
    return 0


def _greet(url: str) -> None:
    """Say where the server is; whoever closed standard output does not want to know. Raises `_OutputError`."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(f"haip-devserver listens on {url} - watch it with: haip-monitor {url} - Ctrl-C ends it\n")
        sys.stdout.flush()
    except OSError as error:
        sys.stdout = None  # at its end Python would try to write what is left there, and complain
        raise _OutputError(f"its output could not be written, and it has ended: {error.strerror or error}") from error


def _fail(reason: str) -> int:
    if sys.stderr is not None:
        with suppress(OSError):  # the exit code says it, too
            sys.stderr.write(f"haip-devserver: {reason}\n")
    return _FAILED


if __name__ == "__main__":
    sys.exit(main())
