"""Variants: which tor runs where, and how it chooses legs."""

import dataclasses

from failure import Failure

# What the adapter takes as CIRCFLOW_ALGORITHM.
ALGORITHMS = ("lowrtt", "minrtt", "cwndrtt", "ontime", "ecf", "blest", "otias", "random")
STOCK, NO_CONFLUX, CIRCFLOW = "stock", "no-conflux", "circflow"
ALL = (STOCK, NO_CONFLUX, *ALGORITHMS)
DEFAULT = (STOCK, NO_CONFLUX, "lowrtt", "ontime", "blest", "ecf")
ENDS = ("clients", "relays")
UX = ("throughput", "latency", "throughput_lowmem", "latency_lowmem")


@dataclasses.dataclass(frozen=True)
class Variant:
    """`clients` and `relays` name the tor that they run."""
    name: str
    clients: str = STOCK
    relays: str = STOCK
    algorithm: str = ""  # of those that run circflow; none: what circflow does by itself
    conflux: bool = True

    def tor(self, is_client):
        """Which tor a host runs."""
        return self.clients if is_client else self.relays

    def environment(self, is_client):
        """What a host's tor finds there."""
        has_choice = self.algorithm and self.tor(is_client) == CIRCFLOW
        return {"CIRCFLOW_ALGORITHM": self.algorithm} if has_choice else {}


def parse(name):
    """The variant with this name: stock, no-conflux (stock without it), circflow (with its own default), or an
    algorithm. With @clients or @relays, only these run circflow, and the others stock."""
    kind, at, end = name.partition("@")
    if kind in (STOCK, NO_CONFLUX) and not at:
        return Variant(name, conflux=kind == STOCK)
    if kind not in (CIRCFLOW, *ALGORITHMS) or at and end not in ENDS:
        raise Failure(f"no variant {name}: there are {', '.join((STOCK, NO_CONFLUX, CIRCFLOW, *ALGORITHMS))}, and all; "
                      f"those with circflow take @clients or @relays behind their name")
    where = [end] if at else ENDS
    return Variant(name, algorithm="" if kind == CIRCFLOW else kind, **{end: CIRCFLOW for end in where})


def parse_all(names):
    """Those of a list of names, each once; `all` stands for stock, no-conflux and all algorithms."""
    wide = [one for name in names for one in (ALL if name == "all" else [name])]
    return [parse(name) for name in dict.fromkeys(wide)]


@dataclasses.dataclass(frozen=True)
class Changes:
    """What --set changes for all variants of a run."""
    ux: str = "throughput"
    params: tuple = ()  # of the consensus
    env: tuple = ()     # of all tors

    @classmethod
    def parse(cls, texts):
        """From KEY=VALUE: ux, params.NAME, env.NAME."""
        found = {"ux": cls.ux, "params": {}, "env": {}}
        for text in texts:
            key, equals, value = text.partition("=")
            kind, dot, name = key.partition(".")
            if key == "ux" and value in UX:
                found["ux"] = value
            elif kind in ("params", "env") and dot and name and equals and value:
                found[kind][name] = value
            else:
                raise Failure(f"--set {text}: say ux=({'|'.join(UX)}), params.NAME=NUMBER or env.NAME=VALUE")
        for name, value in found["params"].items():
            if not value.lstrip("-").isdigit():
                raise Failure(f"--set params.{name}={value}: parameters of a consensus are whole numbers")
        return cls(found["ux"], *(tuple(sorted(found[kind].items())) for kind in ("params", "env")))
