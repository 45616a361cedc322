"""Files in folders that are called like their class, also below folders of splits.

    cat/1.jpg  dog/2.jpg            train/cat/1.jpg  val/cat/2.jpg  test/dog/3.jpg

A folder that holds nothing but one other is passed through. Folders count as splits only where
all beside them are called so: `train` beside `bus` and `car` is a class.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from volano.data.formats import image_header
from volano.data.formats.items import (
    KIND_OF,
    MEDIA_TYPES,
    Found,
    Item,
    Options,
    Skipped,
    ending,
    label_of,
    split_of,
)
from volano.data.formats.tree import File, Tree, beside, shown
from volano.schemas.errors import VolanoError
from volano.schemas.imports import EmptyFile, NothingToImport, UnsupportedFile

_NO_CLASS: Final = frozenset(
    {"images", "image", "imgs", "img", "photos", "pictures", "data", "dataset", "jpegimages"}
)
"""What folders are called that hold everything, and so are no class."""

_PICTURES_ELSEWHERE: Final = frozenset(
    {
        *("avif", "heic", "heif", "svg", "psd", "tga", "jp2", "jxl", "ico", "exr", "hdr"),
        *("raw", "cr2", "cr3", "nef", "arw", "dng", "orf"),
    }
)
"""Extensions of pictures that are not read here: something is missing without them."""


def read(tree: Tree, options: Options) -> Iterator[Found]:
    """Yield the files of the kind that most are of, in the order of the tree.

    Raises: NothingToImport.
    """
    kind = kind_of_most(tree)
    if not kind:
        raise NothingToImport(name=tree.name, saw=told(tree), formats="images, texts, audio, video")
    types = {file.path: media_type_of(tree, file, kind) for file in tree.files}
    layout = Layout.of([path for path, media_type in types.items() if media_type], options)
    for file in tree.files:
        name, media_type = shown(file.path), types[file.path]
        try:
            if not media_type:
                raise UnsupportedFile(name=name, kind=kind)
            if not file.size:
                raise EmptyFile(name=name)
            label = label_of(layout.label(file.path), name)
        except UnsupportedFile as error:
            if ending(file.path) in _PICTURES_ELSEWHERE:
                yield Skipped(locator=name, error=error)
            else:
                yield beside(file.path, f"it is no {kind}")
        except VolanoError as error:
            yield Skipped(locator=name, error=error)
        else:
            yield Item(
                locator=name,
                kind=kind,
                media_type=media_type,
                label=label,
                split=layout.split(file.path),
                read=partial(tree.read, file.path),
            )


def hint(tree: Tree, options: Options) -> str:
    """Return how nested folders were taken for labels, by an example; nothing where none is."""
    kind = kind_of_most(tree)
    paths = [file.path for file in tree.files if media_type_of(tree, file, kind)] if kind else []
    layout = Layout.of(paths, options)
    for path in paths:
        folders = layout.folders(path)
        if len(folders) > 1 and options.labels == "auto":
            return f"{'/'.join(folders)} is taken for the class {layout.label(path)}"
    return ""


def kind_of_most(tree: Tree) -> str:
    """Return the kind of which a tree has most files; empty where it has none of any."""
    kinds = Counter(KIND_OF.get(ending(file.path), "") for file in tree.files)
    bare = [file for file in tree.files if not ending(file.path)]
    kinds["image"] += sum(bool(media_type_of(tree, file, "image")) for file in bare)
    del kinds[""]
    return max(kinds, key=lambda kind: kinds[kind], default="") if kinds.total() else ""


def media_type_of(tree: Tree, file: File, kind: str) -> str:
    """Return the media type of a file of this kind; empty where it is of another.

    A file without an extension is a picture where it begins like one.
    """
    last = ending(file.path)
    if last or kind != "image":
        return MEDIA_TYPES[kind].get(last, "")
    try:
        return image_header.media_type(tree.head(file.path, 16))
    except VolanoError:
        return ""


def told(tree: Tree) -> str:
    """Return in words what a tree holds."""
    if not tree.files:
        hidden = f", and {len(tree.passed_over)} left alone" if tree.passed_over else ""
        return f"no files{hidden}"
    endings = Counter(ending(file.path) or "no extension" for file in tree.files)
    kinds = ", ".join(f"{count:,} {last}" for last, count in endings.most_common(5))
    return f"{len(tree.files):,} files ({kinds})"


@dataclass(frozen=True, slots=True)
class Layout:
    """Which folder of a path says what."""

    bases: dict[str, str]
    """Folder with a slash, or nothing for the top -> split of what is below it."""
    labels: str
    """Which folders below the base are the label: top, leaf, path or none."""
    split_last: bool
    """The splits stand inside of each class."""

    @classmethod
    def of(cls, paths: list[str], options: Options) -> "Layout":
        """Return how these paths are laid out."""
        below: dict[str, set[str]] = defaultdict(set)
        direct: set[str] = set()
        for path in paths:
            folders = path.split("/")[:-1]
            here = ""
            for name in folders:
                below[here].add(name)
                here += name + "/"
            direct.add(here)
        top = ""
        while top not in direct and len(below[top]) == 1:
            (name,) = below[top]
            if split_of(name) or not below[f"{top}{name}/"]:
                break
            top += name + "/"
        names = below[top]
        if names and all(map(split_of, names)) and top not in direct:
            bases: dict[str, str] = {
                _inside(f"{top}{name}/", below, direct): split_of(name) for name in names
            }
        else:
            bases = {_inside(top, below, direct): ""}
        split_last = "" in bases.values() and all(
            below[base]
            and all(
                below[f"{base}{name}/"]
                and f"{base}{name}/" not in direct
                and all(map(split_of, below[f"{base}{name}/"]))
                for name in below[base]
            )
            for base in bases
        )
        labels: str = options.labels
        if labels == "auto":
            labels = "top" if split_last else _guessed(bases, below, direct)
        return cls(bases, labels, split_last)

    def split(self, path: str) -> str:
        """Return the split of a path; empty where it is in none."""
        base = self._base(path)
        if self.split_last:
            return split_of(path.removeprefix(base).split("/")[1])
        return self.bases.get(base, "")

    def label(self, path: str) -> str:
        """Return the label of a path; empty where it has none."""
        folders = self.folders(path)
        if not folders or self.labels == "none":
            return ""
        return {"top": folders[0], "leaf": folders[-1]}.get(self.labels, "/".join(folders))

    def folders(self, path: str) -> list[str]:
        """Return the folders of a path that may be its label."""
        folders = path.removeprefix(self._base(path)).split("/")[:-1]
        if self.split_last:
            del folders[1:2]
        return folders

    def _base(self, path: str) -> str:
        return next((base for base in self.bases if path.startswith(base)), "")


def _inside(base: str, below: dict[str, set[str]], direct: set[str]) -> str:
    """Return the folder inside a base that holds everything and is no class."""
    while base not in direct and len(below[base]) == 1:
        (name,) = below[base]
        if name.lower() not in _NO_CLASS:
            break
        base += name + "/"
    return base


def _guessed(bases: dict[str, str], below: dict[str, set[str]], direct: set[str]) -> str:
    """Return which folders are the label: the last where the first only gather others.

    `fruit/apple fruit/pear nuts/almond` are apple, pear and almond, since no last name stands
    twice; `cat/monday dog/monday` are cat and dog.
    """
    tops_of: dict[str, set[str]] = defaultdict(set)
    for base in bases:
        for top in below[base]:
            folder = f"{base}{top}/"
            if folder in direct or any(below[f"{folder}{leaf}/"] for leaf in below[folder]):
                return "top"
            for leaf in below[folder]:
                tops_of[leaf].add(top)
    once = all(len(tops) == 1 for tops in tops_of.values())
    words = any(any(c.isalpha() for c in leaf) for leaf in tops_of)
    return "leaf" if once and words and len(tops_of) > 1 else "top"
