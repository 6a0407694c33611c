"""From a picture file to pixels: the one decoder and the one resize rule of training, validation and serving.

Two decoders or two resize rules between training and serving cost accuracy (Pillow and OpenCV differ by up to 9/255 per pixel when
shrinking, and on EXIF, 16-bit and CMYK), so nothing else in this project opens a picture. Policies:

* EXIF orientation is honoured, for every format that carries it.
* Transparency is composited over white. Grey becomes three equal channels, a palette its colours, of an animation the first frame counts.
* 16-bit values are scaled by 1/257, so that 65535 becomes 255 and nothing saturates. Floating point pictures are refused.
* A file that is empty, is no picture, ends early, or claims more than MAX_PIXELS pixels is refused with its name and the reason.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np

from recipe.errors import UserError
from recipe.picture_header import Header, header
from recipe.quiet import quiet_c_libraries

MAX_PIXELS = 2**27  # 134 million: above every camera in use, and 400 MB once decoded
MAX_ASPECT = 16  # of a longer strip only the middle is kept when it is resized

os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))  # read once, when OpenCV is loaded

import cv2  # noqa: E402  (after its limit is set)

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # the reason is in the exception instead


class UnreadablePicture(UserError, ValueError):  # noqa: N818  (says what it is)
    """A file that cannot be decoded: `name` (its path as given) and `reason` (a clause)."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"The picture {self.name} cannot be read: {self.reason}."


def read(path: str | os.PathLike[str]) -> np.ndarray:
    """Pixels of a picture file, (h, w, 3) uint8 RGB, upright.

    The bytes are read by Python, not by OpenCV: cv2.imread cannot open a non-ASCII path on Windows (opencv issue 18305).

    Raises:
        FileNotFoundError: there is no such file.
        UnreadablePicture: there is one, but it holds no whole picture.
    """
    name = os.fspath(path)
    try:
        encoded = Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There is no picture {name!r} (working directory {os.fspath(Path.cwd())}). Check the path, or give an absolute one."
        ) from None
    except OSError as error:
        raise UnreadablePicture(name, f"the file cannot be opened ({error.strerror})") from None
    return decode(encoded, name)


def decode(encoded: bytes, name: str = "in memory") -> np.ndarray:
    """Pixels of an encoded picture, (h, w, 3) uint8 RGB, upright; `name` is for messages.

    Raises:
        UnreadablePicture: the bytes hold no whole picture.
    """
    head = header(encoded)
    if reason := _objection(encoded, head):
        raise UnreadablePicture(name, reason)
    try:
        with quiet_c_libraries():
            image = _decode_jpeg(encoded) if head.format == "JPEG" else _decode_other(encoded, head)
    except cv2.error as error:
        limit = "pixels <= CV_IO_MAX" in str(error)
        raise UnreadablePicture(name, _too_large(head) if limit else f"the {head.format or 'file'} is damaged") from None
    if image is None:
        kind = f"the {head.format} is damaged or ends early" if head.format else _unknown(encoded)
        raise UnreadablePicture(name, kind)
    if image.dtype != np.uint8:
        raise UnreadablePicture(name, f"its pixels are {image.dtype}, and pictures of 8 or 16 bits are accepted; convert it to PNG")
    return image


def resize_short(image: np.ndarray, short_side: int) -> np.ndarray:
    """The picture with its short side of `short_side` pixels, (h, w, 3) uint8; the aspect ratio is kept.

    Pixel areas are averaged when shrinking (INTER_AREA), cubic interpolation is used when enlarging. A strip longer than MAX_ASPECT times
    its short side is cut to its middle first. Limit: a picture that already has the size is returned as it is.
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
        raise ValueError(f"A crop of {size} pixels does not fit a picture of {width} x {height}; resize_short it to at least {size} first.")
    return _middle(image, size, size)


def prepare(image: np.ndarray, size: int, crop_pct: float = 1.0) -> np.ndarray:
    """The evaluation input, (size, size, 3) uint8: short side to round(size / crop_pct), then the centre crop.

    Preparing a picture whose short side already is round(size / crop_pct) only crops, so a cache of that size serves exactly.
    """
    return centre_crop(resize_short(image, evaluation_side(size, crop_pct)), size)


def evaluation_side(size: int, crop_pct: float = 1.0) -> int:
    """The short side in pixels from which the evaluation crop of `size` is taken; `crop_pct` in (0, 1]."""
    if not 0 < crop_pct <= 1:
        raise ValueError(f"crop_pct={crop_pct} is refused; it is the share of the short side that the crop keeps, above 0 and at most 1.")
    return max(size, round(size / crop_pct))


def _middle(image: np.ndarray, height: int, width: int) -> np.ndarray:
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _objection(encoded: bytes, head: Header) -> str:
    """Why the bytes are refused before they reach OpenCV; empty where they are not."""
    if not encoded:
        return "the file is empty (0 bytes); copy it again"
    if not head.whole:
        return f"the {head.format} ends before the picture does (truncated); copy it again"
    return _too_large(head) if head.width * head.height > MAX_PIXELS else ""


def _too_large(head: Header) -> str:
    size = f"{head.width} x {head.height} pixels" if head.width else "more pixels"
    return f"it claims {size}, and at most {MAX_PIXELS:,} pixels are accepted; scale it down"


def _unknown(encoded: bytes) -> str:
    start = encoded[:24]
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start):
        return f"it is no picture but text, beginning {start.decode('ascii').strip()!r}"
    return f"it is in no known picture format (first bytes {start[:8].hex(' ')}); convert it to JPEG or PNG"


def _decode_jpeg(encoded: bytes) -> np.ndarray | None:
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)


def _decode_other(encoded: bytes, head: Header) -> np.ndarray | None:
    """Formats that may hold transparency or 16 bits, which OpenCV keeps only if it is told to leave everything, EXIF too, unchanged."""
    image, kinds, chunks = cv2.imdecodeWithMetadata(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype not in (np.uint8, np.uint16):
        return image
    if image.dtype == np.uint16:
        if head.format not in ("PNG", "TIFF"):  # AVIF and JPEG 2000 may use 10 or 12 of the 16 bits: OpenCV knows how many
            return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
        image = cv2.convertScaleAbs(image, alpha=1 / 257)
    exif = [chunk for kind, chunk in zip(kinds, chunks, strict=True) if kind == cv2.IMAGE_METADATA_EXIF]
    image = _three_channels(image)
    return _upright(image, _orientation(exif[0].tobytes())) if exif else image


def _three_channels(image: np.ndarray) -> np.ndarray:
    """RGB from grey, BGR or BGRA; transparency over white, rounded."""
    if image.ndim == 2 or image.shape[2] == 1:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    if image.shape[2] == 3:
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    alpha = image[..., 3:].astype(np.uint16)
    over_white = (image[..., 2::-1] * alpha + 255 * (255 - alpha) + 127) // 255
    return over_white.astype(np.uint8)


def exif_orientation(encoded: bytes) -> int:
    """The EXIF orientation (1 to 8) that a JPEG states; 1 for anything else."""
    start = encoded.find(b"Exif\0\0", 0, 1 << 17) if encoded.startswith(b"\xff\xd8\xff") else -1
    return _orientation(encoded[start + 6 : start + (1 << 16)]) if start >= 0 else 1


def _orientation(exif: bytes) -> int:
    """The orientation tag (1 to 8) of an EXIF block; 1 where it has none. Source: CIPA DC-008 (EXIF 2.32), tag 0x0112."""
    order = "<" if exif.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", exif, entry)
            if tag == 0x0112:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """The picture turned as its EXIF orientation asks; 5 to 8 swap height and width."""
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
