"""The protocol in words, for every page that shows numbers: no table leaves the house without it."""

from __future__ import annotations

from typing import Any

from dyntex.benchmarks.metrics.critic import ITERATIONS, SAMPLES, SEEDS
from dyntex.coopnets.model import ANCHOR_FRAMES

TITLES = {
    "paper": "The paper's comparison",
    "statistics": "Statistics of free samples",
    "critic": "A critic's eye",
    "extrapolation": "Extrapolation",
    "speed": "Speed and memory",
}

CAPTIONS = {
    "paper": "PSNR (dB) and SSIM of synthesized frame t against observed frame t: mean over frames, then seeds, then "
    "clips; higher is better. Free starts from the method's own stationary law. Anchored starts from the observed "
    "first state: the first frame for the linear and kernel methods, latents inferred from the first "
    f"{ANCHOR_FRAMES} frames for CoopNets. A control starts nowhere and has the same numbers in both columns. A still "
    "mean frame beats every honest sample by about 3 dB, because an independent sample is off by twice the variance "
    "and the mean by once. The copy is exact.",
    "statistics": "Two free samples a seed, measured against the held-out frames. Each distance is divided by that of "
    "real blocks to real blocks, and the score is their geometric mean; lower is better. 1 is as far as real is from "
    "real; z is how far the score's logarithm is above that of real blocks, in standard deviations. Diversity (between "
    "samples) and copy distance (to the nearest training window) are relative to real: about 1 is right, and 0 means "
    "that all samples are alike, or a replay. *replay*, whole training frames from good cut to good cut, is the floor: "
    "any method that learns from them could do that.",
    "critic": "The probability with which a small network, fresh for each method, ranks held-out crops above crops of "
    "the method's samples: 0.5 where it cannot tell, 1 where it always can; lower is better, but under 0.5 the samples "
    f"are more like the training frames than the held-out frames are. {SEEDS} critics of {ITERATIONS} iterations, "
    f"{SAMPLES} samples: two thirds to learn from, a third to be asked about. *replay* is the floor; *later-real* is "
    "real footage against itself, from 0.5 to 1, and where it is near 1 the clip is too short for this question.",
    "extrapolation": "PSNR (dB) and SSIM of the h-th frame after the training segment, against repeating the last "
    "frame and the mean frame; higher is better. A prediction is a best guess without noise. A clip counts only at the "
    "horizons that its held-out frames reach.",
    "speed": "Fitting to the training segment; synthesizing as many frames; the largest resident memory of the "
    "process, and what of it the interpreter, torch and the clip take before fitting; the numbers that the model "
    "consists of. Each measurement is a process of its own, and the methods take turns.",
}


def protocol(results: dict[str, Any]) -> str:
    """What was done, in a paragraph."""
    config = results["config"]
    seeds, clips = config["seeds"], len(config["clips"])
    notes = sorted({f"{row['clip']}: {row['note']}" for row in results["rows"] if row.get("note")})
    words = [
        f"One model per clip: fitted on the first {config['frames']} frames at {config['size']}x{config['size']}, with "
        f"the frames after them, at most as many, held out. {_count(clips, 'clip')}, {_count(seeds, 'seed')}. Where "
        "fewer than half as many would be held out, a method is fitted on two thirds of the clip and a third is held "
        "out" + (f" ({'; '.join(notes)})." if notes else " (no clip here)."),
        "Every sample is measured, in eight bits, as the video that is kept in the results' folder. Numbers are means "
        "over seeds, then clips; ± is the standard deviation over seeds of the mean over clips. Controls are not "
        "methods: they show what a number is worth.",
    ]
    if config["budget"] is not None:
        words.append(
            f"Neural methods were trained for {config['budget']:g} s each, so their numbers depend on the machine."
        )
    elif config["iterations"] is not None:
        words.append(f"Neural methods were trained for {_count(config['iterations'], 'iteration')} each.")
    if not results["complete"]:
        words.append("The sweep is not complete: these are the cells that are done.")
    return " ".join(words)


def setting(results: dict[str, Any]) -> str:
    """The machine and the versions, in a sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    machines = results["machine"].get("several", [results["machine"]])
    seen = dict.fromkeys(
        f"{m['processor']} ({_count(m['processor_threads'], 'thread')}, {m['memory_bytes'] / 2**30:.0f} GiB"
        + (f", {m['accelerator']})" if m["accelerator"] else ")")
        for m in machines
    )
    return f"Run on {'; '.join(seen)}, with {versions}."


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
