#!/usr/bin/env python3
"""An exit runs out of memory while a conflux set holds messages that came too early, with stock exits and with circflow.

A file goes up a linked set of two legs, and a relay of one leg stands still. The exit acknowledges what comes
on the other leg, and has to hold it, until it has more than the 64 MB that MaxMemInQueues allows at least. Then tor's
handler has to free what conflux holds, and to say so.

The client is circflow in both networks: it goes on with the other leg when one is full, also where an exit would like
the leg with the shortest round trip (LowRTT).
"""

import argparse
import contextlib
import os
import re
import sys
import threading

import churn
import network
import transfer

# Seconds, for states, as in network.py.
SHORT_WAIT, RECOVERY = 240, 180
CONTENT = 160 << 20
SOME = 256 << 10          # what each leg has carried when one of them is stopped
PROBE = 1 << 16
HELD_MIN = (64 << 20) // 5  # with less, tor's handler does not ask conflux
MEMORY_MIB = 250
NETWORKS = 5              # that are tried until two legs do not go by the same relays
TORRC = {
    "auth": ["__DisablePredictedCircuits 1"],
    "middle": ["__DisablePredictedCircuits 1"],
    "exit": ["__DisablePredictedCircuits 1", "MaxMemInQueues 64 MB", "MetricsPort 127.0.0.1:{metrics}",
             "MetricsPortPolicy accept 127.0.0.1"],
    "client": ["UseEntryGuards 0"],
}
LOG = ["Log [circ]info file {folder}/debug.log"]
# Tor looks for more to free only when what conflux has freed is not enough.
REMOVED = re.compile(r"Removed (\d+) bytes by killing (\d+) circuits")
# What conflux held (stock tor, which frees it with the circuits), or has freed and still holds.
HELD = {"stock": re.compile(r"OOM handler triggered\. OOO queus allocation: (\d+)"),
        "circflow": re.compile(r"Conflux freed (\d+) bytes for the OOM handler; (\d+) are left")}


class Upload(threading.Thread):
    """A file that goes up, and what came of it."""

    def __init__(self, net, port, content):
        super().__init__(daemon=True)
        self.net, self.port, self.content = net, port, content
        self.failure = None

    def run(self):
        try:
            transfer.upload(self.net.client.socks_port, self.port, self.content, SHORT_WAIT, SHORT_WAIT)
        except (OSError, ValueError) as failure:
            self.failure = failure


def said(node, log, pattern):
    """The numbers of the last line of a log that the pattern finds; None without one."""
    found = None
    for line in network.lines_with(node.path(log), ""):
        found = pattern.search(line) or found
    return found and [int(number) for number in found.groups()]


def used_legs(net, target):
    """The legs of the set that the stream to this target goes by, once each has carried something."""
    circuit = net.control.circuit_of(target, 0)
    legs = next((legs for legs in net.sets() if circuit in legs), [])
    written = [net.control.written.get(leg, 0) for leg in legs]
    return legs if legs and min(written) > SOME else None


class SameRelays(network.Failure):
    """The two legs go by the same relays, in another order: none can stand still alone."""


def go(net, exits, server, content):
    """One network; a row of figures."""
    net.start()
    net.wait_for_set(network.SET_WAIT)
    upload = Upload(net, server.port, content)
    upload.start()
    legs = network.wait_for("two legs that carry the file", network.EVENTS_WAIT,
                            lambda: used_legs(net, f"127.0.0.1:{server.port}"))
    one, other = (net.control.hops(leg) for leg in legs[:2])
    # The guard of one leg may be the middle of the other.
    alone = [net.nodes[name] for name in reversed(one) if name not in other]
    if not alone:
        raise SameRelays(f"{one} and {other} go by the same relays")
    exit_ = net.nodes[one[-1]]
    with alone[0].stopped():
        held = network.wait_for(f"{exit_.name} to be out of memory and to ask conflux", SHORT_WAIT,
                                lambda: net.check() or said(exit_, "debug.log", HELD[exits]))
        upload.join(SHORT_WAIT)
    removed, circuits = said(exit_, "notice.log", REMOVED) or (0, 0)
    row = {"conflux held": held[0], "removed by tor": removed, "circuits killed": circuits,
           "exit's peak MiB": exit_.memory_peak() >> 20}
    if not churn.times_short(exit_):
        raise network.Failure(f"{exit_.name} did not say that it is out of memory: {row}")
    if held[0] < HELD_MIN:
        raise network.Failure(f"conflux held {held[0]} bytes, less than {HELD_MIN}: {row}")
    if exits == "circflow" and held[1] != 0:
        raise network.Failure(f"conflux kept {held[1]} bytes: {row}")
    if row["exit's peak MiB"] > MEMORY_MIB:
        raise network.Failure(f"{exit_.name} had more than {MEMORY_MIB} MiB: {row}")
    if upload.failure is None or server.wrong:
        raise network.Failure(f"the upload ended with {upload.failure!r}, wrong bytes: {server.wrong}")
    if exits == "circflow":
        network.wait_for(f"{exit_.name} to hold no byte", network.END_WAIT, lambda: not churn.Left(exit_).bytes)
    for move in (transfer.download, transfer.upload):
        network.wait_for(f"a new {move.__name__} to work", RECOVERY, lambda: works(net, move, server, content[:PROBE]))
    return row


def works(net, move, server, content):
    """One small transfer; true when it went through."""
    net.check()
    with contextlib.suppress(OSError):
        return move(net.client.socks_port, server.port, content, 15, 60) > 0
    return False


def attempt(tors, exits, content):
    """A row of figures, or a Failure."""
    for _ in range(NETWORKS):
        net = network.Network(tors, network.MIXES["client" if exits == "stock" else "everywhere"], torrc=TORRC, log=LOG,
                              environment={"CIRCFLOW_ALGORITHM": "lowrtt"})
        server = transfer.FileServer(content)
        try:
            with network.running(net), contextlib.closing(server):
                return go(net, exits, server, content)
        except SameRelays as same:
            failure = same
        except network.Failure as other:
            return other
    return failure


def main():
    """Both networks, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stock", required=True, help="build folder of stock tor")
    parser.add_argument("--circflow", required=True, help="build folder of tor with circflow")
    parser.add_argument("--only", choices=list(HELD), help="what the exits are")
    options = parser.parse_args()
    network.end_on_signals()
    network.sweep()
    tors = network.programs(stock=options.stock, circflow=options.circflow)
    content = transfer.make_content(CONTENT)
    fine = all([network.show(f"exits: {exits}", attempt(tors, exits, content))
                for exits in HELD if options.only in (None, exits)])
    print("tor-oom: OK" if fine else "tor-oom: FAILED")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
