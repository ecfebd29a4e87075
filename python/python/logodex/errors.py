"""What can go wrong. Every message names the file, the reason and what to do."""

from __future__ import annotations

import os
from typing import Optional


class LogodexError(Exception):
    """The root of all exceptions of this package."""

    #: The file or directory that it is about, where there is one.
    path: Optional[os.PathLike[str]] = None


class NotFoundError(LogodexError, FileNotFoundError):
    """No dataset, or no split of that name: the message lists what there is."""


class CorruptError(LogodexError):
    """A file is damaged, of another version of the format, or does not belong to the others."""


class RowError(LogodexError, IndexError):
    """A row beyond the last."""


class PictureError(LogodexError, ValueError):
    """A picture that cannot be used: no whole image, or a box that does not lie in it."""


class UsageError(LogodexError, ValueError):
    """An argument that does not fit: the message says what does."""
