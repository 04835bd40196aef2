"""The routers of this folder, for `api.main`."""

from api.catalogue import offerings, slots

ROUTERS = (offerings.router, offerings.own_router, slots.router)
