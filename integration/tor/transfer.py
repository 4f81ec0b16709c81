"""A file server on loopback, and a client for it that goes through a SOCKS port. Every wait is bounded."""

import hashlib
import random
import socket
import struct
import threading
import time

CHUNK = 1 << 16


def make_content(size):
    """Bytes in which no stretch comes twice: a block in the wrong place changes the digest."""
    return random.Random(20260).randbytes(size)


class FileServer:
    """Answers "GET n" with n bytes, and "PUT n" and n bytes with their SHA-256."""

    def __init__(self, content):
        self.content = content
        self.listener = socket.create_server(("127.0.0.1", 0))
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
        try:
            with peer:
                peer.settimeout(120)
                verb, size = _read_line(peer).split()
                if verb == "GET":
                    peer.sendall(memoryview(self.content)[: int(size)])
                    peer.shutdown(socket.SHUT_WR)
                    peer.recv(1)
                else:
                    digest, _ = _read_digest(peer, int(size), time.monotonic() + 900)
                    peer.sendall(digest.encode() + b"\n")
        except (OSError, ValueError, TimeoutError):
            pass

    def close(self):
        """Stops listening."""
        self.listener.close()


def _read_line(sock):
    line = b""
    while not line.endswith(b"\n"):
        byte = sock.recv(1)
        if not byte or len(line) > 200:
            raise ValueError("no line")
        line += byte
    return line.decode().strip()


def _read_digest(sock, size, deadline):
    digest, left = hashlib.sha256(), size
    while left > 0:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{left} of {size} bytes have not come in time")
        chunk = sock.recv(min(CHUNK, left))
        if not chunk:
            break
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest(), size - left


def _through_socks(socks_port, port, seconds):
    sock = socket.create_connection(("127.0.0.1", socks_port), timeout=seconds)
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
    return sock


def download(socks_port, port, content, stall, limit):
    """Fetches the content; seconds taken. Raises when it is not the same, stalls, or takes too long."""
    with _through_socks(socks_port, port, stall) as sock:
        begun = time.monotonic()
        sock.sendall(f"GET {len(content)}\n".encode())
        digest, got = _read_digest(sock, len(content), begun + limit)
        _compare(digest, got, content)
        return time.monotonic() - begun


def upload(socks_port, port, content, stall, limit):
    """Sends the content; seconds until the server has said what it got. Raises as download does."""
    with _through_socks(socks_port, port, stall) as sock:
        begun = time.monotonic()
        sock.sendall(f"PUT {len(content)}\n".encode())
        view = memoryview(content)
        for at in range(0, len(content), CHUNK):
            if time.monotonic() > begun + limit:
                raise TimeoutError(f"only {at} of {len(content)} bytes went out in time")
            sock.sendall(view[at : at + CHUNK])
        _compare(_read_line(sock), len(content), content)
        return time.monotonic() - begun


def _compare(digest, got, content):
    if got != len(content):
        raise ValueError(f"{got} of {len(content)} bytes came")
    if digest != hashlib.sha256(content).hexdigest():
        raise ValueError("the SHA-256 differs")
