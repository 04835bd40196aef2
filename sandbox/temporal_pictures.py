"""Draws Temporal's UI for `docs/operations/temporal-ui.md`. Run by `python -m sandbox.screenshots`."""

from typing import Final
from urllib.parse import quote
from uuid import UUID

from playwright.async_api import Locator, Page, ViewportSize

from models.domain.actors import Actor, Role
from models.domain.ids import workflow_id
from models.domain.messages import Complete
from sandbox.demo.marketplace import Marketplace
from sandbox.demo.people import Person
from sandbox.stack.environment import PROJECT_ROOT
from workflows import search_attributes
from workflows.booking.workflow import BookingWorkflow
from workflows.orphans import OrphanSweepWorkflow

PICTURES: Final = PROJECT_ROOT / "docs" / "images"
_BOOKINGS = 'WorkflowType = "Booking"'
_NEED_ATTENTION = 'NeedsAttention = true AND ExecutionStatus = "Running"'
_COLUMNS = (
    search_attributes.SUMMARY,
    search_attributes.BOOKING_STATUS,
    search_attributes.PAYMENT_STATUS,
    search_attributes.NEEDS_ATTENTION,
)
_HIDDEN = ("Run ID", "Type", "Start", "End")
_DIALOGS = {"reset": "Reset", "terminate": "Terminate"}
_WIDE: Final[ViewportSize] = {"width": 1640, "height": 520}
_TALL: Final[ViewportSize] = {"width": 1500, "height": 780}


async def draw(market: Marketplace, page: Page, refunded: str, accepted: str, instructor: Person) -> None:
    """A refund of the one booking fails. The other one gets a signal that comes too early."""
    await _fail_refund(market, refunded)
    signal = Complete(actor=Actor(role=Role.INSTRUCTOR, id=instructor.id))
    handle = market.temporal.get_workflow_handle(workflow_id(UUID(accepted)))
    await handle.signal(BookingWorkflow.complete_signal, signal)
    workflows = f"{market.stack.temporal_ui_url}/namespaces/default/workflows"
    await page.set_viewport_size(_WIDE)
    await page.goto(f"{workflows}?query={quote(_BOOKINGS)}")
    await _choose_columns(page)
    await _draw(page, "list")
    await page.goto(f"{workflows}?query={quote(_NEED_ATTENTION)}")
    await page.get_by_role("link", name="attention-").wait_for()
    await _draw(page, "attention")
    await page.set_viewport_size(_TALL)
    await page.goto(f"{workflows}/{workflow_id(UUID(accepted))}")
    await page.get_by_role("tab", name="User Metadata").click()
    await page.frame_locator("iframe").last.get_by_text("Waits for").wait_for()
    await _draw(page, "details")
    for name, action in _DIALOGS.items():
        await page.get_by_role("button", name="More Actions").click()
        await page.get_by_role("menuitem", name=action).click()
        await _draw(page, name, page.get_by_role("dialog").last)
        await page.reload()
    await page.get_by_role("button", name="Request Cancellation").click()
    await _draw(page, "cancel", page.get_by_role("dialog").last)
    await page.reload()
    await page.get_by_role("button", name="More Actions").click()
    await page.get_by_role("menuitem", name="Send an Update").click()
    dialog = page.get_by_role("dialog").last
    await dialog.get_by_role("button").nth(1).click()
    await _draw(page, "update", dialog)


async def _fail_refund(market: Marketplace, booking_id: str) -> None:
    """The student's bank returns it, and the next sweep finds that the booking needs attention."""
    booking = await market.operator().call("GET", f"/bookings/{booking_id}")
    [refund] = booking["refunds"]
    await market.control_stripe(
        f"/refunds/{refund['stripe_refund_id']}/fail", {"failure_reason": "lost_or_stolen_card"}
    )
    await market.operator().wait_until(booking_id, needs_attention=True)
    await market.temporal.execute_workflow(OrphanSweepWorkflow.run, id="sweep-for-pictures", task_queue="holdfast")


async def _choose_columns(page: Page) -> None:
    await page.get_by_role("button", name="Configure Columns").click()
    for key in _COLUMNS:
        await page.get_by_role("button", name=f"Add {key.name} column").click()
    for name in _HIDDEN:
        await page.get_by_role("button", name=f"Remove {name} column").click()
    await page.get_by_test_id("drawer-close-button").click()


async def _draw(page: Page, name: str, part: Locator | None = None) -> None:
    # Its drawers and dialogs slide in.
    await page.wait_for_timeout(2_000)
    await (part or page).screenshot(path=PICTURES / f"temporal-{name}.png")
    print(PICTURES / f"temporal-{name}.png")
