"""OpenAPI examples of statements and reports: Nadia is paid for one session, and half of it is refunded."""

from typing import Any


def _usd(amount_minor: int) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": "usd"}


def _earnings(transactions: int, *amounts: int) -> dict[str, Any]:
    names = ("gross", "refunds", "borne_by_platform", "fees", "fee_tax", "net", "exchanged", "paid_out")
    return {"transactions": transactions} | dict(zip(names, map(_usd, amounts), strict=True))


_NONE = _earnings(0, 0, 0, 0, 0, 0, 0, 0, 0)
_MARCH = _earnings(1, 10_000, 0, 0, 2_000, 0, 8_000, 0, 8_000)
_APRIL = _earnings(0, 0, 5_000, 0, -1_000, 0, -4_000, 0, 0)
_YEAR = _earnings(1, 10_000, 5_000, 0, 1_000, 0, 4_000, 0, 8_000)
_MONTH = {"month": 3, "earnings": _MARCH}
_STATEMENT_OF_CURRENCY = {
    "currency": "usd",
    "opening": _usd(0),
    "months": [{"month": month, "earnings": {3: _MARCH, 4: _APRIL}.get(month, _NONE)} for month in range(1, 13)],
    "total": _YEAR,
    "closing": _usd(-4_000),
}
_THRESHOLDS = {
    "form_1099k_gross_minor": 2_000_000,
    "form_1099k_transactions": 200,
    "dac7_consideration_minor": 0,
    "dac7_activities": 1,
}
_PAYEE = {
    "id": "0b7d5f0e-8a1c-4a63-9d1e-6a2f4f3b7c22",
    "name": "Nadia Boulanger",
    "stripe_account_id": "acct_1032D82eZvKYlo2C",
}
_QUARTER = {"quarter": 1, "earnings": _MARCH, "gross_by_month": [_usd(0), _usd(0), _usd(10_000)]}
_FILING_OF_CURRENCY = {"currency": "usd", "total": _YEAR, "quarters": [_QUARTER]}
_FILING = {"instructor": _PAYEE, "is_form_1099k_due": False, "is_dac7_due": True, "data": [_FILING_OF_CURRENCY]}
_ACCOUNT = {
    "account": "instructor_payable",
    "opening": _usd(0),
    "debits": _usd(8_000),
    "credits": _usd(8_000),
    "closing": _usd(0),
}
_KIND = {"kind": "captured", "transactions": 1, "turnover": _usd(10_000)}
_MONTH_OF_CURRENCY = {
    "currency": "usd",
    "earnings": _MARCH,
    "stripe_fees": _usd(320),
    "result": _usd(1_680),
    "accounts": [_ACCOUNT],
    "kinds": [_KIND],
}

REPORTS: dict[str, dict[str, Any]] = {
    "AccountMonth": _ACCOUNT,
    "Earnings": _MARCH,
    "TaxFiling": _FILING,
    "CurrencyTaxFiling": _FILING_OF_CURRENCY,
    "PostingTotals": _KIND,
    "CurrencyMonth": _MONTH_OF_CURRENCY,
    "StatementMonth": _MONTH,
    "MonthlyReport": {"month": "2026-03", "data": [_MONTH_OF_CURRENCY]},
    "Payee": _PAYEE,
    "TaxFilingQuarter": _QUARTER,
    "Statement": {
        "year": 2026,
        "time_zone": "Europe/Paris",
        "as_of": "2026-12-31T23:00:00Z",
        "data": [_STATEMENT_OF_CURRENCY],
    },
    "CurrencyStatement": _STATEMENT_OF_CURRENCY,
    "TaxReport": {"year": 2026, "time_zone": "UTC", "thresholds": _THRESHOLDS, "data": [_FILING]},
    "Thresholds": _THRESHOLDS,
}
"""By schema name."""
