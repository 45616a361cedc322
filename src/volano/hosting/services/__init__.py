"""Real servers on this machine, without Docker: PostgreSQL and S3 from wheels.

    with PostgresServer(folder / "postgres") as postgres, S3Server(folder / "s3") as s3:
        serve(db=postgres.url, blobs=s3.url, keys=(s3.access_key, s3.secret_key))

`volano up --real` and the tests start them by the same code.
"""

from volano.hosting.services.postgres import PostgresServer, execute
from volano.hosting.services.s3 import S3Server

__all__ = ["PostgresServer", "S3Server", "execute"]
