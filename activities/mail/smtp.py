"""Mail over SMTP, and what a mail server's answer means for the mail.

The whole conversation is kept out of errors: a server's words name addresses.
"""

from email.message import EmailMessage

import aiosmtplib

from models.settings import MailSettings, SmtpSecurity

_ONE_STEP_SECONDS = 10.0
"""For each of the seven or eight steps of a conversation."""
_PERMANENT = range(500, 600)


class NotNow(Exception):
    """The mail was not taken; it may be another time. Says a code."""


class Refused(Exception):
    """The mail server will never take this mail. Says its code."""


class Smtp:
    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    async def send(self, mail: EmailMessage) -> None:
        """Returns when the mail server has taken the mail. Raises `NotNow` or `Refused`."""
        try:
            # Its end, QUIT, raises nothing: the mail was taken before.
            async with self._client() as client:
                await client.send_message(mail)
        except aiosmtplib.SMTPRecipientsRefused as refused:
            raise _meaning(refused.recipients[0].code) from None
        except aiosmtplib.SMTPDataError as refused:
            raise _meaning(refused.code) from None
        except aiosmtplib.SMTPResponseException as refused:
            # The greeting, the login or our own address: that is about us, and not about this mail.
            raise NotNow(str(refused.code)) from None
        except (aiosmtplib.SMTPException, OSError) as failure:
            raise NotNow(type(failure).__name__) from None

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
            timeout=_ONE_STEP_SECONDS,
        )


def _meaning(code: int) -> NotNow | Refused:
    return Refused(str(code)) if code in _PERMANENT else NotNow(str(code))
