"""From a picture file to pixels: the one decoder and the one resize rule of training, validation and serving.

Two decoders or two resize rules between training and serving cost accuracy (Pillow and OpenCV differ by up to 9/255 per
pixel when shrinking, and on EXIF, 16-bit and CMYK), so nothing else in this project opens a picture. Policies:

* The orientation is honoured, for every format that carries one; an ICC profile is not (docs/decoding.md says why).
* Transparency is composited over white. Grey becomes three equal channels, a palette its colours, of an animation the
first frame counts.
* 16-bit values are scaled by 1/257, so that 65535 becomes 255 and nothing saturates. Floating point pictures are
refused.
* A file that is empty, is no picture, ends early, or claims more than MAX_PIXELS pixels is refused with its name and
the reason.
* A JPEG much larger than is wanted is shrunk while it is decoded, by the means of its format (`scale_of`).
"""

from __future__ import annotations

import os
from contextlib import nullcontext

import numpy as np

from protocol.language import tr
from recipe.pictures import tiff
from recipe.pictures.bytes import picture_bytes
from recipe.pictures.errors import UnreadablePicture
from recipe.pictures.fork_safe import lock
from recipe.pictures.header import Header, header, unknown_format
from recipe.pictures.orientation import exif_orientation, of_chunks
from recipe.pictures.pillow import TooLarge, decode_with_pillow
from recipe.pictures.stderr import quiet_c_libraries

MAX_PIXELS = 2**27  # 134 million: above every camera in use, and 400 MB once decoded
MAX_SCANNED = 16 * MAX_PIXELS  # over all scans of a progressive JPEG: some 10 s
MAX_ASPECT = 16  # of a longer strip only the middle is kept when it is resized
ROOM = 2.0  # times the wanted short side: a JPEG is decoded to no less, and the pixels are averaged from there
_ONE_AT_A_TIME = 2**25  # pixels; larger pictures are decoded one after another, however many threads there are

os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))  # read once, when OpenCV is loaded

import cv2  # noqa: E402  (after its limit is set)

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # the reason is in the exception instead

# The bits of OpenCV's flags that say the scale; a colour's are added.
SCALES = {8: cv2.IMREAD_REDUCED_GRAYSCALE_8, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 2: cv2.IMREAD_REDUCED_GRAYSCALE_2}
_alone = lock()


def read(path: str | os.PathLike[str], side: int = 0) -> np.ndarray:
    """Pixels of a picture file, (h, w, 3) uint8 RGB, upright; `side` as `decode` takes it.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadablePicture: there is one, but it holds no whole picture.
    """
    return decode(picture_bytes(path), os.fspath(path), side)


def read_short(path: str | os.PathLike[str], side: int) -> np.ndarray:
    """A picture file with its short side of `side` pixels, (h, w, 3) uint8 RGB, upright. Raises as `read`."""
    return resize_short(read(path, side), side)


def decode(encoded: bytes, name: str = "in memory", side: int = 0) -> np.ndarray:
    """Pixels of an encoded picture, (h, w, 3) uint8 RGB, upright.

    Args:
        name: for messages.
        side: the short side in pixels that the picture is resized to afterwards: of a large JPEG no more than that
            needs is decoded, in a quarter of the time for a photograph of 12 million pixels. 0: every pixel.

    Raises:
        UnreadablePicture: the bytes hold no whole picture.
    """
    head = header(encoded)
    if reason := _objection(encoded, head):
        raise UnreadablePicture(name, reason)
    if head.planes > 1:
        return _of_planes(encoded, name, head)
    try:
        with quiet_c_libraries(), _alone if head.width * head.height > _ONE_AT_A_TIME else nullcontext():
            is_jpeg = head.format == "JPEG"
            image = _decode_jpeg(encoded, scale_of(head, side)) if is_jpeg else _decode_other(encoded, head)
    except (cv2.error, MemoryError, TooLarge) as error:
        raise UnreadablePicture(name, _why(error, head)) from None
    if image is None:
        other = (
            tr(", or its layout is one that nothing here reads; convert it to PNG")
            if head.format in ("TIFF", "BMP")
            else ""
        )
        raise UnreadablePicture(
            name, tr("the {format} is damaged or ends early{other}", format=head.format, other=other)
        )
    if image.dtype != np.uint8:
        raise UnreadablePicture(
            name,
            tr(
                "its pixels are {dtype}, and pictures of 8 or 16 bits are accepted; convert it to PNG",
                dtype=image.dtype,
            ),
        )
    return image


def resize_short(image: np.ndarray, short_side: int) -> np.ndarray:
    """The picture with its short side of `short_side` pixels, (h, w, 3) uint8; the aspect ratio is kept.

    Pixel areas are averaged when shrinking (INTER_AREA), cubic interpolation is used when enlarging. A strip longer
    than MAX_ASPECT times its short side is cut to its middle first. Limit: a picture that already has the size is
    returned as it is.
    """
    if short_side < 1:
        raise ValueError(f"short_side={short_side} is refused; a picture has at least 1 pixel.")
    short = min(image.shape[:2])
    height, width = (min(side, MAX_ASPECT * short) for side in image.shape[:2])
    if (height, width) != image.shape[:2]:
        image = _middle(image, height, width)
    if short == short_side:
        return image
    size = (max(1, round(width * short_side / short)), max(1, round(height * short_side / short)))
    interpolation = cv2.INTER_AREA if short_side < short else cv2.INTER_CUBIC
    return cv2.resize(image, size, interpolation=interpolation)


def centre_crop(image: np.ndarray, size: int) -> np.ndarray:
    """The middle `size` x `size` pixels; an odd remainder leaves the extra row and column below and to the right.

    Limit: a square picture of that size is returned as it is.
    """
    height, width = image.shape[:2]
    if size < 1 or size > min(height, width):
        raise ValueError(
            f"A crop of {size} pixels does not fit a picture of {width} x {height}; "
            f"resize_short it to at least {size} first."
        )
    return _middle(image, size, size)


def prepare(image: np.ndarray, size: int, crop_pct: float = 1.0) -> np.ndarray:
    """The evaluation input, (size, size, 3) uint8: short side to round(size / crop_pct), then the centre crop.

    Preparing a picture whose short side already is round(size / crop_pct) only crops, so a cache of that size serves
    exactly.
    """
    return centre_crop(resize_short(image, evaluation_side(size, crop_pct)), size)


def evaluation_side(size: int, crop_pct: float = 1.0) -> int:
    """The short side in pixels from which the evaluation crop of `size` is taken; `crop_pct` in (0, 1]."""
    if not 0 < crop_pct <= 1:
        raise ValueError(
            f"crop_pct={crop_pct} is refused; "
            "it is the share of the short side that the crop keeps, above 0 and at most 1."
        )
    return max(size, round(size / crop_pct))


def _middle(image: np.ndarray, height: int, width: int) -> np.ndarray:
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _objection(encoded: bytes, head: Header) -> str:
    """Why the bytes are refused before they reach a decoder; empty where they are not."""
    if not encoded:
        return tr("the file is empty (0 bytes); copy it again")
    if not head.format:
        return unknown_format(encoded)
    if not head.whole:
        return tr("the {format} ends before the picture does (truncated); copy it again", format=head.format)
    pixels = head.width * head.height
    if pixels > MAX_PIXELS:
        return _too_large(head.width, head.height)
    if pixels * head.passes > MAX_SCANNED:
        return tr(
            "it is a progressive JPEG of {passes} scans over {width} x {height} pixels, which would "
            "take minutes; save it anew",
            passes=head.passes,
            width=head.width,
            height=head.height,
        )
    return head.refused


def _too_large(width: int, height: int) -> str:
    size = tr("{width} x {height} pixels", width=width, height=height) if width else tr("more pixels")
    return tr(
        "it claims {size}, and at most {max_pixels:,} pixels are accepted; scale it down",
        size=size,
        max_pixels=MAX_PIXELS,
    )


def _why(error: Exception, head: Header) -> str:
    """A decoder's exception as a clause."""
    if isinstance(error, TooLarge):
        return _too_large(error.width, error.height)
    if isinstance(error, MemoryError) or "memory" in str(error):
        return tr(
            "there is not enough memory for its {width} x {height} pixels; scale it down",
            width=head.width,
            height=head.height,
        )
    if "pixels <= CV_IO_MAX" in str(error):
        return _too_large(head.width, head.height)
    return tr("the {format} is damaged", format=head.format)


def scale_of(head: Header, side: int) -> int:
    """The part of its width and height, 1/8, 1/4, 1/2 or all, at which a JPEG is decoded for a short side of `side`
    pixels: the least that leaves ROOM times the side.

    Its blocks of 8 x 8 pixels give the smaller picture directly (Wallace, "The JPEG still picture compression
    standard", 1992, section 4.1: the DC coefficient is the mean of a block); what follows averages the rest, and no
    pixel differs by more than a few levels from the picture decoded whole. Limit: side 0, or no room to spare, is 1.
    """
    short = min(head.width, head.height)
    return next((scale for scale in SCALES if side and short >= ROOM * scale * side), 1)


def _decode_jpeg(encoded: bytes, scale: int = 1) -> np.ndarray | None:
    # OpenCV knows no orientation of type LONG
    as_stored = SCALES.get(scale, 0) | cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), as_stored)
    turn = exif_orientation(encoded)
    return image if image is None or turn == 1 else upright(image, turn)


def _decode_other(encoded: bytes, head: Header) -> np.ndarray | None:
    """Formats that may hold transparency or 16 bits, which OpenCV keeps only if it leaves everything unchanged."""
    if not head.plain:
        return _decode_odd(encoded, head)
    image, kinds, chunks = cv2.imdecodeWithMetadata(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype not in (np.uint8, np.uint16):
        return image
    if image.ndim == 3 and image.shape[2] >= 3:
        kept = image.shape[2] == 4 and head.alpha
        image = cv2.cvtColor(image[:, :, : 4 if kept else 3], cv2.COLOR_BGRA2RGBA if kept else cv2.COLOR_BGR2RGB)
        image = _multiplied_over_white(image) if kept and head.multiplied else image
    said = {kind: chunk.tobytes() for kind, chunk in zip(kinds, chunks, strict=True)}
    turn = of_chunks(encoded, said.get(cv2.IMAGE_METADATA_EXIF, b""), said.get(cv2.IMAGE_METADATA_XMP, b""))
    return upright(rgb(image, head.bits), turn)


def _of_planes(encoded: bytes, name: str, head: Header) -> np.ndarray:
    """16-bit channels in planes apart: each is decoded as a grey picture of its own."""
    grey = [decode(plane, name)[:, :, 0] for plane in tiff.planes(encoded)[: head.planes]]
    if len(grey) != head.planes:
        raise UnreadablePicture(name, tr("the {format} is damaged or ends early{other}", format=head.format, other=""))
    colours = 3 if tiff.tags(encoded).get(tiff.PHOTOMETRIC) == 2 else 1
    shown = (grey[0],) * 3 if colours == 1 else tuple(grey[:3])
    image = np.dstack(shown if not head.alpha or head.planes <= colours else (*shown, grey[colours]))
    if image.shape[2] == 4:
        image = _multiplied_over_white(image) if head.multiplied else _over_white(image)
    said = tiff.ORIENTATION in tiff.tags(encoded)
    return upright(image, tiff.orientation(encoded) if said else of_chunks(encoded, b"", b""))


def _decode_odd(encoded: bytes, head: Header) -> np.ndarray | None:
    """What OpenCV decodes wrongly or not at all."""
    image, turn = decode_with_pillow(encoded, head.format, MAX_PIXELS)
    return image if image is None or image.dtype not in (np.uint8, np.uint16) else upright(rgb(image), turn)


def rgb(image: np.ndarray, bits: int = 16) -> np.ndarray:
    """8-bit RGB from grey, RGB or RGBA of 8 bits, or of up to 16; transparency over white, rounded."""
    if image.dtype == np.uint16:
        image = cv2.convertScaleAbs(image, alpha=255 / (2**bits - 1))
    if image.ndim == 2 or image.shape[2] == 1:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    return image if image.shape[2] == 3 else _over_white(image)


def _over_white(image: np.ndarray) -> np.ndarray:
    """(h, w, 3) from (h, w, 4), in strips of a million pixels: the sums need 16 bits."""
    over = np.empty((*image.shape[:2], 3), np.uint8)
    rows = max(1, 2**20 // image.shape[1])
    for top in range(0, len(image), rows):
        colours, alpha = image[top : top + rows, :, :3], image[top : top + rows, :, 3:].astype(np.uint16)
        over[top : top + rows] = (colours * alpha + 255 * (255 - alpha) + 127) // 255
    return over


def _multiplied_over_white(image: np.ndarray) -> np.ndarray:
    """(h, w, 3) from (h, w, 4) whose colours are multiplied by their alpha already; above it they count as white."""
    clear = np.iinfo(image.dtype).max - image[:, :, 3:]
    return np.minimum(image[:, :, :3], image[:, :, 3:]) + clear


def upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """The picture turned as its orientation asks; 5 to 8 swap height and width."""
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
