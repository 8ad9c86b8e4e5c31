"""`haip-devserver` from outside: a process that says where it is, serves, and ends when it is told to."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.certificates import authority, client_context

import haip_sync
from haip_sync import HAIPClient
from haip_sync.testing import DevServer
from haip_sync.testing.dev_server_cli import main

TIMEOUT_S = 15.0
WORD = "s3cret"
Launch = Callable[..., "subprocess.Popen[str]"]
ROOT = str(Path(haip_sync.__file__).parents[1])


def command(*arguments: str) -> Sequence[str]:
    """Return the command line of a server on a free port."""
    return [sys.executable, "-m", "haip_sync.testing.dev_server_cli", "--port", "0", *arguments]


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Return a function that starts the command; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": ROOT} | environment,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def address(process: subprocess.Popen[str]) -> str:
    """Return the URL that the process prints first; a process that never prints ends with the test's own timeout."""
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"wss?://\S+", line)
    assert found is not None, (line, process.poll())
    return found.group()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_printed_address_works_and_a_signal_ends_it(launch: Launch, dial: Any, number: signal.Signals) -> None:
    """One line says where it is and how to watch it; then it serves until the signal, and the exit code is 0."""
    process = launch("--policy", "paced:50", "--pause", "USER:60:1", "--repeat-pauses")
    url = address(process)
    client = dial(url)
    client.greet()
    client.say("hello")
    assert client.expect("MESSAGE_PART")["payload"]["text"] == "You said: hello"
    process.send_signal(number)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, out, err) == (0, "", "")
    assert client.expect_close() == 1001


def test_the_settings_reach_the_server(launch: Launch, dial: Any) -> None:
    """Credit, dialect and the silent agent are as the command line says."""
    process = launch("--initial-credits", "3", "--initial-bytes", "999", "--dialect", "message", "--no-agent")
    client = dial(address(process))
    payload = client.greet()["payload"]
    flow = payload["capabilities"]["flow_control"]
    assert flow == {"initial_credit_messages": 3, "initial_credit_bytes": 999}
    assert "TEXT_MESSAGE_START" not in payload["accept_events"]


def test_whether_clients_may_resume_reaches_the_server(launch: Launch, dial: Any) -> None:
    """With `--no-resume` a client that comes back is told that it cannot go on."""
    url = address(launch("--no-resume", "--replay-frames", "10"))
    client = dial(url)
    client.greet()
    client.socket.close_socket()
    client = dial(url)
    client.greet(last_rx_seq="1")
    assert client.expect("ERROR")["payload"]["code"] == "RESUME_FAILED"


def test_the_way_of_counting_reaches_the_server(launch: Launch, dial: Any) -> None:
    """With one message of credit and one text per message, a whole text comes through; the PING takes SYSTEM's only one."""
    process = launch("--initial-credits", "1", "--policy", "never", "--credit-unit", "message", "--count-control-frames")
    client = dial(address(process))
    client.greet()
    client.say("hello")
    client.expect("MESSAGE_END")
    client.send("PING", {})
    client.send("TOOL_LIST", {}, "SYSTEM")
    assert client.expect("ERROR")["payload"]["code"] == "FLOW_CONTROL_VIOLATION"


def test_the_server_may_have_quirks(launch: Launch, dial: Any) -> None:
    """A seq that is no number, and nothing granted, as published servers do it."""
    client = dial(address(launch("--quirks", "published")))
    assert not client.greet()["seq"].isdecimal()
    client.send("TOOL_LIST", {}, "USER")
    client.send("FLOW_UPDATE", {"channel": "USER", "add_messages": 1})
    assert client.next()["payload"]["code"] == "UNSUPPORTED_TYPE"


def test_the_server_may_speak_in_transactions(launch: Launch, dial: Any) -> None:
    """The default tools are there."""
    client = dial(address(launch("--dialect", "transaction")))
    client.greet(accept_events=["HAI", "ERROR", "TRANSACTION_START", "MESSAGE"])
    client.send("TRANSACTION_START", {"toolName": "agent"}, transaction="t")
    name = client.expect("TRANSACTION_START")["transaction"]
    client.send("MESSAGE", "hello", "USER", transaction=name)
    assert client.expect("MESSAGE")["payload"] == "You said: hello"


def test_the_token_may_come_from_the_environment(launch: Launch, dial: Any) -> None:
    """Then it stands in no list of processes, and it is not printed either."""
    process = launch("--verbose", HAIP_TOKEN=WORD)
    url = address(process)
    assert dial(url).expect_close() == 1008
    dial(f"{url}?token={WORD}").greet()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert WORD not in url + out + err
    assert "listening on ws://" in err


@pytest.mark.parametrize("is_one_file", [True, False])
def test_a_certificate_makes_it_speak_tls(launch: Launch, is_one_file: bool) -> None:
    """With a certificate and its key, in one file or two, the address is a wss:// one, and a client gets in."""
    certificate = authority().issue_cert("127.0.0.1")
    with (
        certificate.private_key_and_cert_chain_pem.tempfile() as both,
        certificate.cert_chain_pems[0].tempfile() as chain,
        certificate.private_key_pem.tempfile() as key,
    ):
        files = ["--tls-cert", both] if is_one_file else ["--tls-cert", chain, "--tls-key", key]
        url = address(launch(*files))
        assert url.startswith("wss://")
        with HAIPClient(url, ssl=client_context()) as client:
            client.send_text_message("USER", "hello", timeout=TIMEOUT_S)


def test_a_port_that_is_taken_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The reason goes to stderr, the exit code is 2."""
    with DevServer() as server:
        assert main(["--port", str(server.port)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("haip-devserver: cannot listen on 127.0.0.1 port ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--policy", "kind"],
        ["--initial-credits", "-1"],
        ["--port", "99999"],
        ["--host", "no such host"],
        ["--host", "\udcff"],
        ["--tls-key", "key.pem"],
        ["--tls-cert", "no such file"],
        ["--tls-cert", __file__],
    ],
)
def test_a_wrong_setting_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The reason goes to stderr, the exit code is 2."""
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--pause", "USER"], ["--pause", "USER:1:0"], ["--pause", "a b:1:1"], ["--what"]])
def test_a_wrong_option_is_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As every command line does it."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_without_websockets_it_says_what_to_install(launch: Launch, tmp_path: Path) -> None:
    """One line names the package, the exit code is 2, and the rest of haip_sync.testing still imports."""
    (tmp_path / "websockets.py").write_text("raise ModuleNotFoundError('gone', name='websockets')\n")
    process = launch(PYTHONPATH=os.pathsep.join((str(tmp_path), ROOT)))
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, out) == (2, "")
    assert "pip install websockets" in err
    assert err.count("\n") == 1


def test_an_output_that_nobody_reads_is_one_line() -> None:
    """Where its address cannot be written it says that, and not that the address is taken; the exit code is 2."""
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(command(), stdout=writer, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own command line
    os.close(writer)
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 2
    assert err == "haip-devserver: its output could not be written, and it has ended: Broken pipe\n"


def without_stream(number: int, *arguments: str) -> Sequence[str]:
    """Return the command line of a server that is started with a standard stream closed."""
    return ["/bin/sh", "-c", f'exec "$@" {number}>&-', "sh", *command(*arguments)]


def test_without_an_output_it_serves(dial: Any) -> None:
    """Whoever closes its standard output wants no address, but a server."""
    process = subprocess.Popen(without_stream(1, "--verbose"), stderr=subprocess.PIPE, text=True)  # noqa: S603
    assert process.stderr is not None
    found = re.search(r"ws://\S+", process.stderr.readline())
    assert found is not None
    dial(found.group()).greet()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0


def test_without_a_place_for_complaints_the_exit_code_says_it() -> None:
    """A server that cannot start, and cannot say why, ends with code 2 as any."""
    done = subprocess.run(without_stream(2, "--port", "99999"), check=False, timeout=TIMEOUT_S)  # noqa: S603
    assert done.returncode == 2
