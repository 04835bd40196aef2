"""Unknown query parameters are refused, as unknown members of a body are: a misspelt filter would widen a request."""

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute

from api.http.problems import Kind, Problem


async def refuse_unknown_parameters(request: Request) -> None:
    """For every route in the OpenAPI document. Raises the 422 `Problem`.

    The others are pages for browsers. Stripe and mail programs add parameters to links.
    """
    route: APIRoute = request.scope["route"]
    if not request.query_params or not route.include_in_schema:
        return
    known = {each.alias for each in get_flat_params(route.dependant) if isinstance(each.field_info, Query)}
    if unknown := request.query_params.keys() - known:
        why = f"There is no such parameter; there are: {', '.join(sorted(known))}." if known else "There are none."
        raise Problem(Kind.REQUEST_INVALID, errors=[{"where": f"query/{name}", "why": why} for name in sorted(unknown)])
