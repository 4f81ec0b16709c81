"""What the tors' configuration says."""

SOCKS, CONTROL, OR, DIR = 9050, 9051, 9001, 9030

COMMON = """\
TestingTorNetwork 1
DataDirectory .
SafeLogging 0
Log notice stdout
LogTimeGranularity 1
NumCPUs 1
ShutdownWaitLength 0
DisableDebuggerAttachment 0
LearnCircuitBuildTimeout 0
PathBiasUseThreshold 10000
PathBiasCircThreshold 10000
"""
RELAY = f"""\
SocksPort 0
ORPort {OR} IPv4Only
AssumeReachable 1
ContactInfo nobody@localhost
ServerDNSResolvConfFile resolv.conf
ServerDNSAllowBrokenConfig 1
ServerDNSDetectHijacking 0
RefuseUnknownExits 0
DoSCircuitCreationEnabled 0
DoSConnectionEnabled 0
"""
AUTHORITY = f"""\
DirPort {DIR}
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
V3BandwidthsFile ../../v3bw
AuthDirTestReachability 0
TestingV3AuthInitialVotingInterval 60
TestingV3AuthInitialVoteDelay 10
TestingV3AuthInitialDistDelay 10
V3AuthVotingInterval 300
V3AuthVoteDelay 20
V3AuthDistDelay 20
TestingDirAuthVoteGuardIsStrict 1
TestingDirAuthVoteExitIsStrict 1
ExitPolicy reject *:*
"""
# A client has three sets ready, and at most ten. With longer dirtiness it has none left for a new download, which then
# goes over a single circuit.
CLIENT = f"""\
ClientOnly 1
ORPort 0
SocksPort 127.0.0.1:{SOCKS}
ControlPort 127.0.0.1:{CONTROL}
CookieAuthentication 0
MaxCircuitDirtiness 10
"""
# With more cells in a queue, a relay destroys the circuit (RESOURCELIMIT at the client). Bulk downloads over slow
# guards meet that now and then, with conflux and without.
PARAMETERS = {"cc_alg": 2, "cfx_enabled": 1, "circ_max_cell_queue_size": 1250, "circ_max_cell_queue_size_out": 1000}

RESOLV = "nameserver 127.0.0.1\n"


def authority_lines(authorities, keys, addresses):
    """How all others know the authorities."""
    return "".join(f"DirAuthority {host.name} orport={OR} v3ident={keys[host.name].identity} "
                   f"{addresses[host.name]}:{DIR} {keys[host.name].fingerprint}\n" for host in authorities)


def votes(guards, exits, parameters):
    """What authorities vote for."""
    lines = [f"TestingDirAuthVote{role} {named(chosen)}\n" for role, chosen in (("Guard", guards), ("Exit", exits))]
    said = " ".join(f"{key}={value}" for key, value in sorted(parameters.items()))
    return "".join(lines) + f"ConsensusParams {said}\n"


def named(fingerprints):
    """A list of relays, as options take it."""
    return ",".join("$" + fingerprint for fingerprint in fingerprints)


def relay(host, address, authorities, voting):
    """Of a relay or an authority."""
    own = {"authority": AUTHORITY + voting, "exit": "ExitRelay 1\nExitPolicy accept *:*\n"}
    return (COMMON + RELAY + f"Address {address}\nNickname {host.name}\n" +
            own.get(host.role, "ExitPolicy reject *:*\n") + authorities)


def client(ux, guards, is_watched, authorities):
    """Of a client: bound to these guards, if there are any. One that is watched logs each relay cell."""
    return (COMMON + CLIENT + f"ConfluxClientUX {ux}\n" +
            (f"EntryNodes {named(guards)}\n" if guards else "") +
            ("Log [app,circ]debug file debug.log\n" if is_watched else "") + authorities)


def bandwidths(hosts, keys, epoch):
    """The file that a bandwidth authority would write. Its first line is a time that is not in the future."""
    return f"{epoch + 1}\n" + "".join(f"node_id=${keys[host.name].fingerprint} bw={host.mbit * 125} nick={host.name}\n"
                                     for host in hosts)
