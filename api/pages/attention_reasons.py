"""Why something waits for an operator: the reasons that workflows and activities state, and what failed."""

AS_THEY_ARE = ("The payout's lines at Stripe do not add up to its amount.",)
"""People read them as they are."""
RETOLD = (
    ("declined: %(code)s (request none)", "answer: %(code)s"),
    ("declined: %(code)s (request %(id)s)", "Stripe's answer: %(code)s, request %(id)s"),
    ("settle_payment: %(failure)s", "The payment could not be captured (%(failure)s)."),
    ("release_payment: %(failure)s", "The payment could not be returned (%(failure)s)."),
    ("look_up_payment: %(failure)s", "The payment could not be looked up at Stripe (%(failure)s)."),
    ("the hold is gone", "The hold on the card is gone."),
    (
        "the hold ended before it was settled, and the student has not paid again",
        "The hold ended before it was settled, and the student has not paid again.",
    ),
    (
        "the two sides disagree, or the meeting's record contradicts the report without deciding",
        "The two sides disagree, or the meeting's record contradicts the report without deciding.",
    ),
    (
        "The refund %(id)s failed (%(failure)s): the student is owed %(amount)s",
        "The refund %(id)s failed (%(failure)s). The student is owed %(amount)s.",
    ),
    (
        "The refund %(id)s of %(amount)s cannot be followed: %(failure)s",
        "The refund %(id)s of %(amount)s cannot be followed (%(failure)s).",
    ),
    (
        "The refund %(id)s waits for funds on the platform's balance at Stripe",
        "The refund %(id)s waits for funds on the platform's balance at Stripe.",
    ),
    (
        "Stripe did not take the answer to the dispute %(id)s",
        "Stripe did not take the answer to the dispute %(id)s.",
    ),
    (
        "The card's bank warns of fraud (%(failure)s): a refund now may save a dispute",
        "The card's bank warns of fraud (%(failure)s). A refund now may save a dispute.",
    ),
    ("no workflow carries it on", "No workflow carries it on."),
    ("no workflow carries it on: %(failure)s", "No workflow carries it on. %(failure)s"),
    ("the workflow %(id)s has failed", "The workflow %(id)s has failed."),
    ("its workflow is open, and its record is not", "Its workflow is open, and its record is not."),
    (
        "its record is %(status)s, and its workflow %(other_status)s",
        "Its record is %(status)s, and its workflow %(other_status)s.",
    ),
    (
        "its payment's record is %(status)s, and its workflow's %(other_status)s",
        "Its payment's record is %(status)s, and its workflow's %(other_status)s.",
    ),
    (
        "its record starts at %(time)s, and its workflow at another time",
        "Its record starts on %(time)s, and its workflow at another time.",
    ),
    (
        "its workflow needs attention, and its record does not say so",
        "Its workflow needs attention, and its record does not say so.",
    ),
    (
        "its record says that it needs attention, and its workflow does not",
        "Its record says that it needs attention, and its workflow does not.",
    ),
    (
        "%(book)s is %(amount)s in the ledger and %(limit)s at Stripe",
        "%(book)s: %(amount)s in the ledger, %(limit)s at Stripe.",
    ),
    (
        "%(step)s fails and is tried again: %(failure)s",
        "Something cannot be recorded, and is tried again (%(step)s: %(failure)s).",
    ),
    ("%(step)s: %(failure)s", "A step failed (%(step)s: %(failure)s)."),
)
"""What people read instead: without terms of the API, or as a whole sentence."""
