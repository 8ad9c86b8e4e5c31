"""What `haip_sync` offers, and that it comes when it is asked for and not before."""

from __future__ import annotations

import subprocess
import sys

import pytest

import haip_sync


def test_every_public_name_is_there() -> None:
    """Each name can be imported, is listed, and is the object that its module has."""
    for name in haip_sync.__all__:
        found = getattr(haip_sync, name)
        home = getattr(found, "__module__", None)
        if home is not None and home.startswith("haip_sync."):
            assert getattr(sys.modules[home], name) is found
        assert name in dir(haip_sync)


def test_what_a_client_hands_out_can_be_asked_what_it_is() -> None:
    """`isinstance` works with every public class, those that only say what an object can do among them."""
    client = haip_sync.HAIPClient("ws://localhost:1")
    subscription = client.on("connect", print)
    for name in haip_sync.__all__:
        kind = getattr(haip_sync, name)
        if isinstance(kind, type):
            assert isinstance(subscription, kind) == (name == "Subscription")
    client.close()


def test_what_is_not_public_is_an_attribute_error() -> None:
    """A slip in a name is told as by any module."""
    name = "HAIPCleint"  # not written as an attribute, for type checkers
    with pytest.raises(AttributeError, match=name):
        getattr(haip_sync, name)


def test_an_error_comes_without_the_client() -> None:
    """Who only catches our errors imports neither the client nor websocket-client."""
    unwanted = "('haip_sync.client', 'websocket')"
    code = f"import sys; from haip_sync import FlowControlError; print(*(m for m in {unwanted} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603
    assert done.stdout.strip() == ""
