"""SQLModel rows, one module per noun. Importing the package loads all of them, so `SQLModel.metadata` is complete."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
