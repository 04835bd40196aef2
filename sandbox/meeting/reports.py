"""Sends the webhook events of 8x8's Jitsi as a Service, with its signature."""

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

    async def joined(self, room: str, participant: Participant, connection: str) -> None:
        await self._send("PARTICIPANT_JOINED", room, _participant(participant, connection))

    async def left(self, room: str, participant: Participant, connection: str) -> None:
        await self._send("PARTICIPANT_LEFT", room, _participant(participant, connection) | {"disconnectReason": "left"})

    async def recording_uploaded(self, room: str, participant: Participant) -> None:
        link = f"https://recordings.{_HOST}/{uuid4().hex}.mp4?signature={uuid4().hex}"
        data = {"initiatorId": participant.id, "durationSec": 60, "share": True, "preAuthenticatedLink": link}
        await self._send("RECORDING_UPLOADED", room, data)

    async def _send(self, kind: str, room: str, data: dict[str, Any]) -> None:
        """Raises `httpx.HTTPError` if the webhook does not accept the event."""
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
        response = await self.http.post(
            self.url,
            content=body,
            headers={"Content-Type": "application/json", "X-Jaas-Signature": _signature_header(body, self.secret)},
        )
        response.raise_for_status()


def _participant(participant: Participant, connection: str) -> dict[str, Any]:
    return {
        "id": participant.id,
        "name": participant.name,
        "email": "",
        "avatar": "",
        "moderator": participant.is_moderator,
        "participantJid": f"{connection}@{_HOST}",
    }


def _signature_header(body: bytes, secret: str) -> str:
    at = str(int(time.time()))
    signature = hmac.digest(secret.encode(), f"{at}.".encode() + body, "sha256")
    return f"t={at},v1={b64encode(signature).decode()}"
