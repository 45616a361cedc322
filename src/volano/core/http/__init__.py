"""HTTP for the stages: typed routes in, ASGI out.

A stage's `api.py` declares its operations with `Routes`; `PUBLIC` opens one to everybody. What is
no typed value is answered as a `Response` or, in pieces, as a `ByteStream`. `app.build` makes the
server of all of them.
"""

from starlette.responses import Response

from volano.core.http.guard import RequestLimits
from volano.core.http.request import Header
from volano.core.http.routes import PUBLIC, Answer, ByteStream, Routes

__all__ = ["PUBLIC", "Answer", "ByteStream", "Header", "RequestLimits", "Response", "Routes"]
