"""Choosing a representation from the `Accept` header (RFC 9110, 12.5.1), and the CSV format."""

import pytest

from api.http.content_negotiation import CSV, JSON, PDF, csv_file, preferred
from models.domain.money import Money


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("Application/PDF", PDF),
        ("text/*", CSV),
        ("application/*", JSON),
        ("text/html, application/pdf;q=0.9, */*;q=0.8", PDF),
        ("text/csv;q=0.5, application/pdf", PDF),
        ("application/json;q=0, text/csv;q=0.1", CSV),
        ("text/html", JSON),
        ("text/csv;q=much, application/pdf;q=0.1", PDF),
        (";;,q=1", JSON),
    ],
)
def test_the_type_with_the_highest_weight_is_chosen(accept: str, expected: str) -> None:
    assert preferred(accept, [JSON, CSV, PDF]) == expected


def test_csv_has_amounts_in_major_units_and_no_formulas() -> None:
    amounts = [Money(amount_minor=-1_050, currency=currency) for currency in ("usd", "jpy", "bhd")]
    file = csv_file(["a", "b", "c", "d"], [[*amounts, '=1+"1"'], ["@now", "-1", None, "a,b"]])
    assert file.decode() == 'a,b,c,d\r\n-10.50,-1050,-1.050,"\'=1+""1"""\r\n\'@now,\'-1,,"a,b"\r\n'
