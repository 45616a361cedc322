"""The user's code: where a Model is written, how it is loaded, and what it is made of."""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import SOURCE_SUFFIXES, SourceFileLoader
from linecache import getlines
from pathlib import Path
from types import CodeType, ModuleType

from volano.harness.model import Model
from volano.schemas.harness import ModelUnclear, SourceMissing
from volano.schemas.registry import UnknownRecipe

RECIPES = "volano.training.recipes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a Model subclass is written, before any of its code has run."""

    file: Path
    project: Path
    """Folder of what counts as the user's own code."""
    module: str = ""
    """Dotted name to import it by; empty for a plain file."""
    package: str = ""
    """Dotted name of `project` where that is a package."""
    class_name: str = ""

    @property
    def roots(self) -> tuple[Path, ...]:
        """Folders that top-level imports of the project are looked up in."""
        if self.package:
            return (self.project,)
        return tuple(dict.fromkeys((self.file.parent, self.project, self.project / "src")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """The code that a model is made of: its file and what that imports from its project."""

    entry: str
    files: Mapping[str, bytes]
    """Content by name relative to the project."""

    @property
    def hash(self) -> str:
        """SHA-256 over names and contents, independent of where the project lies."""
        digest = hashlib.sha256()
        for name in sorted(self.files):
            for part in (name.encode(), self.files[name]):
                digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()

    def restore(self, folder: Path) -> Path:
        """Write the files under `folder`; the path of the entry there."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / self.entry


def locate(source: str) -> Place:
    """The place that `source` names: `drawing`, `package.module:Class`, `path/model.py[:Class]`.

    Looks only; runs nothing of the source itself.
    Raises: SourceMissing, UnknownRecipe.
    """
    name, _, class_name = source.partition(":")
    if name.endswith(".py") or "/" in name:
        return _locate_file(Path(name), class_name)
    if "." not in name:
        camel = "".join(part.capitalize() for part in name.replace("-", "_").split("_"))
        module = f"{RECIPES}.{name.replace('-', '_')}.recipe"
        return _locate_module(module, class_name or camel, source)
    return _locate_module(name, class_name, source)


def place_of(model: type[Model]) -> Place:
    """The place of a class that is loaded already: a notebook's, a test's, an importable one's."""
    code = getattr(model.train, "__code__", None)
    file = Path(code.co_filename if code else inspect.getfile(model)).absolute()
    return Place(file=file, project=_project(file), class_name=model.__qualname__)


def load(place: Place) -> type[Model]:
    """The class itself. Runs the user's module: whatever that raises comes through.

    Raises: ModelUnclear (none, several, or the name is something else).
    """
    module = importlib.import_module(place.module) if place.module else _load_file(place)
    return _named(module, place) if place.class_name else _only(module, place)


def capture(place: Place) -> Captured:
    """The entry and all files of its project that it imports, directly or not, at any depth.

    Found by reading the source: nothing is run. The project's pyproject.toml belongs to it, for
    its dependencies and because it marks the project's folder where the files are restored.
    """
    found: dict[str, bytes] = {}
    waiting = [place.file, *_packages(place)]
    while waiting:
        file = waiting.pop()
        name = file.relative_to(place.project).as_posix()
        if name not in found:
            found[name] = _content(file)
            waiting += _imported_files(found[name], file, place)
    marker = place.project / "pyproject.toml"
    if marker.is_file():
        found[marker.name] = marker.read_bytes()
    return Captured(entry=place.file.relative_to(place.project).as_posix(), files=found)


def _packages(place: Place) -> list[Path]:
    """What importing the file by its dotted name runs first."""
    if not place.package:
        return []
    folders = [place.file.parent, *place.file.parent.parents]
    inside = folders[: folders.index(place.project) + 1]
    return [init for folder in inside if (init := folder / "__init__.py").is_file()]


def _content(file: Path) -> bytes:
    # A notebook's cell is no file, but its lines are known here.
    return file.read_bytes() if file.is_file() else "".join(getlines(str(file))).encode()


def _locate_file(path: Path, class_name: str) -> Place:
    file = path.absolute()
    if not file.is_file():
        raise SourceMissing(source=str(path), reason="there is no such file")
    return Place(file=file, project=_project(file), class_name=class_name)


def _locate_module(module: str, class_name: str, source: str) -> Place:
    try:
        spec = importlib.util.find_spec(module)
    except (ModuleNotFoundError, ValueError):
        spec = None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        if module.startswith(RECIPES + "."):
            raise UnknownRecipe(recipe=source, known=", ".join(recipes()) or "none")
        raise SourceMissing(source=source, reason="there is no such module")
    # The project of a module is its package's parent: the folder of all recipes for a recipe.
    package = ".".join(module.split(".")[:-2]) or module.partition(".")[0]
    depth = module.count(".") - package.count(".")
    file = Path(spec.origin)
    return Place(
        file=file,
        project=file.parents[depth - 1] if depth else file.parent,
        module=module,
        package=package,
        class_name=class_name,
    )


def recipes() -> list[str]:
    """Names of the recipes that are installed."""
    try:
        spec = importlib.util.find_spec(RECIPES)
    except ModuleNotFoundError:
        return []
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return sorted(m.name for m in pkgutil.iter_modules(folders) if not m.name.startswith("_"))


def _project(file: Path) -> Path:
    marked = (folder for folder in file.parents if (folder / "pyproject.toml").is_file())
    return next(marked, file.parent)


def _load_file(place: Place) -> ModuleType:
    _extend_path(place)
    name = place.file.stem
    taken = sys.modules.get(name)
    # Its own name lets pickle find its classes; a name that is taken would break the taker.
    if name in sys.stdlib_module_names or (
        taken and getattr(taken, "__file__", "") != str(place.file)
    ):
        name = f"volano_source_{name}"
    loader = _FromText(name, str(place.file))
    spec = importlib.util.spec_from_file_location(name, place.file, loader=loader)
    if spec is None or place.file.suffix not in SOURCE_SUFFIXES:
        raise SourceMissing(source=str(place.file), reason="it is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


class _FromText(SourceFileLoader):
    """Loads what is written: kept bytecode of equal size and second would pass for an edit."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _extend_path(place: Place) -> None:
    """As `python FILE` would: its folder first; the project after what is installed."""
    first, *others = (str(folder) for folder in place.roots)
    if first not in sys.path:
        sys.path.insert(0, first)
    sys.path += [folder for folder in others if folder not in sys.path]


def _named(module: ModuleType, place: Place) -> type[Model]:
    found = getattr(module, place.class_name, None)
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise ModelUnclear(
            source=place.file.name, reason=f"{place.class_name} is not a Model in it"
        )
    return found


def _only(module: ModuleType, place: Place) -> type[Model]:
    written = [
        cls
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, Model) and cls.__module__ == module.__name__
    ]
    leaves = [cls for cls in written if not any(cls in other.__mro__[1:] for other in written)]
    if len(leaves) != 1:
        names = ", ".join(cls.__name__ for cls in leaves) or "no Model"
        raise ModelUnclear(source=place.file.name, reason=f"it defines {names}")
    return leaves[0]


def _imported_files(content: bytes, file: Path, place: Place) -> Iterator[Path]:
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        for folders, dotted in _imports(node, file, place):
            yield from _files_of(folders, dotted, place.project)


def _imports(node: ast.AST, file: Path, place: Place) -> Iterator[tuple[tuple[Path, ...], str]]:
    """Folders to look in, and the dotted name below them, of each module `node` may import."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _absolute(alias.name, place)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            dotted = f"{node.module}.{alias.name}" if node.module else alias.name
            if node.level:
                yield (file.parents[node.level - 1],), dotted
            else:
                yield from _absolute(dotted, place)


def _absolute(dotted: str, place: Place) -> Iterator[tuple[tuple[Path, ...], str]]:
    """Where an absolute import leads; nowhere if it leads out of the place's package."""
    if not place.package:
        yield place.roots, dotted
    elif dotted.startswith(place.package + "."):
        yield place.roots, dotted.removeprefix(place.package + ".")


def _files_of(folders: tuple[Path, ...], dotted: str, project: Path) -> Iterator[Path]:
    """The file of the module and of every package above it, from the first folder that has any."""
    parts = dotted.split(".")
    for folder in folders:
        stems = [folder.joinpath(*parts[:end]) for end in range(1, len(parts) + 1)]
        paths = [path for stem in stems for path in (Path(f"{stem}.py"), stem / "__init__.py")]
        found = [path for path in paths if path.is_file() and path.is_relative_to(project)]
        if found:
            yield from found
            return
