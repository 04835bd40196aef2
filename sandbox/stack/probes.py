"""Readiness probes. Each answers False for "not yet" and raises nothing."""

import httpx
import psycopg

from sandbox.stack.processes import Probe

_TIMEOUT_SECONDS = 2.0


def http_ok(url: str) -> Probe:
    """Ready when `GET url` answers 200."""

    async def probe() -> bool:
        # trust_env off: a proxy from the caller's environment does not know our loopback.
        async with httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT_SECONDS) as client:
            try:
                return (await client.get(url)).status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

    return probe


def postgres_accepts(conninfo: str) -> Probe:
    """Ready when Postgres lets a client in: its port is open earlier, while it is still starting up."""

    async def probe() -> bool:
        try:
            connection = await psycopg.AsyncConnection.connect(conninfo, connect_timeout=2)
        except psycopg.OperationalError:
            return False
        await connection.close()
        return True

    return probe
