"""A mail catcher: accepts every mail over SMTP, keeps the latest in memory and shows them on web pages."""
