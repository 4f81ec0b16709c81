#!/usr/bin/env python3
"""Programs that stand in for shadow, tor and tor-gencert, by the name that they are called with.

`shadow` checks what it is told as the real one would, and writes what the programs inside would leave: made-up
downloads whose times follow from seed, client and algorithm alone. It fails when the folder has a file `fail`.
"""

import argparse
import csv
import hashlib
import json
import os
import random
import shutil
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import inside  # pylint: disable=wrong-import-position

# How long downloads take, by what their exit chooses legs with.
FACTORS = {"": 1.0, "ontime": 0.8, "blest": 0.9, "random": 1.3}
SINGLE = 1.5  # without conflux


class Wrong(Exception):
    """What the real programs would complain of."""


def gencert():
    """Writes an authority's three files."""
    parser = argparse.ArgumentParser()
    for name in ("-m", "-a", "-i", "-s", "-c", "--passphrase-fd"):
        parser.add_argument(name, required=True)
    parser.add_argument("--create-identity-key", action="store_true", required=True)
    options = parser.parse_args()
    for path, text in ((options.i, "identity"), (options.s, "signing"),
                       (options.c, f"dir-key-certificate-version 3\nfingerprint {fingerprint(options.a)}\n")):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def tor():
    """Writes a fingerprint."""
    parser = argparse.ArgumentParser()
    for name in ("-f", "--DataDirectory", "--ORPort", "--Address", "--Nickname", "--SocksPort", "--AssumeReachable"):
        parser.add_argument(name, required=True)
    for name in ("--list-fingerprint", "--quiet", "--ignore-missing-torrc"):
        parser.add_argument(name, action="store_true", required=True)
    options = parser.parse_args()
    with open(os.path.join(options.DataDirectory, "fingerprint"), "w", encoding="utf-8") as file:
        file.write(f"{options.Nickname} {fingerprint(options.Nickname)}\n")


def fingerprint(name):
    """As long as a real one."""
    return hashlib.sha1(name.encode()).hexdigest().upper()


def shadow():
    """Reads the configuration, and leaves data."""
    if sys.argv[1:] != ["shadow.yaml"]:
        raise Wrong(f"called as {sys.argv[1:]}")
    with open("shadow.yaml", encoding="utf-8") as file:
        config = json.load(file)
    check_config(config)
    if os.path.exists("../fail"):
        raise Wrong("asked to fail")
    general = config["general"]
    shutil.copytree(general["template_directory"], general["data_directory"])
    relay = config["hosts"]["exit1"]["processes"][0]
    choice = relay.get("environment", {}).get("CIRCFLOW_ALGORITHM", "")
    for name, host in config["hosts"].items():
        folder = os.path.join(general["data_directory"], "hosts", name)
        for number, process in enumerate(host["processes"], 1000):
            if os.path.basename(process["path"]) == "tor":
                check_torrc(folder)
                write(folder, f"tor.{number}.stdout", LOG)
            elif process["args"][2] == "client":
                Client(folder, choice, inside.parse(process["args"][2:])).leave()


def check_config(config):
    """What the real one would not take."""
    for name in ("general", "network", "hosts"):
        if name not in config:
            raise Wrong(f"no section {name}")
    for name, host in config["hosts"].items():
        for process in host["processes"]:
            if not os.access(process["path"], os.X_OK):
                raise Wrong(f"{name}: {process['path']} is no program")
            if not all(isinstance(word, str) for word in process["args"]):
                raise Wrong(f"{name}: arguments are texts")
    with open(config["network"]["graph"]["file"]["path"], encoding="utf-8") as file:
        if not file.read().startswith("graph [\n"):
            raise Wrong("no graph")
    if os.path.exists(config["general"]["data_directory"]):
        raise Wrong("the data directory exists")


def check_torrc(folder):
    """Tor would not start without it."""
    for name in ("torrc", "resolv.conf"):
        if not os.path.exists(os.path.join(folder, name)):
            raise Wrong(f"{folder} has no {name}")


def write(folder, name, text):
    """A file."""
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(text)


# A line that each tor writes in its folder, one that counts, and one that is no warning.
LOG = ("Jan 01 00:00:01.000 [warn] DataDirectory . is relative and will resolve to /x.\n"
       "Jan 01 00:00:02.000 [notice] Bootstrapped 100% (done)\n"
       "Jan 01 00:00:03.000 [warn] Problem with $0123456789ABCDEF0123 after 17 seconds\n")


class Client:
    """What a client leaves."""

    def __init__(self, folder, choice, options):
        self.folder, self.options = folder, options
        self.chance = random.Random(f"{options.seed} {options.name}")
        with open(os.path.join(folder, "torrc"), encoding="utf-8") as file:
            self.torrc = file.read()
        with open(os.path.join(folder, "../authority1/torrc"), encoding="utf-8") as file:
            has_conflux = "cfx_enabled=1" in file.read()
        self.factor = FACTORS.get(choice, 1.1) if has_conflux else SINGLE
        self.has_conflux = has_conflux
        self.rows, self.events, self.debug = [], [], []

    def leave(self):
        """Downloads, one each three seconds or so."""
        start = self.options.until - 60 * 10 if self.options.kind == "client" else self.options.until - 30
        number = 0
        while start < self.options.until:
            number += 1
            start += self.chance.uniform(2, 20)
            self._add(number, start)
        with open(os.path.join(self.folder, "downloads.csv"), "w", newline="", encoding="utf-8") as file:
            out = csv.DictWriter(file, inside.FIELDS)
            out.writeheader()
            out.writerows(self.rows)
        write(self.folder, "events.log", "".join(self.events))
        if "debug.log" in self.torrc:
            write(self.folder, "debug.log", "".join(self.debug))

    def _add(self, number, start):
        sizes = [int(size) for size in self.options.sizes.split(",")]
        size = self.chance.choices(sizes, [float(share) for share in self.options.shares.split(",")])[0]
        first = 0.3 * self.chance.lognormvariate(0, 0.4)
        last = first + size / 600_000 * self.chance.lognormvariate(0, 0.5) * self.factor
        row = {"start": f"{start:.6f}", "kind": self.options.kind, "size": size, "port": 40000 + number,
               "connected": f"{first / 2:.6f}"}
        if self.chance.random() < 0.02:
            row["error"] = "timeout"
        else:
            row.update(first=f"{first:.6f}", last=f"{last:.6f}")
        self.rows.append(row)
        self._note(number, start, size, row)

    def _note(self, number, start, size, row):
        """What tor would say of it."""
        say = [f"650 STREAM {number} NEW 0 100.10.0.31:80 SOURCE_ADDR=127.0.0.1:{row['port']} PURPOSE=USER"]
        purpose, name = ("CONFLUX_LINKED", f" CONFLUX_ID=AB{number:04}") if self.has_conflux else ("GENERAL", "")
        for leg, share in enumerate((0.75, 0.25) if self.has_conflux else (1,)):
            circuit = 2 * number + leg
            say += [f"650 CIRC {circuit} BUILT $A,$B,$C BUILD_FLAGS=NEED_CAPACITY PURPOSE={purpose}{name}",
                    f"650 CIRC_BW ID={circuit} READ={int(size * share)} WRITTEN=1000"]
        say += [f"650 STREAM {number} SENTCONNECT {2 * number} 100.10.0.31:80",
                f"650 STREAM {number} SUCCEEDED {2 * number} 100.10.0.31:80"]
        self.events += [f"{start + 0.01:.6f} {line}\n" for line in say]
        if self.has_conflux:
            self.debug += ["connection_edge_process_relay_cell(): Got a relay cell (command 22, stream 0)\n"] * 5


def main():
    """By name."""
    try:
        {"shadow": shadow, "tor": tor, "tor-gencert": gencert}[os.path.basename(sys.argv[0])]()
    except Wrong as wrong:
        print(f"fake: {wrong}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
