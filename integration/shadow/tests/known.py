"""Makes the report of made-up runs, for `make check-report`: python3 -m tests.known FOLDER"""

import os
import sys

import run
from tests.common import Fakes

if __name__ == "__main__":
    found = Fakes(os.path.join(sys.argv[1], "fakes"))
    found.out = sys.argv[1]
    sys.argv[1:] = found.arguments("run", "--seeds", "2", "--jobs", "2", "--variants", "all")
    sys.exit(run.main())
