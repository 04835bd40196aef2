"""Signing in with an identity provider: the authorization code flow with PKCE.

Sources: OpenID Connect Core 1.0, section 3.1; RFC 7636; RFC 9700, section 2.1.1.
"""

import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.common.security import generate_token
from authlib.integrations.httpx_client import AsyncOAuth2Client
from fastapi import Query, Request, Response

from api.http.problems import Kind, Problem, unavailable
from api.http.rate_limits import SIGN_INS, limited_by
from api.pages.browser import local_path, seal, unseal
from api.pages.page import SESSION_LASTS, Page, WithPage, page_router
from api.people.oidc import IdentityProvider, discover
from api.settings import IdentitySettings, WithSettings

router = page_router()

_ATTEMPT = "holdfast_attempt"
_ATTEMPT_LASTS = timedelta(minutes=10)
_TIMEOUT_SECONDS = 5
_CODE_VERIFIER_LENGTH = 64

_AGAIN = "Sign in again."


@router.get("/sign-in/provider", dependencies=[limited_by(SIGN_INS)])
async def start(page: WithPage, settings: WithSettings, next: Annotated[str, Query()] = "/") -> Response:
    _require_provider(settings.identity)
    metadata = await _metadata(settings.identity)
    verifier, nonce = generate_token(_CODE_VERIFIER_LENGTH), generate_token()
    async with _client(page) as client:
        url, state = client.create_authorization_url(
            metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
        )
    attempt = {"state": state, "nonce": nonce, "verifier": verifier, "next": local_path(next)}
    page.set_cookie(_ATTEMPT, seal(settings, "sign-in", json.dumps(attempt)), _ATTEMPT_LASTS)
    return page.redirect_away(url)


@router.get("/sign-in/callback", dependencies=[limited_by(SIGN_INS)])
async def finish(
    request: Request,
    page: WithPage,
    settings: WithSettings,
    code: Annotated[str, Query()] = "",
    state: Annotated[str, Query()] = "",
) -> Response:
    """Only for the browser that started the sign-in, once."""
    _require_provider(settings.identity)
    attempt: dict[str, str] = json.loads(unseal(settings, "sign-in", page.cookie(_ATTEMPT)) or "{}")
    page.drop_cookie(_ATTEMPT)
    if not code or not hmac.compare_digest(attempt.get("state", "").encode(), state.encode()) or not state:
        raise Problem(Kind.FORM_EXPIRED, _AGAIN)
    metadata = await _metadata(settings.identity)
    try:
        async with _client(page) as client:
            given = await client.fetch_token(
                metadata["token_endpoint"],
                code=code,
                code_verifier=attempt["verifier"],
                grant_type="authorization_code",
            )
    except (AuthlibBaseError, httpx.HTTPError, ValueError) as error:
        raise Problem(Kind.FORM_EXPIRED, _AGAIN) from error
    provider: IdentityProvider = request.app.state.people_identity
    identity = await provider.claims(given.get("id_token", ""), settings.identity.client_id)
    if identity is None or identity.get("nonce") != attempt["nonce"]:
        raise Problem(Kind.FORM_EXPIRED, _AGAIN)
    token, expires_at = await _bearer(provider, given, settings.identity)
    page.start_session(token, min(SESSION_LASTS, expires_at - datetime.now(UTC)))
    return page.redirect(attempt["next"])


async def _bearer(
    provider: IdentityProvider, given: dict[str, Any], settings: IdentitySettings
) -> tuple[str, datetime]:
    """The one of the provider's tokens that the API takes: the access token, or the ID token if that is opaque."""
    for token in (given.get("access_token", ""), given["id_token"]):
        claims = await provider.claims(token, settings.holdfast_oidc_audience)
        if claims is not None and await provider.caller(token) is not None:
            return token, datetime.fromtimestamp(claims["exp"], UTC)
    raise Problem(Kind.NO_ACCOUNT, "The identity provider's tokens are for another audience.")


def _client(page: Page) -> Any:
    identity, public_url = page.settings.identity, str(page.settings.http.holdfast_public_url).rstrip("/")
    secret = identity.holdfast_oidc_client_secret
    return AsyncOAuth2Client(
        identity.client_id,
        secret.get_secret_value() if secret else None,
        token_endpoint_auth_method="client_secret_basic" if secret else "none",
        redirect_uri=f"{public_url}/sign-in/callback",
        scope="openid email profile",
        code_challenge_method="S256",
        timeout=_TIMEOUT_SECONDS,
    )


async def _metadata(settings: IdentitySettings) -> dict[str, Any]:
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS) as client:
            return await discover(client, settings)
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise unavailable("The identity provider does not answer. Try again.") from error


def _require_provider(settings: IdentitySettings) -> None:
    if not settings.is_used:
        raise Problem(Kind.NOT_FOUND)
