#!/usr/bin/env python3
"""Padding by circflow in a private network: FRONT between the client and the second hop of its general circuits.

A file goes down and up a linked conflux set while both ends pad, with tor's own circuitpadding.c beside. Then the
client closes its circuits, and both ends say in their logs what they have sent and received: what one end padded has to
have come in at the other. Two networks must show no padding: one whose relays are stock tor, which refuse, and one that
was not told to.
"""

import argparse
import contextlib
import os
import re
import sys
import time

import network
import transfer

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
CELL = 514
# Cells of one padder that may have been under way when their circuit was closed.
LOST_MAX = 20
# Padding cells that there must be each way; FRONT spreads its cells over some seconds.
SENT_MIN = 50
REFUSED = "circflow: no padder on a client's circuit"


def figures(nodes):
    """What padders did at the nodes' circuits that have ended: one dictionary of numbers for each."""
    rows = []
    for node in nodes:
        for line in node.log():
            if "circflow: padding ended at a" in line:
                numbers = re.findall(r"([a-z-]+) (\d+)", line.split("ended at")[1])
                rows.append({name: int(value) for name, value in numbers})
    return rows


def close_all(control):
    """Closes every circuit of the client."""
    for line in control.ask("GETINFO circuit-status"):
        match = re.match(r"(?:250[-+]circuit-status=)?(\d+) ", line)
        if match:
            try:
                control.ask(f"CLOSECIRCUIT {match.group(1)}")
            except RuntimeError:
                pass  # It went with its set.


def run(tors, mix, environment, options):
    """One network and one file: the figures of the client's padders, and of all relays'."""
    net = network.Network(tors, network.MIXES[mix], environment=environment,
                          log=["Log [circ]info file {folder}/debug.log"])
    content = transfer.make_content(options.size_mib << 20)
    server = transfer.FileServer(content)
    with network.running(net), contextlib.closing(server):
        net.start()
        net.wait_for_set(network.SET_WAIT)
        transfer.download(net.client.socks_port, server.port, content, 60, 300)
        transfer.upload(net.client.socks_port, server.port, content, 60, 300)
        time.sleep(options.linger)
        close_all(net.control)
        relays = [node for node in net.nodes.values() if node is not net.client]

        def ended():
            ours = figures([net.client])
            # The client opens new circuits at once; those that were closed are the ones with traffic.
            return sum(row["normal-recv"] for row in ours) > len(content) // CELL and \
                len(figures(relays)) >= len(ours)
        if environment and mix == "everywhere":
            network.wait_for("both ends to say what they have padded", network.END_WAIT, ended)
        elif environment:
            network.wait_for("the client to say that it was refused", network.END_WAIT,
                             lambda: any(REFUSED in line for line in net.client.log()))
        net.check()
        log = "".join(net.client.log())
        return figures([net.client]), figures(relays), log


def total(rows, name):
    """A figure of all padders."""
    return sum(row[name] for row in rows)


def judge(way, sender, receiver):
    """One direction: what went and what came; a sentence, and whether it will do."""
    sent, came, others = total(sender, "padding-sent"), total(receiver, "padding-recv"), total(sender, "normal-sent")
    lost = sent - came
    fine = sent >= SENT_MIN and 0 <= lost <= LOST_MAX * max(1, len(sender))
    overhead = 100 * sent / max(1, sent + others)
    text = f"{way:<10} padding cells sent {sent}, received {came}; other cells {others}; overhead {overhead:.1f} %"
    return text, fine


def main():
    """The padded network, and the two that must not pad."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stock", required=True, help="build folder of stock tor")
    parser.add_argument("--circflow", required=True, help="build folder of tor with circflow")
    parser.add_argument("--size-mib", type=int, default=8)
    parser.add_argument("--linger", type=int, default=6, help="seconds to pad on after the transfer")
    parser.add_argument("--machines", default="front", help="the name of a pair in examples/machines")
    options = parser.parse_args()
    network.end_on_signals()
    network.sweep()
    tors = network.programs(stock=options.stock, circflow=options.circflow)
    machines = os.path.join(ROOT, "examples", "machines", options.machines)
    environment = {"CIRCFLOW_TOR_PADDING_CLIENT": machines + "-client.txt",
                   "CIRCFLOW_TOR_PADDING_RELAY": machines + "-exit.txt"}
    fine = True
    ours, theirs, _ = run(tors, "everywhere", environment, options)
    print(f"padders: {len(ours)} at the client, {len(theirs)} at relays")
    for way, sender, receiver in (("forward", ours, theirs), ("backward", theirs, ours)):
        text, will_do = judge(way, sender, receiver)
        print(text, flush=True)
        fine &= will_do
    for label, mix, settings in (("stock relays", "client", environment), ("not told to", "everywhere", {})):
        ours, theirs, log = run(tors, mix, settings, options)
        silent = not ours and not theirs
        asked = REFUSED in log
        print(f"{label}: " + ("no padding" if silent else f"PADDED: {ours} {theirs}") +
              (", refused" if asked else ""), flush=True)
        fine &= silent and asked == bool(settings)
    print("tor-padding: OK" if fine else "tor-padding: FAILED")
    return 0 if fine else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except network.Failure as failure:
        print(f"tor-padding: FAILED: {failure}")
        sys.exit(1)
