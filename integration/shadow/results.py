"""What came out of a run: downloads, which of them went over linked sets, SWITCHes, and what tor complained of."""

import csv
import dataclasses
import hashlib
import json
import os
import re

from failure import Failure
from inside import TIMES

SWITCH_CAME = "(command 22,"  # in tor's own line about each relay cell that came for it
EARLIER, LATER = 1, 10        # seconds around a download in which its stream's events come
WARNING = re.compile(r"\[(?:warn|err)\] (.*)")
# Of each tor, as it is configured for tests.
EXPECTED = ("is relative and will resolve", "TestingTorNetwork is set", "you disabled SafeLogging", "Tor as root")
NUMBERS = re.compile(r"\$?[0-9A-Fa-f]{8,}|\d+")
WARNING_LENGTH = 110


@dataclasses.dataclass
class Download:
    """One. Times are seconds since it began, and None for what it did not come to."""
    host: str
    start: float
    kind: str
    size: int
    connected: float = None
    first: float = None
    last: float = None
    port: str = ""
    error: str = ""
    linked: bool = False
    legs: list = dataclasses.field(default_factory=list)  # bytes that each leg of its set has read, most first


@dataclasses.dataclass
class Run:
    """One simulation."""
    variant: str
    seed: int
    facts: dict
    downloads: list = dataclasses.field(default_factory=list)  # those that are timed
    bulk: int = 0
    bulk_failed: int = 0
    bugs: int = 0
    warnings: dict = dataclasses.field(default_factory=dict)
    switches: int = 0        # that came to watched clients
    watched_bytes: int = 0   # that these have downloaded
    digest: str = ""         # of all downloads: the same when a seed gives the same twice

    @property
    def switches_per_mib(self):
        """None where no client was watched."""
        return self.switches / (self.watched_bytes / (1 << 20)) if self.watched_bytes else None


class Events:
    """What tor said of its streams and circuits."""

    def __init__(self, lines=()):
        self.ports = {}      # of a stream's source -> [(when, circuit)]
        self.circuits = {}   # -> {"read", "linked", "set"}
        self.streams = {}    # -> port
        for line in lines:
            words = line.split()
            if len(words) > 4 and words[1] == "650":
                try:
                    self._note(float(words[0]), words[2:], line)
                except (KeyError, ValueError, IndexError):
                    continue  # the last line, where Shadow has ended the listener

    def _circuit(self, name):
        return self.circuits.setdefault(name, {"read": 0, "linked": False, "set": None})

    def _note(self, when, words, line):
        if words[0] == "STREAM":
            stream, status, circuit = words[1:4]
            if source := re.search(r"SOURCE_ADDR=127\.0\.0\.1:(\d+)", line):
                self.streams[stream] = source.group(1)
            if status in ("SENTCONNECT", "SUCCEEDED") and stream in self.streams:
                self.ports.setdefault(self.streams[stream], []).append((when, circuit))
        elif words[0] in ("CIRC", "CIRC_MINOR"):
            circuit = self._circuit(words[1])
            circuit["linked"] |= "PURPOSE=CONFLUX_LINKED" in words
            if name := re.search(r"CONFLUX_ID=(\w+)", line):
                circuit["set"] = name.group(1)
        elif words[0] == "CIRC_BW":
            fields = dict(word.split("=", 1) for word in words[1:] if "=" in word)
            self._circuit(fields["ID"])["read"] += int(fields["READ"])

    def mark(self, one, timeout):
        """Notes at a download whether it went over a linked set, and what its legs have read."""
        begin, end = one.start - EARLIER, one.start + timeout + LATER
        name = next((name for when, name in self.ports.get(one.port, []) if begin <= when <= end), None)
        circuit = self.circuits.get(name)
        one.linked = bool(circuit and circuit["linked"])
        if one.linked and circuit["set"]:
            legs = [other["read"] for other in self.circuits.values() if other["set"] == circuit["set"]]
            one.legs = sorted(legs, reverse=True)


def lines_of(path):
    """Those of a file; none when it is not there."""
    if os.path.exists(path):
        with open(path, encoding="utf-8", errors="replace") as file:
            yield from file


def read_downloads(path, host):
    """Those of one client."""
    for row in csv.DictReader(lines_of(path)):
        try:
            times = {name: float(row[name]) if row[name] else None for name in TIMES}
            yield Download(host, float(row["start"]), row["kind"], int(row["size"]), port=row["port"],
                           error=row["error"], **times)
        except (TypeError, ValueError) as error:
            raise Failure(f"{path}: {row}: {error}") from error


def read(folder):
    """A run that has ended."""
    path = os.path.join(folder, "facts.json")
    try:
        with open(path, encoding="utf-8") as file:
            facts = json.load(file)
        run = Run(facts["variant"], facts["seed"], facts)
        timeout, _ = facts["timeout"], facts["settings"]
    except (OSError, ValueError, KeyError) as error:
        raise Failure(f"{path}: {error}") from error
    hosts = os.path.join(folder, "data", "hosts")
    digest = hashlib.sha256()
    for host in sorted(os.listdir(hosts)) if os.path.isdir(hosts) else []:
        _read_host(run, os.path.join(hosts, host), host, timeout, digest)
    run.digest = digest.hexdigest()[:16]
    return run


def _read_host(run, folder, host, timeout, digest):
    for name in sorted(os.listdir(folder)):
        if name.startswith("tor") and name.endswith(".stdout"):
            _note_log(run, lines_of(os.path.join(folder, name)))
    path = os.path.join(folder, "downloads.csv")
    if not os.path.exists(path):
        return
    with open(path, "rb") as file:
        digest.update(file.read())
    events = Events(lines_of(os.path.join(folder, "events.log")))
    debug = os.path.join(folder, "debug.log")
    is_watched = os.path.exists(debug)
    run.switches += sum(SWITCH_CAME in line for line in lines_of(debug))
    for one in read_downloads(path, host):
        if one.kind == "bulk":
            run.bulk += not one.error
            run.bulk_failed += bool(one.error)
            continue
        events.mark(one, timeout)
        run.downloads.append(one)
        if is_watched and not one.error:
            run.watched_bytes += one.size


def _note_log(run, lines):
    for line in lines:
        run.bugs += "Bug:" in line
        found = WARNING.search(line)
        if found and not any(text in line for text in EXPECTED):
            text = NUMBERS.sub("#", found.group(1))[:WARNING_LENGTH]
            run.warnings[text] = run.warnings.get(text, 0) + 1


def read_all(out):
    """All runs in a folder: by variant, in order of seeds. Those that have not ended are left out."""
    folders = sorted(entry.path for entry in os.scandir(out) if entry.is_dir()) if os.path.isdir(out) else []
    runs = [read(folder) for folder in folders if os.path.exists(os.path.join(folder, "facts.json"))]
    if not runs:
        raise Failure(f"{out}: no run has ended there")
    return sorted(runs, key=lambda run: (run.variant, run.seed))
