"""The modelled part of Stripe's API: a table from method and path to operation and parameters."""

import re
from dataclasses import dataclass, field

from stripe import params as p
from stripe.params import checkout as checkout_params
from stripe.params import radar as radar_params
from stripe.params.v2 import core as v2

from sandbox.stripe import (
    account_links,
    accounts,
    application_fees,
    balance,
    charges,
    checkout_sessions,
    customers,
    disputes,
    early_fraud_warnings,
    event_objects,
    external_accounts,
    payment_intents,
    payment_methods,
    payouts,
    refunds,
    thin_events,
    transfer_reversals,
    transfers,
    v2_accounts,
    webhook_endpoints,
)
from sandbox.stripe.context import Operation


@dataclass(frozen=True)
class Route:
    """One route. `params` is the SDK's TypedDict that defines the accepted parameters."""

    method: str
    template: str
    operation: Operation
    params: type
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        named = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.template)
        object.__setattr__(self, "pattern", re.compile(f"^{named}$"))


_G, _P, _D = "GET", "POST", "DELETE"

ROUTES = (
    Route(_P, "/v1/customers", customers.create, p.CustomerCreateParams),
    Route(_G, "/v1/customers", customers.list_all, p.CustomerListParams),
    Route(_G, "/v1/customers/{customer}", customers.retrieve, p.CustomerRetrieveParams),
    Route(_P, "/v1/customers/{customer}", customers.update, p.CustomerUpdateParams),
    Route(_D, "/v1/customers/{customer}", customers.delete, p.CustomerDeleteParams),
    Route(
        _G,
        "/v1/customers/{customer}/payment_methods",
        payment_methods.list_for_customer,
        p.CustomerPaymentMethodListParams,
    ),
    Route(_P, "/v1/payment_methods", payment_methods.create, p.PaymentMethodCreateParams),
    Route(_G, "/v1/payment_methods/{payment_method}", payment_methods.retrieve, p.PaymentMethodRetrieveParams),
    Route(_P, "/v1/payment_methods/{payment_method}/attach", payment_methods.attach, p.PaymentMethodAttachParams),
    Route(_G, "/v1/account", accounts.retrieve_current, p.AccountRetrieveCurrentParams),
    Route(_P, "/v1/accounts", accounts.create, p.AccountCreateParams),
    Route(_G, "/v1/accounts", accounts.list_all, p.AccountListParams),
    Route(_G, "/v1/accounts/{account}", accounts.retrieve, p.AccountRetrieveParams),
    Route(_P, "/v1/accounts/{account}", accounts.update, p.AccountUpdateParams),
    Route(_D, "/v1/accounts/{account}", accounts.delete, p.AccountDeleteParams),
    Route(_G, "/v1/accounts/{account}/capabilities", accounts.list_capabilities, p.AccountCapabilityListParams),
    Route(
        _G,
        "/v1/accounts/{account}/capabilities/{capability}",
        accounts.retrieve_capability,
        p.AccountCapabilityRetrieveParams,
    ),
    Route(
        _P,
        "/v1/accounts/{account}/external_accounts",
        external_accounts.create,
        p.AccountExternalAccountCreateParams,
    ),
    Route(
        _G, "/v1/accounts/{account}/external_accounts", external_accounts.list_all, p.AccountExternalAccountListParams
    ),
    Route(
        _G,
        "/v1/accounts/{account}/external_accounts/{id}",
        external_accounts.retrieve,
        p.AccountExternalAccountRetrieveParams,
    ),
    Route(
        _D,
        "/v1/accounts/{account}/external_accounts/{id}",
        external_accounts.delete,
        p.AccountExternalAccountDeleteParams,
    ),
    Route(_P, "/v1/accounts/{account}/login_links", accounts.create_login_link, p.AccountLoginLinkCreateParams),
    Route(_P, "/v1/account_links", account_links.create, p.AccountLinkCreateParams),
    Route(_P, "/v2/core/accounts", v2_accounts.create, v2.AccountCreateParams),
    Route(_G, "/v2/core/accounts", v2_accounts.list_all, v2.AccountListParams),
    Route(_G, "/v2/core/accounts/{account}", v2_accounts.retrieve, v2.AccountRetrieveParams),
    Route(_P, "/v2/core/accounts/{account}", v2_accounts.update, v2.AccountUpdateParams),
    Route(_P, "/v2/core/accounts/{account}/close", v2_accounts.close, v2.AccountCloseParams),
    Route(_P, "/v2/core/account_links", v2_accounts.create_link, v2.AccountLinkCreateParams),
    Route(_G, "/v2/core/events", thin_events.list_all, v2.EventListParams),
    Route(_G, "/v2/core/events/{id}", thin_events.retrieve, v2.EventRetrieveParams),
    Route(_P, "/v2/core/event_destinations", thin_events.create_destination, v2.EventDestinationCreateParams),
    Route(_P, "/v1/checkout/sessions", checkout_sessions.create, checkout_params.SessionCreateParams),
    Route(_G, "/v1/checkout/sessions", checkout_sessions.list_all, checkout_params.SessionListParams),
    Route(_G, "/v1/checkout/sessions/{session}", checkout_sessions.retrieve, checkout_params.SessionRetrieveParams),
    Route(_P, "/v1/checkout/sessions/{session}", checkout_sessions.update, checkout_params.SessionUpdateParams),
    Route(_P, "/v1/checkout/sessions/{session}/expire", checkout_sessions.expire, checkout_params.SessionExpireParams),
    Route(
        _G,
        "/v1/checkout/sessions/{session}/line_items",
        checkout_sessions.list_line_items,
        checkout_params.SessionLineItemListParams,
    ),
    Route(_P, "/v1/payment_intents", payment_intents.create, p.PaymentIntentCreateParams),
    Route(_G, "/v1/payment_intents", payment_intents.list_all, p.PaymentIntentListParams),
    Route(_G, "/v1/payment_intents/{intent}", payment_intents.retrieve, p.PaymentIntentRetrieveParams),
    Route(_P, "/v1/payment_intents/{intent}", payment_intents.update, p.PaymentIntentUpdateParams),
    Route(_P, "/v1/payment_intents/{intent}/confirm", payment_intents.confirm, p.PaymentIntentConfirmParams),
    Route(_P, "/v1/payment_intents/{intent}/capture", payment_intents.capture, p.PaymentIntentCaptureParams),
    Route(_P, "/v1/payment_intents/{intent}/cancel", payment_intents.cancel, p.PaymentIntentCancelParams),
    Route(_G, "/v1/charges", charges.list_all, p.ChargeListParams),
    Route(_G, "/v1/charges/{charge}", charges.retrieve, p.ChargeRetrieveParams),
    Route(_G, "/v1/charges/{charge}/refunds", charges.list_refunds, p.ChargeListRefundsParams),
    Route(_P, "/v1/charges/{charge}", charges.update, p.ChargeUpdateParams),
    Route(_P, "/v1/refunds", refunds.create, p.RefundCreateParams),
    Route(_G, "/v1/refunds", refunds.list_all, p.RefundListParams),
    Route(_G, "/v1/refunds/{refund}", refunds.retrieve, p.RefundRetrieveParams),
    Route(_P, "/v1/refunds/{refund}", refunds.update, p.RefundUpdateParams),
    Route(_P, "/v1/transfers", transfers.create, p.TransferCreateParams),
    Route(_G, "/v1/transfers", transfers.list_all, p.TransferListParams),
    Route(_G, "/v1/transfers/{transfer}", transfers.retrieve, p.TransferRetrieveParams),
    Route(_P, "/v1/transfers/{transfer}", transfers.update, p.TransferUpdateParams),
    Route(_P, "/v1/transfers/{id}/reversals", transfer_reversals.create, p.TransferReversalCreateParams),
    Route(_G, "/v1/transfers/{id}/reversals", transfer_reversals.list_all, p.TransferReversalListParams),
    Route(_G, "/v1/transfers/{transfer}/reversals/{id}", transfer_reversals.retrieve, p.TransferReversalRetrieveParams),
    Route(_G, "/v1/application_fees", application_fees.list_all, p.ApplicationFeeListParams),
    Route(_G, "/v1/application_fees/{id}", application_fees.retrieve, p.ApplicationFeeRetrieveParams),
    Route(_P, "/v1/application_fees/{id}/refunds", application_fees.create_refund, p.ApplicationFeeRefundCreateParams),
    Route(_G, "/v1/application_fees/{id}/refunds", application_fees.list_refunds, p.ApplicationFeeRefundListParams),
    Route(_G, "/v1/balance", balance.retrieve, p.BalanceRetrieveParams),
    Route(_G, "/v1/balance_transactions", balance.list_transactions, p.BalanceTransactionListParams),
    Route(_G, "/v1/balance_transactions/{id}", balance.retrieve_transaction, p.BalanceTransactionRetrieveParams),
    Route(_P, "/v1/payouts", payouts.create, p.PayoutCreateParams),
    Route(_G, "/v1/payouts", payouts.list_all, p.PayoutListParams),
    Route(_G, "/v1/payouts/{payout}", payouts.retrieve, p.PayoutRetrieveParams),
    Route(_P, "/v1/payouts/{payout}", payouts.update, p.PayoutUpdateParams),
    Route(_P, "/v1/payouts/{payout}/cancel", payouts.cancel, p.PayoutCancelParams),
    Route(_G, "/v1/disputes", disputes.list_all, p.DisputeListParams),
    Route(_G, "/v1/disputes/{dispute}", disputes.retrieve, p.DisputeRetrieveParams),
    Route(_P, "/v1/disputes/{dispute}", disputes.update, p.DisputeUpdateParams),
    Route(_P, "/v1/disputes/{dispute}/close", disputes.close, p.DisputeCloseParams),
    Route(
        _G,
        "/v1/radar/early_fraud_warnings",
        early_fraud_warnings.list_all,
        radar_params.EarlyFraudWarningListParams,
    ),
    Route(
        _G,
        "/v1/radar/early_fraud_warnings/{early_fraud_warning}",
        early_fraud_warnings.retrieve,
        radar_params.EarlyFraudWarningRetrieveParams,
    ),
    Route(_G, "/v1/events", event_objects.list_all, p.EventListParams),
    Route(_G, "/v1/events/{id}", event_objects.retrieve, p.EventRetrieveParams),
    Route(_P, "/v1/webhook_endpoints", webhook_endpoints.create, p.WebhookEndpointCreateParams),
    Route(_G, "/v1/webhook_endpoints", webhook_endpoints.list_all, p.WebhookEndpointListParams),
    Route(_G, "/v1/webhook_endpoints/{webhook_endpoint}", webhook_endpoints.retrieve, p.WebhookEndpointRetrieveParams),
    Route(_P, "/v1/webhook_endpoints/{webhook_endpoint}", webhook_endpoints.update, p.WebhookEndpointUpdateParams),
    Route(_D, "/v1/webhook_endpoints/{webhook_endpoint}", webhook_endpoints.delete, p.WebhookEndpointDeleteParams),
)


def match(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a request and its path parameters, or None."""
    for route in ROUTES:
        if route.method == method and (found := route.pattern.match(path)):
            return route, found.groupdict()
    return None
