"""The only rooms that know bytes, codecs, 255, alpha and colour matrices."""

from dyntex.media.formats import check_fits, check_writable
from dyntex.media.grid import Grid, parse_grid
from dyntex.media.info import MediaInfo, probe
from dyntex.media.pixels import Colour, flatten, parse_colour
from dyntex.media.read import read_clip
from dyntex.media.sets import Member, is_set, read_set
from dyntex.media.sheet import sheet, side_by_side, write_png
from dyntex.media.write import write_clip, write_stream

__all__ = [
    "Colour",
    "Grid",
    "MediaInfo",
    "Member",
    "check_fits",
    "check_writable",
    "flatten",
    "is_set",
    "parse_colour",
    "parse_grid",
    "probe",
    "read_clip",
    "read_set",
    "sheet",
    "side_by_side",
    "write_clip",
    "write_png",
    "write_stream",
]
