"""HTTP for the stages: typed routes in, ASGI out.

A stage's `api.py` needs four names: `Routes` declares operations, `PUBLIC` opens one to everybody,
`Raw` and `Stream` answer with bytes. `app.build` makes the server of all of them.
"""

from volano.core.http.answer import Answer, Raw, Stream
from volano.core.http.guard import Limits
from volano.core.http.operation import PUBLIC
from volano.core.http.parameters import Header
from volano.core.http.routes import Routes

__all__ = ["PUBLIC", "Answer", "Header", "Limits", "Raw", "Routes", "Stream"]
