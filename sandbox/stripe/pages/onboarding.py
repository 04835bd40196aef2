"""The hosted onboarding page. Submitting it provides all requirements and activates transfers."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.stripe import account_links, onboarding
from sandbox.stripe.context import Context
from sandbox.stripe.pages.rendering import page

_PATH = "/setup/{account}/{token}"
_SEE_OTHER = 303


class OnboardingPages:
    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        return [Route(_PATH, self.show, methods=["GET"]), Route(_PATH, self.submit, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        account, token = request.path_params["account"], request.path_params["token"]
        link = account_links.find(self._context, account, token)
        if link is None:
            return self._expired(token)
        return page(
            "onboarding.html", account=account, action=request.url.path, return_url=link.hidden["return_url"] or None
        )

    async def submit(self, request: Request) -> Response:
        account, token = request.path_params["account"], request.path_params["token"]
        link = account_links.find(self._context, account, token)
        if link is None:
            return self._expired(token)
        with self._context.store.transaction():
            onboarding.complete(self._context, account)
            self._context.store.remove(account_links.KIND, token)
        if not link.hidden["return_url"]:
            return page("closed.html", title="All done", text="Your details were taken.", url=None)
        return RedirectResponse(link.hidden["return_url"], _SEE_OTHER)

    def _expired(self, token: str) -> Response:
        """Redirect a visitor with a used or expired link to the platform's `refresh_url`, as Stripe does."""
        link = self._context.store.find(account_links.KIND, token)
        if link is not None and link.hidden["refresh_url"]:
            return RedirectResponse(link.hidden["refresh_url"], _SEE_OTHER)
        return page("closed.html", 410, title="Link expired", text="Ask for a new onboarding link.", url=None)
