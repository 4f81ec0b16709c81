"""Servers on loopback, and a client of the file server that goes through a SOCKS port. Every wait is bounded."""

import contextlib
import random
import socket
import struct
import threading
import time

CHUNK = 1 << 16


class WrongBytes(ValueError):
    """What came was never sent, or not at that place."""


def make_content(size):
    """Bytes in which no stretch comes twice: a block in the wrong place differs from what should be there."""
    return random.Random(20260).randbytes(size)


class Server:
    """Does something with each connection, in a thread of its own."""

    def __init__(self, serve, receive_buffer=None, seconds=120):
        self.serve, self.seconds = serve, seconds
        self.listener = socket.socket()
        if receive_buffer:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1024)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        with peer, contextlib.suppress(OSError, ValueError):
            peer.settimeout(self.seconds)
            self.serve(peer)

    def close(self):
        """Stops listening."""
        self.listener.close()


class FileServer(Server):
    """Answers "GET at n" with n bytes of the content from a place on, and "PUT at n" and those bytes with "right"."""

    def __init__(self, content):
        self.content = content
        self.wrong = []  # what was wrong with bytes that came in
        super().__init__(self._answer)

    def _answer(self, peer):
        verb, at, size = _read_line(peer).split()
        part = self.content[int(at) : int(at) + int(size)]
        if verb == "GET":
            peer.sendall(part)
            peer.shutdown(socket.SHUT_WR)
            peer.recv(1)
        else:
            self._take(peer, part)

    def _take(self, peer, part):
        answer = b"right\n"
        try:
            _receive(peer, part, time.monotonic() + 900)
        except WrongBytes as wrong:
            self.wrong.append(str(wrong))
            answer = b"wrong\n"
        peer.sendall(answer)


def _read_line(sock):
    line = b""
    while not line.endswith(b"\n"):
        byte = sock.recv(1)
        if not byte or len(line) > 200:
            raise ValueError("no line")
        line += byte
    return line.decode().strip()


def _receive(sock, expected, deadline):
    """Reads what is expected. Raises at the first byte that is wrong, at an early end, and when it takes too long."""
    at = 0
    while at < len(expected):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(expected) - at} of {len(expected)} bytes have not come in time")
        chunk = sock.recv(min(CHUNK, len(expected) - at))
        if not chunk:
            raise ValueError(f"{at} of {len(expected)} bytes came")
        if chunk != expected[at : at + len(chunk)]:
            raise WrongBytes(f"of {len(expected)} bytes some are wrong, from the {at}th on")
        at += len(chunk)


def _through_socks(socks_port, port, seconds):
    sock = socket.create_connection(("127.0.0.1", socks_port), timeout=seconds)
    try:
        sock.sendall(b"\x05\x01\x00")
        if sock.recv(2) != b"\x05\x00":
            raise OSError("SOCKS: no handshake")
        sock.sendall(b"\x05\x01\x00\x01" + socket.inet_aton("127.0.0.1") + struct.pack(">H", port))
        answer = b""
        while len(answer) < 10:
            more = sock.recv(10 - len(answer))
            if not more:
                raise OSError("SOCKS: hung up")
            answer += more
        if answer[1] != 0:
            raise OSError(f"SOCKS: refused, {answer[1]}")
    except OSError:
        sock.close()
        raise
    return sock


def download(socks_port, port, content, stall, limit, at=0):
    """Fetches the content, which begins at that place of the server's; seconds taken. Raises when it is not the same
    (WrongBytes), ends early or late, stalls, or takes too long."""
    with _through_socks(socks_port, port, stall) as sock:
        begun = time.monotonic()
        sock.sendall(f"GET {at} {len(content)}\n".encode())
        _receive(sock, content, begun + limit)
        seconds = time.monotonic() - begun
        if sock.recv(1):
            raise WrongBytes(f"more than {len(content)} bytes came")
        return seconds


def upload(socks_port, port, content, stall, limit, at=0):
    """Sends the content; seconds until the server has said what it got. Raises as download does."""
    with _through_socks(socks_port, port, stall) as sock:
        begun = time.monotonic()
        sock.sendall(f"PUT {at} {len(content)}\n".encode())
        view = memoryview(content)
        for start in range(0, len(content), CHUNK):
            if time.monotonic() > begun + limit:
                raise TimeoutError(f"only {start} of {len(content)} bytes went out in time")
            sock.sendall(view[start : start + CHUNK])
        if _read_line(sock) != "right":
            raise WrongBytes(f"of {len(content)} bytes that went up, some are wrong")
        return time.monotonic() - begun
