"""The way through an HTTP proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.certificates import authority, client_context, server_context
from support.little_proxy import little_proxy
from support.tcp_peer import answering, served, unused_port

from haip_sync import ConfigError, ConnectError, HAIPClient, HAIPTimeout
from haip_sync.runtime.address import Address
from haip_sync.runtime.proxy import Proxy, check_proxy, proxy_for
from haip_sync.testing import DevServer

PATIENCE_S = 20.0


@pytest.fixture(autouse=True)
def _no_proxy_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the machine that runs the tests has set."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def plain() -> Iterator[DevServer]:
    """Yield a server without TLS."""
    with DevServer() as server:
        yield server


@pytest.fixture
def secured() -> Iterator[DevServer]:
    """Yield a server with TLS, for the name server.test, which only a proxy can find."""
    with DevServer(ssl_context=server_context(authority().issue_cert("server.test"))) as server:
        yield server


def talk(client: HAIPClient, server: DevServer) -> None:
    """Check that a text arrives."""
    client.send_text_message("USER", "through", timeout=PATIENCE_S)
    server.wait_for_session().wait_for(lambda s: [text.text for text in s.texts("USER")] == ["through"], timeout=PATIENCE_S)


def test_a_tunnel_without_tls(plain: DevServer) -> None:
    """ws:// goes through a CONNECT, named by the server's own host and port, and an explicit proxy is asked for loopback too."""
    with little_proxy(plain.port) as proxy:
        with HAIPClient("ws://server.test/some/path", proxy=f"http://{proxy.host}") as client:
            talk(client, plain)
        assert proxy.asked == ["CONNECT server.test:80 HTTP/1.1"]
        with HAIPClient(plain.url, proxy=f"http://{proxy.host}"):
            assert proxy.asked[1] == f"CONNECT 127.0.0.1:{plain.port} HTTP/1.1"


def test_tls_goes_through_the_tunnel(secured: DevServer) -> None:
    """wss:// through a proxy checks the server's certificate, for the server's name."""
    with little_proxy(secured.port) as proxy:
        with HAIPClient("wss://server.test", proxy=f"http://{proxy.host}", ssl=client_context()) as client:
            talk(client, secured)
        assert proxy.asked == ["CONNECT server.test:443 HTTP/1.1"]
        with pytest.raises(ConnectError, match=r"wss://other\.test:443 is not trusted: its certificate is for another name"):
            HAIPClient("wss://other.test", proxy=f"http://{proxy.host}", ssl=client_context()).connect(PATIENCE_S)


def test_a_proxy_that_speaks_tls_itself(secured: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With https:// the way to the proxy is TLS too, checked against what the system trusts."""
    with little_proxy(secured.port, login="me:secret", context=server_context()) as proxy:
        way = f"https://me:secret@{proxy.host}"
        client = HAIPClient("wss://server.test", proxy=way, ssl=client_context())
        with pytest.raises(
            ConnectError, match=r"the proxy https://localhost:\d+ is not trusted: its certificate is signed by an"
        ):
            client.connect(PATIENCE_S)
        with authority().cert_pem.tempfile() as trusted:
            monkeypatch.setenv("SSL_CERT_FILE", trusted)
            monkeypatch.setenv("SSL_CERT_DIR", "")
            with client:
                talk(client, secured)


def test_user_and_password_are_shown_to_the_proxy(plain: DevServer) -> None:
    """Who is named in the proxy's URL is shown to it, unquoted; who is missing or wrong is asked for."""
    with little_proxy(plain.port, login="mé@home:p:w%") as proxy:
        with HAIPClient("ws://server.test", proxy=f"http://m%C3%A9%40home:p%3Aw%25@{proxy.host}") as client:
            talk(client, plain)
        with pytest.raises(ConnectError, match=r"asks for a user and a password \(HTTP 407\)\. Nothing was sent"):
            HAIPClient("ws://server.test", proxy=f"http://{proxy.host}").connect(PATIENCE_S)
        with pytest.raises(ConnectError, match=r"refused the user and the password given \(HTTP 407\)") as caught:
            HAIPClient("ws://server.test", proxy=f"http://me:hunter2@{proxy.host}").connect(PATIENCE_S)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "opens no way to wss://server.test:443: HTTP 403. Nothing was sent"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "opens no way to wss://server.test:443: HTTP 502"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP. Nothing was sent"),
        (b"HTTP/1.1 200 OK\r\n\r\nmore", "talks where wss://server.test:443 should"),
        (b"HTTP/1.1 200", "closed the connection. Nothing was sent"),
    ],
)
def test_a_proxy_that_does_not_do_is_named(answer: bytes, match: str) -> None:
    """What a proxy answers in place of a tunnel is told, with whose fault it is."""
    with served(answering(answer)) as port, pytest.raises(ConnectError, match=rf"the proxy http://127\.0\.0\.1:{port} {match}"):
        HAIPClient("wss://server.test", proxy=f"127.0.0.1:{port}").connect(PATIENCE_S)


def test_a_proxy_that_is_not_there_or_keeps_silent_is_named() -> None:
    """An unreachable proxy is a ConnectError, a mute one a HAIPTimeout."""
    port = unused_port()
    match = rf"the proxy http://127\.0\.0\.1:{port} cannot be reached: connection refused\. Nothing was sent"
    with pytest.raises(ConnectError, match=match):
        HAIPClient("wss://server.test", proxy=f"http://127.0.0.1:{port}").connect(PATIENCE_S)
    with served(answering(None, hang_up=False)) as port:
        match = rf"the proxy http://127\.0\.0\.1:{port} opened no way to wss://server.test:443 within 1 s\. Nothing was sent"
        with pytest.raises(HAIPTimeout, match=match):
            HAIPClient("wss://server.test", proxy=f"http://127.0.0.1:{port}").connect(1)


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("ws://h", {}, None),
        ("ws://h", {"http_proxy": "http://p:1", "https_proxy": "http://q:2"}, "http://p:1"),
        ("wss://h", {"http_proxy": "http://p:1", "https_proxy": "http://q:2"}, "http://q:2"),
        ("wss://h", {"HTTPS_PROXY": "q:2"}, "http://q:2"),
        ("wss://h", {"http_proxy": "http://p:1"}, None),
        ("wss://h", {"all_proxy": "http://p"}, "http://p:80"),
        ("wss://h", {"all_proxy": "socks5://p", "https_proxy": "https://q"}, "https://q:443"),
        ("wss://h", {"all_proxy": "http://p:1", "no_proxy": "h"}, None),
        ("wss://a.h.test", {"all_proxy": "http://p:1", "no_proxy": "other,.h.test"}, None),
        ("wss://h:8443", {"all_proxy": "http://p:1", "no_proxy": "h:8443"}, None),
        ("wss://h:8444", {"all_proxy": "http://p:1", "no_proxy": "h:8443"}, "http://p:1"),
        ("wss://h", {"all_proxy": "http://p:1", "no_proxy": "*"}, None),
        ("wss://localhost", {"all_proxy": "http://p:1"}, None),
        ("wss://127.0.0.9", {"all_proxy": "http://p:1"}, None),
        ("wss://[::1]", {"all_proxy": "http://p:1"}, None),
    ],
)
def test_the_environment_names_a_proxy(
    url: str, environment: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual variables are read as usual, and never lead away from this machine itself."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = proxy_for(Address(url), None)
    assert (found and found.text) == proxy
    assert proxy_for(Address(url), "") is None


def test_the_environment_is_read_for_each_attempt(secured: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client made before the environment changes goes the way that it names when it connects."""
    client = HAIPClient("wss://server.test", ssl=client_context())
    monkeypatch.setenv("https_proxy", "socks5://me:hunter2@localhost")
    with pytest.raises(ConfigError, match=r'https_proxy in the environment is a SOCKS proxy.*proxy="" to go without') as caught:
        client.connect(PATIENCE_S)
    assert "hunter2" not in str(caught.value)
    with little_proxy(secured.port) as proxy:
        monkeypatch.setenv("https_proxy", proxy.host)
        with client:
            talk(client, secured)


def test_what_a_proxy_is_shown_as() -> None:
    """Neither its text nor its repr shows user or password."""
    proxy = check_proxy("http://me:hunter2@[::1]:3128/path")
    assert isinstance(proxy, Proxy)
    assert proxy.text == "http://[::1]:3128"
    assert "hunter2" not in repr(proxy)


@pytest.mark.parametrize("host", ["a b", "a\x1bb", "a\x00b"])
def test_a_host_that_cannot_be_shown_is_refused(host: str) -> None:
    """What is no name, and would stand in logs and on terminals as it is, is a ConfigError that does not repeat it."""
    with pytest.raises(ConfigError, match="proxy must look like http://host:port") as caught:
        HAIPClient("ws://server.test", proxy=f"http://{host}:1")
    assert host not in str(caught.value)
