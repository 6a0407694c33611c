"""What tells nine genera of mushrooms apart, as numbers that a drawing can use.

Field marks after the descriptions in T. Laessoe and J. H. Petersen, Fungi of Temperate Europe, 2019. Colours overlap
between the genera on purpose, as they do outdoors: a red cap may be an Amanita, a Russula, a Hygrocybe or a Lactarius.
"""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class Genus:
    """Field marks of one genus. Lengths are in cap radii, marks are probabilities, colours are (centre, edge) pairs."""

    name: str
    caps: tuple[tuple[str, str], ...]
    profiles: tuple[str, ...]
    height: Range
    undersides: tuple[str, ...]
    stems: tuple[str, ...]
    stem_length: Range
    stem_radius: Range
    bulb: Range  # radius of the base over that of the top
    pores: bool = False
    decurrent: Range = (-0.1, 0.02)  # how far the underside runs down the stem
    gills: Range = (60, 90)  # number of gills around
    gloss: Range = (0.0, 0.15)
    ring: float = 0.0
    volva: float = 0.0
    warts: float = 0.0
    scales: float = 0.0
    zones: float = 0.0
    striate: float = 0.0
    fibrils: float = 0.3
    faded: float = 0.15
    cobweb: float = 0.0
    milk: float = 0.0
    net: float = 0.0
    dots: float = 0.0
    bands: float = 0.0
    rust: float = 0.0


GENERA = (
    Genus(
        "Agaricus",
        caps=(
            ("f3eee3", "e4dac8"),
            ("8a6547", "c2a583"),
            ("6f5040", "a58a74"),
            ("eadfb9", "e2cf93"),
            ("d9cbb8", "c9b59c"),
        ),
        profiles=("dome", "cushion", "flat"),
        height=(0.35, 0.85),
        undersides=("d8a09a", "b97f77", "8a5a50", "543831"),
        stems=("f0e9dc", "e2d6c4", "d8c6ae"),
        stem_length=(1.0, 1.8),
        stem_radius=(0.17, 0.26),
        bulb=(0.95, 1.35),
        gills=(80, 110),
        ring=0.85,
        scales=0.5,
    ),
    Genus(
        "Amanita",
        caps=(
            ("b7261a", "d4501f"),
            ("c9572a", "dd8a35"),
            ("efece4", "e6e0d2"),
            ("7d7064", "a4998b"),
            ("7c8550", "b3b37a"),
            ("a9774c", "caa274"),
        ),
        profiles=("dome", "flat", "cushion"),
        height=(0.25, 0.85),
        undersides=("f3efe4", "ebe5d3"),
        stems=("f2ede2", "e6dfce", "d9cfbd"),
        stem_length=(1.5, 2.4),
        stem_radius=(0.11, 0.18),
        bulb=(1.3, 2.0),
        gills=(70, 100),
        ring=0.8,
        volva=0.65,
        warts=0.7,
        striate=0.35,
        bands=0.4,
    ),
    Genus(
        "Boletus",
        caps=(
            ("6b4026", "8f5f39"),
            ("4c2d1e", "6d452d"),
            ("a87c4c", "c39a68"),
            ("7d3f2b", "9a5b3e"),
            ("94714c", "b59a70"),
        ),
        profiles=("cushion", "cushion", "dome"),
        height=(0.5, 0.9),
        undersides=("eee6cc", "d8c460", "a9a046", "a2492b"),
        stems=("d9c3a0", "c7a775", "d6b564", "b0604a"),
        stem_length=(0.9, 1.6),
        stem_radius=(0.28, 0.45),
        bulb=(1.15, 1.9),
        pores=True,
        net=0.65,
        fibrils=0.15,
    ),
    Genus(
        "Cortinarius",
        caps=(
            ("8e4f24", "b37a3f"),
            ("5f4a78", "84719a"),
            ("5d3d2a", "8a6748"),
            ("a88334", "bf9d4f"),
            ("98795f", "b59a80"),
            ("7a2f22", "9c4a30"),
        ),
        profiles=("umbonate", "dome", "cushion"),
        height=(0.4, 0.8),
        undersides=("a5602c", "8a4e26", "7b6390", "b07f45"),
        stems=("b9986b", "8f80a3", "c9b492", "a1764a"),
        stem_length=(1.2, 2.1),
        stem_radius=(0.13, 0.22),
        bulb=(1.1, 1.8),
        gills=(50, 80),
        gloss=(0.0, 0.35),
        fibrils=0.6,
        cobweb=0.85,
        rust=0.75,
    ),
    Genus(
        "Entoloma",
        caps=(
            ("6b645d", "938b82"),
            ("7a6a5a", "a59684"),
            ("465066", "69748a"),
            ("a2937c", "c2b59f"),
            ("584a40", "81705f"),
        ),
        profiles=("umbonate", "conical", "flat"),
        height=(0.3, 0.8),
        undersides=("dba99c", "cf9587", "d9bdb0"),
        stems=("bdb5aa", "a39a90", "7f8796", "cfc6b8"),
        stem_length=(1.5, 2.5),
        stem_radius=(0.08, 0.15),
        bulb=(0.9, 1.2),
        gills=(40, 60),
        fibrils=0.75,
        striate=0.3,
    ),
    Genus(
        "Hygrocybe",
        caps=(
            ("b81f14", "d4481d"),
            ("d2601a", "e58f2a"),
            ("d99f1f", "e8c243"),
            ("8c8e35", "c1a744"),
            ("a83223", "33211d"),
            ("c9877a", "e0aea0"),
        ),
        profiles=("conical", "dome", "flat"),
        height=(0.35, 1.0),
        undersides=("e6b54a", "df8f3a", "e8d7a0", "d9a08a"),
        stems=("e0a83a", "d8772c", "e3c560", "c4532a"),
        stem_length=(1.4, 2.5),
        stem_radius=(0.09, 0.16),
        bulb=(0.85, 1.05),
        decurrent=(-0.12, 0.15),
        gills=(24, 38),
        gloss=(0.45, 0.9),
        fibrils=0.15,
        striate=0.35,
    ),
    Genus(
        "Lactarius",
        caps=(
            ("c06a2d", "dc9a58"),
            ("7d3d25", "a5623f"),
            ("8a7a72", "aa9b92"),
            ("62603b", "858058"),
            ("d6b08a", "e6cbb0"),
            ("a8452e", "c77a52"),
        ),
        profiles=("funnel", "depressed", "funnel"),
        height=(0.2, 0.45),
        undersides=("e8cfa0", "d99a58", "e9dfc8"),
        stems=("d3a06a", "c07f52", "cdbfae", "e0cfae"),
        stem_length=(0.8, 1.4),
        stem_radius=(0.18, 0.28),
        bulb=(0.8, 1.0),
        decurrent=(0.15, 0.4),
        gills=(70, 100),
        gloss=(0.0, 0.35),
        zones=0.7,
        milk=0.6,
        dots=0.35,
        fibrils=0.15,
    ),
    Genus(
        "Russula",
        caps=(
            ("a32631", "c4505a"),
            ("55304a", "85556f"),
            ("75834f", "9da877"),
            ("c7a040", "dcc07a"),
            ("d58f8f", "e6b5ad"),
            ("8a5a3c", "b08a64"),
        ),
        profiles=("depressed", "flat", "depressed"),
        height=(0.25, 0.5),
        undersides=("f3eee0", "ecdcae", "f0e6cc"),
        stems=("f3efe6", "ebe4d6", "e8cfc8"),
        stem_length=(0.9, 1.5),
        stem_radius=(0.2, 0.3),
        bulb=(0.85, 1.15),
        gills=(60, 80),
        gloss=(0.0, 0.3),
        striate=0.65,
        faded=0.6,
        fibrils=0.05,
    ),
    Genus(
        "Suillus",
        caps=(
            ("9c6c26", "bd8f3c"),
            ("5d3a22", "7f5733"),
            ("b97c34", "d3a352"),
            ("c9aa5e", "dac488"),
            ("84462a", "a86a40"),
        ),
        profiles=("cushion", "dome", "flat"),
        height=(0.35, 0.7),
        undersides=("dcbc4a", "c7a53a", "b3933f", "e6d489"),
        stems=("dcc37a", "cfae5c", "b98f52", "e3d3a4"),
        stem_length=(0.8, 1.5),
        stem_radius=(0.16, 0.27),
        bulb=(0.9, 1.15),
        pores=True,
        gloss=(0.5, 0.95),
        ring=0.45,
        dots=0.65,
        fibrils=0.2,
    ),
)
