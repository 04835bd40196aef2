-- See many_bookings.py. Each row of `made` is a booking, and has what other rows need of it. Ids are digests.
CREATE UNLOGGED TABLE made AS
SELECT n, md5('booking' || n)::uuid AS id, md5('slot' || n)::uuid AS slot_id,
       md5('student' || floor(students * power(mod(abs(hashint4(n)::bigint), 1000003) / 1000003.0, 2)))::uuid
           AS student_id,
       instructor, md5('instructor' || instructor)::uuid AS instructor_id,
       md5('offering' || instructor * 4 + n / 7 % 4)::uuid AS offering_id,
       created_at, created_at + interval '7 days' AS starts_at, created_at + interval '7 days 30 minutes' AS ends_at,
       CASE WHEN created_at > now() - interval '1 day' THEN 'PENDING'
            WHEN created_at > now() - interval '7 days' THEN 'ACCEPTED'
            WHEN mod(abs(hashint4(n)::bigint), 100) < 85 THEN 'COMPLETED'
            WHEN mod(abs(hashint4(n)::bigint), 100) < 91 THEN 'CANCELLED'
            WHEN mod(abs(hashint4(n)::bigint), 100) < 94 THEN 'REJECTED'
            WHEN mod(abs(hashint4(n)::bigint), 100) < 97 THEN 'EXPIRED' ELSE 'NO_SHOW' END AS status
FROM (
    SELECT n, greatest(bookings / 5, 20) AS students,
           CASE WHEN n % 20 = 0 THEN 0 ELSE 1 + n % greatest(bookings / 200, 100) END AS instructor,
           now() - interval ':idle_days days' - make_interval(years => 3) * (1 - n / bookings::float) AS created_at
    FROM generate_series(1, :bookings) AS n, (SELECT :bookings::int AS bookings) AS given
) AS drawn;

INSERT INTO student (id, email, name, time_zone, email_verified_at, stripe_customer_id, created_at)
SELECT md5('student' || n)::uuid, 'student' || n || '@students.test',
       (ARRAY['Ada', 'Ben', 'Chiara', 'Dmitri', 'Eun-ji', 'Fatima', 'Greta', 'Hiro'])[1 + n % 8] || ' Student' || n,
       'UTC', now(), 'cus_' || md5('student' || n), now() - make_interval(years => 3) * (n % 1000 / 1000.0)
FROM generate_series(0, greatest(:bookings / 5, 20)) AS n;
INSERT INTO instructor (id, email, name, time_zone, stripe_account_id, transfers, events_until, reconciled_at,
                        account_checked_at, created_at)
SELECT md5('instructor' || n)::uuid, 'instructor' || n || '@instructors.test', 'Nadia Instructor' || n, 'UTC',
       'acct_' || n, 'active', now(), now() - make_interval(mins => n % 1440), now() - interval '1 year',
       now() - make_interval(years => 3)
FROM generate_series(0, greatest(:bookings / 200, 100)) AS n;
INSERT INTO credential (email, person_id, role, password_hash, generation, created_at, updated_at)
SELECT email, id, 'student', 'none', 0, created_at, created_at FROM student
UNION ALL SELECT email, id, 'instructor', 'none', 0, created_at, created_at FROM instructor;
INSERT INTO offering (id, instructor_id, title, description, duration_minutes, buffer_before_minutes,
                      buffer_after_minutes, price_minor, currency, cancellation, created_at)
SELECT md5('offering' || n)::uuid, md5('instructor' || n / 4)::uuid,
       (ARRAY['Counterpoint', 'Fugue', 'Greek', 'Chess', 'Calculus'])[1 + n % 5] || ' ' || n, 'For beginners.', 30, 0,
       0, 10000 + n % 90, 'usd', :cancellation, now() - make_interval(years => 3) + make_interval(mins => n)
FROM generate_series(0, 4 * greatest(:bookings / 200, 100) + 3) AS n;
INSERT INTO slot (id, offering_id, instructor_id, starts_at, ends_at)
SELECT slot_id, offering_id, instructor_id, starts_at, ends_at FROM made
UNION ALL
SELECT md5('free' || offering.id || n)::uuid, offering.id, instructor_id, at, at + interval '30 minutes'
FROM offering, generate_series(1, 20) AS n, LATERAL (SELECT now() + make_interval(days => n, hours => 12)) AS free (at);
INSERT INTO instructor_calendar (instructor_id, url, read_next_at, read_at, created_at)
SELECT id, 'https://calendar.test/' || id, now() + interval '1 hour', now(), now() FROM instructor
WHERE hashtext(id::text) % 5 = 0;
INSERT INTO blocked_time (instructor_id, starts_at, ends_at)
SELECT instructor_id, at, at + interval '30 minutes'
FROM instructor_calendar, generate_series(now(), now() + interval '100 days', interval '1 day') AS at;

INSERT INTO booking_request (
    id, student_id, instructor_id, offering_id, slot_id, title, starts_at, ends_at, buffer_before_minutes,
    buffer_after_minutes, status, plan, stripe_account_id, price_minor, platform_fee_minor, currency, policy,
    checkout_session_id, next_deadline_at, end_reason, needs_attention, attention_reason, attention_since, created_at,
    updated_at)
SELECT id, student_id, instructor_id, offering_id, slot_id, 'Counterpoint', starts_at, ends_at, 0, 0, status, 'HOLD',
       'acct_' || instructor, 10000, 2000, 'usd', :policy, 'cs_test_a1' || md5(id::text) || md5('cs' || n),
       CASE WHEN status IN ('PENDING', 'ACCEPTED') THEN starts_at END,
       CASE status WHEN 'COMPLETED' THEN 'completed' WHEN 'CANCELLED' THEN 'cancelled' WHEN 'REJECTED' THEN 'rejected'
                   WHEN 'EXPIRED' THEN 'approval_timeout' WHEN 'NO_SHOW' THEN 'student_absent' END,
       is_parked, CASE WHEN is_parked THEN 'settle: charge_expired_for_capture' END,
       CASE WHEN is_parked THEN created_at END, created_at, starts_at
FROM made, LATERAL (SELECT n % greatest(:bookings / 50, 1) = 7) AS attention (is_parked);
INSERT INTO idempotency_key (id, fingerprint, created_at) SELECT id, md5('a') || md5('b'), created_at FROM made;
INSERT INTO policy_acceptance (booking_id, ip_address, user_agent, at)
SELECT id, '192.0.2.1', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36', created_at FROM made;
INSERT INTO live_session (booking_id, id, status, room, total_price_minor, platform_fee_minor, instructor_payout_minor,
                          currency, created_at, updated_at)
SELECT id, md5('session' || n)::uuid, CASE status WHEN 'ACCEPTED' THEN 'SCHEDULED' ELSE status END,
       md5('room' || n) || substr(md5('more' || n), 1, 16), 10000, 2000, 8000, 'usd', created_at, starts_at
FROM made WHERE status IN ('ACCEPTED', 'COMPLETED', 'CANCELLED', 'NO_SHOW');
INSERT INTO session_report (booking_id, reported_by, reported_at, answer_until)
SELECT id, 'instructor', ends_at, ends_at FROM made WHERE status = 'COMPLETED' AND n % 10 = 0;
INSERT INTO attendance_event (id, booking_id, kind, role, connection, at, source)
SELECT md5(kind || role || n), id, kind, role, md5(role || n), starts_at, 'jaas'
FROM made, unnest(ARRAY['joined', 'left']) AS kind, unnest(ARRAY['student', 'instructor']) AS role
WHERE status = 'COMPLETED' AND n % 4 = 0;
INSERT INTO recording (id, booking_id, url, uploaded_at, expires_at)
SELECT md5('recording' || n), id, 'https://recordings.test/' || n, ends_at, ends_at + interval '30 days'
FROM made WHERE starts_at > now() - interval '20 days' AND status = 'COMPLETED';
INSERT INTO reschedule_proposal (id, booking_id, slot_id, starts_at, ends_at, proposed_by, status, created_at)
SELECT md5('proposal' || n)::uuid, id, slot_id, starts_at, ends_at, 'student',
       CASE WHEN status IN ('PENDING', 'ACCEPTED') THEN 'OPEN' ELSE 'DECLINED' END, created_at
FROM made WHERE n % 20 = 3;
INSERT INTO service_token (id, token_hash, person_id, role, name, scopes, created_at, expires_at)
SELECT md5('token' || n)::uuid, md5('hash' || n), md5('student' || n / 2)::uuid, 'student', 'A calendar',
       ARRAY['bookings:read'], now(), now() + interval '1 year'
FROM generate_series(0, :bookings / 50) AS n;
INSERT INTO service_token_booking (booking_id, token_id, price_minor, currency, created_at)
SELECT id, md5('token' || n / 50)::uuid, 10000, 'usd', created_at FROM made WHERE n % 20 = 5;

INSERT INTO payment (booking_id, plan, status, amount_minor, captured_minor, returned_minor, platform_fee_minor,
                     currency, payment_intent_id, charge_id, hold_ends_at, created_at, updated_at)
SELECT id, 'HOLD', CASE WHEN status IN ('PENDING', 'ACCEPTED') THEN 'PENDING' WHEN status = 'COMPLETED' THEN 'CAPTURED'
                        ELSE 'REFUNDED' END,
       10000, CASE status WHEN 'COMPLETED' THEN 10000 ELSE 0 END,
       CASE WHEN status IN ('PENDING', 'ACCEPTED', 'COMPLETED') THEN 0 ELSE 10000 END,
       CASE status WHEN 'COMPLETED' THEN 2000 ELSE 0 END, 'usd', 'pi_' || left(md5('pi' || n), 24),
       'ch_' || left(md5('ch' || n), 24), starts_at + interval '1 day', created_at, starts_at
FROM made;
INSERT INTO payment_renewal (booking_id, reason, amount_minor, currency, pay_by, page, requested_at, closed_at)
SELECT id, 'hold_lapsed', 10000, 'usd', starts_at, 1, created_at, starts_at FROM made WHERE n % 100 = 9;
INSERT INTO instructor_payout (id, booking_id, instructor_id, status, amount_minor, platform_fee_minor, currency,
                               stripe_payout_id, paid_at, created_at, updated_at)
SELECT md5('payout' || n)::uuid, id, instructor_id,
       CASE WHEN starts_at > now() - interval '9 days' THEN 'PROCESSING' ELSE 'PAID' END, 8000, 2000, 'usd',
       'po_' || instructor || '_' || to_char(starts_at, 'IYYYIW'),
       CASE WHEN starts_at <= now() - interval '9 days' THEN starts_at + interval '9 days' END, starts_at, starts_at
FROM made WHERE status = 'COMPLETED';
INSERT INTO refund (id, booking_id, status, amount_minor, currency, borne_by, ordered_by, tries, stripe_refund_id,
                    instructor_minor, platform_fee_minor, platform_loss_minor, created_at, updated_at)
SELECT md5('refund' || n)::uuid, id, 'SUCCEEDED', 10000, 'usd', 'BOTH', id, 1, 're_' || n, 8000, 2000, 0, ends_at,
       ends_at
FROM made WHERE status = 'COMPLETED' AND n % 100 = 1;
INSERT INTO dispute (id, booking_id, status, is_inquiry, reason, amount_minor, currency, respond_by, closed_at,
                     created_at, updated_at)
SELECT 'du_' || n, id, CASE WHEN starts_at > now() - interval '9 days' THEN 'NEEDS_RESPONSE' ELSE 'LOST' END, false,
       'fraudulent', 10000, 'usd', starts_at, CASE WHEN starts_at <= now() - interval '9 days' THEN starts_at END,
       ends_at, ends_at
FROM made WHERE status = 'COMPLETED' AND n % 200 = 3;
CREATE UNLOGGED TABLE posted AS
SELECT n, kind, md5(kind || n)::uuid AS id, made.id AS booking_id, instructor_id,
       CASE kind WHEN 'paid_out' THEN date_trunc('week', starts_at) + interval '9 days' ELSE created_at + after END AS at,
       CASE kind WHEN 'paid_out' THEN 'po_' || instructor || '_' || to_char(starts_at, 'IYYYIW') || '/' || made.id
                 WHEN 'refunded' THEN 're_' || n WHEN 'refund_sent' THEN 're_' || n
                 WHEN 'transfer_reversed' THEN 're_' || n ELSE made.id::text END AS subject
FROM made, (VALUES ('hold_placed', interval '0'), ('hold_ended', interval '7 days'), ('captured', interval '7 days'),
                   ('stripe_fee', interval '7 days'), ('transferred', interval '7 days'),
                   ('paid_out', interval '0'), ('refunded', interval '8 days'),
                   ('refund_sent', interval '8 days'), ('transfer_reversed', interval '8 days')) AS kinds (kind, after)
WHERE kind = 'hold_placed' OR kind = 'hold_ended' AND status NOT IN ('PENDING', 'ACCEPTED')
   OR status = 'COMPLETED' AND created_at + after < now() AND (
          kind IN ('captured', 'stripe_fee', 'transferred')
          OR kind = 'paid_out' AND (n % 100 <> 1 OR n % 5000 = 1) AND date_trunc('week', starts_at) + interval '9 days' < now()
          OR n % 100 = 1 AND kind IN ('refunded', 'refund_sent', 'transfer_reversed'));
INSERT INTO ledger_transaction (id, kind, subject, booking_id, instructor_id, at)
SELECT id, kind, subject, booking_id, instructor_id, at FROM posted;
INSERT INTO ledger_entry (transaction_id, line, account, currency, amount_minor)
SELECT id, line, account, 'usd', amount
FROM posted JOIN (VALUES
    ('hold_placed', 0, 'card_holds', 10000), ('hold_placed', 1, 'student_funds_held', -10000),
    ('hold_ended', 0, 'student_funds_held', 10000), ('hold_ended', 1, 'card_holds', -10000),
    ('captured', 0, 'stripe_balance', 10000), ('captured', 1, 'instructor_payable', -8000),
    ('captured', 2, 'platform_revenue', -2000),
    ('stripe_fee', 0, 'stripe_fees', 320), ('stripe_fee', 1, 'stripe_balance', -320),
    ('transferred', 0, 'connected_balance', 8000), ('transferred', 1, 'stripe_balance', -8000),
    ('paid_out', 0, 'instructor_payable', 8000), ('paid_out', 1, 'connected_balance', -8000),
    ('refunded', 0, 'instructor_payable', 8000), ('refunded', 1, 'platform_revenue', 2000),
    ('refunded', 2, 'refunds', -10000),
    ('refund_sent', 0, 'refunds', 10000), ('refund_sent', 1, 'stripe_balance', -10000),
    ('transfer_reversed', 0, 'stripe_balance', 8000), ('transfer_reversed', 1, 'connected_balance', -8000)
) AS lines (kind, line, account, amount) USING (kind);
DROP TABLE posted;
INSERT INTO instructor_balance (instructor_id, currency, amount_minor)
SELECT instructor_id, currency, sum(amount_minor)
FROM ledger_entry JOIN ledger_transaction ON id = transaction_id WHERE account = 'connected_balance' GROUP BY 1, 2;

INSERT INTO audit_event (id, booking_id, action, actor_role, actor_id, channel, detail, at)
SELECT md5(action || n)::uuid, id, 'booking.' || action, 'student', student_id, 'api',
       CASE action WHEN 'reserved' THEN jsonb_build_object('slot_id', slot_id, 'currency', 'usd', 'price_minor', 10000,
                                                           'instructor_id', instructor_id)
                   WHEN 'checkout_opened' THEN jsonb_build_object('checkout_session_id', 'cs_test_a1' || md5('cs' || n))
                   WHEN 'authorized' THEN jsonb_build_object('payment_intent_id', 'pi_' || left(md5('pi' || n), 24))
                   WHEN 'completed' THEN '{"reason": "completed", "currency": "usd", "kept_minor": 10000}'
                   ELSE '{}' END, CASE WHEN action = 'completed' THEN starts_at ELSE created_at END
FROM made, unnest(ARRAY['reserved', 'checkout_opened', 'authorized', 'accepted', 'completed']) AS action
WHERE action IN ('reserved', 'checkout_opened', 'authorized') OR status = 'COMPLETED'
   OR action = 'accepted' AND status IN ('ACCEPTED', 'CANCELLED', 'NO_SHOW');
INSERT INTO audit_event (id, booking_id, action, actor_role, channel, detail, at)
SELECT md5('deleted' || n)::uuid, md5('unpaid' || n)::uuid, 'booking.deleted', 'platform', 'workflow',
       jsonb_build_object('reason', 'checkout_expired', 'slot_id', slot_id, 'student_id', student_id), created_at
FROM made WHERE n % 50 = 3;
INSERT INTO outbox_message (id, booking_id, kind, recipient_role, recipient_id, facts, due_at, attempts,
                            next_attempt_at, sent_at, created_at, traceparent)
SELECT md5(kind || role || n)::uuid, id, kind, role, CASE role WHEN 'student' THEN student_id ELSE instructor_id END,
       '{}', at, 1, at, CASE WHEN NOT (kind = 'booking_received' AND n > :bookings - 10) THEN at END, at,
       '00-' || md5('trace' || n) || '-' || left(md5('span' || n), 16) || '-00'
FROM made, unnest(ARRAY['student', 'instructor']) AS role,
     LATERAL (VALUES ('booking_received', created_at), ('approved', created_at), ('completed', starts_at))
         AS mails (kind, at)
WHERE kind = 'booking_received' OR kind = 'approved' AND status IN ('ACCEPTED', 'COMPLETED', 'CANCELLED', 'NO_SHOW')
   OR kind = 'completed' AND status = 'COMPLETED';
INSERT INTO stripe_event (id, type, booking_id, routing_result, at)
SELECT 'evt_' || left(md5(type || n), 24), type, id, 'routed', created_at
FROM made, unnest(ARRAY['payment_intent.amount_capturable_updated', 'charge.captured']) AS type
WHERE created_at > now() - interval '60 days';
INSERT INTO webhook_endpoint (id, url, description, events, actions, key_id, secret_changed_at, secret_version,
                              created_by, created_at, updated_at)
SELECT md5('endpoint' || n)::uuid, 'https://crm.test/' || n, '', ARRAY['booking.completed'],
       ARRAY['booking.completed'], 'a', now(), 1, md5('operator')::uuid, now(), now()
FROM generate_series(0, 1) AS n;
INSERT INTO webhook_delivery (id, endpoint_id, event_id, attempts, next_attempt_at, delivered_at, created_at)
SELECT gen_random_uuid(), endpoint.id, event.id, 1, at, at, at
FROM audit_event AS event, webhook_endpoint AS endpoint
WHERE action = 'booking.completed' AND at > now() - interval '30 days';
INSERT INTO reconciliation (
    id, by_role, started_at, finished_at, accounts_read, events_read, events_redelivered, workflows_checked,
    workflows_failed, holds_released, balance_transactions_read, transactions_read, bookings_compared,
    balances_compared, fees_booked, drifts, totals, events_until, ledger_seq)
SELECT md5('run' || n)::uuid, 'platform', at, at, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '[]', at, 0
FROM generate_series(1, 24 * 365) AS n, LATERAL (SELECT now() - make_interval(hours => n)) AS run (at);
INSERT INTO drift (id, kind, booking_id, book, currency, ledger_minor, stripe_minor, detail, reconciliation_id,
                   found_at, seen_at, resolved_at)
SELECT md5('drift' || n)::uuid, 'booking', id, 'stripe_balance', 'usd', 0, 100, '', md5('run' || 1 + n % 8000)::uuid,
       starts_at, starts_at, CASE WHEN n % greatest(:bookings / 10, 1) <> 7 THEN ends_at END
FROM made WHERE n % 100 = 7;
INSERT INTO operator (id, name, created_at) VALUES (md5('operator')::uuid, 'Olu', now());
