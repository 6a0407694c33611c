"""From a picture file to pixels: the only room that opens one. `decode.read(path)`, `cache.Pictures`; no torch."""
