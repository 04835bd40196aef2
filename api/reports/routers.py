"""The routers of this folder, for `api.main`."""

from api.reports import accounting, business_metrics, statements

ROUTERS = (statements.router, business_metrics.router, accounting.router)
