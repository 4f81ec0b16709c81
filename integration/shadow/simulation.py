"""One simulation, which is a variant with a seed: its files, and its folder."""

import hashlib
import json
import os
import shutil
import sys

import places
import torrc
from plan import digest_of

EPOCH = 946684800  # Shadow's time begins in 2000
INSIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside.py")
AFTER = 10         # seconds behind the last download, for those that are on their way
BULK_BYTES = 5242880


class Simulation:
    """Text of all files; nothing is written before `write`."""

    def __init__(self, plan, variant, seed, keys):
        self.plan, self.variant, self.seed, self.keys = plan, variant, seed, keys
        self.name = f"{variant.name}-s{seed}"
        self.folder = os.path.join(plan.out, self.name)
        self.clients = places.clients(plan.clients, plan.bulk, seed)
        self.addresses = places.addresses(self.clients)
        self.hosts, self.files = {}, {}
        self._add_relays()
        self._add_host(places.SERVER)
        self._add_python("server", 1, "server")
        self._add_clients()
        self.files["template/v3bw"] = torrc.bandwidths(places.RELAYS, keys, EPOCH)
        self.files["network.gml"] = places.graph()
        self.files["shadow.yaml"] = json.dumps(self._config(), indent=1)  # JSON is YAML

    def _programs(self):
        """Name -> digest, of those that it runs."""
        tors = {self.variant.tor(is_client) for is_client in (True, False)}
        paths = {"Shadow": self.plan.shadow, "inside.py": INSIDE}
        paths.update({f"tor {name}": self.plan.tors[name] for name in tors})
        return {name: digest_of(path) for name, path in paths.items()}

    def digest(self):
        """Differs when anything differs that the run depends on: a run with the same one need not be done again."""
        return hashlib.sha256(json.dumps([self.files, self._programs()], sort_keys=True).encode()).hexdigest()

    def told(self):
        """What its report has to know of it."""
        return {"variant": self.variant.name, "seed": self.seed, "timeout": self.plan.timeout, "digest": self.digest(),
                "minutes": self.plan.minutes, "settings": {**self.plan.settings(), **self._programs()}}

    def write(self):
        """All files, and the relays' keys; leaves nothing of an earlier run."""
        shutil.rmtree(self.folder, ignore_errors=True)
        hosts = os.path.join(self.folder, "template", "hosts")
        os.makedirs(hosts)
        for host in places.RELAYS:
            shutil.copytree(os.path.join(self.plan.out, "keys", host.name), os.path.join(hosts, host.name))
        for name in self.hosts:
            os.makedirs(os.path.join(hosts, name), 0o700, exist_ok=True)
        for path, text in self.files.items():
            with open(os.path.join(self.folder, path), "w", encoding="utf-8") as file:
                file.write(text)

    def _parameters(self):
        return {**torrc.PARAMETERS, "cfx_enabled": int(self.variant.conflux), **dict(self.plan.changes.params)}

    def _authorities(self):
        return torrc.authority_lines(places.AUTHORITIES, self.keys, self.addresses)

    def _fingerprints(self, names):
        return [self.keys[name].fingerprint for name in names]

    def _add_relays(self):
        guards, exits = ([host.name for host in hosts] for hosts in (places.GUARDS, places.EXITS))
        voting = torrc.votes(self._fingerprints(guards), self._fingerprints(exits), self._parameters())
        for host in places.RELAYS:
            text = torrc.relay(host, self.addresses[host.name], self._authorities(), voting)
            self._add_host(host, text)
            self._add_tor(host, 1)

    def _add_clients(self):
        plan = self.plan
        picked = places.pick_guards(plan.guards, self.seed, len(self.clients))
        for number, (host, guards) in enumerate(zip(self.clients, picked)):
            is_watched = number < plan.watched
            text = torrc.client(plan.changes.ux, self._fingerprints(guards), is_watched, self._authorities())
            self._add_host(host, text)
            self._add_tor(host, 100 + number)
            self._add_python(host.name, 101 + number, "events", *(["--bandwidth"] if is_watched else []))
            self._add_python(host.name, max(plan.warmup, 102 + number), "client", *self._orders(host))

    def _orders(self, host):
        """What a client is to download."""
        plan = self.plan
        is_bulk = host.role == "bulk"
        sizes, shares, pause = ([BULK_BYTES], [1], 1) if is_bulk else (plan.sizes, plan.shares, plan.pause)
        told = {"name": host.name, "kind": host.role, "server": self.addresses["server"], "seed": self.seed,
                "sizes": ",".join(map(str, sizes)), "shares": ",".join(map(str, shares)), "pause": pause,
                "timeout": plan.timeout, "until": EPOCH + plan.seconds}
        return [word for key, value in told.items() for word in (f"--{key}", str(value))]

    def _add_host(self, host, text=None):
        if text:
            self.files[f"template/hosts/{host.name}/torrc"] = text
            self.files[f"template/hosts/{host.name}/resolv.conf"] = torrc.RESOLV
        rate = f"{host.mbit} Mbit"
        self.hosts[host.name] = {"network_node_id": host.place, "ip_addr": self.addresses[host.name],
                                 "bandwidth_down": rate, "bandwidth_up": rate, "processes": []}

    def _add_process(self, name, start, path, args, environment):
        # None of these ends by itself; Shadow takes it for a failure unless it is told so.
        process = {"path": path, "args": args, "start_time": f"{start} s", "expected_final_state": "running"}
        if environment:
            process["environment"] = environment
        self.hosts[name]["processes"].append(process)

    def _add_tor(self, host, start):
        is_client = host.role in ("client", "bulk")
        environment = {**dict(self.plan.changes.env), **self.variant.environment(is_client)}
        self._add_process(host.name, start, self.plan.tors[self.variant.tor(is_client)], ["-f", "torrc"], environment)

    def _add_python(self, name, start, *args):
        self._add_process(name, start, sys.executable, ["-u", INSIDE, *args],
                          {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"})

    def _config(self):
        return {
            "general": {
                "stop_time": f"{self.plan.seconds + AFTER} s", "seed": self.seed, "parallelism": self.plan.threads,
                "heartbeat_interval": "10 s", "log_level": "warning",
                "template_directory": "template", "data_directory": "data",
                # Else time stands still while a program runs, and tor complains of rates over no time.
                "model_unblocked_syscall_latency": True,
            },
            "experimental": {"use_cpu_pinning": False, "use_worker_spinning": False},
            "network": {"graph": {"type": "gml", "file": {"path": "network.gml"}}, "use_shortest_path": False},
            "hosts": self.hosts,
        }
