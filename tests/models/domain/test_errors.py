"""What a refusal of Stripe's says, and what it is about."""

import pytest

from models.domain.errors import Declined


def test_a_decline_names_the_networks_reason_before_stripes_and_the_request() -> None:
    assert (
        str(Declined("card_declined", "insufficient_funds", "req_1")) == "declined: insufficient_funds (request req_1)"
    )
    assert str(Declined("card_declined")) == "declined: card_declined (request none)"


@pytest.mark.parametrize(
    ("code", "param", "expected"),
    [
        ("resource_missing", "customer", True),
        ("resource_missing", "account", False),
        ("resource_missing", "payment_method", False),
        ("resource_missing", None, False),
        ("account_invalid", "customer", False),
        ("tax_id_invalid", "customer", False),
    ],
)
def test_only_a_missing_customer_can_be_replaced(code: str, param: str | None, expected: bool) -> None:
    assert Declined(code, param=param).is_missing_customer is expected
