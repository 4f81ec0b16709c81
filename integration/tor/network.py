#!/usr/bin/env python3
"""A private tor network on loopback, with stock tor and tor with circflow side by side.

Three authorities, four middles, two exits and a client. A file goes down and up through a linked conflux set of two
legs; each byte must be right, both legs must have carried data, and SWITCH must have been used. One network for each
mix of the two builds, and two that must fail, so that a success means something.

Ends what it started and nothing else: its processes are children in sessions of their own, and tor ends by itself when
this program is gone (__OwningControllerProcess); its files are in one temporary folder.
"""

import argparse
import collections
import contextlib
import functools
import glob
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import traced
import transfer
from control import Control

AUTHORITIES, MIDDLES, EXITS = 3, 4, 2
SWITCH = 22          # the relay command
LEG_BYTES = 100_000  # what a leg must have carried to have been used
CELL_BYTES = 509     # what tor's events of bandwidth count for a cell
PREFIX = "circflow-tor-"

# Seconds. Each wait is for a state, and ends when that is reached: these only say when a run is given up, and are many
# times what a machine takes that has nothing else to do (a control port 1, a bootstrap 10 to 20, a set 3, the rest 2).
PORT_WAIT, BOOTSTRAP_WAIT, SET_WAIT, EVENTS_WAIT, END_WAIT = 60, 300, 300, 60, 120
# Circuits that a client without conflux must have built, while no set came, to prove that it could have had one.
CIRCUITS_BUILT = 3

# What CIRCFLOW_ALGORITHM may say. With "ux", which is the default, a sender goes by the receiver's wish: a client's
# exit uses OnTime (LowRTT in stock tor), and an exit's client MinRTT.
ALGORITHMS = ["ux", "minrtt", "lowrtt", "cwndrtt", "ontime", "ecf", "blest", "otias", "random"]
# Those that leave no leg unused that has room. The others may judge that one leg alone is faster.
BOTH_LEGS = ["lowrtt", "random"]

# who runs circflow -> the nodes with it
MIXES = {
    "stock": lambda name: False,
    "client": lambda name: name == "client",
    "exit": lambda name: name.startswith("exit"),
    "everywhere": lambda name: True,
}


class Failure(Exception):
    """What a run can fail with."""


def lines_with(path, word):
    """The lines of a file with a word in them; none when there is no such file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            yield from (line.rstrip() for line in file if word in line)
    except OSError:
        return


def last_lines(path, count, word=""):
    """The last of them."""
    return list(collections.deque(lines_with(path, word), count))


def wait_for(what, seconds, condition, every=0.1):
    """The first true answer of `condition`, within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds} s for {what}")
        time.sleep(every)


class Ports:
    """Ports that nobody listens on, below those that the system gives to connections by itself."""

    def __init__(self):
        self.left = random.sample(range(20000, 32000), 2000)

    def take(self):
        """One that was not given out before."""
        while self.left:
            port = self.left.pop()
            with socket.socket() as sock:
                try:
                    sock.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue
        raise Failure("no free ports")


# What the adapter takes from its environment, and what it is called in torrc, where tor has the patch.
TORRC = {"CIRCFLOW_ALGORITHM": "CircflowLegAlgorithm", "CIRCFLOW_TRACE": "TestingCircflowTrace",
         "CIRCFLOW_TOR_PADDING_CLIENT": "CircflowPaddingClient", "CIRCFLOW_TOR_PADDING_RELAY": "CircflowPaddingRelay",
         "CIRCFLOW_TOR_PADDING_HOP": "CircflowPaddingHop"}


@functools.cache
def has_patch(tor):
    """Are the adapter's options those of torrc in this program?"""
    listed = subprocess.run([tor, "--list-torrc-options"], capture_output=True, text=True, timeout=60, check=True)
    return "CircflowLegAlgorithm" in listed.stdout.split()


class Node:
    """One tor."""

    def __init__(self, network, name, tor, torrc):
        self.name, self.tor = name, tor
        self.role = name.rstrip("0123456789")
        self.torrc = torrc
        self.folder = os.path.join(network.folder, name)
        self.or_port, self.dir_port, self.control_port, self.socks_port, self.metrics_port = (
            network.ports.take() for _ in range(5))
        self.process = None
        self.environment = {}
        os.mkdir(self.folder, 0o700)

    def path(self, *parts):
        """A file of this node's."""
        return os.path.join(self.folder, *parts)

    def configure(self, authorities):
        """Writes torrc."""
        lines = COMMON + self.torrc + list(authorities)
        if has_patch(self.tor):
            lines += [f"{TORRC[name]} {value}" for name, value in self.environment.items() if name in TORRC]
        facts = {"folder": self.folder, "name": self.name, "pid": os.getpid(), "or": self.or_port, "dir": self.dir_port,
                 "control": self.control_port, "socks": self.socks_port, "metrics": self.metrics_port}
        with open(self.path("torrc"), "w", encoding="utf-8") as torrc:
            torrc.write("".join(line.format(**facts) + "\n" for line in lines))

    def start(self):
        """Starts tor in a session of its own, so that a ^C in the terminal does not reach it before us."""
        # What chooses legs is said for each tor of ours, or for none.
        outside = {name: value for name, value in os.environ.items() if name != "CIRCFLOW_ALGORITHM"}
        with open(self.path("stdout"), "ab") as out:
            self.process = subprocess.Popen([self.tor, "-f", self.path("torrc")], stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL, start_new_session=True,
                                            env={**outside, **self.environment})

    def check(self):
        """Raises when tor has died."""
        if self.process and self.process.poll() is not None:
            with open(self.path("stdout"), encoding="utf-8", errors="replace") as out:
                raise Failure(f"{self.name} ended with {self.process.returncode}: {out.read()[-600:]}")

    def stop(self, seconds=5):
        """Asks tor to end, and ends it if it does not within so many seconds; what it ended with."""
        if not self.process:
            return None
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        code, self.process = self.process.returncode, None
        return code

    def kill(self):
        """Ends tor as a crash would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)

    @contextlib.contextmanager
    def stopped(self):
        """Tor stands still for a while."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def listens(self):
        """True when a relay takes connections."""
        self.check()
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.or_port)) == 0

    def memory_peak(self):
        """The most bytes of memory that tor has had; 0 when it does not run."""
        try:
            with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as status:
                return next((int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM")), 0)
        except (OSError, AttributeError):
            return 0

    def log(self):
        """The debug log so far, line by line."""
        return lines_with(self.path("debug.log"), "")


COMMON = [
    "TestingTorNetwork 1",
    "DataDirectory {folder}",
    "Nickname {name}",
    "Address 127.0.0.1",
    "RunAsDaemon 0",
    "ShutdownWaitLength 0",
    "__OwningControllerProcess {pid}",
    "Log notice file {folder}/notice.log",
    "SafeLogging 0",
    # Names are never looked up: nothing leaves loopback.
    "ServerDNSResolvConfFile {folder}/resolv.conf",
    "ServerDNSAllowBrokenConfig 1",
    "ServerDNSDetectHijacking 0",
]
RELAY = ["SocksPort 0", "ORPort 127.0.0.1:{or}", "AssumeReachable 1", "ContactInfo nobody@localhost"]
ROLES = {
    "auth": RELAY + [
        "DirPort 127.0.0.1:{dir}",
        "AuthoritativeDirectory 1",
        "V3AuthoritativeDirectory 1",
        "TestingV3AuthInitialVotingInterval 5",
        "TestingV3AuthInitialVoteDelay 2",
        "TestingV3AuthInitialDistDelay 2",
        "V3AuthVotingInterval 10",
        "V3AuthVoteDelay 2",
        "V3AuthDistDelay 2",
        "TestingDirAuthVoteExit *",
        "TestingDirAuthVoteGuard *",
        "TestingDirAuthVoteHSDir *",
        "ExitPolicy reject *:*",
    ],
    "middle": RELAY + ["ExitPolicy reject *:*"],
    "exit": RELAY + [
        "ExitRelay 1",
        "ExitPolicy accept 127.0.0.0/8:*",
        # Without it the exit is none in the eyes of clients.
        "ExitPolicy accept *:*",
        # It may not have the consensus yet when the first stream comes.
        "RefuseUnknownExits 0",
        "Log [edge,circ]debug file {folder}/debug.log",
    ],
    "client": [
        "SocksPort 127.0.0.1:{socks}",
        "ControlPort 127.0.0.1:{control}",
        "CookieAuthentication 1",
        "Log [app,circ]debug file {folder}/debug.log",
    ],
}


class Network:
    """All nodes, in one temporary folder."""

    def __init__(self, tors, with_circflow, torrc=None, environment=None, log=None):
        """`torrc` has more lines of it by role. `log` is what all nodes log, in place of what their roles have."""
        self.folder = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
        self.control = None
        self.ports = Ports()
        self.nodes = {}
        self.tors = tors
        self.torrc, self.log = torrc or {}, log
        for role, count in (("auth", AUTHORITIES), ("middle", MIDDLES), ("exit", EXITS)):
            for number in range(1, count + 1):
                self._add(role, f"{role}{number}", with_circflow)
        self.client = self._add("client", "client", with_circflow)
        for node in self.nodes.values():
            node.environment = dict(environment or {})

    def _add(self, role, name, with_circflow):
        tor = self.tors["circflow" if with_circflow(name) else "stock"]
        lines = ROLES[role]
        if self.log is not None:
            lines = [line for line in lines if not line.startswith("Log ")] + list(self.log)
        self.nodes[name] = Node(self, name, tor, lines + self.torrc.get(role, []))
        with open(self.nodes[name].path("resolv.conf"), "w", encoding="utf-8") as conf:
            conf.write("nameserver 127.0.0.1\n")
        return self.nodes[name]

    def named(self, role):
        """All nodes of a role."""
        return [node for node in self.nodes.values() if node.role == role]

    def start(self):
        """Makes keys, starts everything and waits until the client can use a linked set; seconds taken."""
        authorities = self._make_authorities()
        for node in self.nodes.values():
            node.configure(authorities)
        # Authorities vote at multiples of five seconds: the first vote then comes soon, and finds everybody there.
        time.sleep(5 - time.time() % 5 + 0.2)
        begun = time.monotonic()
        for node in self.nodes.values():
            node.start()
        wait_for("the client's control port", PORT_WAIT, self._try_control)
        self.control.ask("SETEVENTS CIRC CIRC_BW CIRC_MINOR STREAM")
        wait_for("the client's bootstrap", BOOTSTRAP_WAIT, self._is_bootstrapped)
        return time.monotonic() - begun

    def _make_authorities(self):
        makers = []
        for node in self.named("auth"):
            os.mkdir(node.path("keys"), 0o700)
            command = [self.tors["gencert"], "--create-identity-key", "--passphrase-fd", "0", "-m", "12",
                       "-a", f"127.0.0.1:{node.dir_port}", "-i", node.path("keys", "authority_identity_key"),
                       "-s", node.path("keys", "authority_signing_key"),
                       "-c", node.path("keys", "authority_certificate")]
            maker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL, start_new_session=True)
            maker.stdin.write(b"not a secret\n")
            maker.stdin.close()
            makers.append(maker)
        for maker in makers:
            if maker.wait(60) != 0:
                raise Failure("tor-gencert failed")
        return [self._authority_line(node) for node in self.named("auth")]

    @staticmethod
    def _authority_line(node):
        with open(node.path("keys", "authority_certificate"), encoding="utf-8") as certificate:
            identity = re.search(r"^fingerprint (\w+)", certificate.read(), re.M).group(1)
        # An authority has to name itself before it has a name.
        node.configure([f"DirAuthority x 127.0.0.1:1 {'0' * 40}"])
        run = subprocess.run([node.tor, "--list-fingerprint", "-f", node.path("torrc"), "--quiet"],
                             capture_output=True, text=True, timeout=60, check=False)
        match = re.search(r"^\w+ ((?:[0-9A-F]{4} ?){10})", run.stdout, re.M)
        if not match:
            raise Failure(f"no fingerprint: {run.stdout} {run.stderr}")
        fingerprint = match.group(1).replace(" ", "")
        return (f"DirAuthority {node.name} orport={node.or_port} v3ident={identity} "
                f"127.0.0.1:{node.dir_port} {fingerprint}")

    def _try_control(self):
        self.check()
        try:
            self.control = Control(self.client.control_port, self.client.path("control_auth_cookie"))
            return True
        except (OSError, RuntimeError):
            return False

    def _is_bootstrapped(self):
        self.check()
        return "PROGRESS=100" in self.control.ask("GETINFO status/bootstrap-phase")[0]

    def check(self):
        """Raises when any tor has died."""
        for node in self.nodes.values():
            node.check()

    def wait_for_set(self, seconds):
        """Waits for a linked set of two legs."""
        return wait_for("a linked set of two legs", seconds, self.sets)

    def sets(self):
        """The linked sets of two legs, by their circuits."""
        self.check()
        return [legs for legs in self.control.linked_sets().values() if len(legs) >= 2]

    def wait_for_circuits(self, seconds):
        """Waits until the client has built circuits that could have been legs, or has a set; true when it has none."""
        wait_for(f"a set, or {CIRCUITS_BUILT} built circuits", seconds,
                 lambda: self.sets() or self.control.built_circuits() >= CIRCUITS_BUILT)
        return not self.sets()

    def thoughts(self):
        """What each tor thought at the end, for whoever has to find out why a run failed."""
        yield "load averages of the machine: " + " ".join(f"{load:.1f}" for load in os.getloadavg())
        for node in self.nodes.values():
            state = "runs" if node.process and node.process.poll() is None else "has ended"
            yield f"{node.name} {state}; the last it said:"
            yield from ("    " + line for line in last_lines(node.path("notice.log"), 4))
            yield from ("    " + line for line in last_lines(node.path("debug.log"), 6, "onflux"))
        if not self.control:
            return
        for question in ("status/bootstrap-phase", "consensus/valid-after", "circuit-status"):
            try:
                yield from ("client: " + line for line in self.control.ask(f"GETINFO {question}")[:-1])
            except (OSError, RuntimeError) as error:
                yield f"client: {question}: {error}"

    def stop(self):
        """Ends all of it."""
        if self.control:
            self.control.close()
        for node in self.nodes.values():
            if node.process and node.process.poll() is None:
                node.process.terminate()
        for node in self.nodes.values():
            node.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Run:
    """One network, one file down and up, and what can be said of it."""

    def __init__(self, network, options, algorithm="ux"):
        self.network, self.options, self.algorithm = network, options, algorithm
        self.content = transfer.make_content(options.size_mib << 20)
        self.server = transfer.FileServer(self.content)
        self.used = set()  # circuits that have carried a transfer, by tor's own events of bandwidth

    def go(self):
        """Does all of it; a row of figures."""
        row = {"up after": f"{self.network.start():.1f} s"}
        begun = time.monotonic()
        if self.options.needs_set:
            self.network.wait_for_set(self.options.set_wait)
        elif self.network.wait_for_circuits(self.options.set_wait):
            raise Failure(f"no set: the client has built {CIRCUITS_BUILT} circuits, and linked none")
        row["set after"] = f"{time.monotonic() - begun:.1f} s"
        if self.options.slow:
            row["slow guard"] = self._slow_down()
        for way, move in (("down", transfer.download), ("up", transfer.upload)):
            seconds, cells = self._move(way, move)
            row[way] = f"{seconds:.2f} s"
            row[f"MiB/s {way}"] = f"{self.options.size_mib / seconds:.1f}"
            row[f"legs {way}"] = " + ".join(f"{100 * n / sum(cells):.0f} %" for n in cells)
            row[f"cells {way}"] = " + ".join(str(n) for n in cells)
        row["SWITCH down"] = self._switches("down", self.network.client)
        row["SWITCH up"] = max(self._switches("up", node) for node in self.network.named("exit"))
        row["chosen by"] = self._chosen_by()
        self._end_sets(row)
        if self.options.trace:
            row["traced"] = self._compare_traces()
        return row

    def choose(self):
        """Has each tor with circflow choose legs by the algorithm."""
        for node in self.network.nodes.values():
            if self._is_ours(node):
                node.environment = {**node.environment, "CIRCFLOW_ALGORITHM": self.algorithm}

    def _slow_down(self):
        """Has the first relay of one leg give the client no more than so many kB each second; its name."""
        control = self.network.control
        node = self.network.nodes[control.hops(next(iter(control.linked_sets().values()))[0])[0]]
        with open(node.path("torrc"), "a", encoding="utf-8") as torrc:
            torrc.write(f"PerConnBWRate {self.options.slow} KBytes\nPerConnBWBurst {self.options.slow} KBytes\n")
        node.process.send_signal(signal.SIGHUP)
        wait_for(f"{node.name} to read its torrc again", PORT_WAIT,
                 lambda: last_lines(node.path("notice.log"), 1, "Received reload signal"))
        return node.name

    def _is_ours(self, node):
        return node.tor != self.network.tors["stock"]

    def _chosen_by(self):
        """What each side has chosen legs by, as the adapter says; it has to be what it was told."""
        sides = {}
        for side, nodes in (("client", [self.network.client]), ("exits", self.network.named("exit"))):
            said = {word for node in nodes for line in node.log() for word in re.findall(r"chosen by (\w+)$", line)}
            if not all(self._is_ours(node) for node in nodes):
                sides[side] = "stock"
            elif self.algorithm != "ux" and said != {self.algorithm}:
                raise Failure(f"{side}: legs were chosen by {sorted(said)}, and not by {self.algorithm}")
            else:
                sides[side] = " and ".join(sorted(said))
        return " and ".join(f"{by} at {side}" for side, by in sides.items())

    def _leaves_a_leg(self, way):
        """True when the sender has to have used both legs, and SWITCH. Exits ask for the lowest latency, so that
        uploads hardly leave the fastest leg."""
        by_rule = self.algorithm in BOTH_LEGS or not all(map(self._is_ours, self.network.named("exit")))
        return way == "down" and by_rule and not self.options.slow

    def record(self):
        """Has each tor with circflow write down what happens in it."""
        for node in self.network.nodes.values():
            if self._is_ours(node):
                node.environment = {**node.environment, "CIRCFLOW_TRACE": node.path("trace")}

    def _compare_traces(self):
        """What was recorded has to be what the logs say, of this end and of the other. Makes the pages."""
        client, exits = self.network.client, self.network.named("exit")
        for node in [client, *exits]:
            node.stop()
        try:
            logs = {node: traced.Log(node.log()) for node in [client, *exits]}
            # An exit that no set came to has no engine.
            traces = {node: traced.find(node, self.options.trace) for node in logs
                      if self._is_ours(node) and logs[node].legs}
            for node, trace in traces.items():
                traced.compare(node.name, logs[node], trace, self.used if node is client else ())
            for ours, others in (([client], exits), (exits, [client])):
                traced.compare_ends([traces[node] for node in ours if node in traces], [logs[node] for node in others])
            if self.options.page:
                # Of two exits the page of the one that sent more stays.
                for node, trace in sorted(traces.items(), key=lambda item: len(item[1].went)):
                    trace.keep(self.options.page + ("" if self.algorithm == "ux" else "-" + self.algorithm) +
                               ("" if node is client else "-exit"))
        except traced.Differs as error:
            raise Failure(f"trace: {error}") from error
        return ", ".join(f"{node.name} {trace.in_short()}" for node, trace in traces.items()) or "-"

    def _move(self, way, move):
        control = self.network.control
        since = len(control.streams)
        counted = control.read if way == "down" else control.written
        before = dict(counted)
        try:
            seconds = move(self.network.client.socks_port, self.server.port, self.content,
                           self.options.stall, self.options.limit)
        except (OSError, ValueError) as error:
            self.network.check()
            raise Failure(f"{way}: {error}") from error
        circuit = control.circuit_of(f"127.0.0.1:{self.server.port}", since)
        legs = next((legs for legs in control.linked_sets().values() if circuit in legs), None)
        if not legs:
            raise Failure(f"{way}: the stream was on circuit {circuit}, which is no leg of a linked set")
        used = 2 if self._leaves_a_leg(way) else 1

        def moved():
            return [counted.get(leg, 0) - before.get(leg, 0) for leg in legs]
        # The events of bandwidth come once a second.
        wait_for(f"{way}: {used} legs to have carried {LEG_BYTES} bytes each", EVENTS_WAIT,
                 lambda: sum(moved()) > len(self.content) and sum(n > LEG_BYTES for n in moved()) >= used)
        self.used.update(int(leg) for leg, bytes_moved in zip(legs, moved()) if bytes_moved > LEG_BYTES)
        return seconds, sorted((n // CELL_BYTES for n in moved()), reverse=True)

    def _switches(self, way, node):
        seen = sum(f"(command {SWITCH}," in line for line in node.log())
        if seen == 0 and self._leaves_a_leg(way):
            raise Failure(f"{way}: no SWITCH was seen at {node.name}")
        return seen

    def _end_sets(self, row):
        """Closes the client's sets, and looks at what the adapters say of them."""
        for legs in self.network.control.linked_sets().values():
            for leg in legs:
                try:
                    self.network.control.ask(f"CLOSECIRCUIT {leg}")
                except RuntimeError:
                    pass  # It went with its set.
        # Tor (stock too) may keep a DESTROY back in a relay until another cell goes the same way; an exit then hears
        # of nothing. When their neighbours end, exits hear of it in any case.
        for node in self.network.named("auth") + self.network.named("middle"):
            node.stop()
        row["held"] = row["held bytes"] = "-"
        for ends in ([self.network.client], self.network.named("exit")):
            watched = [node for node in ends if self._is_ours(node)]
            if watched:
                self._look_at_ends(watched, row)

    def _look_at_ends(self, watched, row):
        def ended():
            reports = [figures(node) for node in watched]
            carried = [line for lines, _ in reports for line in lines]
            left = [left for _, left in reports if left is not None]
            return carried and not any(left) and carried
        names = " and ".join(node.name for node in watched)
        for line in wait_for(f"{names} to end the set and hold no byte of any", END_WAIT, ended):
            if row["held"] == "-" or line["held-peak"] > row["held"]:
                row["held"] = line["held-peak"]
                row["held bytes"] = line["held-bytes-peak"]


def figures(node):
    """The figures of sets that carried something, and the bytes that all sets held after the last one ended."""
    carried, left = [], None
    for line in node.log():
        if "circflow: set loses a leg" in line:
            named = {name: int(value) for name, value in re.findall(r"([a-z-]+) (\d+)", line.split("a leg:")[1])}
            if named["sent"] + named["delivered"] > 0:
                carried.append(named)
        elif "circflow: queued bytes of all sets" in line:
            left = int(line.rsplit(" ", 1)[1])
    return carried, left


def attempt(tors, options, mix, expected=None, algorithm="ux", **more):
    """A row of figures, or a Failure. One that was not expected says what each tor thought, and keeps its folder."""
    run = Run(Network(tors, MIXES[mix], **more), options, algorithm)
    run.choose()
    if options.trace:
        run.record()
    try:
        with running(run.network, expected):
            return run.go()
    except Failure as failure:
        return failure
    finally:
        run.server.close()


@contextlib.contextmanager
def running(network, expected=None):
    """Ends the network at the end. What goes wrong becomes a Failure; unless that begins as expected, what each tor
    thought is said, and the folder kept."""
    try:
        yield network
    except (Failure, RuntimeError, OSError, ValueError, subprocess.SubprocessError) as error:
        failure = error if isinstance(error, Failure) else Failure(f"{type(error).__name__}: {error}")
        if not (expected and str(failure).startswith(expected)):
            _keep(network)
        raise failure from error
    finally:
        network.stop()


def _keep(network):
    """Says what each tor thought, and keeps the folder: for whoever has to find out why a run failed."""
    for thought in network.thoughts():
        print("network: " + thought, file=sys.stderr)
    kept = network.folder + "-kept"
    shutil.copytree(network.folder, kept, ignore=lambda *_: ["control_auth_cookie"], dirs_exist_ok=True)
    print(f"network: logs are in {kept}", file=sys.stderr)


def programs(stock, **others):
    """Tor's programs in build folders, by the names of the builds; those of none are left out."""
    tors = {name: os.path.join(folder, "src/app/tor") for name, folder in {"stock": stock, **others}.items() if folder}
    return {**tors, "gencert": os.path.join(stock, "src/tools/tor-gencert")}


def end_on_signals():
    """A shell may have set ^C to be ignored, for what it runs in the background."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def sweep():
    """Removes what a killed run of ours has left behind: folders whose program is gone."""
    for folder in glob.glob(os.path.join(tempfile.gettempdir(), PREFIX + "*")):
        pid = os.path.basename(folder)[len(PREFIX):].split("-")[0]
        if pid.isdigit() and not os.path.exists(f"/proc/{pid}") and not folder.endswith("-kept"):
            shutil.rmtree(folder, ignore_errors=True)


def show(label, result):
    """Prints one line; true when it was a success."""
    if isinstance(result, Failure):
        print(f"{label:<22} FAILED: {result}", flush=True)
        return False
    print(f"{label:<22} " + ", ".join(f"{name} {value}" for name, value in result.items()), flush=True)
    return True


def controls(tors, options):
    """Two networks that must fail, each for its own reason; true when they did."""
    results = [("without conflux", "no set", attempt(tors, argparse.Namespace(**{**vars(options), "needs_set": False}),
                                                     "everywhere", "no set", torrc={"client": ["ConfluxEnabled 0"]}))]
    if tors.get("debug"):
        # It stalls for ever; the honest ones have shown that this machine does not stand still that long by itself.
        options.stall = 30
        wrong = {**tors, "circflow": tors["debug"]}
        result = attempt(wrong, options, "everywhere", ("down", "up"),
                         environment={"CIRCFLOW_TOR_WRONG_SWITCH": "1"})
        results.append(("a wrong SWITCH", ("down", "up"), result))
    for label, _, result in results:
        show(label, result)
    as_expected = all(isinstance(result, Failure) and str(result).startswith(why) for _, why, result in results)
    print("network: the networks that must fail " + ("have failed" if as_expected else "did NOT fail as they should"))
    return as_expected


def main():
    """Runs what the options name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stock", required=True, help="build folder of stock tor")
    parser.add_argument("--circflow", required=True, help="build folder of tor with circflow")
    parser.add_argument("--debug", help="build folder of tor with the adapter that can do wrong")
    parser.add_argument("--mix", action="append", choices=list(MIXES), help="who runs circflow; all of them by default")
    parser.add_argument("--algorithm", action="append", choices=ALGORITHMS,
                        help="what tors with circflow choose legs by; ux, which is the other end's wish, by default")
    parser.add_argument("--slow", type=int, metavar="KBYTES",
                        help="the first relay of one leg gives the client no more each second: unequal legs")
    parser.add_argument("--size-mib", type=int, default=64)
    parser.add_argument("--stall", type=int, default=60, help="seconds without a byte that are too many")
    parser.add_argument("--limit", type=int, default=900, help="seconds that a transfer may take")
    parser.add_argument("--set-wait", type=int, default=SET_WAIT, help="seconds to wait for a linked set")
    parser.add_argument("--trace", metavar="PROGRAM", help="circflow-trace: record, and compare it with the logs")
    parser.add_argument("--page", metavar="STEM", help="where the pages of the traces are to stand, without .html")
    parser.add_argument("--no-controls", action="store_true", help="leave out the networks that must fail")
    options = parser.parse_args()
    options.needs_set = True
    end_on_signals()
    tors = programs(stock=options.stock, circflow=options.circflow, debug=options.debug)
    sweep()
    fine = True
    for number, algorithm in enumerate(options.algorithm or ["ux"]):
        for mix in options.mix or MIXES:
            if mix == "stock" and number > 0:
                continue
            label = "circflow: " + {"stock": "nowhere"}.get(mix, mix + ("" if algorithm == "ux" else " " + algorithm))
            fine &= show(label, attempt(tors, options, mix, algorithm=algorithm))
    if not options.no_controls:
        fine &= controls(tors, options)
    print("network: OK" if fine else "network: FAILED")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
