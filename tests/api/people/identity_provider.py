"""A small identity provider: a real HTTP server that publishes its keys and signs tokens with them."""

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.api.world import JSON

AUDIENCE = "holdfast"
_ENDPOINTS = {"authorization": "authorize", "token": "token"}

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def algorithm(key: PrivateKey) -> str:
    return "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"


@dataclass
class Provider:
    issuer: str
    keys: dict[str, PrivateKey] = field(default_factory=dict)
    """Published keys by key id."""
    metadata_issuer: str | None = None
    fetched: int = 0
    is_down: bool = False
    authorized: JSON = field(default_factory=dict)
    """What the last browser was sent with, to sign in."""
    given: JSON = field(default_factory=dict)
    """What the token endpoint gives; nothing without the right code verifier."""

    def token(self, key: str = "one", signed_by: PrivateKey | None = None, **changed: Any) -> str:
        """A signed token. A claim set to `None` is left out."""
        now = datetime.now(UTC)
        claims: JSON = {
            "iss": self.issuer,
            "sub": "ada|1",
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + timedelta(minutes=5),
            "roles": ["student"],
            "email": "Ada@students.test",
            "email_verified": True,
            "name": "Ada",
        }
        claims = {name: value for name, value in (claims | changed).items() if value is not None}
        private = signed_by or self.keys[key]
        return jwt.encode(claims, private, algorithm=algorithm(private), headers={"kid": key})

    def published(self) -> JSON:
        return {"keys": [_public(key) | {"kid": kid, "use": "sig"} for kid, key in self.keys.items()]}


def _public(key: PrivateKey) -> JSON:
    if isinstance(key, rsa.RSAPrivateKey):
        return RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"alg": "RS256"}
    return ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"alg": "ES256"}


class _Server(uvicorn.Server):
    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.startup()
        try:
            yield
        finally:
            await self.shutdown()


@asynccontextmanager
async def identity_provider(port: int) -> AsyncIterator[Provider]:
    provider = Provider(issuer=f"http://127.0.0.1:{port}/tenant")
    app = FastAPI()

    @app.get("/tenant/.well-known/openid-configuration")
    async def metadata() -> JSON:
        endpoints = {f"{name}_endpoint": f"{provider.issuer}/{path}" for name, path in _ENDPOINTS.items()}
        issuer = provider.metadata_issuer or provider.issuer
        return {"issuer": issuer, "jwks_uri": f"{provider.issuer}/keys"} | endpoints

    @app.get("/tenant/authorize")
    async def authorize(request: Request) -> RedirectResponse:
        """Somebody who is signed in there already."""
        provider.authorized = dict(request.query_params)
        answer = urlencode({"code": "one", "state": provider.authorized["state"]})
        return RedirectResponse(f"{provider.authorized['redirect_uri']}?{answer}", 303)

    @app.post("/tenant/token")
    async def token(request: Request) -> JSONResponse:
        sent = dict(parse_qsl((await request.body()).decode()))
        challenge = urlsafe_b64encode(sha256(sent["code_verifier"].encode()).digest()).decode().rstrip("=")
        if sent["code"] != "one" or challenge != provider.authorized.get("code_challenge"):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse({"token_type": "Bearer"} | provider.given)

    @app.get("/tenant/keys")
    async def keys() -> JSON:
        provider.fetched += 1
        return {} if provider.is_down else provider.published()

    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="off")
    config.load()
    server = _Server(config)
    server.lifespan = config.lifespan_class(config)
    async with server.running():
        yield provider
