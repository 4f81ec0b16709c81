"""A tor control port: commands and answers, and what a client's circuits have carried."""

import re
import socket
import threading


class Control:
    """One connection, with a thread that reads it: answers go to whoever asked, events are counted here."""

    def __init__(self, port, cookie_path, seconds=60):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.sock.settimeout(None)
        self.seconds = seconds
        self.asking = threading.Lock()
        self.answers = []
        self.answered = threading.Condition()
        self.read = {}      # circuit id -> bytes of cells
        self.written = {}
        self.read_fields = {}  # circuit id -> what came on it, by the names of CIRC_BW
        self.probed = set()    # circuits by which tor tests a path, once they have served
        self.legs = {}      # circuit id -> the id of its set, of all that were ever linked
        self.lost = set()   # those of them that have closed
        self.streams = []   # (stream id, status, circuit id, target), as they came
        threading.Thread(target=self._listen, daemon=True).start()
        with open(cookie_path, "rb") as cookie:
            self.ask("AUTHENTICATE " + cookie.read().hex())

    def ask(self, command):
        """Sends a command; the lines of its answer. Raises when it is refused, or takes too long."""
        with self.asking:
            self.sock.sendall(command.encode() + b"\r\n")
            with self.answered:
                if not self.answered.wait_for(lambda: self.answers, self.seconds):
                    raise RuntimeError(f"no answer to {command.split()[0]}")
                lines = self.answers.pop(0)
        if not lines or not lines[-1].startswith("250"):
            raise RuntimeError(f"{command.split()[0]}: {lines}")
        return lines

    def _listen(self):
        lines, in_data = [], False
        try:
            for raw in self.sock.makefile("r", encoding="utf-8", errors="replace", newline="\r\n"):
                line = raw.rstrip("\r\n")
                if in_data:
                    in_data = line != "."
                    if in_data:
                        lines.append(line)
                    continue
                lines.append(line)
                in_data = line[3:4] == "+"
                if line[3:4] == " ":
                    self._dispatch(lines)
                    lines = []
        except (OSError, ValueError):
            pass
        self._dispatch([])

    def _dispatch(self, lines):
        if lines and lines[0].startswith("650"):
            for line in lines:
                self._note_event(line)
            return
        with self.answered:
            self.answers.append(lines)
            self.answered.notify_all()

    def _note_event(self, line):
        words = line[4:].split()
        if words[:1] == ["CIRC_BW"]:
            fields = dict(word.split("=", 1) for word in words[1:])
            circuit = fields["ID"]
            self.read[circuit] = self.read.get(circuit, 0) + int(fields["READ"])
            self.written[circuit] = self.written.get(circuit, 0) + int(fields["WRITTEN"])
            sums = self.read_fields.setdefault(circuit, {})
            for name in ("READ", "DELIVERED_READ", "OVERHEAD_READ"):
                sums[name] = sums.get(name, 0) + int(fields.get(name, 0))
        elif words[:1] == ["CIRC_MINOR"] and "PURPOSE=PATH_BIAS_TESTING" in words:
            self.probed.add(words[1])
        elif words[:1] in (["CIRC"], ["CIRC_MINOR"]) and "PURPOSE=CONFLUX_LINKED" in words:
            if words[2] in ("CLOSED", "FAILED"):
                self.lost.add(words[1])
            else:
                self.legs.update((words[1], word) for word in words if word.startswith("CONFLUX_ID="))
        elif words[:1] == ["STREAM"]:
            self.streams.append(tuple(words[1:5]))

    def linked_sets(self):
        """Conflux sets that are linked and built: their id -> the ids of their circuits."""
        sets = {}
        for line in self.ask("GETINFO circuit-status"):
            match = re.match(r"(?:250[-+]circuit-status=)?(\d+) BUILT .*PURPOSE=CONFLUX_LINKED", line)
            name = re.search(r"CONFLUX_ID=(\w+)", line)
            if match and name:
                sets.setdefault(name.group(1), []).append(match.group(1))
        return sets

    def hops(self, circuit):
        """The names of the relays of a circuit."""
        for line in self.ask("GETINFO circuit-status"):
            match = re.match(rf"(?:250[-+]circuit-status=)?{circuit} \S+ (\$\S+)", line)
            if match:
                return re.findall(r"[~=](\w+)", match.group(1))
        raise RuntimeError(f"circuit {circuit} has no path")

    def built_circuits(self):
        """How many circuits of three hops are built, in no set."""
        count = 0
        for line in self.ask("GETINFO circuit-status"):
            match = re.match(r"(?:250[-+]circuit-status=)?\d+ BUILT (\S+) .*PURPOSE=GENERAL", line)
            count += bool(match) and match.group(1).count(",") == 2
        return count

    def circuit_of(self, target, since):
        """The circuit of the last stream to a target, of those that came after the first `since`."""
        for _, status, circuit, to in reversed(self.streams[since:]):
            if to == target and status in ("SENTCONNECT", "SUCCEEDED"):
                return circuit
        return None

    def close(self):
        """Ends the connection, and the thread with it."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
