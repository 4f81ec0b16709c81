#!/usr/bin/env python3
"""What runs inside of the simulation beside tor: a server, clients that download, and listeners to tor's events.

    inside.py server
    inside.py client --name client1 --server 100.10.0.31 ..
    inside.py events [--bandwidth]

Each writes into the folder that it runs in, which is that of its host.
"""

import argparse
import csv
import hashlib
import random
import socket
import socketserver
import sys
import time

BLOCK = hashlib.shake_128(b"circflow").digest(65521)  # a prime: a piece that is out of place changes the checksum
SOCKS, CONTROL, HTTP = 9050, 9051, 80
FIELDS = ["start", "kind", "size", "connected", "first", "last", "port", "error"]
TIMES = ["connected", "first", "last"]


def content(size):
    """The bytes of a file, in pieces."""
    while size > 0:
        piece = BLOCK[:size]
        yield piece
        size -= len(piece)


def digest_of_content(size):
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    for piece in content(size):
        digest.update(piece)
    return digest.digest()


class Handler(socketserver.StreamRequestHandler):
    """Sends as many bytes as the first line asks for."""

    def handle(self):
        for piece in content(int(self.rfile.readline(20))):
            self.wfile.write(piece)


class Server(socketserver.ThreadingTCPServer):
    """Goes on after whatever a peer does."""
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 128

    def handle_error(self, request, client_address):
        print("server:", client_address, sys.exc_info()[1], flush=True)


class Download:
    """One, over a circuit of its own: tor keeps those with different user names apart."""

    def __init__(self, timeout):
        self.begun, self.timeout = time.monotonic(), timeout
        self.row = {}

    def run(self, socks, server, size, tag):
        """Notes in the row how far it has come; raises when it comes no further."""
        with socket.create_connection(("127.0.0.1", socks), self.timeout) as sock:
            self.row["port"] = sock.getsockname()[1]
            self._connect(sock, server, tag)
            self.row["connected"] = self._passed()
            sock.sendall(f"{size}\n".encode())
            digest = self._take(sock, size)
        if digest != digest_of_content(size):
            raise ConnectionError("wrong content")

    def _passed(self):
        return time.monotonic() - self.begun

    def _receive(self, sock, count):
        """Up to that many bytes, in time."""
        sock.settimeout(max(0.001, self.timeout - self._passed()))
        piece = sock.recv(count)
        if not piece:
            raise ConnectionError("closed")
        return piece

    def _exactly(self, sock, count):
        got = b""
        while len(got) < count:
            got += self._receive(sock, count - len(got))
        return got

    def _connect(self, sock, server, tag):
        sock.sendall(b"\x05\x01\x02")
        self._exactly(sock, 2)
        sock.sendall(b"\x01" + bytes([len(tag)]) + tag.encode() + b"\x01x")
        self._exactly(sock, 2)
        address, port = server
        sock.sendall(b"\x05\x01\x00\x01" + socket.inet_aton(address) + port.to_bytes(2, "big"))
        answer = self._exactly(sock, 10)[1]
        if answer:
            raise ConnectionError(f"socks {answer}")

    def _take(self, sock, size):
        digest, got = hashlib.sha256(), 0
        while got < size:
            piece = self._receive(sock, 65536)
            self.row.setdefault("first", self._passed())
            got += len(piece)
            digest.update(piece)
        self.row["last"] = self._passed()
        return digest.digest()


def download(options, number, size, kind):
    """The row of one download."""
    row = {"start": f"{time.time():.6f}", "kind": kind, "size": size}
    one = Download(options.timeout)
    try:
        one.run(options.socks, (options.server, options.port), size, f"{options.name}-{number}")
    except OSError as error:
        row["error"] = "timeout" if isinstance(error, socket.timeout) else str(error)
    row.update(one.row)
    row.update({name: f"{row[name]:.6f}" for name in TIMES if name in row})
    return row


def client(options):
    """Downloads one after the other; sizes and pauses follow from the seed and the name alone."""
    chance = random.Random(f"{options.seed} {options.name}")
    sizes = [int(size) for size in options.sizes.split(",")]
    shares = [float(share) for share in options.shares.split(",")]
    with open("downloads.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, FIELDS)
        out.writeheader()
        number = 0
        time.sleep(chance.uniform(0, options.spread))
        while time.time() < options.until:
            number += 1
            out.writerow(download(options, number, chance.choices(sizes, shares)[0], options.kind))
            file.flush()
            time.sleep(chance.expovariate(1 / options.pause))


def wait_for_control(port):
    """A connection to tor's control port, which may take a while to be there."""
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 10)
        except OSError:
            time.sleep(1)


def events(options):
    """Writes down what tor says of its streams and circuits; with bandwidth, which is much, also what each leg read."""
    with wait_for_control(options.control) as sock, open("events.log", "w", encoding="utf-8") as out:
        sock.settimeout(None)
        wanted = "STREAM CIRC CIRC_MINOR" + (" CIRC_BW" if options.bandwidth else "")
        sock.sendall(f"AUTHENTICATE\r\nSETEVENTS {wanted}\r\n".encode())
        for line in sock.makefile("r", encoding="utf-8", errors="replace", newline="\r\n"):
            out.write(f"{time.time():.6f} {line.rstrip()}\n")
            if " STREAM " in line:
                out.flush()


def parse(arguments):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("server").add_argument("--port", type=int, default=HTTP)
    listener = commands.add_parser("events")
    listener.add_argument("--bandwidth", action="store_true")
    listener.add_argument("--control", type=int, default=CONTROL)
    loader = commands.add_parser("client")
    for name, kind in (("name", str), ("server", str), ("seed", int), ("kind", str), ("sizes", str), ("shares", str),
                       ("timeout", float), ("pause", float), ("until", float)):
        loader.add_argument("--" + name, type=kind, required=True)
    loader.add_argument("--spread", type=float, default=5, help="seconds in which clients begin")
    loader.add_argument("--port", type=int, default=HTTP)
    loader.add_argument("--socks", type=int, default=SOCKS)
    return parser.parse_args(arguments)


def main():
    """Does not come back, as Shadow ends it; so every host is in the same state at the end."""
    options = parse(sys.argv[1:])
    if options.command == "server":
        with Server(("0.0.0.0", options.port), Handler) as server:
            server.serve_forever()
    elif options.command == "events":
        events(options)
    else:
        client(options)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
