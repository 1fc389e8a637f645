"""The only rooms that know bytes, codecs, 255 and colour matrices."""

from dyntex.media.info import MediaInfo, probe
from dyntex.media.read import read_clip
from dyntex.media.sheet import sheet, side_by_side, write_png
from dyntex.media.write import check_writable, write_clip, write_stream

__all__ = [
    "MediaInfo",
    "check_writable",
    "probe",
    "read_clip",
    "sheet",
    "side_by_side",
    "write_clip",
    "write_png",
    "write_stream",
]
