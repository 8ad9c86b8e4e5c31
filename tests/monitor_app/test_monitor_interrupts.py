"""Ctrl-C before there is a window, in the program and in a script that opens one."""

from __future__ import annotations

import signal

import pytest
from support.programs import run_program

PRESSED = """
import os, signal, sys
import monitor_app.app as app

def importing():
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):
        pass  # Python runs its handlers as a loop goes round
    print("whole", flush=True)
    return None

app._gui = importing
app.prepare = lambda: (False, None, [])
"""


def test_ctrl_c_while_the_program_starts_ends_it_without_a_word() -> None:
    """It ends as by the signal itself: Qt, interrupted in the middle of its import, would abort or hang."""
    ended = run_program(PRESSED + "app.main(['ws://127.0.0.1:1'])")
    assert (ended.code, ended.out, ended.err) == (-signal.SIGINT, "", "")


def test_ctrl_c_while_a_script_opens_a_window_waits_for_qt() -> None:
    """The import is whole, and then there is the KeyboardInterrupt that the script knows; Ctrl-C is Python's again."""
    source = """
from haip_sync import HAIPClient
try:
    app.watch(HAIPClient("ws://127.0.0.1:1"))
except KeyboardInterrupt:
    print("interrupted", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
    ended = run_program(PRESSED + source)
    assert (ended.code, ended.out.split(), ended.err) == (0, ["whole", "interrupted", "True"], "")


@pytest.mark.parametrize("handler", ["signal.SIG_IGN", "lambda *_: print('mine', flush=True)"])
def test_who_sees_to_ctrl_c_alone_is_left_alone(handler: str) -> None:
    """A handler of the process's own, and none where a shell has it ignored, are as they were."""
    source = f"""
mine = {handler}
signal.signal(signal.SIGINT, mine)
class Gui:
    def run(self, *_, **__):
        assert signal.getsignal(signal.SIGINT) is mine
        return 0
app._gui = Gui
print(app.main(["ws://127.0.0.1:1"]), signal.getsignal(signal.SIGINT) is mine)
"""
    ended = run_program(PRESSED + source)
    assert (ended.code, ended.out.split(), ended.err) == (0, ["0", "True"], "")
