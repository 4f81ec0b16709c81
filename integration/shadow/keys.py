"""Keys of relays and authorities: made once for all variants and seeds, outside of the simulation.

They last: a relay's place in the network follows from its keys, so runs with other ones can't be compared. An
authority's certificate lasts twelve months from today, and Shadow's time begins in 2000, where it is good, too.
"""

import collections
import os
import re
import shutil
import subprocess

import torrc
from failure import Failure

Key = collections.namedtuple("Key", "fingerprint identity")  # the second one of authorities only


def make(folder, tor, gencert, relays, addresses):
    """Makes the keys that are not there yet. Name -> Key."""
    os.makedirs(folder, exist_ok=True)
    found = {}
    for host in relays:
        path = os.path.join(folder, host.name)
        if not os.path.exists(path):
            part = path + ".part"
            shutil.rmtree(part, ignore_errors=True)
            os.makedirs(os.path.join(part, "keys"), 0o700)
            if host.role == "authority":
                _make_certificate(gencert, part, addresses[host.name])
            _make_identity(tor, part, host.name, addresses[host.name])
            os.rename(part, path)
        found[host.name] = _read(path)
    return found


def _files_of_authority(path):
    return [os.path.join(path, "keys", "authority_" + what) for what in ("identity_key", "signing_key", "certificate")]


def _make_certificate(gencert, path, address):
    identity, signing, certificate = _files_of_authority(path)
    _run([gencert, "--create-identity-key", "--passphrase-fd", "0", "-m", "12", "-a", f"{address}:{torrc.DIR}",
          "-i", identity, "-s", signing, "-c", certificate])


def _make_identity(tor, path, name, address):
    _run([tor, "--list-fingerprint", "--quiet", "-f", os.path.join(path, "none"), "--ignore-missing-torrc",
          "--DataDirectory", path, "--ORPort", str(torrc.OR), "--Address", address, "--Nickname", name,
          "--SocksPort", "0", "--AssumeReachable", "1"])


def _run(command):
    done = subprocess.run(command, input=b"not a secret\n", capture_output=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()[-500:]
        raise Failure(f"{os.path.basename(command[0])} made no keys: {said or done.returncode}")


def _read(path):
    with open(os.path.join(path, "fingerprint"), encoding="utf-8") as file:
        fingerprint = file.read().split()[1]
    certificate = _files_of_authority(path)[2]
    if not os.path.exists(certificate):
        return Key(fingerprint, None)
    with open(certificate, encoding="utf-8") as file:
        return Key(fingerprint, re.search(r"^fingerprint (\w+)", file.read(), re.M).group(1))
