"""Every route of the API: who may call it, and a valid body for it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

ROLES = ("nobody", "student", "instructor", "operator", "other student", "other instructor")

# `ok`: the role may call the route, whatever the result. A status: the route refuses with it. The booking is between
# the student and the instructor.
TABLE = """
                                                     nobody student instructor operator o.student o.instructor
POST /v1/auth/signup                                  ok     ok       ok         ok        ok        ok
POST /v1/auth/token                                   401    401      401        401       401       401
POST /v1/auth/password-reset                          ok     ok       ok         ok        ok        ok
POST /v1/auth/password                                400    400      400        400       400       400
POST /v1/auth/password/change                         401    403      403        403       403       403
POST /v1/auth/signout                                 401    403      403        403       403       403
GET  /v1/me                                           401    ok       ok         403       ok        ok
PATCH /v1/me                                          401    ok       ok         403       ok        ok
POST /v1/me/roles                                     401    ok       ok         403       ok        ok
POST /v1/me/close                                     401    ok       ok         403       ok        ok
POST /v1/service-tokens                               401    ok       ok         ok        ok        ok
GET  /v1/service-tokens                               401    ok       ok         ok        ok        ok
DELETE /v1/service-tokens/{token_id}                  401    404      404        404       404       404
POST /v1/auth/verification                            401    ok       403        403       ok        403
POST /v1/auth/verify                                  400    400      400        400       400       400
GET  /v1/instructors/me                               401    403      ok         403       403       ok
GET  /v1/instructors/me/statements/{year}             401    403      ok         403       403       ok
POST /v1/instructors/me/onboarding-link               401    403      ok         403       403       ok
GET  /v1/instructors/me/calendar                      401    403      404        403       403       404
PUT  /v1/instructors/me/calendar                      401    403      ok         403       403       ok
DELETE /v1/instructors/me/calendar                    401    403      ok         403       403       ok
GET  /v1/instructors/{instructor_id}                  ok     ok       ok         ok        ok        ok
GET  /v1/instructors/me/offerings                     401    403      ok         403       403       ok
POST /v1/offerings                                    401    403      ok         403       403       ok
GET  /v1/offerings                                    ok     ok       ok         ok        ok        ok
GET  /v1/offerings/{offering_id}                      ok     ok       ok         ok        ok        ok
PATCH /v1/offerings/{offering_id}                     401    403      ok         403       403       403
POST /v1/offerings/{offering_id}/slots                401    403      ok         403       403       403
GET  /v1/offerings/{offering_id}/slots                ok     ok       ok         ok        ok        ok
DELETE /v1/offerings/{offering_id}/slots              401    403      ok         403       403       403
DELETE /v1/offerings/{offering_id}/slots/{slot_id}    401    403      ok         403       403       403
POST /v1/bookings                                     401    ok       403        403       ok        403
GET  /v1/bookings                                     401    ok       ok         403       ok        ok
GET  /v1/bookings/{booking_id}                        401    ok       ok         ok        404       404
GET  /v1/bookings/{booking_id}/events                 401    ok       ok         ok        404       404
GET  /v1/bookings/{booking_id}/cancellation-quote     401    ok       ok         403       404       404
GET  /v1/bookings/{booking_id}/calendar.ics           401    ok       ok         403       404       404
GET  /v1/bookings/{booking_id}/receipt.pdf            401    ok       ok         ok        404       404
GET  /v1/bookings/{booking_id}/join                   401    ok       ok         403       404       404
GET  /v1/bookings/{booking_id}/recordings             401    ok       ok         403       404       404
POST /v1/bookings/{booking_id}/approve                401    403      ok         403       403       404
POST /v1/bookings/{booking_id}/reject                 401    403      ok         403       403       404
POST /v1/bookings/{booking_id}/complete               401    403      ok         403       403       404
POST /v1/bookings/{booking_id}/confirm                401    ok       403        403       404       403
POST /v1/bookings/{booking_id}/object                 401    ok       403        403       404       403
POST /v1/bookings/{booking_id}/cancel                 401    ok       ok         ok        404       404
POST /v1/bookings/{booking_id}/no-show                401    ok       ok         403       404       404
POST /v1/bookings/{booking_id}/no-show/contest        401    ok       ok         403       404       404
POST /v1/bookings/{booking_id}/reschedule             401    ok       ok         403       404       404
POST /v1/bookings/{booking_id}/reschedule/accept      401    ok       ok         403       404       404
POST /v1/bookings/{booking_id}/reschedule/decline     401    ok       ok         403       404       404
GET  /v1/operator/bookings                            401    403      403        ok        403       403
POST /v1/operator/bookings/{booking_id}/settle        401    403      403        ok        403       403
POST /v1/operator/bookings/{booking_id}/release       401    403      403        ok        403       403
POST /v1/operator/bookings/{booking_id}/refund        401    403      403        ok        403       403
POST /v1/operator/bookings/{booking_id}/extend        401    403      403        ok        403       403
POST /v1/operator/bookings/{booking_id}/retry         401    403      403        ok        403       403
POST /v1/operator/bookings/{booking_id}/dismiss       401    403      403        ok        403       403
POST /v1/operator/bookings/{booking_id}/adjust        401    403      403        ok        403       403
GET  /v1/instructors/me/payouts                       401    403      ok         403       403       ok
GET  /v1/operator/payouts                             401    403      403        ok        403       403
GET  /v1/operator/negative-balances                   401    403      403        ok        403       403
GET  /v1/operator/bookings/{booking_id}/options       401    403      403        ok        403       403
GET  /v1/operator/bookings/{booking_id}/trace         401    403      403        ok        403       403
GET  /v1/operator/bookings/{booking_id}/ledger        401    403      403        ok        403       403
GET  /v1/operator/people                              401    403      403        ok        403       403
GET  /v1/operator/people/{person_id}/export           401    403      403        404       403       403
POST /v1/operator/people/{person_id}/suspend          401    403      403        404       403       403
POST /v1/operator/people/{person_id}/reinstate        401    403      403        404       403       403
POST /v1/operator/reconciliations                     401    403      403        ok        403       403
GET  /v1/operator/reconciliations                     401    403      403        ok        403       403
GET  /v1/operator/reconciliations/{reconciliation_id} 401    403      403        404       403       403
GET  /v1/operator/drifts                              401    403      403        ok        403       403
POST /v1/operator/drifts/{drift_id}/adjust            401    403      403        404       403       403
GET  /v1/operator/disputes                            401    403      403        ok        403       403
POST /v1/operator/disputes/{dispute_id}/take-over     401    403      403        404       403       403
POST /v1/operator/disputes/{dispute_id}/submit        401    403      403        404       403       403
POST /v1/operator/disputes/{dispute_id}/accept        401    403      403        404       403       403
GET  /v1/operator/reports/tax/{year}                  401    403      403        ok        403       403
GET  /v1/operator/reports/{month}                     401    403      403        ok        403       403
GET  /v1/metrics/business                             401    403      403        ok        403       403
POST /v1/webhooks                                     401    403      403        ok        403       403
GET  /v1/webhooks                                     401    403      403        ok        403       403
GET  /v1/webhooks/{webhook_id}                        401    403      403        404       403       403
PATCH /v1/webhooks/{webhook_id}                       401    403      403        404       403       403
DELETE /v1/webhooks/{webhook_id}                      401    403      403        404       403       403
POST /v1/webhooks/{webhook_id}/rotate-secret          401    403      403        404       403       403
GET  /v1/webhooks/{webhook_id}/messages               401    403      403        404       403       403
POST /v1/webhooks/{webhook_id}/replay                 401    403      403        404       403       403
POST /v1/stripe/webhook                               400    400      400        400       400       400
POST /v1/stripe/connect-webhook                       400    400      400        400       400       400
POST /v1/meetings/webhook                             400    400      400        400       400       400
GET  /healthz                                         ok     ok       ok         ok        ok        ok
GET  /readyz                                          ok     ok       ok         ok        ok        ok
GET  /v1/openapi.json                                 ok     ok       ok         ok        ok        ok
GET  /docs                                            ok     ok       ok         ok        ok        ok
POST /mcp                                             401    403      403        403       403       403
"""

# The pages. `401`: a page that leads to the sign-in.
PAGE_TABLE = """
                                                     nobody student instructor operator o.student o.instructor
GET  /                                                ok     ok       ok         ok        ok        ok
GET  /static/{name}                                   ok     ok       ok         ok        ok        ok
GET  /offerings                                       ok     ok       ok         ok        ok        ok
GET  /offerings/{offering_id}                         ok     ok       ok         ok        ok        ok
GET  /instructors/{instructor_id}                     ok     ok       ok         ok        ok        ok
GET  /policies                                        ok     ok       ok         ok        ok        ok
GET  /sign-up                                         ok     ok       ok         ok        ok        ok
POST /sign-up                                         ok     ok       ok         ok        ok        ok
GET  /sign-in                                         ok     ok       ok         ok        ok        ok
POST /sign-in                                         401    401      401        401       401       401
GET  /sign-in/token                                   ok     ok       ok         ok        ok        ok
POST /sign-in/token                                   401    401      401        401       401       401
GET  /sign-in/provider                                404    404      404        404       404       404
GET  /sign-in/callback                                404    404      404        404       404       404
POST /sign-out                                        401    ok       ok         ok        ok        ok
POST /role                                            401    403      403        403       403       403
POST /preferences                                     ok     ok       ok         ok        ok        ok
GET  /forgotten-password                              ok     ok       ok         ok        ok        ok
POST /forgotten-password                              ok     ok       ok         ok        ok        ok
GET  /password-reset                                  ok     ok       ok         ok        ok        ok
POST /password-reset                                  400    400      400        400       400       400
GET  /verify                                          ok     ok       ok         ok        ok        ok
POST /verify                                          400    400      400        400       400       400
POST /verification                                    401    ok       403        403       ok        403
GET  /slots/{slot_id}/book                            401    ok      403        403       ok        403
POST /slots/{slot_id}/book                            401    ok      403        403       ok        403
GET  /account                                         401    ok      ok         403       ok        ok
POST /account                                         401    ok      ok         403       ok        ok
POST /account/password                                401    403     403        403       403       403
POST /account/close                                   401    ok      ok         403       ok        ok
GET  /bookings                                        401    ok      ok         403       ok        ok
GET  /bookings/{booking_id}                           401    ok      ok         403       404       404
GET  /teaching                                        401    403     ok         403       403       ok
GET  /teaching/calendar                               401    403     ok         403       403       ok
POST /teaching/calendar                               401    403     ok         403       403       ok
POST /teaching/calendar/remove                        401    403     ok         403       403       ok
GET  /teaching/new                                    401    403     ok         403       403       ok
POST /teaching/new                                    401    403     ok         403       403       ok
GET  /teaching/{offering_id}                          401    403     ok         403       403       403
POST /teaching/{offering_id}                          401    403     ok         403       403       403
POST /teaching/{offering_id}/active                   401    403     ok         403       403       403
POST /teaching/{offering_id}/slots                    401    403     ok         403       403       403
POST /teaching/{offering_id}/slots/withdraw           401    403     ok         403       403       403
GET  /earnings                                        401    403     ok         403       403       ok
GET  /earnings/{year}.pdf                             401    403     ok         403       403       ok
GET  /earnings/payouts                                401    403     ok         403       403       ok
GET  /earnings/payouts/{payout_id}                    401    403     404        403       403       404
GET  /earnings/{year}                                 401    403     ok         403       403       ok
GET  /onboarding                                      401    403     ok         403       403       ok
POST /onboarding                                      401    403     ok         403       403       ok
GET  /today                                           401    403     ok         403       403       ok
POST /bookings/{booking_id}/approve                   401    403     ok         403       403       404
POST /bookings/{booking_id}/reject                    401    403     ok         403       403       404
POST /bookings/{booking_id}/complete                  401    403     ok         403       403       404
POST /bookings/{booking_id}/confirm                   401    ok      403        403       404       403
POST /bookings/{booking_id}/object                    401    ok      403        403       404       403
POST /bookings/{booking_id}/no-show/contest           401    ok      ok         403       404       404
GET  /bookings/{booking_id}/no-show                   401    ok      ok         403       404       404
POST /bookings/{booking_id}/no-show                   401    ok      ok         403       404       404
GET  /bookings/{booking_id}/cancel                    401    ok      ok         403       404       404
POST /bookings/{booking_id}/cancel                    401    ok      ok         403       404       404
GET  /bookings/{booking_id}/reschedule                401    ok      ok         403       404       404
POST /bookings/{booking_id}/reschedule                401    ok      ok         403       404       404
POST /bookings/{booking_id}/reschedule/accept         401    ok      ok         403       404       404
POST /bookings/{booking_id}/reschedule/decline        401    ok      ok         403       404       404
GET  /bookings/{booking_id}/join                      401    ok       ok         403       404       404
GET  /bookings/{booking_id}/calendar.ics              401    ok       ok         403       404       404
GET  /bookings/{booking_id}/receipt.pdf               401    ok       ok         ok        404       404
GET  /bookings/{booking_id}/events                    401    ok       ok         ok        404       404
GET  /changes                                         401    ok       ok         403       ok        ok
GET  /operator                                        401    403      403        ok        403       403
GET  /operator/bookings                               401    403      403        ok        403       403
GET  /operator/bookings/{booking_id}                  401    403      403        ok        403       403
GET  /operator/bookings/{booking_id}/refund           401    403      403        ok        403       403
POST /operator/bookings/{booking_id}/settle           401    403      403        ok        403       403
POST /operator/bookings/{booking_id}/release          401    403      403        ok        403       403
POST /operator/bookings/{booking_id}/refund           401    403      403        ok        403       403
POST /operator/bookings/{booking_id}/extend           401    403      403        ok        403       403
POST /operator/bookings/{booking_id}/retry            401    403      403        ok        403       403
GET  /operator/disputes                               401    403      403        ok        403       403
POST /operator/disputes/{dispute_id}/take-over        401    403      403        404       403       403
POST /operator/disputes/{dispute_id}/submit           401    403      403        404       403       403
POST /operator/disputes/{dispute_id}/accept           401    403      403        404       403       403
GET  /operator/reconciliations                        401    403      403        ok        403       403
POST /operator/reconciliations                        401    403      403        ok        403       403
GET  /operator/drifts                                 401    403      403        ok        403       403
GET  /operator/drifts/{drift_id}                      401    403      403        404       403       403
POST /operator/drifts/{drift_id}/adjust               401    403      403        404       403       403
GET  /operator/people                                 401    403      403        ok        403       403
POST /operator/people/{person_id}/suspend             401    403      403        404       403       403
POST /operator/people/{person_id}/reinstate           401    403      403        404       403       403
GET  /operator/figures                                401    403      403        ok        403       403
GET  /checkout/return                                 ok     ok       ok         ok        ok        ok
GET  /checkout/cancelled                              ok     ok       ok         ok        ok        ok
GET  /onboarding/return                               ok     ok       ok         ok        ok        ok
GET  /onboarding/refresh                              ok     ok       ok         ok        ok        ok
"""


def _rows(table: str) -> dict[tuple[str, str], dict[str, str]]:
    return {
        (method, path): dict(zip(ROLES, outcomes, strict=True))
        for method, path, *outcomes in map(str.split, table.splitlines()[2:])
    }


API, PAGES = _rows(TABLE), _rows(PAGE_TABLE)
ROWS = API | PAGES
"""The outcome per role, by method and path."""

FORMS: dict[str, dict[str, str]] = {
    "/sign-up": {
        "email": "ada@students.test",
        "password": "a long enough password",
        "name": "Ada",
        "role": "student",
    },
    "/sign-in": {"email": "nobody@students.test", "password": "a long enough password"},
    "/sign-in/token": {"token": "not one"},
    "/role": {"role": "operator"},
    "/preferences": {"language": "de", "time_zone": "Europe/Berlin"},
    "/forgotten-password": {"email": "ada@students.test"},
    "/password-reset": {"token": "unknown", "password": "a long enough password"},
    "/verify": {"token": "unknown"},
    "/operator/bookings/{booking_id}/refund": {"amount": "1.00"},
    "/operator/bookings/{booking_id}/extend": {"until": "2100-01-01T10:00"},
    "/operator/drifts/{drift_id}/adjust": {"reason": "A bonus was transferred in the dashboard."},
    "/slots/{slot_id}/book": {"idempotency_key": "a key", "amount_minor": "10000", "currency": "usd"},
    "/account/close": {"sure": "yes"},
    "/account": {"name": "Ada Byron"},
    "/account/password": {"current_password": "not theirs", "new_password": "a long enough password"},
    "/teaching/calendar": {"url": "webcal://calendar.example/secret.ics"},
    "/teaching/new": {
        "title": "Fugue",
        "amount": "120",
        "currency": "usd",
        "duration_minutes": "60",
        "min_notice_minutes": "60",
        "buffer_before_minutes": "0",
        "buffer_after_minutes": "0",
    },
    "/teaching/{offering_id}": {
        "title": "Fugue",
        "amount": "120",
        "currency": "usd",
        "duration_minutes": "60",
        "min_notice_minutes": "60",
        "buffer_before_minutes": "0",
        "buffer_after_minutes": "0",
    },
    "/teaching/{offering_id}/slots": {
        "day": f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%d}",
        "time": "10:00",
        "weeks": "2",
    },
    "/teaching/{offering_id}/slots/withdraw": {"first_day": "2030-01-01", "last_day": "2030-01-02"},
    "/bookings/{booking_id}/reject": {"reason": "I am away."},
    "/bookings/{booking_id}/object": {"reason": "Nobody was there."},
    "/bookings/{booking_id}/reschedule": {"slot_id": str(UUID(int=1))},
    "/bookings/{booking_id}/reschedule/accept": {"slot_id": str(UUID(int=1))},
}
"""What is typed into the form that is sent to a path."""

BODIES: dict[str, dict[str, Any]] = {
    "signup": {"email": "ada@students.test", "password": "a long enough password", "name": "Ada", "role": "student"},
    "token": {"email": "nobody@students.test", "password": "a long enough password"},
    "password-reset": {"email": "ada@students.test"},
    "password": {"token": "unknown", "password": "a long enough password"},
    "verify": {"token": "unknown"},
    "change": {"current_password": "not theirs: they have none", "new_password": "a long enough password"},
    "me": {"name": "Ada Byron", "time_zone": "Europe/London", "language": "en-GB"},
    "roles": {"role": "instructor"},
    "webhooks": {"url": "https://crm.platform.example/holdfast", "events": ["booking.completed"]},
    "{webhook_id}": {"description": "The CRM", "is_enabled": False},
    "replay": {"from": "2026-03-01T00:00:00Z"},
    "service-tokens": {"name": "A calendar", "scopes": ["bookings:read"]},
    "offerings": {
        "title": "Counterpoint",
        "price": {"amount_minor": 10_000, "currency": "usd"},
        "duration_minutes": 60,
    },
    "{offering_id}": {"title": "Fugue", "price": {"amount_minor": 12_000, "currency": "usd"}, "is_active": False},
    "slots": {"starts_at": (datetime.now(UTC) + timedelta(days=3)).replace(second=0, microsecond=0).isoformat()},
    "calendar": {"url": "https://calendar.example/secret.ics"},
    "reject": {"reason": "I am away."},
    "object": {"reason": "Nobody was there."},
    "settle": {"reason": "Both said so."},
    "dismiss": {"reason": "The student has confirmed the payment."},
    "reschedule": {"slot_id": str(UUID(int=1))},
    "accept": {"slot_id": str(UUID(int=1))},
    "no-show": {"absent": "student"},
    "refund": {"amount_minor": 100},
    "adjust": {"drift_id": str(UUID(int=1)), "reason": "The fee was refunded in the dashboard.", "preview": True},
    "/v1/operator/drifts/{drift_id}/adjust": {"reason": "A bonus was transferred in the dashboard.", "preview": True},
    "extend": {"until": (datetime.now(UTC) + timedelta(hours=1)).isoformat()},
}
"""A valid request body, by the last segment of the path, or by the path if another one ends in the same."""


def body_of(path: str) -> dict[str, Any] | None:
    return BODIES.get(path, BODIES.get(path.rpartition("/")[2]))
