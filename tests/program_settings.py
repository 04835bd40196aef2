"""The environment variables that each program reads."""

from pydantic_settings import BaseSettings

from api.meeting_provider import JaasSettings, JitsiSettings, MeetingSettings
from api.settings import HttpSettings, IdentitySettings, TaxReportingSettings
from models.settings import DocumentSettings, PolicySettings, RuntimeSettings, WebhookSettings
from worker import Settings as WorkerSettings


def _names(*settings: type[BaseSettings]) -> set[str]:
    return {
        f"{kind.model_config.get('env_prefix', '')}{name}".upper() for kind in settings for name in kind.model_fields
    }


SETTINGS = {
    "api": _names(
        *(HttpSettings, IdentitySettings, TaxReportingSettings, PolicySettings, DocumentSettings, RuntimeSettings),
        *(MeetingSettings, JitsiSettings, JaasSettings),
        WebhookSettings,
    ),
    "worker": _names(WorkerSettings),
}
