"""Sends mail over SMTP, and classifies the server's replies as temporary or permanent failures.

Errors carry the reply code only: the reply's text names addresses.
"""

from email.headerregistry import AddressHeader
from email.message import EmailMessage

import aiosmtplib

from models.settings import MailSettings, SmtpSecurity

_COMMAND_TIMEOUT_SECONDS = 10.0
"""For each of the seven or eight commands of a session."""
_PERMANENT = range(500, 600)


class TemporaryFailure(Exception):
    """The mail was not accepted; a retry may succeed. The message is the reply code, or the error's type."""


class PermanentFailure(Exception):
    """The server will never accept this mail. The message is the reply code."""


class SmtpTransport:
    """Implements `MailTransport`."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    async def send(self, mail: EmailMessage) -> None:
        """Return once the server has accepted the mail. Raises `TemporaryFailure` or `PermanentFailure`."""
        try:
            # Leaving the block sends QUIT, which raises nothing: the mail was accepted before.
            async with self._client() as client:
                # As bytes: `send_message` would fold the headers itself (see `composing`).
                sender, recipients = _addresses(mail["From"]), _addresses(mail["To"])
                await client.sendmail(sender[0], recipients, mail.as_bytes())
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _failure(error.recipients[0].code) from None
        except aiosmtplib.SMTPDataError as error:
            raise _failure(error.code) from None
        except aiosmtplib.SMTPResponseException as error:
            # The greeting, login or sender address was rejected. That is not about this mail, so it stays queued.
            raise TemporaryFailure(str(error.code)) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise TemporaryFailure(type(error).__name__) from None

    def _client(self) -> aiosmtplib.SMTP:
        settings = self._settings
        password = settings.holdfast_smtp_password
        return aiosmtplib.SMTP(
            hostname=settings.holdfast_smtp_host,
            port=settings.holdfast_smtp_port,
            username=settings.holdfast_smtp_user,
            password=password.get_secret_value() if password else None,
            use_tls=settings.holdfast_smtp_security is SmtpSecurity.TLS,
            start_tls=settings.holdfast_smtp_security is SmtpSecurity.STARTTLS,
            timeout=_COMMAND_TIMEOUT_SECONDS,
        )


def _addresses(header: AddressHeader) -> list[str]:
    return [each.addr_spec for each in header.addresses]


def _failure(code: int) -> TemporaryFailure | PermanentFailure:
    return PermanentFailure(str(code)) if code in _PERMANENT else TemporaryFailure(str(code))
