"""Free loopback ports for the processes of a local stack."""

import secrets
import socket
import ssl

LOOPBACK = "127.0.0.1"

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For HTTP clients of a loopback address, which would otherwise each load all certificates of the system for 16 ms."""

# Below the ephemeral ports of Linux (32768 and up) and macOS (49152 and up): no outgoing connection can take a port
# between the check and the server's bind.
_CANDIDATES = range(20_000, 32_000)
_ATTEMPTS = 200

_issued: set[int] = set()


def free_port() -> int:
    """A TCP port that is not in use. A process never gets the same port twice.

    The port is random, so that stacks that start at the same time do not collide.

    Raises:
        OSError: no free port was found.
    """
    for _ in range(_ATTEMPTS):
        port = secrets.choice(_CANDIDATES)
        if port not in _issued and is_free(port):
            _issued.add(port)
            return port
    raise OSError(f"no free port on {LOOPBACK} between {_CANDIDATES.start} and {_CANDIDATES.stop - 1}")


def is_free(port: int) -> bool:
    """Whether a server can bind the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
