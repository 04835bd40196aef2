"""What is kept, when, and who decides: generated from the settings that new bookings freeze."""

from fastapi import Response

from api.pages.page import WithPage, page_router
from api.pages.terms import refund_steps, window
from models.domain.policy import MODERATE, PRESETS

router = page_router()


@router.get("/policies")
async def policies(page: WithPage) -> Response:
    settings, language = page.settings.policy, page.language
    presets = [(name, refund_steps(settings.freeze(preset), language)) for name, preset in PRESETS.items()]
    windows = {name: window(time, language) for name, time in settings.freeze(MODERATE).deadlines}
    return page.show(
        "policies.html",
        policy=settings,
        presets=presets,
        windows=windows,
        no_show_wait=window(settings.no_show_min_wait, language),
    )
