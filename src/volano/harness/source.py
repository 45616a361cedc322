"""Find the code of a Model, load it, and capture it together with what it imports."""

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

_FOR_TYPES_ONLY = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
"""Conditions whose imports are never run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a Model subclass is written, before any of its code has run."""

    file: Path
    project: Path
    """Folder of the user's own code, whose lines a failure is traced to."""
    root: Path
    """Folder that the names of captured files begin at."""
    module: str = ""
    """Dotted name to import it by; empty for a plain file."""
    class_name: str = ""

    @property
    def package(self) -> str:
        """Name of the top-level package that the module is in; empty for a plain file."""
        return self.module.partition(".")[0]

    @property
    def import_folders(self) -> tuple[Path, ...]:
        """Folders that top-level imports of its own code are looked up in."""
        if self.module:
            return (self.root,)
        return tuple(dict.fromkeys((self.file.parent, self.project, self.project / "src")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """The code that a model is made of: its file, and what that imports of its own code."""

    entry: str
    files: Mapping[str, bytes]
    """Content by name relative to the place's root."""

    @property
    def hash(self) -> str:
        """SHA-256 over names and contents, independent of where the code lies."""
        digest = hashlib.sha256()
        for name in sorted(self.files):
            for part in (name.encode(), self.files[name]):
                digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()

    def restore(self, folder: Path) -> Path:
        """Write the files under `folder` and return the path of the entry there."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / self.entry


def locate(source: str) -> Place:
    """Find the place that `source` names, without running any of its code.

    A source is a recipe (`drawing`), a `package.module:Class` or a `path/model.py[:Class]`.
    Raises: SourceMissing, UnknownRecipe.
    """
    name, _, class_name = source.partition(":")
    if name.endswith(".py") or "/" in name:
        file = Path(name).absolute()
        if not file.is_file():
            raise SourceMissing(source=name, reason="there is no such file")
        return _place_of_file(file, class_name)
    if "." not in name:
        camel = "".join(part.capitalize() for part in name.replace("-", "_").split("_"))
        module = f"{RECIPES}.{name.replace('-', '_')}.recipe"
        return _locate_module(module, class_name or camel, source)
    return _locate_module(name, class_name, source)


def place_of(model: type[Model]) -> Place:
    """Find the place of a class that is loaded already, such as a notebook's."""
    code = getattr(model.train, "__code__", None)
    file = Path(code.co_filename if code else inspect.getfile(model)).absolute()
    return _place_of_file(file, model.__qualname__)


def load(place: Place) -> type[Model]:
    """Run the user's module and return its Model; whatever the module raises comes through.

    Raises: ModelUnclear (none, several, or the name is something else).
    """
    module = importlib.import_module(place.module) if place.module else _load_file(place)
    if not place.class_name:
        return _only_model(module, place)
    found = getattr(module, place.class_name, None)
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise ModelUnclear(
            source=place.file.name, reason=f"{place.class_name} is not a Model in it"
        )
    return found


def capture(place: Place) -> Captured:
    """Read the file of a model and all that it imports of its own code, directly or not.

    A plain file's own code is its project; that of a module is its whole top-level package, so
    that a recipe's hash covers the formats and figures that it takes from elsewhere in Volano.
    Imports are found by reading the source: nothing is run. What was installed beside it is told
    by `environment`. The project's pyproject.toml is captured too, for its dependencies and
    because it marks the project's folder where the files are restored.
    """
    found: dict[str, bytes] = {}
    waiting = [place.file]
    if place.module:  # importing it by its dotted name runs the packages above it first
        waiting += _files_of((place.root,), place.module, place.root)
    while waiting:
        file = waiting.pop()
        name = file.relative_to(place.root).as_posix()
        if name not in found:
            # A notebook's cell is no file, but its lines are known to linecache.
            text = file.read_bytes() if file.is_file() else "".join(getlines(str(file))).encode()
            found[name] = text
            waiting += _imported_files(text, file, place)
    marker = place.root / "pyproject.toml"
    if marker.is_file():
        found[marker.name] = marker.read_bytes()
    return Captured(entry=place.file.relative_to(place.root).as_posix(), files=found)


def _place_of_file(file: Path, class_name: str) -> Place:
    marked = (folder for folder in file.parents if (folder / "pyproject.toml").is_file())
    project = next(marked, file.parent)
    return Place(file=file, project=project, root=project, class_name=class_name)


def _locate_module(module: str, class_name: str, source: str) -> Place:
    try:
        spec = importlib.util.find_spec(module)
    except (ModuleNotFoundError, ValueError):
        spec = None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        if module.startswith(RECIPES + "."):
            raise UnknownRecipe(recipe=source, known=", ".join(recipes()) or "none")
        raise SourceMissing(source=source, reason="there is no such module")
    file, names = Path(spec.origin), module.split(".")
    is_package = spec.submodule_search_locations is not None
    root = file.parents[len(names) - 1 + is_package]
    # The parent of the module's package: the folder of all recipes for a recipe.
    project = root.joinpath(*(names[:-2] or names[:1]))
    return Place(file=file, project=project, root=root, module=module, class_name=class_name)


def recipes() -> list[str]:
    """Return the names of the recipes that are installed."""
    try:
        spec = importlib.util.find_spec(RECIPES)
    except ModuleNotFoundError:
        return []
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return sorted(m.name for m in pkgutil.iter_modules(folders) if not m.name.startswith("_"))


def _load_file(place: Place) -> ModuleType:
    # As `python FILE` would: its folder first; the project after what is installed.
    first, *others = (str(folder) for folder in place.import_folders)
    if first not in sys.path:
        sys.path.insert(0, first)
    sys.path += [folder for folder in others if folder not in sys.path]
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


def _only_model(module: ModuleType, place: Place) -> type[Model]:
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


def _imported_files(text: bytes, file: Path, place: Place) -> Iterator[Path]:
    """Yield the files of its own code that a file imports, also inside functions."""
    try:
        waiting: list[ast.AST] = [ast.parse(text)]
    except (SyntaxError, ValueError):
        return
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) in _FOR_TYPES_ONLY:
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        for folders, dotted in _imports(node, file, place):
            yield from _files_of(folders, dotted, place.root)


def _imports(node: ast.AST, file: Path, place: Place) -> Iterator[tuple[tuple[Path, ...], str]]:
    """Yield the folders to look in and the dotted name of each own module `node` may import."""
    if isinstance(node, ast.Import):
        dotted = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        dotted = [f"{node.module}.{a.name}" if node.module else a.name for a in node.names]
    else:
        return
    if isinstance(node, ast.ImportFrom) and node.level:
        folders: tuple[Path, ...] = (file.parents[node.level - 1],)
    else:
        folders = place.import_folders
        if place.module:
            dotted = [name for name in dotted if name.partition(".")[0] == place.package]
    yield from ((folders, name) for name in dotted)


def _files_of(folders: tuple[Path, ...], dotted: str, root: Path) -> Iterator[Path]:
    """Yield the files of a module and of all packages above it, from the first folder with any."""
    parts = dotted.split(".")
    for folder in folders:
        stems = [folder.joinpath(*parts[:end]) for end in range(1, len(parts) + 1)]
        paths = [path for stem in stems for path in (Path(f"{stem}.py"), stem / "__init__.py")]
        found = [path for path in paths if path.is_file() and path.is_relative_to(root)]
        if found:
            yield from found
            return
