"""The fixtures, in a project of their own: pytest runs in a process beside this one, and ends in time or fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import haip_sync

pytest_plugins = ["pytester"]

DEADLINE_S = 60.0
ROOT = Path(haip_sync.__file__).parents[1]
PLUGIN = "haip_sync.testing.pytest_plugin"


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Return a project that finds this haip_sync, and no plugin of the environment."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return pytester


def run(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Run the project's tests with every warning an error, leaked threads' and sockets' included."""
    return project.runpytest_subprocess("-W", "error", *(options or ("-p", PLUGIN)), timeout=DEADLINE_S)


def test_the_fixtures_serve_a_test(project: pytest.Pytester) -> None:
    """A client is connected to a server that knows it; servers take options; the mock holds the first balance."""
    project.makepyfile(
        """
        import pytest
        from haip_sync import AuthError, ConnectionClosedError, HAIPClient, ReconnectPolicy
        from haip_sync.testing import Never

        def test_a_text_arrives(haip_server, haip_client):
            assert len(haip_server.sessions) == 1
            haip_client.send_text_message("USER", "hello", timeout=5)
            haip_server.sessions[0].wait_for(lambda s: s.text_count == 1, what="a text")

        def test_servers_are_of_this_test_alone(haip_server, haip_server_factory):
            other = haip_server_factory(token="secret", policy=Never(), initial_credits=2)
            assert haip_server.sessions == other.sessions == ()
            assert haip_server.port != other.port
            with pytest.raises(AuthError):
                HAIPClient(other.url).connect()
            with HAIPClient(other.url, token="secret") as client:
                assert client.connection_state().credits["USER"] == 2

        def test_a_line_that_breaks(haip_server, haip_fault_proxy_factory):
            proxy = haip_fault_proxy_factory(haip_server.url, seed=1)
            with HAIPClient(proxy.url, reconnect=ReconnectPolicy(enabled=False)) as client:
                assert proxy.cut() == 1
                with pytest.raises(ConnectionClosedError):
                    client.receive(timeout=5)

        def test_credit_without_a_server(mock_flow_control):
            assert mock_flow_control.get_credits("USER") == (10, 1 << 20)
        """
    )
    run(project).assert_outcomes(passed=4)


def test_everything_is_over_after_the_test(project: pytest.Pytester) -> None:
    """Servers are stopped and clients closed although the test failed, and no thread of theirs is left."""
    project.makepyfile(
        """
        import threading
        from haip_sync import ConnectError, HAIPClient
        import pytest

        kept = []

        def test_that_fails(haip_server_factory, haip_server, haip_client):
            kept.extend([haip_server_factory(), haip_server])
            kept.append(haip_client)
            raise RuntimeError("on purpose")

        def test_afterwards():
            *servers, client = kept
            assert not client.connection_state().connected
            assert [one.name for one in threading.enumerate() if one is not threading.main_thread()] == []
            for server in servers:
                with pytest.raises(ConnectError):
                    HAIPClient(server.url).connect()
        """
    )
    run(project).assert_outcomes(passed=1, failed=1)


def test_a_project_may_replace_a_fixture(project: pytest.Pytester) -> None:
    """A fixture of the same name in a conftest comes first, and the others build on it."""
    project.makeconftest(
        """
        import pytest

        @pytest.fixture
        def haip_server(haip_server_factory):
            return haip_server_factory(initial_credits=3)
        """
    )
    project.makepyfile("def test_it(haip_client): assert haip_client.connection_state().credits['USER'] == 3")
    run(project).assert_outcomes(passed=1)


def test_pytest_finds_the_plugin_by_its_entry_point(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed with its entry point it is there without being asked for, once even if it is; `-p no:` switches it off."""
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    info = project.path / "elsewhere-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[pytest11]\n{PLUGIN} = {PLUGIN}\n")
    project.makepyfile("def test_it(mock_flow_control): assert mock_flow_control.consume_credits('USER')")
    without_qt = ("-p", "no:pytest-qt")
    run(project, *without_qt).assert_outcomes(passed=1)
    run(project, *without_qt, "-p", PLUGIN).assert_outcomes(passed=1)
    run(project, *without_qt, "-p", f"no:{PLUGIN}").assert_outcomes(errors=1)


def test_the_plugin_loads_no_server_and_no_window(project: pytest.Pytester) -> None:
    """It is imported by every pytest run of whoever has haip_sync installed: websockets and Qt stay out of it."""
    project.makepyfile(
        heavy=f"""
        import sys
        import {PLUGIN}
        print([name for name in ("websockets", "PySide6", "pyqtgraph", "numpy", "asyncio") if name in sys.modules])
        """
    )
    result = project.run(sys.executable, "heavy.py", timeout=DEADLINE_S)
    assert (result.ret, result.outlines) == (0, ["[]"])
