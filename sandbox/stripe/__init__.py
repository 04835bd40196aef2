"""A stand-in for the part of Stripe that Holdfast uses. Start at `app.py`, then `routes.py`, then any noun.

It imports nothing of Holdfast's: what it does is Stripe's, so that Holdfast cannot agree with itself by accident.
"""
