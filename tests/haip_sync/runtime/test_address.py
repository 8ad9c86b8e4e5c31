"""Where to connect: what a URL says, and what of it is shown."""

from __future__ import annotations

import pytest

from haip_sync import ConfigError, HAIPClient
from haip_sync.runtime.address import Address


@pytest.mark.parametrize(
    ("url", "query", "target"),
    [
        ("ws://h", (), "/"),
        ("ws://h?a=b", (), "/?a=b"),
        ("ws://h:81/path?a=b", (("token", "t k&n/é"),), "/path?a=b&token=t+k%26n%2F%C3%A9"),
        ("ws://user:secret@h:81", (("token", "x"),), "/?token=x"),
        ("ws://h/a b/%7E?q=ü", (), "/a%20b/%7E?q=%C3%BC"),
        (" ws://h/a#fragment ", (), "/a"),
    ],
)
def test_the_target_is_path_and_query(url: str, query: tuple[tuple[str, str], ...], target: str) -> None:
    """What is asked for is the URL's path and query, quoted where need be, with more behind it; never credentials or fragment."""
    address = Address(url)
    assert address.target(query) == target
    assert "secret" not in address.text


@pytest.mark.parametrize(("login", "times"), [("user:secret@", 1), ("secret@", 1), (":secret@", 1), ("", 0)])
def test_a_login_in_the_url_is_told_to_be_left_out(login: str, times: int, caplog: pytest.LogCaptureFixture) -> None:
    """User and password before the host are not sent: whoever writes them is told so in the log, which does not repeat them."""
    HAIPClient(f"ws://{login}h:81")
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == times
    assert all("is not sent" in text and "headers=" in text and "secret" not in text for text in told)


@pytest.mark.parametrize(
    ("url", "text", "host_header", "authority", "server_name"),
    [
        ("ws://h", "ws://h:80", "h", "h:80", "h"),
        ("wss://h", "wss://h:443", "h", "h:443", "h"),
        ("wss://h:80/", "wss://h:80", "h:80", "h:80", "h"),
        ("WSS://Example.NET.:8443", "wss://example.net.:8443", "example.net.:8443", "example.net.:8443", "example.net"),
        ("ws://[::1]:8080/", "ws://[::1]:8080", "[::1]:8080", "[::1]:8080", "::1"),
        ("wss://[fe80::1%eth0]", "wss://[fe80::1%eth0]:443", "[fe80::1]", "[fe80::1]:443", "fe80::1"),
        (
            "wss://bücher.example",
            "wss://bücher.example:443",
            "xn--bcher-kva.example",
            "xn--bcher-kva.example:443",
            "bücher.example",
        ),
    ],
)
def test_host_and_port_in_every_spelling(url: str, text: str, host_header: str, authority: str, server_name: str) -> None:
    """Names, numbers and default ports are written as errors, HTTP and certificates want them."""
    address = Address(url)
    assert (address.text, address.host_header, address.authority, address.server_name) == (
        text,
        host_header,
        authority,
        server_name,
    )
    assert address.is_secure is text.startswith("wss")


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("app.localhost", True),
        ("127.8.9.1", True),
        ("[::1]", True),
        ("192.168.0.1", False),
        ("[::2]", False),
        ("localhost.example.net", False),
    ],
)
def test_this_machine_is_known(host: str, is_loopback: bool) -> None:
    """Loopback is what can only be this machine."""
    assert Address(f"ws://{host}:1").is_loopback is is_loopback


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("http://localhost", "must look like ws://host:port or wss://host:port; its scheme is 'http'"),
        ("localhost:8080", "must look like ws://host:port"),
        ("ws://", "must look like ws://host:port"),
        ("ws://localhost:99999", "host or port cannot be read"),
        ("ws://user:hunter2", "host or port cannot be read"),
        ("ws://[::1", "host or port cannot be read"),
        ("ws://h:0", "port is 0"),
        ("ws://a..b", "is no host name"),
        ("ws://a b:1", "'a b' is no host name"),
        ("ws://a\x00b", r"'a\\x00b' is no host name"),
        ("ws://a\x1b[2Jb/", "host or port cannot be read"),
        ("ws://a\x1bb\u2028", "is no host name"),
        ("ws://" + "x" * 64 + ".example", "is no host name"),
        ("", "must look like ws://host:port"),
        (None, "url must be a string"),
    ],
)
def test_a_wrong_url_is_refused_without_repeating_what_may_be_secret(url: object, match: str) -> None:
    """A URL that cannot be connected to is a ConfigError; what stands where a password may stand is not repeated."""
    with pytest.raises(ConfigError, match=match) as caught:
        Address(url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None or "hunter2" not in str(caught.value.__context__)
