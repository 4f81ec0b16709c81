#!/usr/bin/env python3
"""Streams that the client ends early, on a private network of stock tor: nothing that a stock exit sends afterwards may be
what circflow closes for.

Stock tor judges messages for streams that have ended by the same rules (prop324 4.1.4: END or RESOLVED once, CONNECTED once
and only if none came before, DATA and XON and XOFF for a while), and counts what it finds valid: CIRC_BW of the control port
has the cells that were read, and the bytes of those that were valid. A cell that is missing there breaks a rule. Each kind
of early end is done many times over, at random moments, so that both ends' last words cross.
"""

import argparse
import os
import random
import socket
import struct
import sys
import threading
import time

import network
from transfer import FileServer, make_content

CELL, BODY = 509, 498
KINDS = ("while data comes", "before CONNECTED", "as the other end does", "of a refused one", "of a question",
         "while it is stopped")


class SlowServer:
    """Takes what comes, late: the exit has to say XOFF, and XON."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(peer,), daemon=True).start()

    @staticmethod
    def _read(peer):
        with peer:
            peer.settimeout(30)
            time.sleep(random.uniform(0.3, 1))
            try:
                while peer.recv(1 << 16):
                    pass
            except OSError:
                pass

    def close(self):
        """Stops listening."""
        self.listener.close()


def ask(socks_port, command, address, port):
    """A SOCKS request whose answer nobody has read yet."""
    sock = socket.create_connection(("127.0.0.1", socks_port), timeout=20)
    sock.sendall(b"\x05\x01\x00")
    if sock.recv(2) != b"\x05\x00":
        raise network.Failure("SOCKS: no handshake")
    sock.sendall(b"\x05" + command + b"\x00" + address + struct.pack(">H", port))
    return sock


def end_one(kind, socks_port, ports):
    """Opens a stream and ends it early."""
    loopback = b"\x01" + socket.inet_aton("127.0.0.1")
    closing = random.uniform(0, 0.05)
    if kind == "of a question":
        name = b"nobody%d.invalid" % random.randrange(1 << 30)
        sock = ask(socks_port, b"\xf0", b"\x03" + bytes([len(name)]) + name, 0)
    else:
        port = {"of a refused one": ports["nobody"], "while it is stopped": ports["slow"]}.get(kind, ports["file"])
        sock = ask(socks_port, b"\x01", loopback, port)
    with sock:
        if kind in ("while data comes", "as the other end does", "while it is stopped"):
            if len(sock.recv(10)) < 2:
                return
            if kind == "while it is stopped":
                sock.settimeout(1)
                try:
                    sock.sendall(bytes(1 << 20))
                except OSError:
                    pass
            else:
                size = 8 << 20 if kind == "while data comes" else random.randrange(1, 2000)
                sock.sendall(b"GET %d\n" % size)
                if kind == "while data comes":
                    sock.recv(random.randrange(1, 1 << 16))
        time.sleep(closing)


def missing(fields):
    """Of one circuit: cells read, and how many of them were not valid."""
    read = fields["READ"] // CELL
    return read, read - (fields["DELIVERED_READ"] + fields["OVERHEAD_READ"]) // BODY


def judge(control, before):
    """All cells that came since, and by circuit or set how many of them break a rule. In a set tor counts a cell as read
    on the leg that brought it, and as valid on that of its stream."""
    owner = {leg: name for name, legs in control.linked_sets().items() for leg in legs}
    cells, wrong = 0, {}
    for circuit, fields in list(control.read_fields.items()):
        read, bad = missing({name: value - before.get(circuit, {}).get(name, 0) for name, value in fields.items()})
        cells += read
        name = owner.get(circuit, circuit)
        wrong[name] = wrong.get(name, 0) + bad
    return cells, wrong


def run(tors, options):
    """A row of figures, or a Failure."""
    content = make_content(8 << 20)
    servers = {"file": FileServer(content), "slow": SlowServer()}
    net = network.Network(tors, network.MIXES["stock"], client_options=["ConfluxEnabled 0"] if options.plain else [])
    ports = {name: server.port for name, server in servers.items()}
    ports["nobody"] = net.ports.take()
    try:
        net.start()
        if not options.plain:
            net.wait_for_set(options.set_wait)
        before = {circuit: dict(fields) for circuit, fields in net.control.read_fields.items()}
        ends = 0
        for kind in KINDS:
            threads = []
            for _ in range(options.times):
                threads.append(threading.Thread(target=guarded, args=(kind, net.client.socks_port, ports)))
                threads[-1].start()
                if len(threads) % 8 == 0:
                    [thread.join(60) for thread in threads]
                ends += 1
            [thread.join(60) for thread in threads]
        time.sleep(3)  # What is late comes, and the events of bandwidth come once a second.
        net.check()
        cells, wrong = judge(net.control, before)
        if any(wrong.values()):
            raise network.Failure(f"cells of a stock exit that break a rule, by circuit or set: {wrong}")
        if cells < ends:
            raise network.Failure(f"only {cells} cells came for {ends} streams")
        return {"early ends": ends, "cells": cells, "not explained": 0}
    except network.Failure as failure:
        return failure
    finally:
        net.stop()
        for server in servers.values():
            server.close()


def guarded(kind, socks_port, ports):
    """What a stream ends with is no matter here."""
    try:
        end_one(kind, socks_port, ports)
    except OSError:
        pass


def main():
    """Runs both kinds of circuits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stock", required=True, help="build folder of stock tor")
    parser.add_argument("--times", type=int, default=48, help="how often each kind of end is done")
    parser.add_argument("--set-wait", type=int, default=60, help="seconds to wait for a linked set")
    options = parser.parse_args()
    network.end_on_signals()
    tors = {"stock": os.path.join(options.stock, "src/app/tor"),
            "gencert": os.path.join(options.stock, "src/tools/tor-gencert")}
    network.sweep()
    fine = True
    for options.plain, label in ((True, "early ends, circuits"), (False, "early ends, sets")):
        fine &= network.show(label, run(tors, options))
    print("halfclosed: OK" if fine else "halfclosed: FAILED")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
