"""Volano: one data engine that closes the machine-learning loop.

`import volano` loads the vocabulary only; the client loads its HTTP library on first use.
"""

# Not typing's: when `python -m volano` comes here, it would still take a typing.py beside the user.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from volano.harness.model import Model as Model
    from volano.harness.model import Param as Param
    from volano.harness.model import Run as Run
    from volano.sdk.client import Client as Client

__version__ = "26.0.0"
__all__ = ["Client", "Model", "Param", "Run", "__version__"]

_HOMES = {
    "Client": "volano.sdk.client",
    "Model": "volano.harness.model",
    "Param": "volano.harness.model",
    "Run": "volano.harness.model",
}


def __getattr__(name: str) -> "Any":
    if name not in _HOMES:
        raise AttributeError(f"module 'volano' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
