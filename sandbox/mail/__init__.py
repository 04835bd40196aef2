"""A mail catcher: it takes every mail over SMTP, keeps the latest in memory, and shows them on a page."""
