"""Why a file, or a part of one, was not imported; raised and told on the user's machine only."""

from volano.schemas.errors import Invalid


class FormatUnclear(Invalid):
    """What {name} holds is not clear: {saw}."""

    remedy = "Say what to read with --format, one of: {formats}."


class NothingToImport(Invalid):
    """Nothing in {name} can be imported: {saw}."""

    remedy = "Give a folder, an archive or a file that holds one of: {formats}."


class ArchiveUnreadable(Invalid):
    """The archive cannot be read: {reason}."""

    remedy = "Give a complete ZIP or TAR archive with regular files."


class ImportUnreadable(Invalid):
    """{name} cannot be read: {reason}."""

    remedy = "Export or download it again; `--dry-run` tells what is read of it, without a server."


class HiddenFile(Invalid):
    """{name} is hidden."""

    remedy = "Rename it without the leading dot if it is data."


class SystemFile(Invalid):
    """{name} was left by a file manager or an operating system."""

    remedy = "It holds no data; leave it, or delete it."


class UnsupportedFile(Invalid):
    """{name} is no file that can be imported here as {kind}."""

    remedy = "Convert it, or import it by itself."


class EmptyFile(Invalid):
    """{name} is empty."""

    remedy = "Copy or download it again."


class FileUnreadable(Invalid):
    """{name} cannot be read: {reason}."""

    remedy = "Check its permissions and the disk, then import again."


class NoPicture(Invalid):
    """{name} is called like a picture and is none."""

    remedy = "Open it: a page that says `not found` is often saved under the name of a picture."


class FileTooLarge(Invalid):
    """{name} has {size} bytes, more than {limit}."""

    remedy = "Make it smaller or split it."


class PathRefused(Invalid):
    """{name} leads out of what is being imported."""

    remedy = "Pack it with relative paths, or name the folder in which its paths start: --root."


class RemotePath(Invalid):
    """{name} is an address, and nothing is fetched from the net here."""

    remedy = "Download the files first and list their paths."


class MemberRefused(Invalid):
    """{name} is not unpacked: {reason}."""

    remedy = "Pack it again as a regular file, with ZIP's or TAR's usual settings."


class ListedFileMissing(Invalid):
    """{name} is listed in {at} but is not there."""

    remedy = "Add the file, or name the folder in which the listed paths start: --root."


class FileNotListed(Invalid):
    """{name} is listed nowhere, so nothing is known about it."""

    remedy = "List it, or import it by itself with --format folder."


class FileNotRead(Invalid):
    """{name} is not needed: {reason}."""

    remedy = "Import it by itself if it matters."


class ArchiveInside(Invalid):
    """{name} is an archive inside of what is being imported, and is not opened."""

    remedy = "Unpack it in its place, or import it by itself."


class LineMalformed(Invalid):
    """Line {line} of {name} cannot be read: {reason}."""

    remedy = "Correct the line and import again; what is stored already is not stored twice."


class LabelRefused(Invalid):
    """The label {label!r} of {name} cannot be one: {reason}."""

    remedy = "Labels are texts of 1 to 200 characters without control characters."


class ClassUnknown(Invalid):
    """{name} names the class {number}, of which {at} says nothing."""

    remedy = "Complete the list of class names, or give one with --names FILE."


class BoxRefused(Invalid):
    """Box {number} of {name} is left out: {reason}."""

    remedy = "Draw it again; the picture and its other boxes are imported."


class BoxCut(Invalid):
    """Box {number} of {name} is cut to the picture: {reason}."""

    remedy = "Look whether it was drawn on this picture."


class BoxesTurned(Invalid):
    """The boxes of {name} are turned with it: they were drawn on it as it lies, {size} px."""

    remedy = "Look at a few of these: some tools state that size for boxes on the upright picture."


class NothingKnown(Invalid):
    """{name} comes without boxes: {reason}."""

    remedy = "It is imported as not labelled yet; an empty list of boxes says that there are none."


class DatasetOfOtherKind(Invalid):
    """The dataset {name} holds {held}, and {kind} is being imported."""

    remedy = "Import into another one: --dataset NAME."


class ListedTwice(Invalid):
    """{name} is listed again in line {line} of {at}."""

    remedy = "One line for each file: the first one counts, unless all lines give boxes."


class BoxesWithoutImage(Invalid):
    """{count} boxes of {name} belong to no picture that it lists."""

    remedy = "Export it again together with its pictures."
