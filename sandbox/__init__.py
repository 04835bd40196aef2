"""Local stand-ins for the services around Holdfast (Postgres, Temporal, Stripe, mail, meetings), and the demo."""
