"""The video that a command writes: checked as early as possible, and written with the settings that made it."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from dyntex import __version__
from dyntex.clip import Clip
from dyntex.errors import DyntexError, StoppedError
from dyntex.experiment.progress import Progress
from dyntex.media import Colour, Grid, check_fits, check_writable, parse_colour, parse_grid, write_stream
from dyntex.media.formats import FORMATS, beside, ending_of


@contextmanager
def model_kept(*command: object, kept: bool) -> Iterator[None]:
    """Within, an error or an interruption names the command that goes on from the saved model, where there is one."""
    way = f"the model is saved: {shlex.join(['dyntex', *map(str, command)])} continues from it"
    try:
        yield
    except KeyboardInterrupt:
        if not kept:
            raise
        raise StoppedError(f"interrupted, and nothing is left half-written; {way}") from None
    except DyntexError as error:
        error.args = (f"{error}; {way}",) if kept else error.args
        raise


@dataclass(frozen=True)
class Output:
    """A file or folder to write a video to.

    Attributes:
        word: the file, whose ending is its format, or a folder for frames, which ends in a slash or has no ending.
        background: colour behind a transparent clip, (R, G, B) from 0 to 255; None for none.
        grid: (rows, columns) of a sprite sheet; None for none.
        overwrite: whether an earlier output may be replaced.
        command: the command line, or the call, that makes it; it goes into the file's metadata.
    """

    word: str
    background: Colour | None
    grid: Grid | None
    overwrite: bool
    command: str = ""

    @classmethod
    def of(
        cls,
        out: str | Path,
        *,
        background: str | Colour | None = None,
        grid: str | Grid | None = None,
        overwrite: bool = False,
        still: bool = False,
        command: str = "",
    ) -> Output:
        """Check what can be checked before anything is read.

        Args:
            out: where to write, as the attribute ``word``.
            background: a colour's name, ``"#rrggbb"`` or (R, G, B).
            grid: ``"4x8"`` or (rows, columns).
            overwrite: whether an earlier output may be replaced.
            still: whether the result may have one frame only.
            command: as the attribute.

        Raises:
            UsageError: the ending is unknown, the file exists, or a colour or grid cannot be read.
        """
        cells = parse_grid(grid) if isinstance(grid, str) else grid
        colour = parse_colour(background) if isinstance(background, str) else background
        check_writable(out, overwrite=overwrite, grid=cells, still=still)
        return cls(str(out), colour, cells, overwrite, command)

    @property
    def place(self) -> Path:
        """The file or folder."""
        return Path(self.word)

    def beside(self, ending: str) -> Path:
        """The place of what belongs to it, such as ``.sheet.png``."""
        return beside(self.word, ending)

    def n_frames(self, asked: int | None) -> int | None:
        """The number of frames asked for; else as many as fill the grid; else None."""
        return asked or (math.prod(self.grid) if self.grid else None)

    def check(self, shape: tuple[int, ...], *, n_frames: int, fps: Fraction) -> None:
        """Check, before training, that a video made from a clip of that shape (C, T, H, W) and rate can be written.

        Raises:
            UsageError: it cannot; the message says why.
        """
        channels, _, height, width = shape
        size = height, width
        check_fits(
            self.word,
            channels=channels,
            n_frames=n_frames,
            size=size,
            fps=fps,
            background=self.background,
            grid=self.grid,
        )

    def with_alpha(self, channels: int, progress: Progress) -> Output:
        """Itself, or a .webm of the same name where the clip has alpha (4 channels) and this format has none.

        Raises:
            UsageError: that file exists.
        """
        if channels != 4 or self.background is not None or FORMATS[ending_of(self.word)].alpha:
            return self
        place = self.beside(".webm")
        check_writable(place, overwrite=self.overwrite)
        progress.say(f"the clip is transparent and {self.place.suffix} is not: the result is {place}")
        return replace(self, word=str(place))

    def write(
        self,
        chunks: Iterator[Clip],
        *,
        n_frames: int,
        settings: Mapping[str, Any],
        progress: Progress,
        pixel_aspect: Fraction = Fraction(1),
    ) -> None:
        """Write the video, with the settings that made it in its metadata."""
        about = {"dyntex": __version__, "command": self.command, **settings}
        write_stream(
            self.word,
            chunks,
            n_frames=n_frames,
            overwrite=self.overwrite,
            metadata={"comment": json.dumps(about)},
            background=self.background,
            grid=self.grid,
            pixel_aspect=pixel_aspect,
            notice=progress.say,
        )
