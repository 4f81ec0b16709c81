"""What runs inside of the simulation, on loopback: the real server and client, with a SOCKS proxy in tor's place."""

import argparse
import contextlib
import csv
import os
import socket
import socketserver
import tempfile
import threading
import time
import unittest

import inside


class Proxy(socketserver.BaseRequestHandler):
    """SOCKS 5 with user name and password, to the server of the test; some users have bad luck."""

    def handle(self):
        sock = self.request
        assert sock.recv(3) == b"\x05\x01\x02"
        sock.sendall(b"\x05\x02")
        head = sock.recv(2)
        user = sock.recv(head[1]).decode()
        assert sock.recv(2) == b"\x01x"
        sock.sendall(b"\x01\x00")
        self.server.users.append(user)
        wanted = sock.recv(10)
        assert wanted[:4] == b"\x05\x01\x00\x01" and wanted[4:8] == socket.inet_aton("100.10.0.31")
        trouble = self.server.troubles.get(user)
        if trouble == "refused":
            return sock.sendall(b"\x05\x04\x00\x01" + bytes(6))
        sock.sendall(b"\x05\x00\x00\x01" + bytes(6))
        return self.pass_on(sock, trouble)

    def pass_on(self, sock, trouble):
        """The request one way, the file the other."""
        if trouble == "silent":
            return time.sleep(4)
        with socket.create_connection(("127.0.0.1", self.server.target)) as server:
            server.sendall(sock.recv(100))
            left = 70000 if trouble == "short" else 1 << 30
            while left and (piece := server.recv(min(left, 65536))):
                sock.sendall(bytes(len(piece)) if trouble == "wrong" else piece)
                left -= len(piece)
        return None


class Quiet(inside.Server):
    """Keeps what goes wrong, and what it was asked."""
    wrong, asked = (), ()

    def handle_error(self, request, client_address):
        self.wrong += (client_address,)


@contextlib.contextmanager
def serving(handler):
    """A server on a port of its own."""
    with Quiet(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


class Turns:
    """A time that is later than now so many times, however fast the machine is."""

    def __init__(self, left):
        self.left = left

    def __gt__(self, now):
        self.left -= 1
        return self.left >= 0


class Downloads(unittest.TestCase):
    """By the client."""

    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        target = stack.enter_context(serving(inside.Handler))
        self.proxy = stack.enter_context(serving(Proxy))
        self.proxy.target, self.proxy.users, self.proxy.troubles = target.server_address[1], [], {}
        self.options = argparse.Namespace(name="client1", server="100.10.0.31", seed=5, kind="client",
                                          sizes="1000,200000", shares="0.5,0.5", timeout=30, pause=0.01, spread=0.01,
                                          until=None, port=80, socks=self.proxy.server_address[1])

    def fetch(self, number=1, size=200000):
        """A row."""
        return inside.download(self.options, number, size, "client")

    def test_content_is_the_same_for_all_and_no_piece_like_another(self):
        whole = b"".join(inside.content(200000))
        self.assertEqual((len(whole), whole[:9]), (200000, b"".join(inside.content(9))))
        self.assertNotEqual(whole[:1000], whole[65536:66536])

    def test_a_download(self):
        row = self.fetch()
        self.assertNotIn("error", row)
        self.assertEqual((row["kind"], row["size"]), ("client", 200000))
        self.assertTrue(0 < float(row["connected"]) <= float(row["first"]) <= float(row["last"]))
        self.assertEqual(self.proxy.users, ["client1-1"])

    def test_what_goes_wrong_has_a_name(self):
        troubles = ("refused", "silent", "short", "wrong")
        self.proxy.troubles = {f"client1-{number}": trouble for number, trouble in enumerate(troubles, 1)}
        rows = [self.fetch(1)]
        self.options.timeout = 1.5
        rows.append(self.fetch(2))
        self.options.timeout = 30
        rows += [self.fetch(number) for number in (3, 4)]
        self.assertEqual([row["error"] for row in rows], ["socks 4", "timeout", "closed", "wrong content"])
        self.assertEqual(["connected" in row for row in rows], [False, True, True, True])
        self.assertEqual(["first" in row for row in rows], [False, False, True, True])
        self.assertEqual(["last" in row for row in rows], [False, False, False, True])
        self.proxy.troubles = {}
        self.options.socks = 1
        self.assertIn("refused", self.fetch()["error"])

    def test_a_client_writes_what_it_did_and_the_seed_says_what(self):
        sizes = []
        for _ in range(2):
            self.options.until = Turns(5)
            with in_folder():
                inside.client(self.options)
                with open("downloads.csv", encoding="utf-8") as file:
                    rows = list(csv.DictReader(file))
            self.assertEqual([row["error"] for row in rows], [""] * 5)
            self.assertEqual(list(rows[0]), inside.FIELDS)
            sizes.append([row["size"] for row in rows])
        self.assertEqual(sizes[0], sizes[1])
        self.assertEqual(set(sizes[0]), {"1000", "200000"})


class Control(socketserver.StreamRequestHandler):
    """A control port that has two events to tell."""

    def handle(self):
        self.server.asked = [self.rfile.readline(), self.rfile.readline()]
        self.wfile.write(b"250 OK\r\n250 OK\r\n650 CIRC 5 BUILT $A PURPOSE=GENERAL\r\n650 STREAM 1 NEW 0 x:80\r\n")


class Events(unittest.TestCase):
    """What a listener writes down."""

    def test_events(self):
        with serving(Control) as server, in_folder():
            before = time.time()
            inside.events(argparse.Namespace(control=server.server_address[1], bandwidth=True))
            with open("events.log", encoding="utf-8") as file:
                lines = [line.rstrip("\n").split(" ", 1) for line in file]
        self.assertEqual(server.asked, [b"AUTHENTICATE\r\n", b"SETEVENTS STREAM CIRC CIRC_MINOR CIRC_BW\r\n"])
        self.assertEqual([text for _, text in lines], ["250 OK", "250 OK", "650 CIRC 5 BUILT $A PURPOSE=GENERAL",
                                                       "650 STREAM 1 NEW 0 x:80"])
        self.assertTrue(all(before - 1 < float(when) < time.time() + 1 for when, _ in lines))

    def test_the_command_line_that_simulations_write_is_taken(self):
        options = inside.parse(["client", "--name", "a", "--kind", "bulk", "--server", "1.2.3.4", "--seed", "3",
                                "--sizes", "5", "--shares", "1", "--pause", "1", "--timeout", "120", "--until", "99"])
        self.assertEqual((options.socks, options.port, options.until), (9050, 80, 99))


@contextlib.contextmanager
def in_folder():
    """Within a folder of its own."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="circflow-shadow-") as folder:
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)
