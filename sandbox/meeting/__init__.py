"""A stand-in for a Jitsi server: verifies tokens, shows the participant and their role, and reports attendance."""
