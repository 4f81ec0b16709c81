"""Logs as real tors and clients leave them give exact figures."""

import json
import os
import tempfile
import unittest

import results
import table
from failure import Failure

HEAD = "start,kind,size,connected,first,last,port,error\n"
FACTS = {"variant": "stock", "seed": 3, "code": 0, "wall": 100.5, "cpu": 90, "peak_mib": 600, "minutes": 2,
         "timeout": 120, "settings": {}}
EVENTS = """\
946684950.100000 250 OK
946684950.100000 250 OK
946684950.200000 650 CIRC 7 LAUNCHED BUILD_FLAGS=NEED_CAPACITY PURPOSE=CONFLUX_UNLINKED TIME_CREATED=2000-01-01T00:02:30
946684951.000000 650 CIRC 7 BUILT $AA~guard1,$BB~exit1 BUILD_FLAGS=NEED_GUARD PURPOSE=CONFLUX_LINKED CONFLUX_ID=F00D
946684951.000000 650 CIRC_MINOR 8 PURPOSE_CHANGED $DD~guard2 PURPOSE=CONFLUX_LINKED CONFLUX_ID=F00D
946684951.000000 650 CIRC 9 BUILT $AA~guard1,$BB~middle1,$CC~exit1 BUILD_FLAGS=NEED_CAPACITY PURPOSE=GENERAL
946684951.500000 650 CIRC 10 BUILT $DD~guard2 PURPOSE=CONFLUX_LINKED CONFLUX_ID=BEEF
946684952.000000 650 STREAM 21 NEW 0 100.10.0.31:80 SOURCE_ADDR=127.0.0.1:40001 PURPOSE=USER CLIENT_PROTOCOL=SOCKS5
946684952.000000 650 STREAM 21 SENTCONNECT 7 100.10.0.31:80
946684952.300000 650 STREAM 21 SUCCEEDED 7 100.10.0.31:80
946684953.000000 650 CIRC_BW ID=7 READ=750000 WRITTEN=2000 TIME=2000-01-01T00:02:33 DELIVERED_READ=700000
946684954.000000 650 CIRC_BW ID=8 READ=200000 WRITTEN=2000 TIME=2000-01-01T00:02:34
946684955.000000 650 CIRC_BW ID=8 READ=50000 WRITTEN=0 TIME=2000-01-01T00:02:35
946684955.000000 650 CIRC_BW ID=10 READ=999999 WRITTEN=0 TIME=2000-01-01T00:02:35
946684960.000000 650 STREAM 22 NEW 0 100.10.0.31:80 SOURCE_ADDR=127.0.0.1:40002 PURPOSE=USER
946684960.100000 650 STREAM 22 SENTCONNECT 9 100.10.0.31:80
946685500.000000 650 STREAM 31 NEW 0 100.10.0.31:80 SOURCE_ADDR=127.0.0.1:40003 PURPOSE=USER
946685500.000000 650 STREAM 31 SENTCONNECT 7 100.10.0.31:80
946685600.000000 650 STREAM 32 NEW 0 100.10.0.31:80 SOURCE_ADDR=127.0.0.1:40003 PURPOSE=USER
946685600.000000 650 STREAM 32 DETACHED 7 100.10.0.31:80 REASON=END
946685600.000000 650 STREAM 32 SENTCONNECT 9 100.10.0.31:80
946685600.500000 650 CIRC_MINOR 7 PURPOSE_CHANGED $AA~guard1 PURPOSE=CIRCUIT_PADDING OLD_PURPOSE=CONFLUX_LINKED
946685601.000000 650 CIRC_BW ID=7 REA"""
DOWNLOADS = HEAD + """\
946684951.900000,client,1048576,0.310000,0.450000,2.125000,40001,
946684959.950000,client,51200,0.200000,0.320000,0.400000,40002,
946685599.900000,client,5242880,0.200000,0.500000,,40003,timeout
946685700.000000,client,51200,,,,40004,socks 1
"""
DEBUG = """\
Jan 01 00:02:31.000 [debug] connection_edge_process_relay_cell(): Now seen 1 relay cells here (command 2, stream 4).
Jan 01 00:02:32.000 [debug] connection_edge_process_relay_cell(): Now seen 2 relay cells here (command 22, stream 0).
Jan 01 00:02:32.000 [debug] connection_edge_process_relay_cell(): Now seen 3 relay cells here (command 22, stream 0).
Jan 01 00:02:33.000 [debug] connection_edge_process_relay_cell(): Now seen 4 relay cells here (command 2, stream 22).
Jan 01 00:02:34.000 [debug] connection_edge_process_relay_cell(): Now seen 5 relay cells here (command 22, stream 0).
"""
LOG = """\
Jan 01 00:00:00.000 [notice] Tor 0.4.9 running on Linux
Jan 01 00:00:00.000 [warn] DataDirectory . is relative and will resolve to /somewhere.
Jan 01 00:00:09.000 [warn] Received http status code 404 ("Not found") from server 100.10.0.10:9030
Jan 01 00:00:19.000 [warn] Received http status code 404 ("Not found") from server 100.12.0.11:9030
Jan 01 00:00:20.000 [err] tor_assertion_failed_(): Bug: conflux.c:99: failed; $0123456789ABCDEF~guard1
"""


class Folder(unittest.TestCase):
    """A run's folder, made up."""

    def setUp(self):
        context = tempfile.TemporaryDirectory(prefix="circflow-shadow-")
        self.folder = context.name
        self.addCleanup(context.cleanup)

    def put(self, path, text):
        """A file of the run."""
        path = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def make(self, **facts):
        """A run with one watched client, one that is not watched, load and an exit."""
        self.put("facts.json", json.dumps({**FACTS, **facts}))
        self.put("data/hosts/client1/downloads.csv", DOWNLOADS)
        self.put("data/hosts/client1/events.log", EVENTS)
        self.put("data/hosts/client1/debug.log", DEBUG)
        self.put("data/hosts/client2/downloads.csv", HEAD + "946684951.0,client,51200,0.1,0.2,0.3,40001,\n")
        self.put("data/hosts/bulk1/downloads.csv", HEAD + "946684951.0,bulk,5242880,0.1,0.2,9.0,40001,\n" * 3
                 + "946684951.0,bulk,5242880,0.1,0.2,,40001,closed\n")
        self.put("data/hosts/exit1/tor.1000.stdout", LOG)
        self.put("data/hosts/exit1/python3.1001.stdout", "[warn] this is no tor\n")
        return results.read(self.folder)


class Read(Folder):
    """What is read from it."""

    def test_downloads(self):
        run = self.make()
        self.assertEqual((run.variant, run.seed, run.bulk, run.bulk_failed), ("stock", 3, 3, 1))
        self.assertEqual([(one.host, one.size, one.first, one.last, one.error) for one in run.downloads],
                         [("client1", 1048576, 0.45, 2.125, ""), ("client1", 51200, 0.32, 0.4, ""),
                          ("client1", 5242880, 0.5, None, "timeout"), ("client1", 51200, None, None, "socks 1"),
                          ("client2", 51200, 0.2, 0.3, "")])

    def test_which_went_over_linked_sets(self):
        run = self.make()
        self.assertEqual([one.linked for one in run.downloads], [True, False, False, False, False])
        # The third one has a port that another stream had before; its own went over circuit 9.
        self.assertEqual([one.legs for one in run.downloads], [[750000, 250000], [], [], [], []])

    def test_switches_by_what_was_downloaded(self):
        run = self.make()
        self.assertEqual((run.switches, run.watched_bytes), (3, 1048576 + 51200))
        self.assertAlmostEqual(run.switches_per_mib, 3 / (1 + 50 / 1024))

    def test_complaints(self):
        run = self.make()
        self.assertEqual(run.bugs, 1)
        self.assertEqual(run.warnings, {
            'Received http status code # ("Not found") from server #.#.#.#:#': 2,
            "tor_assertion_failed_(): Bug: conflux.c:#: failed; #~guard#": 1})

    def test_the_digest_is_that_of_downloads(self):
        first = self.make().digest
        self.put("data/hosts/client1/events.log", "")
        self.assertEqual(results.read(self.folder).digest, first)
        self.put("data/hosts/client2/downloads.csv", HEAD)
        self.assertNotEqual(results.read(self.folder).digest, first)

    def test_nobody_watched(self):
        run = self.make()
        os.remove(os.path.join(self.folder, "data/hosts/client1/debug.log"))
        run = results.read(self.folder)
        self.assertIsNone(run.switches_per_mib)
        self.assertEqual(table.of_runs([run])[1][0][-2], "-")

    def test_csv(self):
        text = table.downloads_csv([self.make()])
        self.assertEqual(text.splitlines()[:4], [
            "variant,seed,host,size,start,connected,first,last,linked,leg1,leg2,error",
            "stock,3,client1,1048576,946684951.900000,0.310000,0.450000,2.125000,true,750000,250000,",
            "stock,3,client1,51200,946684959.950000,0.200000,0.320000,0.400000,false,,,",
            "stock,3,client1,5242880,946685599.900000,0.200000,0.500000,,false,,,timeout"])

    def test_row_of_the_run(self):
        run = self.make()
        self.assertEqual(table.of_runs([run])[1], [["stock", "3", "well", "100", "90", "600", "5", "2", "3", "1", "1",
                                                    "3", "2.86", run.digest]])
        self.assertEqual(table.of_complaints([run])[1][0], ["stock", "failed, 5 MiB", "timeout", "1"])


class Broken(Folder):
    """What is not as it should be."""

    def test_a_line_that_is_no_download_is_an_error(self):
        for line in ("946684951.0,client,many,0.1,0.2,0.3,1,\n", "946684951.0,client\n"):
            self.make()
            self.put("data/hosts/client2/downloads.csv", HEAD + line)
            with self.assertRaises(Failure):
                results.read(self.folder)

    def test_facts_that_are_none(self):
        for text in ("", "{", '{"variant": "stock"}'):
            self.put("facts.json", text)
            with self.assertRaises(Failure):
                results.read(self.folder)

    def test_a_run_without_data(self):
        self.put("facts.json", json.dumps({**FACTS, "code": 1}))
        run = results.read(self.folder)
        self.assertEqual((run.downloads, run.bugs), ([], 0))
        self.assertEqual(table.of_runs([run])[1][0][2], "failed: 1")

    def test_a_folder_without_runs(self):
        os.makedirs(os.path.join(self.folder, "keys"))
        for folder in (self.folder, os.path.join(self.folder, "none")):
            with self.assertRaises(Failure):
                results.read_all(folder)
