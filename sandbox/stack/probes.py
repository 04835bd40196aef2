"""Readiness probes. A probe returns False for "not yet" and never raises."""

import httpx
import psycopg

from sandbox.stack.ports import NO_TLS
from sandbox.stack.processes import Probe

_TIMEOUT_SECONDS = 2.0


def http_ok(url: str) -> Probe:
    """Ready once `GET url` returns 200."""

    async def probe() -> bool:
        # trust_env off: a proxy from the caller's environment cannot reach this machine's loopback.
        async with httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT_SECONDS, verify=NO_TLS) as client:
            try:
                return (await client.get(url)).status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

    return probe


def postgres_accepts(conninfo: str) -> Probe:
    """Ready once Postgres accepts a session. Its port is open earlier, while it is still starting."""

    async def probe() -> bool:
        try:
            connection = await psycopg.AsyncConnection.connect(conninfo, connect_timeout=2)
        except psycopg.OperationalError:
            return False
        await connection.close()
        return True

    return probe
