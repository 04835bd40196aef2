"""Reads the API's metrics as Prometheus does."""

import httpx
from fastapi import FastAPI

from api.metrics import serve_metrics
from sandbox.stack.ports import LOOPBACK


async def scrape(app: FastAPI) -> str:
    with serve_metrics(app, LOOPBACK, 0) as port:
        async with httpx.AsyncClient(trust_env=False) as prometheus:
            answer = await prometheus.get(f"http://{LOOPBACK}:{port}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.text
