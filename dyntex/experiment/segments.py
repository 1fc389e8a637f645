"""Fit the method ``segments`` in a run folder, and say what came of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dyntex.clip import Clip
from dyntex.coopnets.presets import QUALITIES
from dyntex.coopnets.segments import DEFAULT, Candidate, Segments, SegmentsConfig
from dyntex.coopnets.tilting import TiltInfo
from dyntex.dataclass_json import to_json
from dyntex.experiment.bundle import remove_bundle
from dyntex.experiment.settings import MODEL_FOLDER

if TYPE_CHECKING:
    from dyntex.experiment.run import Run
    from dyntex.experiment.session import Session

LONG = 10
"""Steps of the potentials at quality high."""
WRITING = 0.1
"""Share of a budget that is left for the writing."""


def config_of(quality: str | None) -> SegmentsConfig:
    """The training of a quality: none in a draft, a longer one where it is high."""
    training = DEFAULT.training
    iterations = {"draft": 0, "high": LONG * training.every}.get(quality or "", training.iterations)
    return replace(DEFAULT, training=replace(training, iterations=iterations))


def fit_segments(
    session: Session,
    run: Run,
    clip: Clip,
    about: dict[str, Any],
    *,
    quality: str | None,
    seconds: float | None,
    folder: Path | None,
) -> tuple[Segments, Path]:
    """Fit, say what was chosen and why, and save the model.

    Args:
        session, run: of the command.
        clip: to be learnt.
        about: settings for the run's record.
        quality: draft, standard or high.
        seconds: for the whole command; by default those of quality standard.
        folder: for the model; by default in the run's folder.

    Returns:
        the model and where it was saved.
    """
    config = config_of(quality)
    run.begin(
        {"method": "segments", "seed": session.seed, "shape": list(clip.video.shape), "segments": to_json(config)}
        | about
    )
    remove_bundle(run.folder)
    allowed = QUALITIES["standard"] if seconds is None else seconds
    left = (1.0 - WRITING) * allowed - session.watch.spent()
    every, done = config.training.every, 0

    def on_step(info: TiltInfo) -> None:
        nonlocal done
        done += 1
        if not info.iteration % every:
            changed = "changed" if info.change else "left as they were"
            session.progress.say(
                f"segments: {done} of at most {len(config.fields) * config.training.iterations} updates, "
                f"potentials {changed}"
            )

    with session.watch.timed("fit"):
        model = Segments.fit(clip, config, rng=session.rng("train"), seconds=left, on_step=on_step)
    session.progress.say(verdict(model))
    place = folder or run.folder / MODEL_FOLDER
    model.save(place)
    return model, place


def verdict(model: Segments) -> str:
    """What was taken, and what the critic said of all."""
    if not model.candidates:
        return f"{model.kind}, untrained"
    taken = model.candidates[model.taken]
    others = [other for i, other in enumerate(model.candidates) if i != model.taken]
    return (
        f"taken: {_named(taken)}. A critic tells it from the clip with AUC {taken.judgement.auc:.2f} (.5: not at all; "
        + ", ".join(f"{_named(other)} {other.judgement.auc:.2f}" for other in others)
        + ")"
    )


def facts_of(model: Segments) -> dict[str, Any]:
    """For the object that ``--json`` prints."""
    return {
        "generator": model.kind,
        "trained": bool(model.candidates) and model.candidates[model.taken].trained,
        "candidates": to_json(model.candidates),
    }


def _named(candidate: Candidate) -> str:
    return f"{candidate.kind} {'trained' if candidate.trained else 'untrained'}"
