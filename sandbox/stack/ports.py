"""Free loopback ports for the processes of a local stack."""

import secrets
import socket

LOOPBACK = "127.0.0.1"

# Below the range that Linux (32768 and up) and macOS (49152 and up) take for outgoing connections: a port
# found free stays free until its server binds it, even while thousands of client connections come and go.
_CANDIDATES = range(20_000, 32_000)
_ATTEMPTS = 200

_given_out: set[int] = set()


def free_port() -> int:
    """A TCP port nobody listens on, never the same one twice in this process.

    Drawn at random, so that stacks started at the same moment do not meet.

    Raises:
        OSError: no free port after many draws.
    """
    for _ in range(_ATTEMPTS):
        port = secrets.choice(_CANDIDATES)
        if port not in _given_out and _is_free(port):
            _given_out.add(port)
            return port
    raise OSError(f"no free port on {LOOPBACK} between {_CANDIDATES.start} and {_CANDIDATES.stop - 1}")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
