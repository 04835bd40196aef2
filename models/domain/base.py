"""The base of every domain value, and so of every message of a workflow, signal, update or activity."""

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """An immutable value, compared by its fields.

    Unknown fields are ignored: during a rolling deployment or a rollback, a worker reads messages that a newer version
    wrote. So a new field always has a default, and a field is never removed or reused. Requests of the API are strict
    (`api.http.schema_types.RequestModel`).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
