#!/usr/bin/env python3
"""Minutes of adversity on a private network, with stock tor and then with circflow everywhere.

Files go down and up without a pause, while relays are killed and started again, legs and sets are closed by the
client, tors are stopped and go on, the client is told to take new circuits, and an exit runs out of memory. The seed
decides the order of these acts, how long each lasts, and what the files are.

Transfers may fail, and are tried again. These may not happen: a byte that is wrong, a tor that ends by itself, a bug in
a log or a report of a sanitizer, a tor that takes too much memory, a network on which no new transfer works soon after
an act, and an exit that holds a set or a byte of one when its clients are gone.
"""

import argparse
import collections
import contextlib
import os
import random
import re
import signal
import statistics
import sys
import threading
import time
import urllib.request

import network
import transfer

# Seconds. The first is how long a transfer may stand still before it is tried anew; the others only say when a run is
# given up.
STALL, RECOVERY, RENEWAL, SHORT_WAIT, END_WAIT = 15, 180, 30, 240, 120
MOVERS = (transfer.download, transfer.download, transfer.upload)
SIZES = (1 << 18, 1 << 20, 1 << 22, 1 << 24)
CONTENT = 64 << 20
PROBE = 1 << 16
SLOW_STREAMS, SLOW_BYTES = 600, 1 << 20  # on two exits, of which each can hold 250 kB for a stream
MEMORY_MIB = 250          # of one tor; an exit may queue 64 MiB
MEMORY_ASAN_MIB = 1500    # a sanitizer keeps what was freed for a while, and has a shadow of all of it
BAD = re.compile(r"\[err\]|Bug: |[Aa]ssertion|Sanitizer|runtime error:|panicked")
# Tor's threads of workers never end, and have these.
LEAKS = ["worker_state_new"]
OUT_OF_MEMORY = "Killing circuits"
KILLED = re.compile(r"Removed (\d+) bytes by killing (\d+) circuits")
TORRC = {
    # Sets at exits are then those of the client alone.
    "auth": ["__DisablePredictedCircuits 1"],
    "middle": ["__DisablePredictedCircuits 1"],
    # The least memory that tor allows to a relay, and little in the kernel beside it.
    "exit": ["__DisablePredictedCircuits 1", "MaxMemInQueues 64 MB", "ConstrainedSockets 1",
             "ConstrainedSockSize 64 KBytes", "MetricsPort 127.0.0.1:{metrics}",
             "MetricsPortPolicy accept 127.0.0.1"],
    # A client tries a guard that was away again after ten minutes only.
    "client": ["UseEntryGuards 0", "MetricsPort 127.0.0.1:{metrics}", "MetricsPortPolicy accept 127.0.0.1"],
}
LOG = ["Log [circ]info file {folder}/debug.log"]
# The place on a leg's path of the tor that an act is about.
PLACES = {"guard": 0, "middle": 1, "exit": 2}


class Mover(threading.Thread):
    """Moves one file after the other, each until it has gone through."""

    def __init__(self, churn, move, seed):
        super().__init__(daemon=True)
        self.churn, self.move, self.rng = churn, move, random.Random(seed)
        self.done = self.failed = self.bytes = 0
        self.ends = False

    def run(self):
        while not self.ends:
            size = self.rng.choice(SIZES)
            at = self.rng.randrange(CONTENT - size)
            while not self.churn.move(self.move, at, size):
                self.failed += 1
                if self.ends:
                    return
                time.sleep(0.2)
            self.done += 1
            self.bytes += size


class Watch(threading.Thread):
    """The most memory that each tor has had, and what is too much."""

    def __init__(self, nodes, limit_mib):
        super().__init__(daemon=True)
        self.nodes, self.limit_mib = nodes, limit_mib
        self.peaks_mib = {node.name: 0 for node in nodes}
        self.ends = threading.Event()

    def run(self):
        while not self.ends.wait(0.5):
            for node in self.nodes:
                self.peaks_mib[node.name] = max(self.peaks_mib[node.name], node.memory_peak() >> 20)

    def check(self):
        """Raises when a tor has had too much."""
        for name, peak in self.peaks_mib.items():
            if peak > self.limit_mib:
                raise network.Failure(f"{name} had {peak} MiB of memory, more than {self.limit_mib}")


class Churn:
    """One network, and what is done to it."""

    def __init__(self, tors, mix, options):
        self.options = options
        self.rng = random.Random(options.seed)      # the acts: their order and how long they last
        self.aim = random.Random(options.seed + 1)  # what depends on the state of the network
        self.net = network.Network(tors, network.MIXES[mix], torrc=TORRC, log=LOG)
        self.ours = mix != "stock"
        if options.asan:
            path = os.path.join(self.net.folder, "leaks")
            with open(path, "w", encoding="utf-8") as leaks:
                leaks.write("".join(f"leak:{name}\n" for name in LEAKS))
            for node in self.net.nodes.values():
                node.environment["LSAN_OPTIONS"] = f"suppressions={path}:print_suppressions=0"
        self.content = transfer.make_content(CONTENT)
        self.server = transfer.FileServer(self.content)
        self.movers = [Mover(self, move, (options.seed << 8) + place) for place, move in enumerate(MOVERS)]
        self.watch = Watch(self.net.nodes.values(), MEMORY_ASAN_MIB if options.asan else MEMORY_MIB)
        self.wrong = []
        self.acts = collections.Counter()
        self.recoveries = []
        self.stuck = 0

    def move(self, move, at, size, stall=STALL, limit=600, server=None):
        """One transfer; true when it went through. One that failed must still have brought no wrong byte."""
        port = (server or self.server).port
        try:
            move(self.net.client.socks_port, port, self.content[at : at + size], stall, limit, at)
            return True
        except transfer.WrongBytes as wrong:
            self.wrong.append(f"{move.__name__}: {wrong}")
        except (OSError, ValueError):
            pass
        return False

    def go(self):
        """Does all of it; a row of figures."""
        net = self.net
        net.start()
        net.wait_for_set(network.SET_WAIT)
        self.watch.start()
        for mover in self.movers:
            mover.start()
        begun = time.monotonic()
        acts = self._acts()
        while time.monotonic() < begun + 60 * self.options.minutes:
            name, act, *rest = next(acts)
            print(f"  {time.monotonic() - begun:6.1f} s: {name}", end="", flush=True)
            self._do(name, act, rest)
            print(f", works again after {self._recover(name):.1f} s", flush=True)
            time.sleep(self.rng.uniform(0.5, 3))
        for mover in self.movers:
            mover.ends = True
        for mover in self.movers:
            mover.join(RECOVERY)
        self._check("at the end")
        row = self._figures()
        self._end(row)
        return row

    def _do(self, name, act, rest):
        """One act. Stock tor can be without a set of two legs for minutes, while its legs wait for their answer: that is
        counted, and the act is left out."""
        try:
            act(*rest)
            self.acts[name] += 1
        except network.Failure:
            self._check(name)
            if self.ours:
                raise
            self.stuck += 1

    def _acts(self):
        """All kinds of acts, in an order of the seed's, again and again."""
        kinds = [(f"kill {place}", self._kill, place) for place in PLACES]
        kinds += [(f"stop {place}", self._stop, place) for place in (*PLACES, "client")]
        kinds += [("close leg", self._close_leg), ("close set", self._close_set), ("new circuits", self._new_circuits)]
        first = [*kinds, ("exit out of memory", self._run_short)]
        while True:
            yield from self.rng.sample(first, len(first))
            first = kinds

    def _leg(self):
        """A set, and one of its legs, by their circuits."""
        # A client is content with sets that have lost a leg, for as long as it uses them; and a set is given up that has
        # launched its legs in vain too often, as all may be in the second after a kill. So it is asked for new ones.
        for _ in range(RECOVERY // RENEWAL):
            if not self.net.sets():
                self._new_circuits()
            with contextlib.suppress(network.Failure):
                return self._leg_of(self.net.wait_for_set(RENEWAL))
        return self._leg_of(self.net.wait_for_set(RENEWAL))

    def _leg_of(self, sets):
        """The set that is used, or else any, and one of its legs."""
        used = {circuit for _, _, circuit, _ in self.net.control.streams[-1:]}
        legs = next((legs for legs in sets if used & set(legs)), sets[0])
        return legs, self.aim.choice(legs)

    def _hops(self, circuit):
        """The names of its relays; none when it has closed in the meantime."""
        try:
            return self.net.control.hops(circuit)
        except RuntimeError:
            return []

    def _node(self, place):
        """The tor at a place of a leg."""
        if place == "client":
            return self.net.client
        hops = network.wait_for("a leg with a path", RECOVERY, lambda: self._hops(self._leg()[1]))
        return self.net.nodes[hops[PLACES[place]]]

    def _kill(self, place):
        node = self._node(place)
        node.kill()
        time.sleep(self.rng.uniform(0.2, 3))
        node.start()
        network.wait_for(f"{node.name} to listen again", network.PORT_WAIT, node.listens)

    def _stop(self, place):
        node = self._node(place)
        with node.stopped():
            time.sleep(self.rng.uniform(1, 8))

    def _close_leg(self):
        self._close_all([self._leg()[1]])

    def _close_set(self):
        self._close_all(self._leg()[0])

    def _close_all(self, circuits):
        for circuit in circuits:
            with contextlib.suppress(RuntimeError):  # It went with its set.
                self.net.control.ask(f"CLOSECIRCUIT {circuit}")

    def _new_circuits(self):
        self.net.control.ask("SIGNAL NEWNYM")

    def _run_short(self):
        """Streams whose far end does not read: for each, the exit keeps what comes until its XOFF has reached the
        client, and that is more than it may keep in all."""
        exits = self.net.named("exit")
        before = sum(map(times_short, exits))
        over = threading.Event()
        with contextlib.closing(transfer.Server(lambda peer: over.wait(), receive_buffer=4096)) as server:
            uploads = [threading.Thread(target=self.move, daemon=True,
                                        args=(transfer.upload, 0, SLOW_BYTES, SHORT_WAIT, SHORT_WAIT, server))
                       for _ in range(SLOW_STREAMS)]
            for upload in uploads:
                upload.start()
            try:
                network.wait_for("an exit to be out of memory", SHORT_WAIT,
                                 lambda: self.net.check() or sum(map(times_short, exits)) > before)
            finally:
                over.set()
        for upload in uploads:
            upload.join(SHORT_WAIT)

    def _recover(self, name):
        """Waits until a transfer each way works that began after the act; seconds. Stock tor may take longer: that is
        counted, and ends with new circuits."""
        begun = time.monotonic()
        for move in (transfer.download, transfer.upload):
            try:
                network.wait_for(f"a new {move.__name__} to work after {name}", RECOVERY,
                                 lambda: self._check(name) or self.move(move, self.aim.randrange(PROBE), PROBE))
            except network.Failure:
                self._check(name)
                if self.ours:
                    raise
                self.stuck += 1
                self._new_circuits()
        self.recoveries.append(time.monotonic() - begun)
        return self.recoveries[-1]

    def _check(self, when):
        self.net.check()
        self.watch.check()
        wrong = self.wrong + self.server.wrong
        if wrong:
            raise network.Failure(f"{when}: {len(wrong)} transfers with wrong bytes: {wrong[0]}")

    def _faults(self):
        """How many lines of logs tell of faults. Stock tor may have some when memory is short; circflow may not."""
        bad = [f"{node.name}: {line}" for node in self.net.nodes.values() for name in ("notice.log", "stdout")
               for line in network.lines_with(node.path(name), "") if BAD.search(line)]
        if bad and self.ours:
            raise network.Failure(f"{len(bad)} lines of logs tell of faults: {bad[0]}")
        return len(bad)

    def _figures(self):
        control = self.net.control
        killed = [KILLED.search(line) for node in self.net.named("exit")
                  for line in network.lines_with(node.path("notice.log"), "Removed")]
        return {
            "transfers done": sum(mover.done for mover in self.movers),
            "transfers failed": sum(mover.failed for mover in self.movers),
            "MiB in transfers done": sum(mover.bytes for mover in self.movers) >> 20,
            "wrong bytes": len(self.wrong + self.server.wrong),
            "sets linked": len(set(control.legs.values())),
            "legs linked": len(control.legs),
            "legs lost": len(control.lost),
            "exits out of memory": sum(map(times_short, self.net.named("exit"))),
            "circuits killed for it": sum(int(match.group(2)) for match in killed if match),
            "did not work again": self.stuck,
            "works again, median s": f"{statistics.median(self.recoveries):.1f}",
            "works again, most s": f"{max(self.recoveries):.1f}",
            "memory, most MiB": max(self.watch.peaks_mib.values()),
            "acts": sum(self.acts.values()),
            **{f"  {name}": count for name, count in sorted(self.acts.items())},
        }

    def _end(self, row):
        """All end, exits last, and of these the last one must hold nothing then. Until then a set may stand at an exit
        as long as tor has a circuit of it: stock relays, too, keep some whose client is gone."""
        self.watch.ends.set()
        exits = self.net.named("exit")
        row["faults circflow saw"] = "-"
        if self.ours:
            # All are honest here. Those of exits that were killed are gone with them.
            row["faults circflow saw"] = int(sum(
                value for node in (self.net.client, *exits)
                for name, value in metrics(node).items() if name.startswith("circflow_faults_total")))
        self.net.control.close()
        self.net.control = None
        for node in (self.net.client, *self.net.named("auth"), *self.net.named("middle")):
            self._end_tor(node)
        for node in exits:
            network.wait_for(f"{node.name} to hold no set without a circuit", END_WAIT,
                             lambda: Left(node).sets <= Left(node).circuits)
        row["circuits left by tor"] = sum(Left(node).circuits for node in exits)
        row["sets left with them"] = sum(Left(node).sets for node in exits)
        *others, last = exits
        for node in others:
            self._end_tor(node)
        network.wait_for(f"{last.name} to hold no circuit, set and byte", END_WAIT, lambda: Left(last).is_nothing())
        self._end_tor(last)
        row["faults in logs"] = self._faults()

    @staticmethod
    def _end_tor(node):
        code = node.stop(END_WAIT)
        if code:
            raise network.Failure(f"{node.name} ended with {code} when it was asked to end")


def times_short(node):
    """How often a tor said that it is out of memory."""
    return sum(1 for _ in network.lines_with(node.path("notice.log"), OUT_OF_MEMORY))


def metrics(node):
    """What a tor's MetricsPort says: name with labels -> number."""
    with urllib.request.urlopen(f"http://127.0.0.1:{node.metrics_port}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line and line[0] != "#"}


class Left:
    """What an exit still has; no sets with stock tor, which does not say."""

    def __init__(self, node):
        figures = metrics(node)
        self.circuits = int(figures['tor_relay_circuits_total{state="opened"}'])
        self.sets = int(figures.get('circflow_sets{engine="conflux"}', 0))
        self.bytes = sum(value for name, value in figures.items() if name.startswith("circflow_held_bytes"))

    def is_nothing(self):
        """True when all is gone."""
        return not self.circuits and not self.sets and not self.bytes


def attempt(tors, mix, options):
    """A row of figures, or a Failure."""
    churn = Churn(tors, mix, options)
    try:
        with network.running(churn.net), contextlib.closing(churn.server):
            return churn.go()
    except network.Failure as failure:
        return failure


def show(columns):
    """Prints the figures of all builds that came through."""
    rows = {name: None for row in columns.values() for name in row}
    print("\n" + " " * 24 + "".join(f"{name:>12}" for name in columns))
    for name in rows:
        print(f"{name:<24}" + "".join(f"{row.get(name, 0):>12}" for row in columns.values()))


def main():
    """Runs all builds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stock", required=True, help="build folder of stock tor")
    parser.add_argument("--circflow", required=True, help="build folder of tor with circflow")
    parser.add_argument("--asan", action="store_true", help="the build with circflow has sanitizers")
    parser.add_argument("--minutes", type=float, default=5, help="for each build")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--only", choices=["stock", "circflow"])
    options = parser.parse_args()
    network.end_on_signals()
    network.sweep()
    tors = network.programs(stock=options.stock, circflow=options.circflow)
    builds = {"stock": "stock", "circflow": "everywhere"}
    columns, fine = {}, True
    for name, mix in builds.items():
        if options.only in (None, name):
            print(f"{name}: {options.minutes:g} minutes, SEED={options.seed}", flush=True)
            result = attempt(tors, mix, options)
            if isinstance(result, network.Failure):
                print(f"{name}: FAILED: {result}", flush=True)
                fine = False
            else:
                columns[name] = result
    show(columns)
    print("tor-churn: OK" if fine else f"tor-churn: FAILED, SEED={options.seed} repeats it")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
