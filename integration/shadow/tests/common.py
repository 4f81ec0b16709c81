"""What tests share."""

import atexit
import contextlib
import functools
import io
import os
import shutil
import sys
import tempfile

import run

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Fakes:
    """A folder with programs that stand in for the real ones."""

    def __init__(self, folder):
        self.folder = folder
        self.out = os.path.join(folder, "out")
        self.programs = {}
        for name in ("shadow", "stock/tor", "circflow/tor", "tor-gencert"):
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if not os.path.lexists(path):
                os.symlink(os.path.join(FOLDER, "tests", "fakes.py"), path)
            self.programs[name] = path

    def arguments(self, command, *more):
        """A command line of run.py."""
        return [command, "--shadow", self.programs["shadow"], "--tor", f"stock={self.programs['stock/tor']}",
                "--tor", f"circflow={self.programs['circflow/tor']}", "--gencert", self.programs["tor-gencert"],
                "--out", self.out, *more]


@functools.cache
def made_keys():
    """A folder with keys, made once: it takes a program for each relay."""
    folder = tempfile.mkdtemp(prefix="circflow-shadow-")
    atexit.register(shutil.rmtree, folder)
    found = Fakes(folder)
    status, _, errors = call(*found.arguments("run", "--only-write", "--variants", "stock"))
    assert status == 0, errors
    return os.path.join(found.out, "keys")


@contextlib.contextmanager
def fakes(has_keys=False):
    """Of a test, gone after it."""
    with tempfile.TemporaryDirectory(prefix="circflow-shadow-") as folder:
        found = Fakes(folder)
        if has_keys:
            shutil.copytree(made_keys(), os.path.join(found.out, "keys"))
        yield found


def call(*arguments):
    """run.py with a command line: its status, what it printed, what it complained of."""
    out, errors, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["run.py", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            try:
                status = run.main()
            except SystemExit as ended:
                status = ended.code
    finally:
        sys.argv = before
    return status, out.getvalue(), errors.getvalue()
