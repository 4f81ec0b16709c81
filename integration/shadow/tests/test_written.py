"""What is written for Shadow and tor is whole: every name in it stands for something that is there."""

import json
import os
import re
import unittest

import places
import simulation
import torrc
import variants
from failure import Failure
from tests.common import FOLDER, call, fakes


def parse_gml(text):
    """Nodes and edges, read anew: one attribute a line, or a bracket."""
    stack, found = [{}], {"node": [], "edge": []}
    for line in text.splitlines():
        if line == "]":
            inner = stack.pop()
            kind = inner.pop("kind")
            if kind in found:
                found[kind].append(inner)
        elif line.endswith(" ["):
            stack.append({"kind": line[:-2]})
        else:
            key, value = line.split(" ", 1)
            stack[-1][key] = value.strip('"')
    assert len(stack) == 1
    return found["node"], found["edge"]


class Written(unittest.TestCase):
    """The files of some simulations."""

    @classmethod
    def setUpClass(cls):
        cls.context = fakes(has_keys=True)
        cls.fakes = cls.context.__enter__()
        cls.addClassCleanup(cls.context.__exit__, None, None, None)
        status, _, errors = call(*cls.fakes.arguments(
            "run", "--only-write", "--first", "7", "--variants", "all,circflow,ontime@relays,ecf@clients",
            "--set", "ux=latency", "--set", "params.cfx_num_legs_set=3", "--set", "env.RUST_BACKTRACE=1"))
        assert status == 0, errors
        cls.names = sorted(entry for entry in os.listdir(cls.fakes.out) if entry.endswith("-s7"))

    def path(self, name, *parts):
        """Of a file of a simulation."""
        return os.path.join(self.fakes.out, name, *parts)

    def read(self, name, *parts):
        """Its text."""
        with open(self.path(name, *parts), encoding="utf-8") as file:
            return file.read()

    def config(self, name):
        """What Shadow is told."""
        return json.loads(self.read(name, "shadow.yaml"))

    def torrc(self, name, host):
        """Option -> values."""
        found = {}
        for line in self.read(name, "template", "hosts", host, "torrc").splitlines():
            key, _, value = line.partition(" ")
            found.setdefault(key, []).append(value)
        return found

    def test_every_variant_is_there(self):
        wanted = [*variants.ALL, "circflow", "ontime@relays", "ecf@clients"]
        self.assertEqual(self.names, sorted(f"{name}-s7" for name in wanted))

    def test_the_graph_is_complete(self):
        nodes, edges = parse_gml(self.read("stock-s7", "network.gml"))
        self.assertEqual([int(node["id"]) for node in nodes], list(range(2 * places.POOR)))
        ends = sorted(tuple(sorted((int(edge["source"]), int(edge["target"])))) for edge in edges)
        every = [(one, two) for one in range(len(nodes)) for two in range(one, len(nodes))]
        self.assertEqual(ends, every)
        for edge in edges:
            self.assertRegex(edge["latency"], r"^[1-9]\d* ms$")
            self.assertTrue(0 < float(edge["packet_loss"]) < 0.01)
        far = next(edge for edge in edges if (edge["source"], edge["target"]) == ("4", "11"))
        self.assertEqual((far["latency"], far["packet_loss"]), ("170 ms", "0.004199"))
        near = next(edge for edge in edges if (edge["source"], edge["target"]) == ("6", "6"))
        self.assertEqual((near["latency"], near["packet_loss"]), ("48 ms", "0.008182"))

    def test_hosts_have_places_addresses_and_programs(self):
        for name in self.names:
            config = self.config(name)
            hosts = config["hosts"]
            self.assertEqual(len(hosts), len(places.RELAYS) + 1 + 13)
            self.assertEqual(len({host["ip_addr"] for host in hosts.values()}), len(hosts))
            for host in hosts.values():
                self.assertIn(host["network_node_id"], range(2 * places.POOR))
                self.assertEqual(host["bandwidth_up"], host["bandwidth_down"])
                for process in host["processes"]:
                    self.assertTrue(os.access(process["path"], os.X_OK), process)
                    self.assertEqual(process["expected_final_state"], "running")
                    self.assertRegex(process["start_time"], r"^\d+ s$")
            for path in (config["network"]["graph"]["file"]["path"], config["general"]["template_directory"]):
                self.assertTrue(os.path.exists(self.path(name, path)), path)
            self.assertFalse(os.path.exists(self.path(name, config["general"]["data_directory"])))

    def test_files_that_torrc_names_are_there(self):
        for name in self.names:
            for host, told in self.config(name)["hosts"].items():
                if host == "server":
                    continue
                self.assertTrue(told["processes"][0]["path"].endswith("/tor"))
                self.assertEqual(told["processes"][0]["args"], ["-f", "torrc"])
                folder = ("template", "hosts", host)
                for option in ("ServerDNSResolvConfFile", "V3BandwidthsFile"):
                    for path in self.torrc(name, host).get(option, []):
                        self.assertTrue(os.path.exists(self.path(name, *folder, path)), path)
                if host.startswith("authority"):
                    for file in ("authority_certificate", "authority_signing_key"):
                        self.assertTrue(os.path.exists(self.path(name, *folder, "keys", file)))

    def test_relays_are_known_by_their_keys_and_addresses(self):
        hosts = self.config("stock-s7")["hosts"]
        keys = {host.name: self.read("stock-s7", "template", "hosts", host.name, "fingerprint").split()[1]
                for host in places.RELAYS}
        said = self.torrc("stock-s7", "client1")
        self.assertEqual(len(said["DirAuthority"]), 3)
        for line in said["DirAuthority"]:
            name, _, identity, address, fingerprint = line.split()
            self.assertEqual((address, fingerprint), (f"{hosts[name]['ip_addr']}:{torrc.DIR}", keys[name]))
            certificate = self.read("stock-s7", "template", "hosts", name, "keys", "authority_certificate")
            self.assertIn("fingerprint " + identity.removeprefix("v3ident="), certificate)
        voting = self.torrc("stock-s7", "authority1")
        guards = voting["TestingDirAuthVoteGuard"][0].replace("$", "").split(",")
        self.assertEqual(guards, [keys[host.name] for host in places.GUARDS])
        for host in [*places.RELAYS]:
            self.assertEqual(self.torrc("stock-s7", host.name)["Address"], [hosts[host.name]["ip_addr"]])
        first, *rest = self.read("stock-s7", "template", "v3bw").splitlines()
        self.assertEqual(first, "946684801")
        self.assertEqual(len(rest), len(places.RELAYS))

    def test_variants_differ_in_tor_algorithm_and_conflux_alone(self):
        def tors(name, host):
            process = self.config(name)["hosts"][host]["processes"][0]
            return process["path"].split("/")[-2], process["environment"].get("CIRCFLOW_ALGORITHM")
        for name, client, relay in (("stock", ("stock", None), ("stock", None)),
                                    ("no-conflux", ("stock", None), ("stock", None)),
                                    ("circflow", ("circflow", None), ("circflow", None)),
                                    ("otias", ("circflow", "otias"), ("circflow", "otias")),
                                    ("ontime@relays", ("stock", None), ("circflow", "ontime")),
                                    ("ecf@clients", ("circflow", "ecf"), ("stock", None))):
            self.assertEqual([tors(name + "-s7", host) for host in ("client1", "bulk1")], [client] * 2, name)
            self.assertEqual([tors(name + "-s7", host) for host in ("guard3", "exit1")], [relay] * 2, name)
            enabled = "cfx_enabled=0" if name == "no-conflux" else "cfx_enabled=1"
            self.assertIn(enabled, self.torrc(name + "-s7", "authority2")["ConsensusParams"][0].split())
        strip = re.compile(r'"CIRCFLOW_ALGORITHM": "\w+"|/(stock|circflow)/tor')
        for host in ("client1", "middle2", "bulk2"):
            texts = {self.read(name, "template", "hosts", host, "torrc") for name in self.names}
            self.assertEqual(len(texts), 1, "clients have the same guards in all variants")
        self.assertEqual(strip.sub("", self.read("ecf-s7", "shadow.yaml")),
                         strip.sub("", self.read("blest-s7", "shadow.yaml")))

    def test_changes_come_through(self):
        self.assertEqual(self.torrc("stock-s7", "client1")["ConfluxClientUX"], ["latency"])
        self.assertIn("cfx_num_legs_set=3", self.torrc("stock-s7", "authority1")["ConsensusParams"][0].split())
        for host in ("client1", "exit2"):
            process = self.config("stock-s7")["hosts"][host]["processes"][0]
            self.assertEqual(process["environment"], {"RUST_BACKTRACE": "1"})

    def test_only_watched_clients_log_every_cell(self):
        hosts = self.config("stock-s7")["hosts"]
        watched = [name for name in hosts if name != "server" and "Log [app,circ]debug file debug.log"
                   in self.read("stock-s7", "template", "hosts", name, "torrc")]
        self.assertEqual(watched, ["client1"])
        listeners = [name for name, host in hosts.items() for process in host["processes"]
                     if "--bandwidth" in process["args"]]
        self.assertEqual(listeners, ["client1"])

    def test_the_end_is_behind_the_last_download(self):
        config = self.config("stock-s7")
        args = config["hosts"]["client1"]["processes"][2]["args"]
        self.assertEqual(args[args.index("--until") + 1], str(simulation.EPOCH + 150 + 600))
        self.assertEqual(config["general"]["stop_time"], "760 s")
        self.assertEqual(config["general"]["seed"], 7)


class Names(unittest.TestCase):
    """Variants and changes by name."""

    def test_what_there_is_not_is_refused(self):
        for name in ("", "LowRTT", "stock@relays", "no-conflux@clients", "ontime@", "ontime@exits", "all@relays"):
            with self.assertRaises(Failure, msg=name):
                variants.parse_all([name])
        for text in ("ux=fast", "ux", "params.=1", "params.x", "params.x=fast", "env.=1", "other=1"):
            with self.assertRaises(Failure, msg=text):
                variants.Changes.parse([text])

    def test_the_algorithms_are_those_of_the_study(self):
        with open(os.path.join(FOLDER, "../../study/src/choices.rs"), encoding="utf-8") as file:
            self.assertEqual(tuple(re.findall(r'name: "(\w+)"', file.read())), variants.ALGORITHMS)

    def test_all_and_doubles(self):
        names = [variant.name for variant in variants.parse_all(["ecf", "all", "ecf"])]
        self.assertEqual(names, ["ecf", *(name for name in variants.ALL if name != "ecf")])

    def test_many_clients_have_addresses_and_too_many_are_refused(self):
        hosts = places.clients(900, 100, 1)
        found = places.addresses(hosts)
        self.assertEqual(len(set(found.values())), len(hosts) + len(places.RELAYS) + 1)
        for address in found.values():
            self.assertTrue(all(0 <= int(part) <= 255 for part in address.split(".")), address)
        self.assertEqual(found["exit1"], places.addresses([])["exit1"])
        for timed, bulk in ((0, 3), (1, -1), (901, 100)):
            with self.assertRaises(Failure):
                places.clients(timed, bulk, 1)

    def test_guards_follow_from_the_seed(self):
        picked = places.pick_guards(2, 3, 20)
        self.assertEqual(picked, places.pick_guards(2, 3, 20))
        self.assertNotEqual(picked, places.pick_guards(2, 4, 20))
        self.assertTrue(all(len(set(pair)) == 2 for pair in picked))
        self.assertEqual(places.pick_guards(0, 3, 2), [[], []])
        self.assertEqual(len(set(places.pick_guards(len(places.GUARDS), 1, 1)[0])), len(places.GUARDS))
        with self.assertRaises(Failure):
            places.pick_guards(len(places.GUARDS) + 1, 1, 1)
