"""The shapes of Stripe's API, derived from the installed stripe-python, to validate requests and responses."""
