"""Whether a clip has the attributes that a sentence asks for: seen captions, unseen pairs of words, other words."""

from __future__ import annotations

from collections.abc import Sequence

from dyntex.benchmarks.studies.conditions.attributes import fit_reader
from dyntex.benchmarks.studies.conditions.captions import HUES, KINDS, TEMPLATES, Scene, scenes
from dyntex.benchmarks.studies.conditions.shared import Found, Setup, trained_model, write_clips
from dyntex.clip import Clip
from dyntex.conditions import Encode, Texts, encode
from dyntex.coopnets.config import CoopConfig

ATTRIBUTES = ("kind", "hue", "height", "direction", "speed")
CHANCE = {"kind": 1 / len(KINDS), "hue": 1 / len(HUES), "height": 0.5, "direction": 0.5, "speed": 0.5}
N_FRAMES = 24
N_CLIPS = 3
"""Clips of each training scene, each a sample of its own."""
FRESH = 1000
"""Seeds from here on are of clips that nothing is learnt from."""


def study(setup: Setup, config: CoopConfig, *, encode: Encode = encode) -> Found:
    """Train a model by captions and read the attributes of what it makes.

    Raises:
        MissingDependencyError: the extra ``text`` is not installed.
    """
    every = [s for s in scenes() if not setup.quick or (s.kind != "sea" and s.hue in ("red", "blue"))]
    seen = [scene for scene in every if not scene.held_out]
    wanted = seen * (1 if setup.quick else N_CLIPS)
    pairs = [(s, s.clip(size=setup.size, n_frames=N_FRAMES, seed=k)) for k, s in enumerate(wanted)]
    captions = [scene.caption(k // len(seen)) for k, scene in enumerate(wanted)]
    texts = Texts.of(captions, encode=encode)

    shape = (N_FRAMES, setup.size, setup.size)
    cond = texts.volume(captions, shape, encode=encode)
    model = trained_model(
        setup.folder / "model", [clip for _, clip in pairs], config, setup=setup, cond=cond, condition=texts
    )

    reader = fit_reader([(s, clip.segment(k, setup.window)) for s, clip in pairs for k in (0, N_FRAMES - setup.window)])

    def made(scene: Scene, words: str) -> list[tuple[Scene, Clip]]:
        cond = texts.volume([words], (1, setup.size, setup.size), encode=encode)
        draws = range(setup.n_samples)
        return [(scene, model.synthesize(setup.window, rng=setup.rng(1 + k), cond=cond)) for k in draws]

    real = {s: (s, s.clip(size=setup.size, n_frames=setup.window, seed=FRESH + k)) for k, s in enumerate(every)}
    unseen = [scene for scene in every if scene.held_out]
    groups = {
        "*real, training scenes*": [real[s] for s in seen],
        "*real, unseen pairs*": [real[s] for s in unseen],
        "training captions": [pair for s in seen for pair in made(s, s.caption())],
        "unseen pairs of words": [pair for s in unseen for pair in made(s, s.caption())],
        "another sentence": [pair for s in every for pair in made(s, s.reworded())],
        "other words": [pair for s in every for pair in made(s, s.paraphrase())],
    }
    rows = [[name, *_shares([reader.right(clip, s) for s, clip in group])] for name, group in groups.items()]
    all_right = 1.0
    for name in ("kind", "hue", "height", "speed"):  # a scene has a height or a direction
        all_right *= CHANCE[name]
    rows.append(["*chance*", *(f"{CHANCE[name]:.0%}" for name in ATTRIBUTES), f"{all_right:.0%}", ""])
    shown = [*seen[:: max(1, len(seen) // 8)], *unseen[:: max(1, len(unseen) // 4)]]
    write_clips(setup.folder / "sheet.png", [[c for _, c in (real[s], *made(s, s.caption()))] for s in shown])
    return Found(
        "Text",
        f"A model of {len(pairs)} clips of {len(seen)} scenes (kind, hue, height or direction, speed), each with a "
        f"caption of these words by one of {len(TEMPLATES['height'])} templates, encoded in {texts.channels} "
        f"directions of meaning. {len(unseen)} scenes with {len({(s.kind, s.hue) for s in unseen})} pairs of kind and "
        "hue were "
        "held out. Another sentence has the words in an order that no caption has; in other words, each that says "
        f"something is replaced. {setup.n_samples} samples a sentence; their attributes are read by rules "
        "(`benchmarks/studies/conditions/attributes.py`), whose own errors the real clips show.",
        {"Share of samples with the attribute that was asked for": (["asked by", *ATTRIBUTES, "all", "samples"], rows)},
        [f"Sheet: a row a scene, a real clip and then samples; rows: {'; '.join(s.caption() for s in shown)}."],
    )


def _shares(right: Sequence[dict[str, bool]]) -> list[str]:
    """By attribute, the share of clips that have it right; that of all attributes; and how many clips there were."""
    shares = []
    for name in ATTRIBUTES:
        known = [r[name] for r in right if name in r]
        shares.append(f"{sum(known) / len(known):.0%}" if known else "–")
    every = sum(all(r.values()) for r in right) / len(right) if right else 0.0
    return [*shares, f"{every:.0%}", str(len(right))]
