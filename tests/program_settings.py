"""The environment variables that each program reads."""

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from api.meeting_provider import JaasSettings, JitsiSettings, MeetingSettings
from api.settings import HttpSettings, IdentitySettings, TaxReportingSettings
from models.settings import DocumentSettings, PolicySettings, RuntimeSettings, WebhookSettings
from worker import Settings as WorkerSettings

_API: tuple[type[BaseSettings], ...] = (
    *(HttpSettings, IdentitySettings, TaxReportingSettings, PolicySettings, DocumentSettings, RuntimeSettings),
    *(MeetingSettings, JitsiSettings, JaasSettings),
    WebhookSettings,
)


def _variable(kind: type[BaseSettings], name: str) -> str:
    return f"{kind.model_config.get('env_prefix', '')}{name}".upper()


def _names(*settings: type[BaseSettings]) -> set[str]:
    return {_variable(kind, name) for kind in settings for name in kind.model_fields}


SETTINGS = {"api": _names(*_API), "worker": _names(WorkerSettings)}


def _text(field: FieldInfo) -> str:
    """A default as the variable would have it; empty for none."""
    value = TypeAdapter[object](field.annotation or str).dump_python(field.default, mode="json", warnings=False)
    match value:
        case None | []:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case _:
            return str(value)


_ALL: tuple[type[BaseSettings], ...] = (*_API, WorkerSettings)

DEFAULTS = {
    _variable(kind, name): _text(field)
    for kind in _ALL
    for name, field in kind.model_fields.items()
    if not field.is_required()
}
