"""Stripe's hosted pages: Checkout and onboarding."""
