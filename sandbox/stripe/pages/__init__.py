"""The pages of Stripe's that a person sees: Checkout and onboarding."""
