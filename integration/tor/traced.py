"""Compares what circflow has recorded inside a tor with what the same tor, and the other end, have logged."""

import collections
import glob
import json
import re
import shutil
import subprocess

SWITCH_CAME = "(command 22,"  # in tor's own line about each relay cell that came for it


class Differs(Exception):
    """A trace and a log that do not say the same."""


class Log:
    """What of a tor's debug log is about legs and SWITCH."""

    def __init__(self, lines):
        self.cells = 0      # SWITCHes by tor's own line, which does not know the leg
        self.legs = {}      # circuit -> leg, by the adapter's line
        self.came = []      # (circuit, delta), by the adapter's line
        self.went = []
        for line in lines:
            self.cells += SWITCH_CAME in line
            if "circflow: " in line:
                self._note(line.split("circflow: ", 1)[1])

    def _note(self, text):
        if match := re.match(r"circuit (\d+) is leg (0x[0-9a-f]+)", text):
            self.legs[int(match.group(1))] = match.group(2)
        elif match := re.match(r"SWITCH (came|went out) on circuit (\d+), by (\d+)", text):
            way = self.came if match.group(1) == "came" else self.went
            way.append((int(match.group(2)), int(match.group(3))))

    def by_leg(self, switches):
        """The same by leg; a circuit that is no leg any more keeps its number."""
        return [(self.legs.get(circuit, str(circuit)), delta) for circuit, delta in switches]


class Trace:
    """What one tor has recorded, read by circflow-trace."""

    def __init__(self, tool, path):
        self.tool, self.path = tool, path
        self.linked, self.came, self.went = set(), [], []
        kinds = [word for kind in ("LegLinked", "SwitchReceived", "SwitchSent") for word in ("--kind", kind)]
        for line in self._run("export", "--to", "jsonl", *kinds).splitlines():
            event = json.loads(line)
            if event["kind"] == "LegLinked":
                self.linked.add(event["leg"])
            else:
                way = self.came if event["kind"] == "SwitchReceived" else self.went
                way.append((event["leg"], event["delta"]))

    def _run(self, command, *arguments):
        done = subprocess.run([self.tool, command, *arguments, self.path], capture_output=True, text=True, timeout=300,
                              check=False)
        if done.returncode != 0 or done.stderr:
            raise Differs(f"circflow-trace {command}: {done.stderr.strip()}")
        return done.stdout

    def messages(self):
        """Multiplexed messages that came or went on each leg, by `stats`."""
        told = json.loads(self._run("stats", "--json"))
        return {leg["leg"]: leg["in_order"] + leg["held"] + leg["sent"] for one in told["sets"] for leg in one["legs"]}

    def keep(self, stem):
        """Makes the page, and keeps the trace beside it. The page has to name each leg that carried messages, and the
        number of SWITCHes."""
        self._run("report", "-o", stem + ".html")
        shutil.copyfile(self.path, stem + ".trace")
        with open(stem + ".html", encoding="utf-8") as file:
            page = file.read()
        legs = [leg for leg, count in self.messages().items() if count > 0]
        for wanted in legs + [f"{len(self.went):,} sent, {len(self.came):,} received"]:
            if wanted not in page:
                raise Differs(f"{stem}.html has no {wanted}")

    def in_short(self):
        """For a line that says how a network did."""
        return f"{len(self.linked)} legs, {len(self.came)} SWITCH in, {len(self.went)} out"


def find(node, tool):
    """The trace of a tor that has ended."""
    paths = glob.glob(node.path(f"trace.{node.name}-*"))
    if len(paths) != 1:
        raise Differs(f"{node.name} has left {len(paths)} traces")
    return Trace(tool, paths[0])


def compare(name, log, trace, used):
    """Raises unless the trace has each SWITCH of the log, by leg and number, and no other, and messages on the circuits
    that have carried a transfer by the control port. A download and an upload may go over different sets."""
    _same(f"{name}: SWITCH that came", log.by_leg(log.came), trace.came)
    _same(f"{name}: SWITCH that went out", log.by_leg(log.went), trace.went)
    _same(f"{name}: SWITCH that came, in tor's own lines and in the trace", log.cells, len(trace.came))
    carried = trace.messages() if used else {}
    for circuit in used:
        leg = log.legs.get(circuit)
        if leg not in trace.linked or carried.get(leg, 0) == 0:
            raise Differs(f"{name}: leg {leg}, circuit {circuit}, is not in the trace, or carried nothing there")


def compare_ends(traces, others):
    """Raises unless the tors at the other end, which may be stock, have logged as many SWITCHes as these have sent."""
    if traces:
        _same("SWITCH that went out, in the trace, and that came, in tor's own lines at the other end",
              sum(log.cells for log in others), sum(len(trace.went) for trace in traces))


def _same(what, logged, recorded):
    if logged == recorded:
        return
    if isinstance(logged, list):
        missing = collections.Counter(logged) - collections.Counter(recorded)
        added = collections.Counter(recorded) - collections.Counter(logged)
        raise Differs(f"{what}: {len(logged)} in the log and {len(recorded)} in the trace; only in the log: "
                      f"{list(missing)[:3]}, only in the trace: {list(added)[:3]}")
    raise Differs(f"{what}: {logged} and {recorded}")
