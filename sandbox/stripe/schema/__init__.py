"""Stripe's own shapes, derived from the installed stripe-python, and the two uses made of them."""
