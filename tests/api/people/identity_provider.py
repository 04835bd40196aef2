"""A small identity provider: a real HTTP server that publishes its keys and signs tokens with them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import FastAPI
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.api.world import JSON

AUDIENCE = "holdfast"

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
        return {"issuer": provider.metadata_issuer or provider.issuer, "jwks_uri": f"{provider.issuer}/keys"}

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
