"""The API's own settings, from the environment. What is missing or too weak stops the start-up."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Self

from fastapi import Depends, Request
from pydantic import AfterValidator, AnyHttpUrl, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.auth import signing_keys
from models.settings import PlaceSettings, PolicySettings

_TOKEN_SECRET_BYTES = 32
"""RFC 7518, section 3.2: a key for HS256 is at least as long as the hash."""


def _long_enough(secret: SecretStr) -> SecretStr:
    if any(len(key.encode()) < _TOKEN_SECRET_BYTES for key in signing_keys(secret.get_secret_value())):
        raise ValueError(f"must have at least {_TOKEN_SECRET_BYTES} bytes; with commas, each of the secrets")
    return secret


def _without_gaps(secrets: SecretStr) -> SecretStr:
    if not all(secret.strip() for secret in secrets.get_secret_value().split(",")):
        raise ValueError("must not be empty: with an empty secret anybody could sign Stripe's events")
    return secrets


def _split(secrets: SecretStr) -> tuple[str, ...]:
    return tuple(secret.strip() for secret in secrets.get_secret_value().split(","))


class DoorSettings(BaseSettings):
    """Who is let in, and where the world finds the API."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    holdfast_token_secret: Annotated[SecretStr, AfterValidator(_long_enough)]
    """One secret, or several with commas between them: the first signs, all verify."""
    holdfast_token_lifetime: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=1))] = timedelta(
        hours=1
    )
    """Of the tokens that a sign-in gives. A token cannot be called back."""
    stripe_webhook_secret: Annotated[SecretStr, AfterValidator(_without_gaps)]
    """One secret, or several with commas between them while Stripe's endpoint is given a new one."""
    stripe_connect_webhook_secret: Annotated[SecretStr, AfterValidator(_without_gaps)]
    """The same, of the endpoint for events of connected accounts."""
    holdfast_public_url: AnyHttpUrl

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        return _split(self.stripe_webhook_secret)

    @property
    def connect_webhook_secrets(self) -> tuple[str, ...]:
        return _split(self.stripe_connect_webhook_secret)


@dataclass(frozen=True)
class Settings:
    place: PlaceSettings
    door: DoorSettings
    policy: PolicySettings

    @classmethod
    def from_environment(cls) -> Self:
        return cls(place=PlaceSettings(), door=DoorSettings(), policy=PolicySettings())


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


WithSettings = Annotated[Settings, Depends(_settings)]
