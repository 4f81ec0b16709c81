#!/usr/bin/env python3
"""What circflow costs inside tor, against stock tor in the same run.

Instructions: seam_tests.c's "cost" runs on both builds under callgrind. Counted is what the calls into conflux.c take,
and all that they call: each is told by the function of the test that it comes from. Instructions are the same in each
run, whatever else the machine does.

Processor time: a private network downloads a file, stock and with circflow in turn, several times. Counted is user and
system time of all tor processes, from /proc, over the download. Ratios of neighbours are what to look at.
"""

import argparse
import contextlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import network
import transfer

# the function of seam_tests.c -> what it stands for, and how often it is called for each such thing
CELLS = 100 * 110
ROWS = [
    ("a cell sent", ["cost_send", "cost_rtt"], CELLS),
    ("a cell received in order", ["cost_in_order"], CELLS),
    ("a cell received too early, and taken", ["cost_held", "cost_taken", "cost_none_left"], CELLS),
    ("a SWITCH received", ["cost_switch"], 200),
]
TICK = os.sysconf("SC_CLK_TCK")


def callgrind(program, folder):
    """Runs the test under callgrind; instructions below each of the counted functions, by callee."""
    out = os.path.join(folder, "callgrind.out")
    command = ["valgrind", "--tool=callgrind", "--separate-threads=no", f"--callgrind-out-file={out}", "--quiet",
               program, "--no-fork", "--quiet", "conflux/cell/cost"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    if run.returncode != 0 or "switches sent" not in run.stdout:
        raise SystemExit(f"cost: {program} failed under callgrind: {run.stdout[-300:]} {run.stderr[-600:]}")
    return calls_in(out)


def calls_in(path):
    """The inclusive cost of each call in a profile, summed up by (caller, callee)."""
    names, sums, caller, callee = {}, {}, None, None
    with open(path, encoding="utf-8") as profile:
        for line in profile:
            match = re.match(r"(c?fn)=\((\d+)\)(?: (.*))?$", line)
            if match:
                kind, number, name = match.groups()
                if name:
                    names[number] = name
                if kind == "fn":
                    caller = names[number]
                else:
                    callee = names[number]
            elif line.startswith("calls="):
                cost = int(next(profile).split()[1])
                sums[caller, callee] = sums.get((caller, callee), 0) + cost
    return sums


def instructions(options):
    """Prints the table of instructions; true when the limit that was given is kept."""
    with tempfile.TemporaryDirectory(prefix="circflow-cost-") as folder:
        profiles = [callgrind(program, folder) for program in (options.seam_stock, options.seam_circflow)]
    print(f"{'instructions in conflux, for':<40} {'stock':>8} {'circflow':>9} {'ratio':>6}")
    fine = True
    for label, callers, count in ROWS:
        stock, ours = (sum(cost for (caller, callee), cost in profile.items()
                           if caller in callers and callee.startswith("conflux_")) / count for profile in profiles)
        if stock == 0 or ours == 0:
            raise SystemExit(f"cost: nothing was counted for {label}")
        print(f"{label:<40} {stock:>8.0f} {ours:>9.0f} {ours / stock:>6.2f}")
        if options.detail:
            for profile, name in zip(profiles, ("stock", "circflow")):
                for (caller, callee), cost in sorted(profile.items()):
                    if caller in callers and callee.startswith("conflux_"):
                        print(f"    {name:<9} {callee:<34} {cost / count:>8.1f}")
        if "too early" in label:
            fine = ours / stock <= options.early_max
    return fine


def processor_seconds(nodes):
    """User and system time of the nodes' processes so far."""
    total = 0
    for node in nodes:
        with open(f"/proc/{node.process.pid}/stat", encoding="utf-8") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def download(tors, mix, content, options):
    """One download through a linked set: (processor seconds of all nodes, of client and exits, seconds)."""
    # Logging would be most of what they do.
    net = network.Network(tors, network.MIXES[mix], log=[])
    server = transfer.FileServer(content)
    with network.running(net), contextlib.closing(server):
        net.start()
        net.wait_for_set(network.SET_WAIT)
        edges = [net.client, *net.named("exit")]
        since = len(net.control.streams)
        before = processor_seconds(net.nodes.values()), processor_seconds(edges)
        begun = time.monotonic()
        transfer.download(net.client.socks_port, server.port, content, 60, options.limit)
        seconds = time.monotonic() - begun
        after = processor_seconds(net.nodes.values()), processor_seconds(edges)
        circuit = net.control.circuit_of(f"127.0.0.1:{server.port}", since)
        if not any(circuit in legs and len(legs) >= 2 for legs in net.control.linked_sets().values()):
            raise network.Failure("the stream was on no leg of a linked set")
        return after[0] - before[0], after[1] - before[1], seconds


def processor_time(options):
    """Prints what each download took, and the ratios."""
    tors = network.programs(stock=options.stock, circflow=options.circflow)
    content = transfer.make_content(options.size_mib << 20)
    print(f"\nprocessor seconds for {options.size_mib} MiB   all tors   client and exits   seconds", flush=True)
    ratios, edge_ratios, stocks = [], [], []
    for turn in range(options.rounds):
        # Who goes first changes, so that a machine that gets slower or faster favours neither.
        order = ("stock", "everywhere") if turn % 2 == 0 else ("everywhere", "stock")
        took = {}
        for mix in order:
            took[mix] = download(tors, mix, content, options)
            total, edges, seconds = took[mix]
            name = {"stock": "stock", "everywhere": "circflow"}[mix]
            print(f"  {name:<28} {total:>10.2f} {edges:>18.2f} {seconds:>9.1f}", flush=True)
        ratios.append(took["everywhere"][0] / took["stock"][0])
        edge_ratios.append(took["everywhere"][1] / took["stock"][1])
        stocks.append(took["stock"][0])
    spread = (max(stocks) - min(stocks)) / statistics.median(stocks)
    middle = statistics.median(ratios)
    print(f"circflow / stock, median of {len(ratios)}: all tors {middle:.3f}, client and exits "
          f"{statistics.median(edge_ratios):.3f}; stock against itself differs by {spread:.3f}")
    return middle <= 1 + max(options.slack, spread)


def main():
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stock", required=True, help="build folder of stock tor")
    parser.add_argument("--circflow", required=True, help="build folder of tor with circflow")
    parser.add_argument("--seam-stock", required=True, help="stock test program with seam_tests.c")
    parser.add_argument("--seam-circflow", required=True, help="the same with circflow")
    parser.add_argument("--size-mib", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=int, default=600, help="seconds that a transfer may take")
    parser.add_argument("--early-max", type=float, default=0.5, help="ratio that must not be exceeded: early cells")
    parser.add_argument("--slack", type=float, default=0.05, help="how much more processor time counts as noise")
    parser.add_argument("--detail", action="store_true", help="what each function takes")
    parser.add_argument("--only", choices=["instructions", "time"])
    options = parser.parse_args()
    fine = True
    if options.only != "time":
        fine &= instructions(options)
    if options.only != "instructions":
        network.end_on_signals()
        network.sweep()
        fine &= processor_time(options)
    print("tor-cost: OK" if fine else "tor-cost: FAILED")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
