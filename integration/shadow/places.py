"""The simulated internet: places, latencies between them, and which host is where.

Six places, each with a twin for hosts behind a poor line. Shadow ignores jitter: what varies are queues, because of
other clients, and losses.
"""

import collections
import itertools
import random

from failure import Failure

PLACES = ["eu-west", "eu-east", "us-east", "us-west", "asia", "south"]
# One way, in ms.
LATENCY = {(0, 0): 8, (0, 1): 15, (0, 2): 40, (0, 3): 70, (0, 4): 100, (0, 5): 95, (1, 1): 10, (1, 2): 50, (1, 3): 80,
           (1, 4): 90, (1, 5): 105, (2, 2): 10, (2, 3): 30, (2, 4): 105, (2, 5): 65, (3, 3): 10, (3, 4): 65,
           (3, 5): 90, (4, 4): 25, (4, 5): 150, (5, 5): 20}
POOR = len(PLACES)  # the twin of a place has this much larger a number: 20 ms and some loss on top
POOR_LATENCY = 20
LOSS, POOR_LOSS = 0.0002, 0.004

# `place` is a node of the network, `mbit` the rate each way.
Host = collections.namedtuple("Host", "name role place mbit")


def _hosts(role, *places):
    return [Host(f"{role}{number}", role, place, mbit) for number, (place, mbit) in enumerate(places, 1)]


AUTHORITIES = _hosts("authority", (0, 100), (2, 100), (1, 100))
GUARDS = _hosts("guard", (0, 100), (0, 50), (1, 100), (1, 30), (2, 80), (2, 20), (3, 50), (4, 40), (POOR, 15),
                (POOR + 2, 10))
MIDDLES = _hosts("middle", (0, 60), (1, 40), (2, 60), (5, 25))
EXITS = _hosts("exit", (0, 100), (1, 60), (2, 100), (3, 40))
RELAYS = AUTHORITIES + GUARDS + MIDDLES + EXITS
SERVER = Host("server", "server", 0, 1000)
CLIENT_PLACES = [0, 1, 2, 3, POOR + 1, 4, POOR + 2, 0, 5, 2, 1, 3]
CLIENT_MBIT = 50
CLIENTS_MAX = 1000


def clients(timed, bulk, seed):
    """Clients whose downloads are timed, and those that are there as load. Where the latter are depends on the seed."""
    if timed < 1 or bulk < 0 or timed + bulk > CLIENTS_MAX:
        raise Failure(f"{timed} clients and {bulk} as load: at least one of the first kind, and {CLIENTS_MAX} in all")
    chance = random.Random(f"places {seed}")
    found = [Host(f"client{number + 1}", "client", CLIENT_PLACES[number % len(CLIENT_PLACES)], CLIENT_MBIT)
             for number in range(timed)]
    return found + [Host(f"bulk{number + 1}", "bulk", chance.choice(CLIENT_PLACES[:4]), CLIENT_MBIT)
                    for number in range(bulk)]


def addresses(hosts):
    """Name -> address. Those of relays and server stay the same however many clients come behind them."""
    found = {}
    for number, host in enumerate([*RELAYS, SERVER, *hosts]):
        third = 100 * (host.place // POOR) + number // 200
        found[host.name] = f"100.{10 + host.place % POOR}.{third}.{10 + number % 200}"
    return found


def pick_guards(count, seed, many):
    """So many guards for each of `many` clients, by weight as tor would pick them: the same for all variants, so that
    these do not differ by the luck with a guard."""
    if count > len(GUARDS):
        raise Failure(f"{count} guards for each client: the network has {len(GUARDS)}")
    chance = random.Random(f"guards {seed}")
    found = []
    for _ in range(many):
        picked = []
        while len(picked) < count:
            guard = chance.choices(GUARDS, [guard.mbit for guard in GUARDS])[0].name
            if guard not in picked:
                picked.append(guard)
        found.append(picked)
    return found


def graph():
    """The network in GML, with an edge between any two nodes. Shadow takes one attribute a line."""
    nodes = range(2 * POOR)
    lines = ["graph [", "directed 0"]
    for node in nodes:
        label = PLACES[node % POOR] + (", poor line" if node >= POOR else "")
        lines += ["node [", f"id {node}", f'label "{label}"', 'host_bandwidth_down "1 Gbit"',
                  'host_bandwidth_up "1 Gbit"', "]"]
    for one, two in itertools.combinations_with_replacement(nodes, 2):
        ends = tuple(sorted((one % POOR, two % POOR)))
        poor = (one >= POOR) + (two >= POOR)
        loss = 1 - (1 - LOSS) * (1 - POOR_LOSS) ** poor
        lines += ["edge [", f"source {one}", f"target {two}", f'latency "{LATENCY[ends] + POOR_LATENCY * poor} ms"',
                  f"packet_loss {loss:.6f}", "]"]
    return "\n".join([*lines, "]"]) + "\n"
