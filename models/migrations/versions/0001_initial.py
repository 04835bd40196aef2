"""The first schema.

Enum values and amounts are written out here as they were at this revision; a migration never imports code that may
change later. Statements are separated by blank lines.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0001"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# `no_double_booking` compares uuids with &&, which ranges have and uuids do not: this saves an extension (btree_gist).
_TYPES = """
CREATE TYPE uuidrange AS RANGE (subtype = uuid)

CREATE FUNCTION blocked_range(
    starts_at timestamptz, ends_at timestamptz, before_minutes integer, after_minutes integer
) RETURNS tstzrange LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN tstzrange(
    (starts_at AT TIME ZONE 'UTC' - make_interval(mins => before_minutes)) AT TIME ZONE 'UTC',
    (ends_at AT TIME ZONE 'UTC' + make_interval(mins => after_minutes)) AT TIME ZONE 'UTC'
)
"""

_PEOPLE = """
CREATE TABLE student (
    id uuid PRIMARY KEY,
    email varchar NOT NULL UNIQUE,
    name varchar NOT NULL,
    time_zone varchar NOT NULL,
    language varchar DEFAULT 'en' NOT NULL,
    email_verified_at timestamptz,
    stripe_customer_id varchar UNIQUE,
    created_at timestamptz NOT NULL,
    closed_at timestamptz,
    suspended_at timestamptz
)

CREATE INDEX ix_student_created ON student (created_at, id)

CREATE INDEX ix_student_email_prefix ON student (email text_pattern_ops)

CREATE INDEX ix_student_name ON student USING gin (search_document(name, ''))

CREATE TABLE instructor (
    id uuid PRIMARY KEY,
    email varchar NOT NULL UNIQUE,
    name varchar NOT NULL,
    time_zone varchar NOT NULL,
    language varchar DEFAULT 'en' NOT NULL,
    stripe_account_id varchar UNIQUE,
    transfers varchar(24),
    requirements jsonb DEFAULT '[]'::jsonb NOT NULL,
    disabled_reason varchar,
    account_checked_at timestamptz,
    events_until timestamptz,
    reconciled_at timestamptz,
    onboarding_url varchar,
    onboarding_url_expires_at timestamptz,
    created_at timestamptz NOT NULL,
    closed_at timestamptz,
    suspended_at timestamptz,
    CONSTRAINT transfers_is_known CHECK (transfers IN ('active', 'pending', 'inactive'))
)

CREATE INDEX ix_instructor_created ON instructor (created_at, id)

CREATE INDEX ix_instructor_email_prefix ON instructor (email text_pattern_ops)

CREATE INDEX ix_instructor_name ON instructor USING gin (search_document(name, ''))

CREATE INDEX ix_instructor_account_checked ON instructor (account_checked_at)

CREATE INDEX ix_instructor_suspended ON instructor (id) WHERE suspended_at IS NOT NULL

CREATE INDEX ix_instructor_reconciled ON instructor (reconciled_at NULLS FIRST)
    WHERE stripe_account_id IS NOT NULL

CREATE TABLE instructor_calendar (
    instructor_id uuid PRIMARY KEY REFERENCES instructor (id),
    url varchar NOT NULL,
    read_next_at timestamptz NOT NULL,
    read_at timestamptz,
    problem varchar(24),
    digest varchar,
    worked_out_at timestamptz,
    created_at timestamptz NOT NULL,
    CONSTRAINT problem_is_known CHECK (problem IN (
        'address_not_public', 'name_not_resolved', 'connection_failed', 'timeout', 'too_many_redirects', 'gone',
        'status', 'too_large', 'not_a_calendar', 'too_many_events'
    ))
)

CREATE INDEX ix_instructor_calendar_read_next ON instructor_calendar (read_next_at)

CREATE TABLE blocked_time (
    instructor_id uuid NOT NULL REFERENCES instructor_calendar (instructor_id) ON DELETE CASCADE,
    ends_at timestamptz NOT NULL,
    starts_at timestamptz NOT NULL,
    PRIMARY KEY (instructor_id, ends_at),
    CONSTRAINT ends_after_start CHECK (ends_at > starts_at)
)

CREATE TABLE credential (
    email varchar PRIMARY KEY,
    person_id uuid NOT NULL UNIQUE,
    role varchar(24) NOT NULL,
    password_hash varchar NOT NULL,
    generation integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT role_is_known CHECK (role IN ('student', 'instructor')),
    CONSTRAINT email_is_normalised CHECK (email = lower(email))
)

CREATE TABLE password_reset (
    token_hash varchar PRIMARY KEY,
    person_id uuid NOT NULL REFERENCES credential (person_id),
    generation integer NOT NULL,
    expires_at timestamptz NOT NULL
)

CREATE INDEX ix_password_reset_person_id ON password_reset (person_id)

CREATE TABLE address_verification (
    token_hash varchar PRIMARY KEY,
    student_id uuid NOT NULL REFERENCES student (id),
    expires_at timestamptz NOT NULL
)

CREATE INDEX ix_address_verification_student_id ON address_verification (student_id)

CREATE TABLE operator (
    id uuid PRIMARY KEY,
    name varchar NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
)

CREATE TABLE service_token (
    id uuid PRIMARY KEY,
    token_hash varchar NOT NULL UNIQUE,
    person_id uuid NOT NULL,
    role varchar(24) NOT NULL,
    name varchar NOT NULL,
    scopes varchar[] NOT NULL,
    spend_limit_minor bigint,
    spend_limit_currency varchar(3),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT role_is_known CHECK (role IN ('student', 'instructor', 'operator', 'platform')),
    CONSTRAINT has_limit CHECK (num_nonnulls(spend_limit_minor, spend_limit_currency) IN (0, 2))
)

CREATE INDEX ix_service_token_person ON service_token (person_id, created_at, id)

CREATE TABLE service_token_booking (
    booking_id uuid PRIMARY KEY,
    token_id uuid NOT NULL REFERENCES service_token (id),
    price_minor bigint NOT NULL,
    currency varchar(3) NOT NULL,
    created_at timestamptz NOT NULL
)

CREATE INDEX ix_service_token_booking_token_id ON service_token_booking (token_id)
"""

# The scripts that put no spaces between words, as a range of a regular expression: Thai and Lao, Burmese, Khmer, then
# Chinese, Japanese and Korean.
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"

# A colon before a word is escaped, or SQLAlchemy would take the word for a parameter.
_SEARCH = r"""
CREATE FUNCTION folded_text(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    replace(replace(translate(normalize(regexp_replace(
        normalize(casefold(normalize(value, NFKD) COLLATE pg_unicode_fast), NFKD),
        '[\u0300-\u036f\u00ad\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]', '', 'g'
    ), NFC), 'øłđ♯', 'old#'), 'æ', 'ae'), 'œ', 'oe')

CREATE FUNCTION search_words(value text) RETURNS SETOF text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (
    regexp_matches(
        regexp_replace(folded_text(value), '(?![+#])[[\:punct\:][\:space\:][\:cntrl\:]]', ' ', 'g'),
        '[UNSPACED]+|[^ +#UNSPACED][^ UNSPACED]*', 'g'
    )
)[1]

CREATE FUNCTION search_pairs(word text) RETURNS TABLE (first text, pair text, nth bigint)
LANGUAGE sql IMMUTABLE PARALLEL SAFE BEGIN ATOMIC
    SELECT letter, letter || lead(letter) OVER (ORDER BY n), n
    FROM regexp_split_to_table(word, '') WITH ORDINALITY AS letters (letter, n);
END

CREATE FUNCTION search_document(title varchar, description varchar) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 1000 RETURN (
    SELECT coalesce(string_agg(CASE WHEN word ~ '^[UNSPACED]' THEN (
        SELECT string_agg(concat_ws(' ', quote_literal(first) || at, quote_literal(pair) || at), ' ')
        FROM search_pairs(word), concat(':', start + nth) AS at
    ) ELSE quote_literal(left(word, 100)) END, ' '), '')::tsvector
    FROM (
        SELECT word, sum(length(word) + 1) OVER (ORDER BY n) - length(word) AS start
        FROM search_words(title || ' ' || description) WITH ORDINALITY AS words (word, n)
    ) AS words
)

CREATE FUNCTION search_query(value text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (
    SELECT string_agg(CASE
        WHEN word ~ '^[UNSPACED].' THEN (SELECT string_agg(quote_literal(pair), ' <-> ') FROM search_pairs(word))
        WHEN word ~ '^[UNSPACED]' THEN quote_literal(word)
        ELSE quote_literal(left(word, 100)) || ':*'
    END, ' & ')::tsquery
    FROM search_words(value) AS word
)
""".replace("UNSPACED", _UNSPACED)

_CATALOGUE = """
CREATE TABLE offering (
    id uuid PRIMARY KEY,
    instructor_id uuid NOT NULL REFERENCES instructor (id),
    title varchar NOT NULL,
    description varchar NOT NULL,
    duration_minutes integer NOT NULL,
    buffer_before_minutes integer NOT NULL,
    buffer_after_minutes integer NOT NULL,
    min_notice_minutes integer DEFAULT 0 NOT NULL,
    price_minor bigint NOT NULL,
    currency varchar(3) NOT NULL,
    cancellation jsonb NOT NULL,
    is_recorded boolean DEFAULT false NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT buffers_are_not_negative CHECK (buffer_before_minutes >= 0 AND buffer_after_minutes >= 0),
    CONSTRAINT currency_is_a_code CHECK (currency ~ '^[a-z]{3}$'),
    CONSTRAINT duration_is_positive CHECK (duration_minutes > 0),
    CONSTRAINT notice_is_not_negative CHECK (min_notice_minutes >= 0),
    CONSTRAINT price_is_positive CHECK (price_minor > 0)
)

CREATE INDEX ix_offering_created ON offering (created_at, id) WHERE is_active

CREATE INDEX ix_offering_currency_price ON offering (currency, price_minor)

CREATE INDEX ix_offering_instructor_created ON offering (instructor_id, created_at, id)

CREATE INDEX ix_offering_search ON offering USING gin (search_document(title, description))

CREATE TABLE slot (
    id uuid PRIMARY KEY,
    offering_id uuid NOT NULL REFERENCES offering (id),
    instructor_id uuid NOT NULL REFERENCES instructor (id),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    CONSTRAINT ends_after_start CHECK (ends_at > starts_at)
)

CREATE INDEX ix_slot_instructor_id ON slot (instructor_id)

CREATE INDEX ix_slot_starts ON slot (starts_at) WHERE withdrawn_at IS NULL

CREATE UNIQUE INDEX uq_slot_offering_starts ON slot (offering_id, starts_at) WHERE withdrawn_at IS NULL
"""

_BOOKINGS = """
CREATE TABLE booking_request (
    id uuid PRIMARY KEY,
    student_id uuid NOT NULL REFERENCES student (id),
    instructor_id uuid NOT NULL REFERENCES instructor (id),
    offering_id uuid NOT NULL REFERENCES offering (id),
    slot_id uuid NOT NULL REFERENCES slot (id),
    title varchar NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    buffer_before_minutes integer NOT NULL,
    buffer_after_minutes integer NOT NULL,
    status varchar(24) NOT NULL,
    plan varchar(24) NOT NULL,
    stripe_account_id varchar NOT NULL,
    price_minor bigint NOT NULL,
    platform_fee_minor bigint NOT NULL,
    currency varchar(3) NOT NULL,
    policy jsonb NOT NULL,
    is_recorded boolean DEFAULT false NOT NULL,
    checkout_session_id varchar UNIQUE,
    checkout_url varchar,
    next_deadline_at timestamptz,
    end_reason varchar(24),
    rejection_reason varchar,
    needs_attention boolean NOT NULL,
    attention_reason varchar,
    attention_since timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT status_is_known CHECK (status IN (
        'PENDING', 'ACCEPTED', 'REJECTED', 'CANCELLED', 'EXPIRED', 'COMPLETED', 'NO_SHOW'
    )),
    CONSTRAINT plan_is_known CHECK (plan IN ('HOLD', 'CHARGE_THEN_TRANSFER')),
    CONSTRAINT end_reason_is_known CHECK (end_reason IN (
        'completed', 'rejected', 'approval_timeout', 'checkout_expired', 'card_declined',
        'hold_too_short', 'checkout_refused', 'cancelled', 'payment_not_renewed', 'student_absent', 'instructor_absent',
        'no_show_refuted', 'completion_timeout', 'settled_by_operator', 'released_by_operator',
        'refunded_by_operator'
    )),
    CONSTRAINT buffers_are_not_negative CHECK (buffer_before_minutes >= 0 AND buffer_after_minutes >= 0),
    CONSTRAINT currency_is_a_code CHECK (currency ~ '^[a-z]{3}$'),
    CONSTRAINT ends_after_start CHECK (ends_at > starts_at),
    CONSTRAINT fee_is_part_of_price CHECK (platform_fee_minor >= 0 AND platform_fee_minor <= price_minor),
    CONSTRAINT nobody_books_themselves CHECK (student_id <> instructor_id),
    CONSTRAINT price_is_positive CHECK (price_minor > 0),
    CONSTRAINT no_double_booking EXCLUDE USING gist (
        uuidrange(instructor_id, instructor_id, '[]') WITH &&,
        blocked_range(starts_at, ends_at, buffer_before_minutes, buffer_after_minutes) WITH &&
    ) WHERE (status IN ('PENDING', 'ACCEPTED'))
)

CREATE INDEX ix_booking_request_created ON booking_request (created_at, id)

CREATE INDEX ix_booking_request_instructor_created ON booking_request (instructor_id, created_at, id)

CREATE INDEX ix_booking_request_instructor_open ON booking_request (instructor_id, created_at, id) WHERE status IN (
        'PENDING', 'ACCEPTED'
    )

CREATE INDEX ix_booking_request_needs_attention ON booking_request (created_at, id) WHERE needs_attention

CREATE INDEX ix_booking_request_open_deadline ON booking_request (next_deadline_at) WHERE status IN (
        'PENDING', 'ACCEPTED'
    )

CREATE INDEX ix_booking_request_slot_id ON booking_request (slot_id)

CREATE INDEX ix_booking_request_starts ON booking_request (starts_at)

CREATE INDEX ix_booking_request_status_created ON booking_request (status, created_at, id)

CREATE INDEX ix_booking_request_stripe_account_id ON booking_request (stripe_account_id)

CREATE INDEX ix_booking_request_student_created ON booking_request (student_id, created_at, id)

CREATE INDEX ix_booking_request_student_open ON booking_request (student_id, next_deadline_at) WHERE status IN (
        'PENDING', 'ACCEPTED'
    )

CREATE TABLE live_session (
    booking_id uuid PRIMARY KEY REFERENCES booking_request (id),
    id uuid NOT NULL UNIQUE,
    status varchar(24) NOT NULL,
    room varchar NOT NULL UNIQUE,
    calendar_sequence integer DEFAULT 0 NOT NULL,
    total_price_minor bigint NOT NULL,
    platform_fee_minor bigint NOT NULL,
    instructor_payout_minor bigint NOT NULL,
    currency varchar(3) NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT status_is_known CHECK (status IN (
        'SCHEDULED', 'COMPLETION_REPORTED', 'COMPLETED', 'NO_SHOW', 'CANCELLED'
    )),
    CONSTRAINT currency_is_a_code CHECK (currency ~ '^[a-z]{3}$'),
    CONSTRAINT fee_is_not_negative CHECK (platform_fee_minor >= 0),
    CONSTRAINT parts_are_of_the_price CHECK (platform_fee_minor + instructor_payout_minor <= total_price_minor)
)

CREATE TABLE former_room (
    room varchar PRIMARY KEY,
    booking_id uuid NOT NULL REFERENCES live_session (booking_id)
)

CREATE INDEX ix_former_room_booking_id ON former_room (booking_id)

CREATE TABLE reschedule_proposal (
    id uuid PRIMARY KEY,
    booking_id uuid NOT NULL REFERENCES booking_request (id) ON DELETE CASCADE,
    slot_id uuid NOT NULL REFERENCES slot (id),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    proposed_by varchar(24) NOT NULL,
    status varchar(24) NOT NULL,
    created_at timestamptz NOT NULL,
    decided_at timestamptz,
    CONSTRAINT proposed_by_is_known CHECK (proposed_by IN ('student', 'instructor')),
    CONSTRAINT status_is_known CHECK (status IN ('OPEN', 'ACCEPTED', 'DECLINED', 'WITHDRAWN'))
)

CREATE INDEX ix_reschedule_proposal_booking_id ON reschedule_proposal (booking_id)

CREATE UNIQUE INDEX uq_reschedule_proposal_open ON reschedule_proposal (booking_id) WHERE status = 'OPEN'

CREATE TABLE session_report (
    booking_id uuid PRIMARY KEY REFERENCES booking_request (id),
    absent varchar(24),
    reported_by varchar(24) NOT NULL,
    reported_at timestamptz NOT NULL,
    answer_until timestamptz NOT NULL,
    answered_at timestamptz,
    objection_reason varchar,
    verdict varchar(24),
    CONSTRAINT absent_is_known CHECK (absent IN ('student', 'instructor')),
    CONSTRAINT reported_by_is_known CHECK (reported_by IN ('student', 'instructor')),
    CONSTRAINT verdict_is_known CHECK (verdict IN (
        'TOOK_PLACE', 'CUT_SHORT', 'APART', 'STUDENT_ABSENT', 'WAIT_TOO_SHORT', 'INSTRUCTOR_ABSENT', 'NOTHING_RECORDED'
    )),
    CONSTRAINT nobody_reports_themselves CHECK (reported_by <> absent),
    CONSTRAINT completion_is_the_instructors CHECK (absent IS NOT NULL OR reported_by = 'instructor'),
    CONSTRAINT objection_is_to_a_completion CHECK (objection_reason IS NULL OR absent IS NULL)
)

CREATE TABLE attendance_event (
    id varchar PRIMARY KEY,
    booking_id uuid NOT NULL REFERENCES booking_request (id),
    kind varchar(24) NOT NULL,
    role varchar(24),
    connection varchar,
    at timestamptz NOT NULL,
    source varchar(24) NOT NULL,
    CONSTRAINT kind_is_known CHECK (kind IN ('joined', 'left', 'recording_uploaded')),
    CONSTRAINT role_is_known CHECK (role IN ('student', 'instructor')),
    CONSTRAINT source_is_known CHECK (source IN ('jitsi', 'jaas')),
    CONSTRAINT people_come_and_go CHECK ((role IS NULL) = (kind = 'recording_uploaded'))
)

CREATE INDEX ix_attendance_event_booking_at ON attendance_event (booking_id, at)

CREATE TABLE recording (
    id varchar PRIMARY KEY,
    booking_id uuid NOT NULL REFERENCES booking_request (id),
    url varchar NOT NULL,
    uploaded_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
)

CREATE INDEX ix_recording_booking_id ON recording (booking_id)

CREATE INDEX ix_recording_expires_at ON recording (expires_at)

CREATE TABLE policy_acceptance (
    booking_id uuid PRIMARY KEY,
    ip_address varchar NOT NULL,
    user_agent varchar NOT NULL,
    at timestamptz NOT NULL
)

CREATE TABLE idempotency_key (
    id uuid PRIMARY KEY,
    fingerprint varchar NOT NULL,
    created_at timestamptz NOT NULL
)
"""

_PAYMENTS = """
CREATE TABLE payment (
    booking_id uuid PRIMARY KEY,
    plan varchar(24) NOT NULL,
    status varchar(24) NOT NULL,
    amount_minor bigint NOT NULL,
    captured_minor bigint NOT NULL,
    returned_minor bigint NOT NULL,
    platform_fee_minor bigint NOT NULL,
    platform_loss_minor bigint DEFAULT 0 NOT NULL,
    currency varchar(3) NOT NULL,
    payment_intent_id varchar UNIQUE,
    charge_id varchar UNIQUE,
    ending_refund_ids varchar[] DEFAULT '{}' NOT NULL,
    ending_fee_returned_minor bigint DEFAULT 0 NOT NULL,
    converted_minor bigint,
    settled_minor bigint,
    settled_currency varchar(3),
    hold_ends_at timestamptz,
    lapsed_at timestamptz,
    decline_code varchar,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT plan_is_known CHECK (plan IN ('HOLD', 'CHARGE_THEN_TRANSFER')),
    CONSTRAINT status_is_known CHECK (status IN (
        'PENDING', 'CAPTURED', 'PARTIALLY_REFUNDED', 'REFUNDED', 'FAILED', 'DISPUTED'
    )),
    CONSTRAINT amount_is_positive CHECK (amount_minor > 0),
    CONSTRAINT currency_is_a_code CHECK (currency ~ '^[a-z]{3}$'),
    CONSTRAINT fee_is_not_negative CHECK (platform_fee_minor >= 0),
    CONSTRAINT loss_is_not_negative CHECK (platform_loss_minor >= 0),
    CONSTRAINT parts_are_not_negative CHECK (captured_minor >= 0 AND returned_minor >= 0),
    CONSTRAINT parts_are_of_the_amount CHECK (captured_minor + returned_minor <= amount_minor),
    CONSTRAINT conversion_is_whole CHECK (
        (converted_minor IS NULL) = (settled_minor IS NULL) AND (settled_minor IS NULL) = (settled_currency IS NULL)
    ),
    CONSTRAINT conversion_is_positive CHECK (converted_minor > 0 AND settled_minor > 0)
)

CREATE INDEX ix_payment_hold_ends ON payment (hold_ends_at) WHERE status = 'PENDING'

CREATE TABLE payment_renewal (
    booking_id uuid PRIMARY KEY REFERENCES booking_request (id),
    reason varchar(24) NOT NULL,
    amount_minor bigint NOT NULL,
    currency varchar(3) NOT NULL,
    pay_by timestamptz NOT NULL,
    is_final boolean DEFAULT false NOT NULL,
    page integer NOT NULL,
    checkout_session_id varchar,
    checkout_url varchar,
    requested_at timestamptz NOT NULL,
    closed_at timestamptz,
    CONSTRAINT reason_is_known CHECK (reason IN ('hold_too_short', 'hold_lapsed')),
    CONSTRAINT amount_is_positive CHECK (amount_minor > 0),
    CONSTRAINT currency_is_a_code CHECK (currency ~ '^[a-z]{3}$')
)

CREATE INDEX ix_payment_renewal_open ON payment_renewal (booking_id) WHERE closed_at IS NULL

CREATE TABLE instructor_payout (
    id uuid PRIMARY KEY,
    booking_id uuid NOT NULL UNIQUE REFERENCES booking_request (id),
    instructor_id uuid NOT NULL REFERENCES instructor (id),
    status varchar(24) NOT NULL,
    amount_minor bigint NOT NULL,
    platform_fee_minor bigint NOT NULL,
    currency varchar(3) NOT NULL,
    stripe_payout_id varchar,
    failure_reason varchar,
    expected_at timestamptz,
    paid_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT status_is_known CHECK (status IN ('PROCESSING', 'PAID', 'FAILED', 'REVERSED')),
    CONSTRAINT amount_is_positive CHECK (amount_minor > 0),
    CONSTRAINT currency_is_a_code CHECK (currency ~ '^[a-z]{3}$'),
    CONSTRAINT fee_is_not_negative CHECK (platform_fee_minor >= 0)
)

CREATE INDEX ix_instructor_payout_created ON instructor_payout (created_at, id)

CREATE INDEX ix_instructor_payout_instructor_created ON instructor_payout (instructor_id, created_at, id)

CREATE INDEX ix_instructor_payout_instructor_unpaid ON instructor_payout (instructor_id, status, created_at, id)
    WHERE status <> 'PAID'

CREATE INDEX ix_instructor_payout_paid_at ON instructor_payout (paid_at) WHERE paid_at IS NOT NULL

CREATE INDEX ix_instructor_payout_stripe_payout_id ON instructor_payout (stripe_payout_id)

CREATE INDEX ix_instructor_payout_unpaid ON instructor_payout (status, created_at, id) WHERE status <> 'PAID'

CREATE TABLE refund (
    id uuid PRIMARY KEY,
    booking_id uuid NOT NULL REFERENCES booking_request (id),
    status varchar(24) NOT NULL,
    amount_minor bigint NOT NULL,
    currency varchar(3) NOT NULL,
    borne_by varchar(24) NOT NULL,
    reason varchar,
    ordered_by uuid,
    fraud_warning_id varchar UNIQUE,
    tries integer NOT NULL,
    stripe_refund_id varchar UNIQUE,
    instructor_minor bigint NOT NULL,
    platform_fee_minor bigint NOT NULL,
    platform_loss_minor bigint NOT NULL,
    pending_reason varchar,
    failure_reason varchar,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT status_is_known CHECK (status IN (
        'REQUESTED', 'RESERVED', 'PENDING', 'SUCCEEDED', 'FAILED', 'REFUSED'
    )),
    CONSTRAINT borne_by_is_known CHECK (borne_by IN ('BOTH', 'PLATFORM')),
    CONSTRAINT amount_is_positive CHECK (amount_minor > 0),
    CONSTRAINT currency_is_a_code CHECK (currency ~ '^[a-z]{3}$'),
    CONSTRAINT parts_are_not_negative CHECK (
        instructor_minor >= 0 AND platform_fee_minor >= 0 AND platform_loss_minor >= 0
    )
)

CREATE INDEX ix_refund_booking_created ON refund (booking_id, created_at)

CREATE UNIQUE INDEX uq_refund_reserved ON refund (booking_id) WHERE status = 'RESERVED'

CREATE TABLE dispute (
    id varchar PRIMARY KEY,
    booking_id uuid NOT NULL REFERENCES booking_request (id),
    status varchar(24) NOT NULL,
    is_inquiry boolean NOT NULL,
    reason varchar NOT NULL,
    amount_minor bigint NOT NULL,
    currency varchar(3) NOT NULL,
    respond_by timestamptz,
    taken_over_at timestamptz,
    answered_at timestamptz,
    closed_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT status_is_known CHECK (status IN ('NEEDS_RESPONSE', 'UNDER_REVIEW', 'WON', 'LOST', 'CLOSED')),
    CONSTRAINT amount_is_positive CHECK (amount_minor > 0),
    CONSTRAINT currency_is_a_code CHECK (currency ~ '^[a-z]{3}$')
)

CREATE INDEX ix_dispute_booking_id ON dispute (booking_id)

CREATE INDEX ix_dispute_created ON dispute (created_at, booking_id)

CREATE INDEX ix_dispute_open ON dispute (created_at, booking_id) WHERE closed_at IS NULL
"""

_LEDGER = """
CREATE TABLE ledger_transaction (
    id uuid PRIMARY KEY,
    kind varchar(24) NOT NULL,
    subject varchar NOT NULL,
    booking_id uuid,
    instructor_id uuid NOT NULL REFERENCES instructor (id),
    at timestamptz NOT NULL,
    seq bigint GENERATED BY DEFAULT AS IDENTITY,
    CONSTRAINT kind_is_known CHECK (kind IN (
        'hold_placed', 'hold_ended', 'charged', 'captured', 'stripe_fee', 'transferred', 'refunded', 'refund_sent',
        'refund_failed', 'transfer_reversed', 'paid_out', 'payout_failed', 'dispute_opened',
        'dispute_won', 'dispute_lost', 'adjusted', 'exchanged'
    ))
)

CREATE INDEX ix_ledger_transaction_at ON ledger_transaction (at)

CREATE INDEX ix_ledger_transaction_booking_seq ON ledger_transaction (booking_id, seq)

CREATE INDEX ix_ledger_transaction_instructor_at ON ledger_transaction (instructor_id, at)

CREATE INDEX ix_ledger_transaction_payout ON ledger_transaction (instructor_id, at, split_part(subject, '/', 1))
    WHERE kind IN ('paid_out', 'payout_failed')

CREATE INDEX ix_ledger_transaction_payout_id ON ledger_transaction (instructor_id, split_part(subject, '/', 1), at)
    WHERE kind IN ('paid_out', 'payout_failed')

CREATE INDEX ix_ledger_transaction_seq ON ledger_transaction (seq)

CREATE TABLE ledger_entry (
    transaction_id uuid NOT NULL REFERENCES ledger_transaction (id),
    line integer NOT NULL,
    account varchar(24) NOT NULL,
    currency varchar(3) NOT NULL,
    amount_minor bigint NOT NULL,
    PRIMARY KEY (transaction_id, line),
    CONSTRAINT account_is_known CHECK (account IN (
        'card_holds', 'student_funds_held', 'stripe_balance', 'connected_balance', 'instructor_payable',
        'platform_revenue', 'tax_payable', 'stripe_fees', 'refunds', 'disputes', 'platform_losses',
        'exchange_differences'
    )),
    CONSTRAINT currency_is_a_code CHECK (currency ~ '^[a-z]{3}$'),
    CONSTRAINT entry_is_of_something CHECK (amount_minor <> 0)
)

CREATE TABLE instructor_balance (
    instructor_id uuid NOT NULL REFERENCES instructor (id),
    currency varchar(3) NOT NULL,
    amount_minor bigint NOT NULL,
    PRIMARY KEY (instructor_id, currency)
)

CREATE INDEX ix_instructor_balance_owed ON instructor_balance (amount_minor, instructor_id) WHERE amount_minor < 0
"""

_OPERATIONS = """
CREATE TABLE audit_event (
    id uuid PRIMARY KEY,
    subject varchar(24) DEFAULT 'booking' NOT NULL,
    booking_id uuid,
    subject_id uuid,
    action varchar NOT NULL,
    actor_role varchar(24) NOT NULL,
    actor_id uuid,
    token_id uuid,
    channel varchar NOT NULL,
    detail jsonb NOT NULL,
    at timestamptz NOT NULL,
    seq bigint GENERATED BY DEFAULT AS IDENTITY,
    CONSTRAINT subject_is_known CHECK (subject IN (
        'booking', 'person', 'offering', 'instructor', 'reconciliation', 'operator', 'webhook'
    )),
    CONSTRAINT actor_role_is_known CHECK (actor_role IN ('student', 'instructor', 'operator', 'platform')),
    CONSTRAINT subject_is_named CHECK (
        (subject = 'booking') = (booking_id IS NOT NULL) AND num_nonnulls(booking_id, subject_id) = 1
    )
)

CREATE INDEX ix_audit_event_booking_seq ON audit_event (booking_id, seq)

CREATE INDEX ix_audit_event_reserved_actor ON audit_event (actor_id, at) WHERE action = 'booking.reserved'

CREATE INDEX ix_audit_event_reserved_at ON audit_event (at) WHERE action = 'booking.reserved'

CREATE INDEX ix_audit_event_student ON audit_event ((detail ->> 'student_id'), at)
    WHERE (detail ->> 'student_id') IS NOT NULL

CREATE INDEX ix_audit_event_subject_seq ON audit_event (subject_id, seq) WHERE subject_id IS NOT NULL

CREATE TABLE webhook_endpoint (
    id uuid PRIMARY KEY,
    url varchar NOT NULL,
    description varchar NOT NULL,
    events varchar[] NOT NULL,
    actions varchar[] NOT NULL,
    key_id varchar NOT NULL,
    secret_version integer NOT NULL,
    secret_changed_at timestamptz NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    disabled_at timestamptz,
    disabled_reason varchar
)

CREATE INDEX ix_webhook_endpoint_created ON webhook_endpoint (created_at, id)

CREATE TABLE webhook_delivery (
    id uuid PRIMARY KEY,
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoint (id) ON DELETE CASCADE,
    event_id uuid NOT NULL,
    attempts integer NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    delivered_at timestamptz,
    gave_up_at timestamptz,
    last_status integer,
    last_error varchar,
    created_at timestamptz NOT NULL
)

CREATE INDEX ix_webhook_delivery_open ON webhook_delivery (next_attempt_at)
    WHERE delivered_at IS NULL AND gave_up_at IS NULL

CREATE INDEX ix_webhook_delivery_endpoint ON webhook_delivery (endpoint_id, created_at, id)

CREATE INDEX ix_webhook_delivery_undelivered ON webhook_delivery (endpoint_id, created_at, id)
    WHERE delivered_at IS NULL

CREATE TABLE outbox_message (
    id uuid PRIMARY KEY,
    booking_id uuid,
    kind varchar(24) NOT NULL,
    recipient_role varchar(24),
    recipient_id uuid,
    facts jsonb NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    sent_at timestamptz,
    gave_up_at timestamptz,
    last_error varchar,
    created_at timestamptz NOT NULL,
    traceparent varchar,
    CONSTRAINT kind_is_known CHECK (kind IN (
        'booking_received', 'approved', 'rejected', 'expired', 'unpaid', 'cancelled', 'completed',
        'no_show', 'refunded', 'refund_failed', 'no_show_reported', 'completion_reported',
        'under_review', 'reschedule_proposed', 'reschedule_declined', 'reschedule_withdrawn',
        'rescheduled', 'reminder_a_day',
        'reminder_15_minutes', 'completion_due', 'payment_renewal', 'payment_renewed', 'payout_paid',
        'payout_failed', 'password_reset',
        'password_changed', 'address_verification', 'operator_digest'
    )),
    CONSTRAINT recipient_role_is_known CHECK (recipient_role IN ('student', 'instructor')),
    CONSTRAINT about_something CHECK (booking_id IS NOT NULL OR (kind IN (
        'payout_paid', 'payout_failed', 'password_reset', 'password_changed',
        'address_verification', 'operator_digest'
    ))),
    CONSTRAINT to_somebody CHECK (
        (recipient_role IS NULL) = (kind = 'operator_digest') AND (recipient_id IS NULL) = (recipient_role IS NULL)
    ),
    CONSTRAINT sent_or_given_up CHECK (sent_at IS NULL OR gave_up_at IS NULL)
)

CREATE INDEX ix_outbox_message_booking_id ON outbox_message (booking_id)

CREATE INDEX ix_outbox_message_digest ON outbox_message (created_at) WHERE kind = 'operator_digest'

CREATE INDEX ix_outbox_message_due ON outbox_message (due_at) WHERE sent_at IS NULL AND gave_up_at IS NULL

CREATE INDEX ix_outbox_message_open ON outbox_message (next_attempt_at)
    WHERE sent_at IS NULL AND gave_up_at IS NULL

CREATE TABLE stripe_event (
    id varchar PRIMARY KEY,
    type varchar NOT NULL,
    booking_id uuid,
    routing_result varchar(24) NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT routing_result_is_known CHECK (routing_result IN ('routed', 'not_ours', 'closed'))
)

CREATE INDEX ix_stripe_event_at ON stripe_event (at)

CREATE INDEX ix_stripe_event_declined ON stripe_event (booking_id, at) WHERE type = 'payment_intent.payment_failed'

CREATE INDEX ix_stripe_event_closed ON stripe_event (at) WHERE routing_result = 'closed'

CREATE TABLE reconciliation (
    id uuid PRIMARY KEY,
    by_role varchar(24) NOT NULL,
    by_id uuid,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    accounts_read integer NOT NULL,
    events_read integer NOT NULL,
    events_redelivered integer NOT NULL,
    workflows_checked integer NOT NULL,
    workflows_failed integer NOT NULL,
    holds_released integer NOT NULL,
    balance_transactions_read integer NOT NULL,
    transactions_read integer NOT NULL,
    bookings_compared integer NOT NULL,
    balances_compared integer NOT NULL,
    fees_booked integer NOT NULL,
    drifts_omitted integer DEFAULT 0 NOT NULL,
    drifts integer NOT NULL,
    totals jsonb NOT NULL,
    events_until timestamptz,
    ledger_seq bigint NOT NULL,
    CONSTRAINT by_role_is_known CHECK (by_role IN ('student', 'instructor', 'operator', 'platform'))
)

CREATE INDEX ix_reconciliation_finished ON reconciliation (finished_at) WHERE finished_at IS NOT NULL

CREATE INDEX ix_reconciliation_started ON reconciliation (started_at, id)

CREATE TABLE drift (
    id uuid PRIMARY KEY,
    kind varchar(24) NOT NULL,
    booking_id uuid,
    instructor_id uuid,
    book varchar(24) NOT NULL,
    currency varchar(3) NOT NULL,
    ledger_minor bigint NOT NULL,
    stripe_minor bigint NOT NULL,
    detail varchar NOT NULL,
    reconciliation_id uuid NOT NULL REFERENCES reconciliation (id),
    found_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    resolved_at timestamptz,
    adjusted_at timestamptz,
    CONSTRAINT kind_is_known CHECK (kind IN ('booking', 'balance', 'orphaned', 'workflow', 'instructor_workflow')),
    CONSTRAINT book_is_known CHECK (book IN ('card_holds', 'stripe_balance', 'transfers', 'connected_balance')),
    CONSTRAINT about_one CHECK (num_nonnulls(booking_id, instructor_id) = 1)
)

CREATE INDEX ix_drift_found ON drift (found_at, id)

CREATE INDEX ix_drift_open ON drift (found_at, id) WHERE resolved_at IS NULL

CREATE INDEX ix_drift_reconciliation_id ON drift (reconciliation_id)
"""

# The audit trail, the attendance and the ledger are append-only, and each ledger transaction sums to zero.
_TRIGGERS = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON attendance_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()

CREATE FUNCTION refuse_unbalanced_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    checked uuid := CASE TG_TABLE_NAME WHEN 'ledger_entry' THEN to_jsonb(NEW) ->> 'transaction_id'
                                       ELSE to_jsonb(NEW) ->> 'id' END;
BEGIN
    -- With the schema's name: a temporary table of the same name must not be what is checked.
    IF NOT EXISTS (SELECT FROM public.ledger_entry WHERE transaction_id = checked) OR EXISTS (
        SELECT FROM public.ledger_entry WHERE transaction_id = checked GROUP BY currency HAVING sum(amount_minor) <> 0
    ) THEN
        RAISE EXCEPTION 'the ledger transaction % does not sum to zero', checked USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$

CREATE CONSTRAINT TRIGGER balances AFTER INSERT ON ledger_transaction DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced_ledger()

CREATE CONSTRAINT TRIGGER balances AFTER INSERT ON ledger_entry DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced_ledger()

CREATE FUNCTION add_to_instructor_balance() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
    INSERT INTO public.instructor_balance AS balance (instructor_id, currency, amount_minor)
    SELECT instructor_id, NEW.currency, NEW.amount_minor FROM public.ledger_transaction WHERE id = NEW.transaction_id
    ON CONFLICT (instructor_id, currency) DO UPDATE SET amount_minor = balance.amount_minor + EXCLUDED.amount_minor;
    RETURN NULL;
END
$$

-- At the commit: the row of a balance is locked last and briefly, so that no two transactions wait for each other.
CREATE CONSTRAINT TRIGGER adds_up AFTER INSERT ON ledger_entry DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.account = 'connected_balance') EXECUTE FUNCTION add_to_instructor_balance()

CREATE FUNCTION notify_of_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The record that changed, and the people in whose lists it is. Nobody lists the event of a person.
    PERFORM pg_notify('holdfast_audit', concat_ws(
        ' ', coalesce(NEW.booking_id, NEW.subject_id),
        (SELECT concat_ws(' ', 'of/' || student_id, 'of/' || instructor_id)
         FROM public.booking_request WHERE id = NEW.booking_id),
        CASE WHEN NEW.subject = 'instructor' THEN 'of/' || NEW.subject_id END
    ));
    RETURN NULL;
END
$$

CREATE TRIGGER notify AFTER INSERT ON audit_event
    FOR EACH ROW WHEN (NEW.subject IN ('booking', 'person', 'instructor')) EXECUTE FUNCTION notify_of_audit_event()

CREATE FUNCTION queue_webhooks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.webhook_delivery (id, endpoint_id, event_id, attempts, next_attempt_at, created_at)
    SELECT gen_random_uuid(), endpoint.id, NEW.id, 0, clock_timestamp(), clock_timestamp()
    FROM public.webhook_endpoint AS endpoint
    WHERE endpoint.disabled_at IS NULL AND NEW.action = ANY (endpoint.actions);
    RETURN NULL;
END
$$

CREATE TRIGGER webhooks AFTER INSERT ON audit_event
    FOR EACH ROW WHEN (NEW.subject IN ('booking', 'instructor')) EXECUTE FUNCTION queue_webhooks()
"""

_TABLES = (
    "student", "instructor", "instructor_calendar", "blocked_time", "credential", "password_reset",
    "address_verification", "operator", "service_token", "service_token_booking", "offering", "slot",
    "booking_request",
    "live_session", "reschedule_proposal", "session_report", "attendance_event", "recording", "policy_acceptance",
    "idempotency_key", "payment", "payment_renewal", "instructor_payout", "refund", "dispute", "ledger_transaction",
    "ledger_entry", "instructor_balance", "audit_event", "webhook_endpoint", "webhook_delivery",
    "outbox_message", "stripe_event", "reconciliation", "drift",
    "former_room",
)  # fmt: skip

_FUNCTIONS = (
    "queue_webhooks",
    "notify_of_audit_event", "add_to_instructor_balance", "refuse_unbalanced_ledger", "refuse_change",
    "blocked_range", "search_query", "search_document", "search_pairs", "search_words", "folded_text",
)  # fmt: skip


_READ_ONLY = {"operator", "instructor_balance"}
_APPEND_ONLY = {"audit_event", "attendance_event", "ledger_transaction", "ledger_entry"}

# The API and the worker connect as `holdfast_program`, which owns nothing: it can neither alter a table or trigger, nor
# switch triggers off. It is created before the first migration, since a role belongs to the server, not to a database.
_PROGRAM = "holdfast_program"


def upgrade() -> None:
    for section in (_TYPES, _SEARCH, _PEOPLE, _CATALOGUE, _BOOKINGS, _PAYMENTS, _LEDGER, _OPERATIONS, _TRIGGERS):
        for statement in section.strip().split("\n\n"):
            op.execute(statement)
    for table in _TABLES:
        rights = "SELECT" if table in _READ_ONLY else "SELECT, INSERT"
        if table not in _READ_ONLY | _APPEND_ONLY:
            rights += ", UPDATE, DELETE"
        op.execute(f"GRANT {rights} ON {table} TO {_PROGRAM}")


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
    for function in _FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP TYPE uuidrange")
