"""What Qt needs of the system."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from haip_sync import HAIPClient
from monitor_app import app, platform_probe

on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has these libraries")


def loader_without(*missing: str) -> Callable[[str], object]:
    """Return a loader that does not find some libraries."""

    def load(library: str) -> object:
        if library in missing:
            raise OSError(library)
        return None

    return load


@on_linux
def test_a_missing_library_is_named_by_its_package() -> None:
    """What has to be installed is said by Debian's names, each once."""
    load = loader_without("libEGL.so.1", "libglib-2.0.so.0", "libgthread-2.0.so.0", "libxcb-cursor.so.0")
    assert platform_probe.missing_packages("offscreen", load) == ["libegl1", "libglib2.0-0"]
    assert platform_probe.missing_packages("xcb", load) == ["libegl1", "libglib2.0-0", "libxcb-cursor0"]


@on_linux
def test_without_a_display_the_offscreen_platform_is_chosen() -> None:
    """No display means offscreen, and a word about it."""
    platform, word = platform_probe.choose_platform({})
    assert platform == "offscreen"
    assert word is not None
    assert "no display" in word


@on_linux
def test_a_dead_display_is_found_out_before_qt_aborts() -> None:
    """A display at which nobody listens means offscreen too."""
    platform, word = platform_probe.choose_platform({"DISPLAY": ":987"})
    assert platform == "offscreen"
    assert word is not None
    assert ":987 cannot be opened" in word


@on_linux
def test_an_operators_own_choice_is_left_alone() -> None:
    """QT_QPA_PLATFORM comes before everything else."""
    assert platform_probe.choose_platform({"QT_QPA_PLATFORM": "vnc", "WAYLAND_DISPLAY": "no"}) == ("vnc", None)


@on_linux
def test_a_wayland_display_that_listens_is_taken(tmp_path: Path) -> None:
    """By its name in the folder for such things, or by its path; a dead one would make Qt abort, and gives way to the rest."""
    path = tmp_path / "wayland-0"
    by_name = {"WAYLAND_DISPLAY": path.name, "XDG_RUNTIME_DIR": str(tmp_path)}
    by_path = {"WAYLAND_DISPLAY": str(path)}
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert platform_probe.choose_platform(by_name) == platform_probe.choose_platform(by_path) == ("wayland", None)
    platform, word = platform_probe.choose_platform(by_name)
    assert platform == "offscreen"
    assert word is not None
    assert "display wayland-0 cannot be opened" in word


def test_a_display_that_listens_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A display of a distant host is asked on its TCP port; a name without a number is none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(platform_probe, "_X_PORT", server.getsockname()[1] - 5)
        assert platform_probe.display_answers("127.0.0.1:5.0")
    assert not platform_probe.display_answers("127.0.0.1:5.0")
    assert not platform_probe.display_answers("nonsense")


def test_the_command_line_names_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With a library missing the program ends with code 2 and one line, before Qt starts."""
    monkeypatch.setattr(app, "prepare", lambda: (True, None, ["libegl1", "libxcb-cursor0"]))
    assert app.main(["ws://127.0.0.1:1"]) == 2
    assert "apt install libegl1 libxcb-cursor0" in capsys.readouterr().err


def test_the_command_line_names_the_packages_that_are_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The core is installed without what windows need: the program and `watch` say what to install, and there is no traceback."""
    for module in ("PySide6", "numpy"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(app, "prepare", lambda: (True, None, []))
    words = "a window needs PySide6-Essentials and numpy: pip install 'haip-sync[monitor]'"
    assert app.main(["ws://127.0.0.1:1"]) == 2
    assert capsys.readouterr().err == f"haip-monitor: {words}\n"
    with pytest.raises(RuntimeError) as caught:
        app.watch(HAIPClient("ws://127.0.0.1:1"))
    assert str(caught.value) == words


def test_without_a_display_there_must_be_something_to_watch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody could press Connect there, so that a missing address is an error."""
    monkeypatch.setattr(app, "prepare", lambda: (False, None, []))
    assert app.main([]) == 2
    assert "needs a URL, --attach or --demo" in capsys.readouterr().err


def test_importing_the_package_imports_no_qt() -> None:
    """`import monitor_app` and the models work where Qt does not."""
    code = (
        "import sys, monitor_app, monitor_app.app, monitor_app.model.client_source, monitor_app.model.text_table\n"
        "assert not [name for name in sys.modules if name.startswith(('PySide6', 'pyqtgraph'))]"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, timeout=60)  # noqa: S603 - our own words
