"""A stand-in for the part of Stripe that Holdfast uses. Start reading at `app.py`, then `routes.py`, then any noun.

It imports nothing from Holdfast, so that the two cannot share a mistake about Stripe.
"""
