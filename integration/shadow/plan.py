"""What is to be simulated, and with which programs."""

import dataclasses
import hashlib
import os

import variants
from failure import Failure

SHADOW_HELP = "integration/shadow/README.md says where to get it"


@dataclasses.dataclass
class Plan:
    """The same for all variants and seeds of a comparison."""
    out: str                      # folder for keys and runs
    shadow: str = ""
    tors: dict = dataclasses.field(default_factory=dict)
    gencert: str = ""
    minutes: float = 10           # of downloads, simulated
    warmup: int = 150             # seconds before them, simulated
    clients: int = 10             # whose downloads are timed
    bulk: int = 3                 # that download all the time, as load
    guards: int = 2               # that a client is bound to, by the seed; 0: tor's choice
    watched: int = 1              # clients whose SWITCHes and bytes by leg are counted: much to log
    sizes: tuple = (51200, 1048576, 5242880)
    shares: tuple = (0.5, 0.3, 0.2)
    pause: float = 3              # mean seconds between downloads
    timeout: float = 120
    threads: int = 1              # of each Shadow
    changes: variants.Changes = variants.Changes()

    @property
    def seconds(self):
        """From the beginning of the simulation to the last download."""
        return self.warmup + round(self.minutes * 60)

    def settings(self):
        """What has to be the same in runs that are compared."""
        without = ("out", "shadow", "tors", "gencert", "threads", "watched")
        return {key: value for key, value in dataclasses.asdict(self).items() if key not in without}

    def check(self, chosen):
        """Raises when something is missing, or makes no sense."""
        if not self.shadow:
            raise Failure(f"which Shadow? Say make shadow SHADOW=path/to/shadow; {SHADOW_HELP}")
        _is_program("Shadow", self.shadow, SHADOW_HELP)
        for name in sorted({variant.tor(is_client) for variant in chosen for is_client in (True, False)}):
            _is_program(f"tor ({name})", self.tors.get(name, ""), "make tor builds it")
        _is_program("tor-gencert", self.gencert, "make tor builds it")
        if len(self.sizes) != len(self.shares) or min((*self.sizes, *self.shares), default=0) <= 0:
            raise Failure("--sizes and --shares are lists of the same length, of positive numbers")
        if not 0 < self.minutes <= 10000 or self.pause <= 0 or self.timeout <= 0 or self.warmup < 1:
            raise Failure("--minutes, --warmup, --pause and --timeout are more than 0, and minutes no more than 10000")


def _is_program(what, path, help_text):
    if not os.path.isfile(path):
        raise Failure(f"{what}: there is no file {path}; {help_text}")
    if not os.access(path, os.X_OK):
        raise Failure(f"{what}: {path} may not be executed; {help_text}")


def digest_of(path):
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
