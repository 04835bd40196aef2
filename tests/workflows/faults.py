"""Fault injection: before or after any activity of the worker, and before or after any call to Stripe."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Literal, TypeVar
from uuid import UUID

import stripe
from temporalio import activity
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.gateways import CheckoutPage, CheckoutRequest, PaymentGateway, ShareTransfer
from activities.stripe.disputes import StripeDisputes
from models.domain.disputes import ReverseDisputedTransfer
from models.domain.money import Money
from models.domain.onboarding import AccountState, OnboardingLink
from models.domain.payments import PaymentState
from models.domain.policy import Split

T = TypeVar("T")
When = Literal["before", "after"]
Step = Callable[[], Awaitable[None]]

_RETRY_DELAY = timedelta(milliseconds=50)


class Faults(Interceptor):
    """Steps planned for activities and gateway calls by name. Each is taken once, in the order planned.

    A step that raises makes its activity or call fail: `before` without effect, `after` with its effect and a lost
    response.
    """

    def __init__(self) -> None:
        self._planned: dict[tuple[When, str], list[Step]] = defaultdict(list)
        self.queues: set[str] = set()
        """The task queues of the activities that called the gateway."""
        self.calls: list[str] = []
        """The names of the gateway's calls, in order."""
        self.on_activity: Callable[[str, str, Any], Awaitable[None]] | None = None
        """Called after each activity, with its workflow's id, its name and its argument. Nobody has its result yet."""
        self.has_backoff = False
        """Whether a failed activity waits as its retry policy says. Otherwise it is retried almost at once."""

    def plan(self, when: When, name: str, step: Step, times: int = 1) -> None:
        self._planned[when, name] += [step] * times

    def fail(self, when: When, name: str, error: Exception, times: int = 1) -> None:
        async def step() -> None:
            # Without what the last raise added: the traceback of one error would grow with every attempt.
            raise error.with_traceback(None)

        self.plan(when, name, step, times)

    async def take(self, when: When, name: str) -> None:
        if planned := self._planned[when, name]:
            await planned.pop(0)()

    @property
    def all_taken(self) -> bool:
        return not any(self._planned.values())

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next, self)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, faults: Faults) -> None:
        super().__init__(next)
        self._faults = faults

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        name = input.fn.__name__
        try:
            await self._faults.take("before", name)
            result = await super().execute_activity(input)
            await self._faults.take("after", name)
            if self._faults.on_activity and (workflow_id := activity.info().workflow_id):
                await self._faults.on_activity(workflow_id, name, *input.args)
        except Exception as error:
            if self._faults.has_backoff or (
                isinstance(error, FailureError) and not isinstance(error, ApplicationError)
            ):
                raise
            raise _retried_soon(error) from error
        return result


def _retried_soon(error: Exception) -> ApplicationError:
    """The failure as Temporal would record it. While a test awaits an update, the server skips no retry delay."""
    if isinstance(error, ApplicationError):
        message, details, type_, non_retryable = error.message, error.details, error.type, error.non_retryable
    else:
        message, details, type_, non_retryable = str(error), (), type(error).__name__, False
    return ApplicationError(message, *details, type=type_, non_retryable=non_retryable, next_retry_delay=_RETRY_DELAY)


class FaultyGateway:
    """The real gateway, with the planned faults around each call. Their names are `gateway.<call>`."""

    def __init__(self, inner: PaymentGateway, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    async def create_account(self, instructor_id: UUID, email: str, *, key: str) -> str:
        return await self._around("create_account", lambda: self._inner.create_account(instructor_id, email, key=key))

    async def open_onboarding_link(self, account_id: str, *, key: str) -> OnboardingLink:
        call = "open_onboarding_link"
        return await self._around(call, lambda: self._inner.open_onboarding_link(account_id, key=key))

    async def look_up_account(self, account_id: str) -> AccountState:
        return await self._around("look_up_account", lambda: self._inner.look_up_account(account_id))

    async def create_customer(self, student_id: UUID, email: str, name: str, *, key: str) -> str:
        call = "create_customer"
        return await self._around(call, lambda: self._inner.create_customer(student_id, email, name, key=key))

    async def find_customer(self, student_id: UUID, email: str) -> str | None:
        return await self._around("find_customer", lambda: self._inner.find_customer(student_id, email))

    async def open_checkout(self, request: CheckoutRequest, *, key: str) -> CheckoutPage:
        return await self._around("open_checkout", lambda: self._inner.open_checkout(request, key=key))

    async def find_checkout(self, customer_id: str, booking_id: UUID, renewal_page: int) -> CheckoutPage | None:
        call = "find_checkout"
        return await self._around(call, lambda: self._inner.find_checkout(customer_id, booking_id, renewal_page))

    async def transfers_of(self, charge_id: str, booking_id: UUID) -> list[ShareTransfer]:
        return await self._around("transfers_of", lambda: self._inner.transfers_of(charge_id, booking_id))

    async def transfer(self, charge_id: str, account_id: str, booking_id: UUID, amount: Money, *, key: str) -> None:
        call = "transfer"
        return await self._around(
            call, lambda: self._inner.transfer(charge_id, account_id, booking_id, amount, key=key)
        )

    async def reverse_transfer(self, transfer_id: str, amount: Money, *, key: str) -> None:
        call = "reverse_transfer"
        return await self._around(call, lambda: self._inner.reverse_transfer(transfer_id, amount, key=key))

    async def refund_charge(
        self, payment_intent_id: str, booking_id: UUID, amount: Money | None, *, is_fraudulent: bool, key: str
    ) -> None:
        return await self._around(
            "refund_charge",
            lambda: self._inner.refund_charge(
                payment_intent_id, booking_id, amount, is_fraudulent=is_fraudulent, key=key
            ),
        )

    async def look_up(self, checkout_session_id: str) -> PaymentState:
        return await self._around("look_up", lambda: self._inner.look_up(checkout_session_id))

    async def expire_checkout(self, checkout_session_id: str, *, key: str) -> None:
        call = "expire_checkout"
        return await self._around(call, lambda: self._inner.expire_checkout(checkout_session_id, key=key))

    async def cancel(self, payment_intent_id: str, *, key: str) -> None:
        return await self._around("cancel", lambda: self._inner.cancel(payment_intent_id, key=key))

    async def capture(self, payment_intent_id: str, split: Split, *, key: str) -> PaymentState:
        return await self._around("capture", lambda: self._inner.capture(payment_intent_id, split, key=key))

    async def refund(self, payment_intent_id: str, booking_id: UUID, *, amount: Money | None = None, key: str) -> None:
        await self._around(
            "refund",
            lambda: self._inner.refund(payment_intent_id, booking_id, amount=amount, key=key),
        )

    async def return_fee(self, payment_intent_id: str, amount: Money, *, key: str) -> None:
        await self._around("return_fee", lambda: self._inner.return_fee(payment_intent_id, amount, key=key))

    async def reverse_share(self, payment_intent_id: str, amount: Money, *, key: str) -> None:
        await self._around("reverse_share", lambda: self._inner.reverse_share(payment_intent_id, amount, key=key))

    async def _around(self, call: str, make: Callable[[], Awaitable[T]]) -> T:
        self._faults.calls.append(call)
        if activity.in_activity():
            self._faults.queues.add(activity.info().task_queue)
        await self._faults.take("before", f"gateway.{call}")
        answer = await make()
        await self._faults.take("after", f"gateway.{call}")
        return answer


class FaultyDisputes(StripeDisputes):
    """With the faults that are planned for `gateway.reverse_disputed_transfer`."""

    def __init__(self, client: stripe.StripeClient, faults: Faults) -> None:
        super().__init__(client)
        self._faults = faults

    async def reverse_disputed_transfer(self, wanted: ReverseDisputedTransfer, *, key: str) -> Money:
        await self._faults.take("before", "gateway.reverse_disputed_transfer")
        return await super().reverse_disputed_transfer(wanted, key=key)
