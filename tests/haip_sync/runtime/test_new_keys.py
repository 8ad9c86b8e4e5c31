"""TLS that agrees on new keys in mid-conversation: only a real OpenSSL server can ask for that."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from contextlib import closing

import pytest
from support.certificates import authority, client_context
from support.turnstiles import PATIENCE_S, until

from haip_sync.runtime.stream import Deadline, PlainStream, send_all
from haip_sync.runtime.tls import TlsStream


class OpenSslServer:
    """`openssl s_server`, which asks for new keys when it is told to."""

    def __init__(self, version: str, pem: str) -> None:
        command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-cert", pem, "-key", pem, version]
        self._process = subprocess.Popen(  # noqa: S603 - our own command line
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._arrived = bytearray()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        until(lambda: b"ACCEPT " in self._arrived and self._arrived.endswith(b"\n"))
        self.port = int(self._arrived.split(b"ACCEPT ")[1].split(b"\n")[0].rpartition(b":")[2])

    def _read(self) -> None:
        assert self._process.stdout is not None
        while piece := self._process.stdout.read1(65_536):
            self._arrived += piece

    def say(self, line: bytes) -> None:
        """Type a line: a command of one letter, or what is sent to the client."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()

    def count(self, text: bytes) -> int:
        """Return how often the client, or the server itself, has said so."""
        return self._arrived.count(text)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._thread.join(PATIENCE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


class Talker:
    """A client's stream, a thread that receives, and one that sends when TLS asks for it: what the client has round a line."""

    def __init__(self, port: int) -> None:
        sock = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.received = bytearray()
        self._stream = TlsStream(PlainStream(sock, Deadline(PATIENCE_S)), client_context(), server_name="localhost")
        self._stream.handshake()
        # Guards sending, as the writer's pen does.
        self._pen = threading.Lock()
        self._nudges = threading.Semaphore(0)
        self._is_over = False
        self._stream.run(self._nudges.release)
        self._threads = [threading.Thread(target=self._receive), threading.Thread(target=self._serve)]
        for thread in self._threads:
            thread.start()

    def send(self, data: bytes) -> None:
        """Send."""
        with self._pen:
            send_all(self._stream, data)

    def _receive(self) -> None:
        try:
            while piece := self._stream.recv():
                self.received.extend(piece)
        except ConnectionResetError:
            assert self._is_over

    def _serve(self) -> None:
        while self._nudges.acquire(timeout=PATIENCE_S) and not self._is_over:
            self.send(b"nudged\n")

    def close(self) -> None:
        """End it, and check that nobody hangs."""
        self._is_over = True
        self._nudges.release()
        self._stream.shut()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        self._stream.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
@pytest.mark.parametrize(("version", "command"), [("-tls1_3", b"K"), ("-tls1_3", b"k"), ("-tls1_2", b"R")])
def test_new_keys_in_the_middle_of_a_conversation(version: str, command: bytes) -> None:
    """Key updates (TLS 1.3) and renegotiation (TLS 1.2) come and are answered while one thread sends and another receives."""
    with (
        authority().issue_cert("localhost").private_key_and_cert_chain_pem.tempfile() as pem,
        closing(OpenSslServer(version, pem)) as server,
        closing(Talker(server.port)) as talker,
    ):

        def has_changed_keys(times: int) -> bool:
            talker.send(b"tick\n")  # the server tells of it only together with what it receives
            return server.count(b"SSL_do_handshake") == times

        def has_all_of(number: int) -> bool:
            talker.send(b"tick\n")
            return all(server.count(b"text %d.%d\n" % (number, part)) == 1 for part in range(20))

        for number in range(5):
            server.say(command)
            until(lambda n=number: has_changed_keys(n + 1))
            server.say(b"news %d" % number)
            for part in range(20):
                talker.send(b"text %d.%d\n" % (number, part))
            until(lambda n=number: b"news %d" % n in talker.received)
            until(lambda n=number: has_all_of(n))
