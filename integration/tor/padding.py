#!/usr/bin/env python3
"""Padding by circflow in a private network: FRONT between the client and the second hop of its general circuits, and
Tamaraw, which blocks, between the client and its exits.

A file goes down and up a linked conflux set while both ends pad, with tor's own circuitpadding.c beside. Then the
client closes its circuits, and both ends say in their logs what they have sent and received: what one end padded has to
have come in at the other. With Tamaraw most of the file must have gone in place of padding, and not a cell of a
stream in any other way while a block was on. Two networks must show no padding: one whose relays are stock tor, which
refuse, and one that was not told to.
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
# Bytes of a file in a cell, at most.
DATA = 498
# Cells of one padder that may have been under way when their circuit was closed: an exit's Tamaraw sends 2,000 a second.
LOST_MAX = {"front": 20, "tamaraw": 200}
# How much of a file must have gone in place of padding. Some goes before the machine has heard of it.
LET_OUT_MIN = 0.75
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


def asking_for(machines, hop):
    """What tors are told, to pad with a pair of examples/machines at this hop."""
    path = os.path.join(ROOT, "examples", "machines", machines)
    return {"CIRCFLOW_TOR_PADDING_CLIENT": path + "-client.txt", "CIRCFLOW_TOR_PADDING_RELAY": path + "-exit.txt",
            "CIRCFLOW_TOR_PADDING_HOP": str(hop)}


def run(tors, mix, environment, size, linger):
    """One network and one file: the figures of the client's padders, and of all relays'."""
    net = network.Network(tors, network.MIXES[mix], environment=environment,
                          log=["Log [circ]info file {folder}/debug.log"])
    content = transfer.make_content(size)
    server = transfer.FileServer(content)
    with network.running(net), contextlib.closing(server):
        net.start()
        net.wait_for_set(network.SET_WAIT)
        transfer.download(net.client.socks_port, server.port, content, 60, 300)
        transfer.upload(net.client.socks_port, server.port, content, 60, 300)
        time.sleep(linger)
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


def judge(way, sender, receiver, lost_max):
    """One direction: what went and what came; a sentence, and whether it will do."""
    sent, came, others = total(sender, "padding-sent"), total(receiver, "padding-recv"), total(sender, "normal-sent")
    lost = sent - came
    fine = sent >= SENT_MIN and 0 <= lost <= lost_max * max(1, len(sender))
    overhead = 100 * sent / max(1, sent + others)
    text = f"{way:<10} padding cells sent {sent}, received {came}; other cells {others}; overhead {overhead:.1f} %"
    return text, fine


def judge_blocks(sender, size):
    """What blocks held of a file that had to go in place of padding; a sentence, and whether it will do."""
    blocks, held, let_out, escaped = (total(sender, name) for name in ("blocks", "held", "let-out", "escaped"))
    fine = blocks > 0 and held > 0 and let_out >= LET_OUT_MIN * size / DATA and escaped == 0
    return f"           blocks {blocks}, messages held {held}, cells let out {let_out}, escaped {escaped}", fine


def padded(tors, machines, hop, size, linger):
    """A network that pads; whether all is as it should be."""
    ours, theirs, _ = run(tors, "everywhere", asking_for(machines, hop), size, linger)
    print(f"{machines} with hop {hop}: {len(ours)} padders at the client, {len(theirs)} at relays")
    fine = True
    for way, sender, receiver in (("forward", ours, theirs), ("backward", theirs, ours)):
        text, will_do = judge(way, sender, receiver, LOST_MAX[machines])
        print(text, flush=True)
        fine &= will_do
        if machines == "tamaraw":
            text, will_do = judge_blocks(sender, size)
            print(text, flush=True)
            fine &= will_do
    return fine


def main():
    """The padded networks, and the two that must not pad."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stock", required=True, help="build folder of stock tor")
    parser.add_argument("--circflow", required=True, help="build folder of tor with circflow")
    parser.add_argument("--size-mib", type=int, default=8, help="with Tamaraw, which takes its time, a quarter of it")
    parser.add_argument("--linger", type=int, default=6, help="seconds to pad on after the transfer")
    options = parser.parse_args()
    network.end_on_signals()
    network.sweep()
    tors = network.programs(stock=options.stock, circflow=options.circflow)
    size = options.size_mib << 20
    fine = padded(tors, "front", 2, size, options.linger)
    fine &= padded(tors, "tamaraw", 3, size // 4, options.linger)
    for label, mix, settings in (("stock relays", "client", asking_for("front", 2)), ("not told to", "everywhere", {})):
        ours, theirs, log = run(tors, mix, settings, size, options.linger)
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
