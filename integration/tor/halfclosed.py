#!/usr/bin/env python3
"""Streams that end in every way, on a private network of stock tor: nothing that a stock exit sends may be what
circflow closes for, or finds unexplained.

Stages are driven one by one, each many times over, at random moments, so that both ends' last words cross. The client
is stock tor with trace.c in it, which writes down what it says and hears; replay.c then has circflow judge all of it.
So each row of c-tests/stream_rows.h that a stock exit can cause is seen by its name, with stock tor's verdict and
circflow's. Each stage has rows that must have been seen, or it was not what it should be.

Beside that, CIRC_BW of the control port has the cells that were read, and the bytes of those that tor found valid: none
may be missing, of whatever stream.
"""

import argparse
import contextlib
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time

import network
import rows
from transfer import FileServer, Server, make_content

CELL, BODY = 509, 498
SETTLED = 60  # seconds until all that came must be accounted for, on a machine that is busy
QUIET = 1.5   # seconds after a stage for what is late, before the next one begins
ROUNDS = 10   # how often a stage is done at most, until it has shown its rows
LOOPBACK = b"\x01" + socket.inet_aton("127.0.0.1")
TABLE = rows.Table()
# The stages, and what each must have shown.
STAGES = {
    "before CONNECTED": ["LEFT_BEGUN / CONNECTED, address"],
    "before CONNECTED, with DATA behind it": ["LEFT_LATE / DATA"],
    "after CONNECTED": ["BEGUN / CONNECTED, address"],
    "while DATA comes": ["CONNECTED / DATA", "LEFT_CONNECTED / DATA"],
    "as the exit does": ["LEFT_CONNECTED / END"],
    "after the exit's END": ["CONNECTED / END"],
    "while it is stopped": ["SENT / XOFF", "STOPPED / XON"],
    "of a refused connection": ["LEFT_BEGUN / END"],
    "after a refusal": ["BEGUN / END"],
    "of a question": ["LEFT_RESOLVING / RESOLVED"],
    "after the answer": ["RESOLVING / RESOLVED"],
}
# Which server a stage asks for; the file server unless it is said here.
SERVERS = {"before CONNECTED, with DATA behind it": "greeter", "while it is stopped": "slow",
           "of a refused connection": "nobody", "after a refusal": "nobody"}


def take_late(peer):
    """Takes what comes, late: the exit has to say XOFF, and XON."""
    time.sleep(random.uniform(1, 2))
    take_all(peer)


def greet(peer):
    """Speaks first, so that DATA follows CONNECTED at once."""
    peer.sendall(bytes(20000))
    take_all(peer)


class Names:
    """A name server on loopback, which knows an address for every name, after a moment."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                query, peer = self.sock.recvfrom(512)
            except OSError:
                return
            threading.Timer(random.uniform(0.005, 0.02), self._answer, (query, peer)).start()

    def _answer(self, query, peer):
        question = query[12:query.index(b"\0", 12) + 5]
        is_address = question[-4:-2] == b"\0\1"
        answer = query[:2] + struct.pack(">HHHHH", 0x8180, 1, is_address, 0, 0) + question
        if is_address:
            answer += struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton("198.51.100.7")
        try:
            self.sock.sendto(answer, peer)
        except OSError:
            pass

    def close(self):
        """Ends it."""
        self.sock.close()


def ask(socks_port, command, address, port):
    """A SOCKS request whose answer nobody has read yet."""
    sock = socket.create_connection(("127.0.0.1", socks_port), timeout=20)
    sock.sendall(b"\x05\x01\x00")
    if sock.recv(2) != b"\x05\x00":
        raise network.Failure("SOCKS: no handshake")
    sock.sendall(b"\x05" + command + b"\x00" + address + struct.pack(">H", port))
    return sock


def take_all(sock):
    """Reads to the end."""
    while sock.recv(1 << 16):
        pass


def request(stage, socks_port, ports):
    """The SOCKS request of a stage."""
    if stage in ("of a question", "after the answer"):
        name = b"somebody%d.example" % random.randrange(1 << 30)
        return ask(socks_port, b"\xf0", b"\x03" + bytes([len(name)]) + name, 0)
    return ask(socks_port, b"\x01", LOOPBACK, ports[SERVERS.get(stage, "file")])


def end_one(stage, socks_port, ports):
    """Opens a stream and ends it as the stage says, after 0.1 to 100 ms."""
    closing = 10 ** random.uniform(-4, -1)
    with request(stage, socks_port, ports) as sock:
        if stage in ("after a refusal", "after the answer"):
            take_all(sock)
        elif stage.startswith("before") or stage in ("of a refused connection", "of a question"):
            pass
        elif len(sock.recv(10)) < 10:
            return
        elif stage == "while it is stopped":
            sock.settimeout(random.choice((2, 20)))
            sock.sendall(bytes(4 << 20))
        elif stage == "while DATA comes":
            sock.sendall(b"GET 0 %d\n" % (8 << 20))
            sock.recv(random.randrange(1, 1 << 16))
        elif stage in ("as the exit does", "after the exit's END"):
            sock.sendall(b"GET 0 %d\n" % random.randrange(1, 2000))
            if stage == "after the exit's END":
                take_all(sock)
        time.sleep(closing)


def missing(fields):
    """Of one circuit: cells read, and how many of them were not valid."""
    read = fields["READ"] // CELL
    return read, read - (fields["DELIVERED_READ"] + fields["OVERHEAD_READ"]) // BODY


def judge(control, before):
    """All cells that came since, and by circuit or set how many of them break a rule. In a set tor counts a cell as
    read on the leg that brought it, and as valid on that of its stream."""
    cells, wrong = 0, {}
    for circuit, fields in list(control.read_fields.items()):
        read, bad = missing({name: value - before.get(circuit, {}).get(name, 0) for name, value in fields.items()})
        cells += read
        if circuit in control.probed:
            continue  # Tor counts nothing that answers its own tests.
        name = control.legs.get(circuit, circuit)  # Also when the set has closed since.
        wrong[name] = wrong.get(name, 0) + bad
    return cells, wrong


class Trace:
    """What the client said and heard, and what circflow says of it."""

    def __init__(self, path, replay):
        self.path, self.replay = path, replay

    def mark(self, stage):
        """A stage begins."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(f"mark {stage}\n")

    def lines(self):
        """All of it."""
        with open(self.path, encoding="utf-8") as file:
            return file.readlines()

    def judge(self, lines):
        """stage -> row -> (seen, valid to tor, taken by circflow, unexplained, closed); and what went wrong."""
        run = subprocess.run([self.replay], input="".join(lines), capture_output=True, text=True, timeout=600,
                             check=False)
        stages = {}
        for line in run.stdout.splitlines():
            stage, row, *numbers = line.split("\t")
            stages.setdefault(stage, {})[row] = tuple(map(int, numbers))
        return stages, run.stderr.strip() if run.returncode else ""


def late_twice(lines):
    """The same, with one more END from an exit that had said its last word: circflow must close for it."""
    ended = set()
    for place, line in enumerate(lines):
        words = line.split()
        if len(words) == 7 and words[3] == "3":
            stream = words[2], words[4]
            if words[1] == "in" and stream in ended:
                return lines[:place + 1] + [line] + lines[place + 1:]
            ended.add(stream)
    raise network.Failure("no END of an exit came for a stream that had ended")


def lacking(stage, stages):
    """Rows that a stage has not shown."""
    names = [f"{TABLE.states[state]} / {message}" for state, message in (row.split(" / ") for row in STAGES[stage])]
    return [name for name in names if name not in stages.get(stage, {})]


def look_at_rows(trace):
    """Prints each row, and raises for those that are not what they should be."""
    lines = trace.lines()
    stages, refused = trace.judge(lines)
    wrong = [refused] if refused else []
    for stage, seen in stages.items():
        for row, (count, valid, taken, unexplained, closed) in seen.items():
            print(f"  {stage}: {row}: {count}, valid to tor {valid}, to circflow {taken}, unexplained {unexplained}")
            if (valid, taken, unexplained, closed) != (count, count, 0, 0):
                wrong.append(f"{stage}: {row}: of {count} tor finds {valid} valid, circflow {taken}; for {closed} it "
                             "closes")
            if TABLE.cells[row][:2] != ("v", "v"):
                wrong.append(f"{stage}: {row}: the table has {TABLE.cells[row]}, and a stock exit sends it")
    for stage in STAGES:
        wrong += [f"{stage}: {name} was never seen" for name in lacking(stage, stages)]
    if not wrong and not any(row[4] for seen in trace.judge(late_twice(lines))[0].values() for row in seen.values()):
        wrong.append("an END too many, planted into what the client heard, was not seen")
    if wrong:
        raise network.Failure("; ".join(wrong[:8]))
    messages = sum(row[0] for seen in stages.values() for row in seen.values())
    return messages, {row for seen in stages.values() for row in seen}


def run(tors, options):
    """A row of figures."""
    content = make_content(8 << 20)
    servers = {"file": FileServer(content), "slow": Server(take_late, 4096, seconds=30),
               "greeter": Server(greet, seconds=30), "names": Names()}
    net = network.Network(tors, network.MIXES["client"], torrc={"client": ["ConfluxEnabled 0"] * options.plain})
    trace = Trace(net.client.path("trace"), options.replay)
    net.client.environment = {"CIRCFLOW_TOR_TRACE": trace.path}
    ports = {name: server.port for name, server in servers.items()}
    ports["nobody"] = net.ports.take()
    for node in net.named("exit"):
        with open(node.path("resolv.conf"), "w", encoding="utf-8") as conf:
            conf.write(f"nameserver 127.0.0.1:{ports['names']}\n")
    with network.running(net), contextlib.ExitStack() as closing:
        for server in servers.values():
            closing.callback(server.close)
        net.start()
        if not options.plain:
            net.wait_for_set(options.set_wait)
        before = {circuit: dict(fields) for circuit, fields in net.control.read_fields.items()}
        streams = 0
        for stage in STAGES:
            trace.mark(stage)
            for _ in range(ROUNDS):
                drive(stage, options.times, net.client.socks_port, ports)
                streams += options.times
                time.sleep(QUIET)
                if not lacking(stage, trace.judge(trace.lines())[0]):
                    break
        time.sleep(QUIET)  # The events of bandwidth come once a second.
        net.check()
        cells, wrong = judge(net.control, before)
        # What has come and was not looked at yet is missing for a while; what breaks a rule is missing for good.
        settled_by = time.monotonic() + SETTLED
        while any(wrong.values()) and time.monotonic() < settled_by:
            time.sleep(1)
            net.check()
            cells, wrong = judge(net.control, before)
        if any(wrong.values()):
            raise network.Failure(f"cells of a stock exit that break a rule, by circuit or set: {wrong}")
        messages, seen = look_at_rows(trace)
        return {"stages": len(STAGES), "streams": streams, "cells": cells, "messages": messages,
                "rows": len(seen), "unexplained": 0}


def drive(stage, times, socks_port, ports):
    """One stage, eight streams at a time."""
    threads = []
    for _ in range(times):
        threads.append(threading.Thread(target=guarded, args=(stage, socks_port, ports), daemon=True))
        threads[-1].start()
        if len(threads) % 8 == 0:
            [thread.join(60) for thread in threads]
    [thread.join(60) for thread in threads]


def guarded(stage, socks_port, ports):
    """What a stream ends with is no matter here."""
    try:
        end_one(stage, socks_port, ports)
    except (OSError, network.Failure):
        pass


def main():
    """Runs both kinds of circuits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stock", required=True, help="build folder of stock tor")
    parser.add_argument("--trace", required=True, help="build folder of stock tor with trace.c")
    parser.add_argument("--replay", required=True, help="the program of replay.c")
    parser.add_argument("--times", type=int, default=32, help="streams in a round of a stage")
    parser.add_argument("--set-wait", type=int, default=network.SET_WAIT, help="seconds to wait for a linked set")
    options = parser.parse_args()
    network.end_on_signals()
    tors = network.programs(stock=options.stock, circflow=options.trace)
    network.sweep()
    fine = True
    for options.plain, label in ((True, "streams, circuits"), (False, "streams, sets")):
        try:
            result = run(tors, options)
        except network.Failure as failure:
            result = failure
        fine &= network.show(label, result)
    print("halfclosed: OK" if fine else "halfclosed: FAILED")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
