"""The events that 8x8's Jitsi as a Service sends, signed as it signs them."""

import hmac
import json
import time
from base64 import b64encode
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from sandbox.meeting.tokens import Participant

_HOST = "meeting.sandbox"


@dataclass(frozen=True)
class Reporter:
    http: httpx.AsyncClient
    url: str
    app_id: str
    secret: str

    async def came(self, room: str, who: Participant, connection: str) -> None:
        await self._send("PARTICIPANT_JOINED", room, _participant(who, connection))

    async def left(self, room: str, who: Participant, connection: str) -> None:
        await self._send("PARTICIPANT_LEFT", room, _participant(who, connection) | {"disconnectReason": "left"})

    async def recorded(self, room: str, who: Participant) -> None:
        link = f"https://recordings.{_HOST}/{uuid4().hex}.mp4?signature={uuid4().hex}"
        data = {"initiatorId": who.id, "durationSec": 60, "share": True, "preAuthenticatedLink": link}
        await self._send("RECORDING_UPLOADED", room, data)

    async def _send(self, kind: str, room: str, data: dict[str, Any]) -> None:
        """Raises `httpx.HTTPError` when it is not taken."""
        event = {
            "idempotencyKey": str(uuid4()),
            "customerId": self.app_id,
            "appId": self.app_id,
            "eventType": kind,
            "sessionId": str(uuid4()),
            "timestamp": time.time_ns() // 1_000_000,
            "fqn": f"{self.app_id}/{room}",
            "data": data,
        }
        body = json.dumps(event).encode()
        answer = await self.http.post(
            self.url,
            content=body,
            headers={"Content-Type": "application/json", "X-Jaas-Signature": _header(body, self.secret)},
        )
        answer.raise_for_status()


def _participant(who: Participant, connection: str) -> dict[str, Any]:
    return {
        "id": who.id,
        "name": who.name,
        "email": "",
        "avatar": "",
        "moderator": who.is_moderator,
        "participantJid": f"{connection}@{_HOST}",
    }


def _header(body: bytes, secret: str) -> str:
    at = str(int(time.time()))
    signature = hmac.digest(secret.encode(), f"{at}.".encode() + body, "sha256")
    return f"t={at},v1={b64encode(signature).decode()}"
