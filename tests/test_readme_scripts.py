"""The README's programs, taken from the README itself and run as a reader runs them: each in a process, on a real server.

Nothing in them is changed but the port of the URL, and every warning is an error there. The servers' windows are small, so
that the programs live on what they are granted.
"""

from __future__ import annotations

import ast
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.observed import meeting_place
from support.turnstiles import until

from haip_sync.observe import list_programs
from haip_sync.testing import CreditPolicy, DevServer, Generous, Never, OnRequest, Session
from haip_sync.testing.wire import Dialect

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
URL = "ws://localhost:8080"
WINDOW = 3
"""A whole text's frames: each text needs all of the window, so that the next one waits until the server has given it back."""
HANG_S = 50.0
"""What only a hang reaches, a machine that is busy with other things included."""

FIRST = "A first script"
FILE = "1. Send a file with back-pressure"
THREADS = "2. Many threads"
QUEUE = "3. Queue and forget"
CONVERSATION = "4. An agent conversation"
WATCH = "5. Watch your own credit"
STREAMS = "Tools, runs and streams"
RECONNECT = "When the line breaks"
MONITOR = "The monitor on your own server"
RUNNING = "Watch a script that is already running"
PROMETHEUS = "Prometheus"
IN_A_TEST = "A server to test against"
BROKEN_LINE = "A line that breaks"

NO_CREDIT = "USER needs 3 messages of credit and has 0 (3 missing); the peer has granted nothing since the handshake"
ADVICE = "The peer may grant only when it is asked: request_credits asks it, and so does a strategy"
ASKED = r"The peer was asked for more \d+\.\d s ago, and has granted nothing since"
TIMED_OUT = re.compile(
    rf"FLOW_CONTROL: MESSAGE_START waited \d+\.\d s, alone in line: {re.escape(NO_CREDIT)}\. "
    rf"({ADVICE}|{ASKED})\. Nothing was sent"
)
HUNG_UP = "closed the connection with code 1000 (dropped)"

Process = subprocess.Popen[str]
Launch = Callable[..., Process]


def python_blocks() -> list[tuple[str, str]]:
    """Return the README's Python blocks in order, each with the heading that it stands under."""
    heading, fence, lines = "", "", []
    blocks = []
    for line in README.splitlines(keepends=True):
        if line.startswith("```"):
            if fence == "```python":
                blocks.append((heading, "".join(lines)))
            fence, lines = ("" if fence else line.strip()), []
        elif fence:
            lines.append(line)
        elif line.startswith("#"):
            heading = line.strip("# \n")
    return blocks


def program(heading: str, server: DevServer | None) -> str:
    """Return the program under this heading, with the server's port in its URL; None: it names no URL."""
    (source,) = [block for found, block in python_blocks() if found == heading]
    assert source.count(URL) == source.count("8080") == (server is not None)
    return source if server is None else source.replace(URL, f"ws://localhost:{server.port}")


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Return a function that starts a program in a directory with a README.md of this text; what runs at the end is killed."""
    started: list[Process] = []

    def start(heading: str, server: DevServer | None = None, *, readme: str = README) -> Process:
        (tmp_path / "README.md").write_text(readme, encoding="utf-8")
        (tmp_path / "script.py").write_text(program(heading, server), encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "script.py"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "offscreen"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def output(process: Process, *, code: int = 0, complaint: str = "") -> list[str]:
    """Return the lines that a program prints until it ends, with this exit code and nothing but `complaint` on stderr.

    `complaint` is a pattern. That something stalls may be told as well: a machine that is busy makes anything wait.
    """
    out, err = process.communicate(timeout=HANG_S)
    said = "".join(line for line in err.splitlines(keepends=True) if not line.startswith("stalled: "))
    assert process.returncode == code, out + err
    assert re.fullmatch(complaint, said), err
    return out.splitlines()


def ended_session(server: DevServer) -> Session:
    """Return the program's session once it is over: everything that arrived has been counted then."""
    session = server.wait_for_session(timeout=HANG_S)
    session.wait_for(lambda s: not s.connected, timeout=HANG_S, what="the end of the session")
    return session


def hang_up_after(server: DevServer, count: int) -> None:
    """Close the connection for good once so many texts came; with the window spent, the program waits for credit or an answer."""
    session = server.wait_for_session(timeout=HANG_S)
    session.wait_for(lambda s: s.text_count == count, timeout=HANG_S, what="the last text")
    assert server.drop(code=1000) == 1


def texts(session: Session) -> list[str]:
    """Return the texts that arrived on USER."""
    return [text.text for text in session.texts("USER")]


def check_books(session: Session) -> None:
    """Check that no frame on USER came out of order or without credit, and that each was paid for."""
    books, frames = session.books("USER"), [frame for frame in session.received if frame.channel == "USER"]
    account = books.from_client
    assert (books.breaches, session.out_of_order) == (0, 0)
    assert (account.spent, account.spent_bytes) == (len(frames), sum(frame.cost_bytes for frame in frames))
    assert min(account.balance, account.balance_bytes) >= 0


def lived_on_grants(session: Session) -> bool:
    """Return whether more was sent on USER than the first window paid for."""
    books = session.books("USER")
    return books.from_client.spent > books.window


def test_the_readme_holds_these_programs_and_no_others() -> None:
    """A program that is missing, doubled or new is noticed: each has its test here."""
    programs = [FIRST, FILE, THREADS, QUEUE, CONVERSATION, WATCH, STREAMS, RECONNECT]
    expected = [*programs, MONITOR, RUNNING, PROMETHEUS, IN_A_TEST, BROKEN_LINE]
    assert [heading for heading, _ in python_blocks()] == expected
    assert len(re.findall(r"^[ \t]*[`~]{3,}[ \t]*py", README, re.MULTILINE)) == len(expected)


def test_the_first_script(launch: Launch) -> None:
    """It prints the first frame of the agent's answer, and how it stands with USER."""
    with DevServer(policy=Generous(), initial_credits=WINDOW) as server:
        answer, state = output(launch(FIRST, server))
        assert "channel='AGENT', type='MESSAGE_START'" in answer
        assert "sent_messages=3" in state
        session = ended_session(server)
        assert (texts(session), session.close_code) == (["hello"], 1000)
        check_books(session)


# ---- 1. Send a file ---------------------------------------------------------------------------------------------------------


def test_a_file_arrives_whole(launch: Launch) -> None:
    """Every line arrives, in order; the progress is printed as it goes."""
    lines = README.splitlines()
    with DevServer(policy=Generous(), initial_credits=WINDOW) as server:
        printed = output(launch(FILE, server))
        session = ended_session(server)
    progress = [f"{sent} of {len(lines)} lines" for sent in range(50, len(lines) + 1, 50)]
    assert [line for line in printed if re.fullmatch(r"\d+ of \d+ lines", line)] == progress
    assert printed[-1] == f"{len(lines)} of {len(lines)} lines sent"
    assert (texts(session), session.close_code) == (lines, 1000)
    assert lived_on_grants(session)
    check_books(session)


def test_a_file_goes_on_once_credit_was_asked_for(launch: Launch) -> None:
    """A server that grants on request alone is asked after the first timeout; the line that waited is sent once."""
    with DevServer(policy=OnRequest(), initial_credits=2 * WINDOW) as server:
        printed = output(launch(FILE, server, readme="one\ntwo\nthree\nfour\n"))
        session = ended_session(server)
    assert TIMED_OUT.fullmatch(printed[0])
    assert printed[-1] == "4 of 4 lines sent"
    assert texts(session) == ["one", "two", "three", "four"]
    assert lived_on_grants(session)
    check_books(session)


def test_a_file_that_gets_no_credit_says_where_it_stopped(launch: Launch) -> None:
    """It asks once after each timeout, gives up after two, and exits with 1; what it says was sent is what arrived."""
    with DevServer(policy=Never(), initial_credits=2 * WINDOW) as server:
        process = launch(FILE, server, readme="one\ntwo\nthree\nfour\n")
        printed = output(process, code=1, complaint="stopped at line 3; no line after it was sent\n")
        session = ended_session(server)
    assert [bool(TIMED_OUT.fullmatch(line)) for line in printed] == [True, True, False]
    assert [bool(re.search(ASKED, line)) for line in printed] == [False, True, False]
    assert printed[-1] == "2 of 4 lines sent"
    assert (texts(session), session.close_code) == (["one", "two"], 1000)
    assert [frame.payload["add_messages"] for frame in session.received if frame.type == "FLOW_UPDATE"] == [100, 100]
    assert session.books("USER").from_client.balance == 0
    check_books(session)


def test_a_file_ends_with_the_connection(launch: Launch) -> None:
    """It says what became of the line that waited, and exits with 1."""
    with DevServer(policy=Never(), initial_credits=WINDOW) as server:
        process = launch(FILE, server, readme="one\ntwo\n")
        hang_up_after(server, 1)
        printed = output(process, code=1, complaint="stopped at line 2; no line after it was sent\n")
    assert HUNG_UP in printed[-2]
    assert printed[-1] == "1 of 2 lines sent"


# ---- 2. Many threads --------------------------------------------------------------------------------------------------------


def test_threads_share_a_client(launch: Launch) -> None:
    """Every line arrives once, each thread's own in their order, and all are counted."""
    lines = README.splitlines()
    shares = [lines[worker::4] for worker in range(4)]
    with DevServer(policy=Generous(), initial_credits=WINDOW) as server:
        printed = output(launch(THREADS, server))
        session = ended_session(server)
    whole = [f"worker {worker} sent {len(share)} lines, its whole share" for worker, share in enumerate(shares)]
    assert printed == [*whole, f"{len(lines)} of {len(lines)} lines sent"]
    arrived: list[list[str]] = [[], [], [], []]
    for text in texts(session):
        worker, _, line = text.partition(": ")
        arrived[int(worker)].append(line)
    assert (arrived, session.close_code) == (shares, 1000)
    assert lived_on_grants(session)
    check_books(session)


def test_threads_say_what_they_did_not_send(launch: Launch) -> None:
    """When the connection ends while all of them wait, each says so, the count is what arrived, and the exit code is 1."""
    with DevServer(policy=Never(), initial_credits=2 * WINDOW) as server:
        process = launch(THREADS, server, readme="a line\n" * 12)
        hang_up_after(server, 2)
        printed = output(process, code=1)
        session = ended_session(server)
    assert printed[-1] == "2 of 12 lines sent"
    counts = [re.fullmatch(r"worker \d sent (\d) lines, stopped at the next: (.*)", line) for line in printed[:-1]]
    assert sum(int(found[1]) for found in counts if found) == 2 == session.text_count
    assert [bool(found and HUNG_UP in found[2]) for found in counts] == [True] * 4
    check_books(session)


# ---- 3. Queue and forget ----------------------------------------------------------------------------------------------------


def accounts(printed: list[str]) -> tuple[dict[str, int], list[int]]:
    """Return what the program's last two lines say: how many had which outcome, and which were not sent."""
    return ast.literal_eval(printed[-2]), ast.literal_eval(printed[-1].removeprefix("not sent: "))


def test_a_queue_accounts_for_every_message(launch: Launch) -> None:
    """What is not told as dropped has arrived, in order, and nothing else has; the newest are never dropped."""
    with DevServer(policy=Generous(), initial_credits=WINDOW) as server:
        outcomes, unsent = accounts(output(launch(QUEUE, server)))
        session = ended_session(server)
    assert outcomes.keys() <= {"sent", "dropped"}
    assert outcomes["sent"] == session.text_count
    assert outcomes.get("dropped", 0) == len(unsent) == 200 - session.text_count
    assert texts(session) == [f"reading {number}" for number in range(200) if number not in unsent]
    assert not {*unsent} & {*range(150, 200)}
    assert lived_on_grants(session)
    check_books(session)


def test_a_queue_that_cannot_leave_is_handed_back(launch: Launch) -> None:
    """Without credit the newest fifty are left over: the program says who waits for what, and is told of each at close."""
    with DevServer(policy=Never(), initial_credits=2 * WINDOW) as server:
        process = launch(QUEUE, server)
        out, err = process.communicate(timeout=HANG_S)
        session = ended_session(server)
    printed = out.splitlines()
    assert printed[0] == "not everything was written within 10 s"
    assert printed[1].startswith(f"{NO_CREDIT}. 50 senders waiting, ")
    assert accounts(printed) == ({"sent": 2, "dropped": 148, "closed": 50}, list(range(2, 200)))
    assert texts(session) == ["reading 0", "reading 1"]
    # A stall is never silent: one line in the log, which goes to stderr where nobody has set up logging.
    assert re.match(rf"stalled: {re.escape(NO_CREDIT)}\.", err)
    *stalls, last = err.splitlines()
    assert all(line.startswith("stalled: ") for line in stalls)
    assert last.endswith(" closed with 50 queued messages (50 on USER) not sent; their handles say so")
    assert (process.returncode, session.close_code) == (0, 1000)
    check_books(session)


# ---- 4. An agent conversation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["message", "text", "both"])
def test_a_conversation(launch: Launch, dialect: Dialect) -> None:
    """In every dialect the agent's answers are put together from their parts; the questions carry one thread id."""
    questions = ["What does a message credit pay for?", "And who grants it?"]
    with DevServer(policy=Generous(), initial_credits=WINDOW, dialect=dialect) as server:
        printed = output(launch(CONVERSATION, server))
        session = ended_session(server)
    assert printed == [line for text in questions for line in (f"you:   {text}", f"agent: You said: {text}")]
    assert [(text.text, text.author) for text in session.texts("USER")] == [(text, "you") for text in questions]
    frames = [frame for frame in session.received if frame.channel == "USER"]
    assert len({frame.thread_id for frame in frames}) == 1
    assert frames[0].thread_id
    assert session.books("AGENT").to_client.spent == 7  # START, two PARTs and END; START, PART and END
    assert lived_on_grants(session)
    check_books(session)


def test_a_conversation_without_an_answer(launch: Launch) -> None:
    """It says why there is none, and exits with 1."""
    with DevServer(policy=Never(), initial_credits=WINDOW, agent=False) as server:
        process = launch(CONVERSATION, server)
        hang_up_after(server, 1)
        out, err = process.communicate(timeout=HANG_S)
        session = ended_session(server)
    assert (process.returncode, out) == (1, "you:   What does a message credit pay for?\n")
    assert re.fullmatch("no answer: nothing more will arrive: .*dropped.*\n", err)
    check_books(session)


# ---- 5. Watch your own credit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [Generous(), OnRequest()])
def test_watching_credit(launch: Launch, policy: CreditPolicy) -> None:
    """Waits and grants are told as they happen, the table is the server's too, and the strategy's requests are what was asked."""
    with DevServer(policy=policy, initial_credits=WINDOW) as server:
        printed = output(launch(WATCH, server))
        session = ended_session(server)
    assert texts(session) == [f"line {number}" for number in range(10)]
    assert lived_on_grants(session)
    check_books(session)

    account = session.books("USER").from_client
    granted = [re.fullmatch(r"USER is granted \+(\d+) messages, \+(\d+) bytes", line) for line in printed]
    # The server's last grants may cross with the end of the connection; those that the program lived on may not.
    assert account.spent <= WINDOW + sum(int(found[1]) for found in granted if found) <= account.granted
    header = printed.index("channel    credits  lowest    bytes  sent  backlog  paused")
    assert printed[header - 1].startswith("USER: nobody waits; ")
    rows = {row[0]: row[1:] for row in (line.split() for line in printed[header + 1 : -2])}
    assert rows.keys() == {"USER", "AGENT", "SYSTEM", "AUDIO_IN", "AUDIO_OUT"}
    left, lowest, _, sent, backlog, paused = rows["USER"]
    assert 0 <= int(lowest) <= int(left) <= account.balance
    assert (int(sent), backlog, paused) == (account.spent, "0", "False")

    waits = sum(line.startswith("USER waits for ") for line in printed)
    assert printed[-2].startswith(f"sends that waited: {waits}, on average ")
    asked = sum(frame.type == "FLOW_UPDATE" for frame in session.received)
    assert 1 <= int(printed[-1].removeprefix("requests for credit: ")) <= asked


def test_watching_credit_that_never_comes(launch: Launch) -> None:
    """When the connection ends while a line waits, the program names the line, and the table is printed all the same."""
    with DevServer(policy=Never(), initial_credits=WINDOW) as server:
        process = launch(WATCH, server)
        hang_up_after(server, 1)
        printed = output(process)
        session = ended_session(server)
    (stopped,) = [line for line in printed if line.startswith("stopped at line 1: ")]
    assert HUNG_UP in stopped
    assert [line.split()[:5] for line in printed if line.startswith("USER  ")] == [
        ["USER", "0", "0", str(session.books("USER").from_client.balance_bytes), "3"]
    ]
    check_books(session)


# ---- Tools, runs and streams ------------------------------------------------------------------------------------------------


def test_an_answer_part_by_part(launch: Launch) -> None:
    """The answer is printed part by part as it came, and the run is told to the server from beginning to end."""
    with DevServer(policy=Generous(), initial_credits=WINDOW) as server:
        answer, status = output(launch(STREAMS, server))
        session = ended_session(server)
    question = "Tell me about credit, and take your time."
    assert answer.replace("|", "") == f"You said: {question}"
    assert answer.count("|") == 2
    assert status == "run: OK"
    runs = [frame.type for frame in session.received if frame.type.startswith("RUN_")]
    assert runs == ["RUN_STARTED", "RUN_FINISHED"]
    check_books(session)


def test_an_answer_that_breaks_off(launch: Launch) -> None:
    """When the connection ends before the answer, the program says so in one line."""
    with DevServer(policy=Generous(), initial_credits=WINDOW, agent=False) as server:
        process = launch(STREAMS, server)
        hang_up_after(server, 1)
        out, err = process.communicate(timeout=HANG_S)
    assert (out, process.returncode) == ("", 1)
    assert HUNG_UP in err
    assert len(err.splitlines()) == 1


# ---- The others -------------------------------------------------------------------------------------------------------------


def test_the_monitor_on_a_scripts_own_client(launch: Launch) -> None:
    """Offscreen it prints the channel table; Ctrl-C closes it, and the script goes on to its end."""
    with DevServer(policy=Generous(), initial_credits=WINDOW) as server:
        process = launch(MONITOR, server)
        session = server.wait_for_session(timeout=HANG_S)
        session.wait_for(lambda s: s.text_count == 500, timeout=HANG_S, what="500 lines")
        assert process.stdout is not None
        assert any(line.startswith("USER ") for line in process.stdout)
        process.send_signal(signal.SIGINT)
        output(process)
        session = ended_session(server)
    assert (texts(session), session.close_code) == ([f"line {number}" for number in range(500)], 1000)
    assert lived_on_grants(session)
    check_books(session)


@pytest.mark.parametrize(
    ("mode", "said"), [("steer", "100 messages and 100000 bytes of credit were asked for on USER"), ("1", "watched")]
)
def test_helping_a_script_that_stands_still(launch: Launch, monkeypatch: pytest.MonkeyPatch, mode: str, said: str) -> None:
    """The first script is found with its reason; where it may be steered it goes on, where it may not the refusal says how."""
    with meeting_place(), DevServer(agent=False, initial_credits=2, policy=OnRequest()) as server:
        monkeypatch.setenv("HAIP_SYNC_MONITOR", mode)
        stuck = launch(FIRST, server)
        until(lambda: [info.state for info in list_programs()] == ["blocked"])
        first, why, result = output(launch(RUNNING))
        assert first.startswith(f"{stuck.pid} script.py blocked")
        assert "USER needs 1 message of credit and has 0 (1 missing)" in why
        assert said in result
        if mode == "steer":
            until(lambda: server.wait_for_session(timeout=HANG_S).text_count == 1)


def test_prometheus_scrapes_a_script(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers of a script that waits, over HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setattr(sys.modules[__name__], "README", README.replace("9100", str(port)))
    with DevServer(agent=False, initial_credits=WINDOW, policy=Never()) as server:
        launch(PROMETHEUS, server)
        waiting = 'haip_waiting_threads{channel="USER",client="sender"} 1.0'
        until(lambda: waiting in scraped(f"http://127.0.0.1:{port}/metrics"))


def scraped(url: str) -> str:
    """Return what is served there; nothing while nobody listens yet."""
    try:
        with urllib.request.urlopen(url, timeout=HANG_S) as answer:  # noqa: S310 - our own server
            text: str = answer.read().decode()
    except OSError:
        return ""
    return text


def test_the_server_inside_a_test(launch: Launch) -> None:
    """It passes, in silence."""
    assert output(launch(IN_A_TEST)) == []


def test_the_line_that_breaks(launch: Launch) -> None:
    """It gets its answer through a slow line, and is told that the line was lost."""
    lost = r"the connection .*was lost.*"
    (told,) = output(launch(BROKEN_LINE), complaint=lost + "\n")
    assert re.fullmatch(lost, told)


def test_the_line_that_is_followed_by_another(launch: Launch) -> None:
    """The client tells of the loss and of the next line, goes on with its session, and gets its answer there."""
    printed = output(launch(RECONNECT), complaint="offline: the connection .*was lost.*\n")
    (answered,) = [line for line in printed if line.startswith("AGENT")]  # by another thread than what listeners print
    lost, *told = [line for line in printed if line != answered]
    assert re.fullmatch("lost: the connection .*was lost.* - will reconnect: True", lost)
    assert told == [
        "attempt 1 in 0.1 s",
        "line 2 stands; the session goes on: True",
        "lost: the client was closed - will reconnect: False",
    ]
    assert re.match("AGENT open after: the connection .*was lost", answered)
