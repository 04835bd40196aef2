"""Stand-ins for the outside world on one machine: Postgres, Temporal, Stripe, and the demo that plays on them."""
