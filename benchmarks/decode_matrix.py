"""Format by mode, orientation, path and size: what the decoder makes of each, against Pillow under the same policy.

python -m benchmarks.decode_matrix                                   # prints the tables; a minute
python -m benchmarks.decode_matrix --markdown docs/decoding.md       # writes them between the marks in that file

A cell is the largest difference of any pixel, 0 to 255: 0 where the decoder gives the very pixels, "-" where the format
has no such picture, "refused" where there is a sentence instead. Exit codes: 0 no cell above its bound; 1 one is; 2 an
unknown option.
"""

from __future__ import annotations

import argparse
import io
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from recipe.pictures import decode
from recipe.pictures.errors import UnreadablePicture

MARKS = (
    "<!-- tables: python -m benchmarks.decode_matrix --markdown docs/decoding.md -->",
    "<!-- end of the tables -->",
)
FORMATS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "GIF": {},
    "WEBP": {"lossless": True, "exact": True},
    "TIFF": {},
    "BMP": {},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "JPEG2000": {},
}
BOUND = 1  # of a pixel: CMYK by OpenCV's rule and by Pillow's, 16-bit JPEG 2000 in two roundings
PATHS = {
    "ASCII": "picture.jpg",
    "Chinese": "蘑菇/牛肝菌.jpg",
    "emoji": "🍄.jpg",
    "spaces and quotes": "a 'b' & \"c\" #1.jpg",
    "very long": "/".join(["x" * 100] * 20) + "/y.jpg",
    "Windows": "C:\\photos\\con.jpg",
    "no suffix": "picture",
    "wrong suffix": "picture.png",
    "upper case": "PICTURE.JPEG",
}
SIZES = {"1 x 1": (1, 1), "1 x 20,000": (1, 20000), "20,000 x 3": (20000, 3), "9,000 x 9": (9000, 9)}


def scene(width: int = 84, height: int = 60) -> Image.Image:
    """A smooth coloured picture without symmetry, so that a wrong turn shows."""
    small = np.random.default_rng(3).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def modes() -> dict[str, Image.Image]:
    """The scene in every mode that Pillow writes."""
    rgb, grey = scene(), scene().convert("L")
    alpha = Image.fromarray(np.linspace(0, 255, 60 * 84).reshape(60, 84).astype(np.uint8))
    palette = rgb.quantize(16)
    rgba = Image.merge("RGBA", (*rgb.split(), alpha))
    return {
        "RGB": rgb,
        "RGBA": rgba,
        "L": grey,
        "LA": Image.merge("LA", (grey, alpha)),
        "P": palette,
        "P, transparent": palette,
        "1 bit": rgb.convert("1"),
        "16-bit grey": Image.fromarray(np.linspace(0, 65535, 60 * 84).reshape(60, 84).astype(np.uint16)),
        "CMYK": rgb.convert("CMYK"),
        "YCbCr": rgb.convert("YCbCr"),
        "animated": rgb,
    }


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes | None:
    """The picture in a format; None where the format has no such mode or size."""
    stream = io.BytesIO()
    try:
        picture.save(stream, kind, **(FORMATS[kind] | options))
    except (OSError, ValueError):
        return None
    return stream.getvalue()


def in_mode(kind: str, mode: str, picture: Image.Image) -> bytes | None:
    """The picture in a format, which must hold the mode itself and not another one in its place."""
    if mode == "animated":
        return (
            saved(picture, kind, save_all=True, append_images=[picture.rotate(180)])
            if kind in ("GIF", "WEBP", "PNG", "TIFF", "AVIF")
            else None
        )
    encoded = saved(picture, kind, **({"transparency": 3} if mode == "P, transparent" else {}))
    return encoded if encoded and _holds(encoded, picture.mode, kind) else None


def _holds(encoded: bytes, mode: str, kind: str) -> bool:
    with Image.open(io.BytesIO(encoded)) as opened:
        return opened.mode == mode or (mode == "YCbCr" and kind in ("JPEG", "JPEG2000", "TIFF"))


def by_pillow(encoded: bytes) -> np.ndarray:
    """What Pillow makes of it under this project's policy: upright, the first frame, 16 bits scaled, over white."""
    with Image.open(io.BytesIO(encoded)) as opened:
        picture = ImageOps.exif_transpose(opened)
        if picture.mode.startswith("I"):
            return np.repeat(np.rint(np.asarray(picture) / 257).astype(np.uint8)[..., None], 3, axis=2)
        if picture.has_transparency_data:
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture.convert("RGBA"))
        return np.asarray(picture.convert("RGB"))


def outcome(encoded: bytes | None, read: Callable[[bytes], np.ndarray] = decode.decode) -> str:
    """A cell of the table."""
    if encoded is None:
        return "-"
    try:
        image = read(encoded)
    except UnreadablePicture:
        return "refused"
    expected = by_pillow(encoded)
    return (
        str(int(np.abs(image.astype(int) - expected).max()))
        if image.shape == expected.shape
        else f"shape {image.shape}"
    )


def turned(kind: str, orientation: int) -> bytes | None:
    """The scene with an orientation in the file."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(scene(), kind, exif=exif.tobytes())


def ycck() -> bytes:
    """An Adobe JPEG whose CMYK is stored as YCCK: the same numbers under the mark that says so."""
    encoded = bytearray(saved(scene().convert("CMYK"), "JPEG") or b"")
    encoded[encoded.index(b"Adobe") + 11] = 2
    return bytes(encoded)


def unmarked() -> bytes:
    """A CMYK JPEG without Adobe's mark."""
    encoded = saved(scene().convert("CMYK"), "JPEG") or b""
    start = encoded.index(b"\xff\xee")
    return encoded[:start] + encoded[start + 2 + struct.unpack_from(">H", encoded, start + 2)[0] :]


def with_profile(kind: str, profile: bytes) -> bytes | None:
    """The scene with an ICC profile, which is not applied."""
    return saved(scene(), kind, icc_profile=profile)


def at_path(folder: Path, name: str) -> str:
    """The outcome for a picture that lies under a name."""
    path = folder / name
    encoded = saved(scene(), "JPEG") or b""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded)
    except OSError:
        return "-"
    return outcome(encoded, lambda _: decode.read(path))


def tables() -> dict[str, tuple[list[str], list[list[str]]]]:
    """Header and rows of each, by title."""
    kinds, pictures = list(FORMATS), modes()
    with tempfile.TemporaryDirectory() as folder:
        lie = [[name, at_path(Path(folder), path)] for name, path in PATHS.items()]
    return {
        "Format by mode": (
            ["mode", *kinds],
            [[mode, *(outcome(in_mode(kind, mode, picture)) for kind in kinds)] for mode, picture in pictures.items()],
        ),
        "CMYK in JPEG": (
            ["kind", "JPEG"],
            [["YCCK (Adobe)", outcome(ycck())], ["without Adobe's mark", outcome(unmarked())]],
        ),
        "Format by orientation": (
            ["orientation", *kinds],
            [[str(turn), *(outcome(turned(kind, turn)) for kind in kinds)] for turn in range(1, 9)],
        ),
        "Format by size": (
            ["width x height", *kinds],
            [[name, *(outcome(saved(scene(*size), kind)) for kind in kinds)] for name, size in SIZES.items()],
        ),
        "Kind of path": (["path", "JPEG"], lie),
    }


def markdown(found: dict[str, tuple[list[str], list[list[str]]]]) -> str:
    """The tables as text."""
    parts = []
    for title, (header, rows) in found.items():
        parts += ["", f"**{title}**", ""]
        parts += [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]
    return "\n".join(parts) + "\n"


def above(found: dict[str, tuple[list[str], list[list[str]]]]) -> list[str]:
    """Cells that are neither within the bound nor absent."""
    return [
        f"{title}: {row[0]}, {column}: {cell}"
        for title, (header, rows) in found.items()
        for row in rows
        for column, cell in zip(header[1:], row[1:], strict=True)
        if cell != "-" and not (cell.isdecimal() and int(cell) <= BOUND)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables between the marks in this file")
    arguments = parser.parse_args()
    found = tables()
    print(markdown(found))
    if arguments.markdown:
        before, _, rest = arguments.markdown.read_text(encoding="utf-8").partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        arguments.markdown.write_text(f"{before}{MARKS[0]}\n{markdown(found)}\n{MARKS[1]}{after}", encoding="utf-8")
    print(*above(found), sep="\n")
    return 1 if above(found) else 0


if __name__ == "__main__":
    sys.exit(main())
