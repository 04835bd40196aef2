"""A stand-in for a Jitsi server: it checks a token, shows who enters as what, and reports who came and left."""
