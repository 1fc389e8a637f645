"""What ``synthesize`` and ``sample`` write: the video, how it is to be written, and the words that it carries."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dyntex.cli import options
from dyntex.cli.progress import Teller
from dyntex.errors import DyntexError, StoppedError

if TYPE_CHECKING:
    from dyntex.clip import Clip
    from dyntex.media import Colour, Grid


@contextmanager
def model_kept(*go_on: object, kept: bool) -> Iterator[None]:
    """Within, whatever ends the command says by which words it goes on, where what was learnt is saved."""
    way = f"the model is kept: {shlex.join(['dyntex', *map(str, go_on)])} goes on"
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
    """An output that is checked as soon as each thing about it is known.

    Attributes:
        word: the file or folder, as it was typed; a folder's ends in a slash, or has no ending.
        background, grid: as the command line has them.
    """

    word: str
    background: Colour | None
    grid: Grid | None
    overwrite: bool

    @classmethod
    def of(cls, word: str, *, background: str | None, grid: str | None, overwrite: bool, still: bool = False) -> Output:
        """From the command's words, before anything is read; ``still`` if one frame may come."""
        from dyntex.media import check_writable, parse_colour, parse_grid

        cells = None if grid is None else parse_grid(grid)
        colour = None if background is None else parse_colour(background)
        check_writable(word, overwrite=overwrite, grid=cells, still=still)
        return cls(word, colour, cells, overwrite)

    @property
    def place(self) -> Path:
        return Path(self.word)

    def beside(self, ending: str) -> Path:
        """The place of what belongs to it, such as ``.sheet.png``."""
        from dyntex.media.formats import beside

        return beside(self.word, ending)

    def asked(self, frames: int | None) -> int | None:
        """The frames asked for, else as many as fill the grid, or None."""
        return frames or (math.prod(self.grid) if self.grid else None)

    def check(self, shape: tuple[int, ...], *, n_frames: int) -> None:
        """Whether what will be made of a clip of that shape (C, T, H, W) fits, before anything is learnt from it."""
        from dyntex.media import check_fits

        channels, _, height, width = shape
        size = height, width
        check_fits(
            self.word,
            channels=channels,
            n_frames=n_frames,
            size=size,
            background=self.background,
            grid=self.grid,
        )

    def clear(self, channels: int, teller: Teller) -> Output:
        """Itself, or a .webm of its name where it has no room for the transparency of a clip of four channels.

        Raises:
            UsageError: something is in that place.
        """
        from dyntex.media.formats import FORMATS, check_writable, ending_of

        if channels != 4 or self.background is not None or FORMATS[ending_of(self.word)].alpha:
            return self
        place = self.beside(".webm")
        check_writable(place, overwrite=self.overwrite)
        teller.say(f"the clip is transparent, for which {self.place.suffix} has no room: the result is {place}")
        return replace(self, word=str(place))

    def write(self, chunks: Iterator[Clip], *, n_frames: int, settings: Mapping[str, Any], teller: Teller) -> None:
        """Write the video, and into it the settings that made it."""
        from dyntex import __version__
        from dyntex.media import write_stream

        about = {"dyntex": __version__, "command": options.command_line(), **settings}
        write_stream(
            self.word,
            chunks,
            n_frames=n_frames,
            overwrite=self.overwrite,
            metadata={"comment": json.dumps(about)},
            background=self.background,
            grid=self.grid,
            notice=teller.say,
        )
