"""The paper's page says what its rows say; and a training of it goes on where it was killed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dyntex.baselines.hosvd import HOSVD
from dyntex.baselines.lds import LDS
from dyntex.benchmarks.catalogue import load
from dyntex.benchmarks.data import Source, split_clip
from dyntex.benchmarks.report.markdown import render
from dyntex.benchmarks.studies.paper_table.names import CHAINS, GENERATOR, NETWORKS, REVISED
from dyntex.benchmarks.studies.paper_table.page import glance, margins, page
from dyntex.benchmarks.studies.paper_table.picture import picture_of, read_snapshots
from dyntex.benchmarks.studies.paper_table.table import VARIANTS, PaperTable, samples_of
from dyntex.benchmarks.studies.paper_table.training import Job, parse_jobs, train
from dyntex.benchmarks.study import Results, Row, page_of, run
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import preset
from dyntex.errors import InputError, UsageError
from dyntex.experiment.run import Run


def row(method: str, clip: str, psnr: float, *, seed: int = 0, control: bool = False, **more: float) -> Row:
    about = {"task": "paper", "method": method, "clip": clip, "seed": seed, "control": control, "status": "ok"}
    return about | {"psnr": psnr, "ssim": psnr / 100, "anchored_psnr": psnr + 2, "anchored_ssim": psnr / 50} | more


ROWS = [
    row(REVISED, "fire", 20.0),
    row(REVISED, "fire", 22.0, seed=1),
    row(REVISED, "sea", 10.0),
    row("lds", "fire", 19.5),
    row("lds", "fire", 20.5, seed=1),
    row("lds", "sea", 12.0),
    row("hosvd", "fire", 15.0),
    row("hosvd", "sea", 9.0),
    row("lds", "straw", 99.0),
    row("mean-frame", "fire", 23.0, control=True),
    row("mean-frame", "sea", 21.0, control=True),
]


def results_of(rows: list[Row], **words: object) -> Results:
    told = [{"task": "words", "method": "words", "clip": "", "seed": 0, "status": "ok"} | words] if words else []
    return {"command": "dyntex benchmark paper-table", "rows": rows + told}


def cells(table: str, first: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {first}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_glance_puts_the_published_numbers_beside_means_over_seeds_then_clips():
    table = render([glance([r for r in ROWS if r["clip"] != "straw"])])
    assert cells(table, REVISED) == [REVISED, "19.41", "0.5988", "15.50", "0.1550", "17.50", "0.3100"]
    assert cells(table, "lds |")[1:4] == ["19.15", "0.5939", "16.00"]
    assert cells(table, "hosvd |")[1:4] == ["18.39", "0.4573", "12.00"]
    assert cells(table, "*mean-frame")[1:] == ["", "", "22.00", "0.2200", "", ""]


def test_margins_are_taken_clip_by_clip_and_seed_by_seed_and_name_where_they_are_negative():
    table = render([margins(ROWS)])
    psnr = cells(table, f"{REVISED} − lds | PSNR free")
    # fire: 20 - 19.5 and 22 - 20.5, so 1 on average; sea: -2; the mean of both clips is -0.5.
    assert psnr == [f"{REVISED} − lds", "PSNR free", "+0.26", "-0.50", "sea"]
    assert cells(table, f"{REVISED} − hosvd | SSIM anchored")[2:] == ["+0.1415", "+0.0600", "none"]


def test_the_page_compares_on_the_clips_that_were_learnt_and_names_the_others():
    text = render(page(results_of(ROWS, sentences=["It comes out."], seen={"fire": "sharp"}, picture="![p](p.png)")))
    assert "Means over the 2 clips that the networks have learnt: fire (2 seeds), sea (1 seed). Still in" in text
    for part in ("It comes out.", "* fire: sharp", "![p](p.png)"):
        assert part in text
    learnt, others = text.split("## Ordering")[0].split("The same over all 3 clips, without the networks:")
    assert cells(learnt, "lds |")[3] == "16.00"  # without straw's 99
    assert cells(others, "lds |")[3] == "43.67"
    assert REVISED not in others
    assert cells(text.split("### PSNR free")[1].split("###")[0], "straw")[1:4] == ["–", "99.00", "–"]


def test_a_page_without_trainings_says_so():
    text = render(page(results_of([r for r in ROWS if r["method"] != REVISED])))
    assert "No training of the networks is finished: means over 3 clips without them." in text
    assert "nan" not in text.lower()
    assert "Ordering" not in text
    assert "The same over" not in text


def test_the_picture_has_the_observed_frames_on_top_and_a_row_for_each_iteration():
    made = np.zeros((8, 5, 6, 3), np.uint8)
    for t in range(8):
        made[t] = t
    snapshots = {n: {"revised-0": made + 10 * i, "generator-0": made + 100 + 10 * i} for i, n in enumerate((10, 1))}
    picture = picture_of(made + 50, snapshots, columns=2)
    assert picture.shape == (3 * 5 + 2 * 2, 2 * (2 * 6 + 2) + 8, 3)
    assert [int(picture[y, 0, 0]) for y in (0, 7, 14)] == [50, 10, 0]  # iteration 1 above iteration 10
    assert [int(picture[y, 13, 0]) for y in (0, 7, 14)] == [57, 17, 7]  # the last frame is among them
    assert [int(picture[y, 22, 0]) for y in (0, 7, 14)] == [255, 110, 100]


def tiny(size: int = 16, iterations: int = 12):
    """The paper's networks with few channels."""
    config = preset("paper-fc64")
    head = config.descriptor.heads[0]
    layers = tuple(replace(layer, channels=min(layer.channels, 4)) for layer in head.layers)
    up = config.generator.layers
    up = (replace(up[0], channels=6), replace(up[1], channels=4, kernel=(5, size // 2, size // 2)), up[2])
    return config.replaced(
        descriptor=replace(config.descriptor, heads=(replace(head, layers=layers),)),
        generator=replace(config.generator, layers=up),
        size=size,
        iterations=iterations,
    )


SOURCE = Source("ripples", "example:ripples")


def kill_at(iteration: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process be killed when a run asks whether to stop after that iteration."""
    train_run = Run.train

    def killed(self: Run, *args: object, **more: object) -> CoopNets:
        ask, inner, seen = self.on_step, self.stop, []
        self.on_step = lambda info, share: (seen.append(info.iteration), ask(info, share))[1]

        def stop() -> bool:
            if seen[-1] == iteration:
                raise KeyboardInterrupt
            return inner()

        self.stop = stop
        return train_run(self, *args, **more)

    monkeypatch.setattr(Run, "train", killed)


def test_a_killed_training_goes_on_and_leaves_what_an_undisturbed_one_leaves(tmp_path: Path):
    job, config = Job(SOURCE, 1), tiny()
    train(job, tmp_path / "whole", config, n_frames=24)
    with pytest.MonkeyPatch.context() as patch:
        kill_at(11, patch)
        with pytest.raises(KeyboardInterrupt):
            train(job, tmp_path / "cut", config, n_frames=24)
    train(job, tmp_path / "cut", config, n_frames=24)
    whole, cut = (read_snapshots(job.folder(tmp_path / name)) for name in ("whole", "cut"))
    assert whole.keys() == cut.keys() == {1, 10, 12}
    for n in whole:
        for key in whole[n]:
            assert np.array_equal(whole[n][key], cut[n][key])
            assert whole[n][key].shape == (24, 16, 16, 3)
    for one, other in (((1, "generator-0"), (12, "generator-0")), ((12, "revised-0"), (12, "generator-0"))):
        assert not np.array_equal(whole[one[0]][one[1]], whole[other[0]][other[1]])
    assert not np.array_equal(whole[12]["revised-0"], whole[12]["revised-1"])


def test_the_study_has_rows_of_what_is_trained_so_far_and_grows_with_it(tmp_path: Path):
    trained, out, words = tmp_path / "trained", tmp_path / "out", tmp_path / "words.json"
    trained.mkdir()
    words.write_text(json.dumps({"sentences": ["It comes out."]}))
    study = PaperTable((SOURCE,), methods=("lds",), size=32, frames=24, seeds=1, trained=trained, words=words)
    first = run(study, out)
    assert not [r for r in first["rows"] if r["method"] in NETWORKS.values()]
    train(Job(SOURCE, 0), trained, tiny(size=32, iterations=2), n_frames=24)
    rows = {r["method"]: r for r in run(study, out)["rows"]}
    for row in first["rows"]:  # its seconds too: it was not made again
        assert row == rows[row["method"]]
    assert {r["status"] for r in rows.values()} == {"ok"}
    assert list(rows)[:4] == [*NETWORKS.values(), "lds"]
    assert all(rows[name]["iterations"] == 2 and rows[name]["precision"] == "fp32" for name in NETWORKS.values())
    assert rows[REVISED]["psnr"] != rows[GENERATOR]["psnr"]
    assert {name for name in NETWORKS.values() if "anchored_psnr" in rows[name]} == {REVISED, GENERATOR}
    assert {name for name, r in rows.items() if "score" not in r} == {
        *(name for name in rows if name.endswith(", reconstructed")),
        "words",
    }
    # A reconstruction is nearer than a synthesis of the same model, and no method.
    assert rows["lds, reconstructed"]["psnr"] > rows["lds"]["psnr"]
    assert rows["lds, reconstructed"]["control"]
    assert rows["copy"]["ssim"] == 1.0
    assert rows["later-real"]["score"] == pytest.approx(rows["copy"]["score"])  # both are the learnt frames
    text = page_of(*load(out))
    assert "It comes out." in text
    assert cells(text.split("## Ordering")[0], "lds |")[1] == "19.15"


def test_samples_of_another_size_are_refused(tmp_path: Path):
    train(Job(SOURCE, 0), tmp_path, tiny(iterations=1), n_frames=24)
    with pytest.raises(InputError, match=r"samples of ripples are 3x24x16x16 .* its clip 3x24x32x32: train it again"):
        samples_of(tmp_path / "ripples" / "0", CHAINS, split_clip(SOURCE, size=32, n_frames=24))


def test_the_variants_are_the_methods_with_one_thing_wrong():
    clip, rng = split_clip(SOURCE, size=16, n_frames=24).train, torch.Generator().manual_seed(0)
    right, hosvd = LDS.fit(clip, rng=rng), HOSVD.fit(clip, rng=rng)
    loud, quiet, uncentred = (fit(clip, rng) for fit in VARIANTS.values())
    torch.testing.assert_close(loud.law.B, right.law.B * 23**0.5)
    assert not quiet.law.B.any()
    assert uncentred.core.shape == (hosvd.core.shape[0] + 1, *hosvd.core.shape[1:])
    assert not uncentred.mean.any()
    assert hosvd.mean.any()


@pytest.mark.parametrize("word", ["ripples", "flame:0", "ripples:x", "ripples:-1"])
def test_what_is_no_job_is_refused(word: str):
    assert parse_jobs(["ripples:3"], [SOURCE]) == [Job(SOURCE, 3)]
    with pytest.raises(UsageError, match=f"the job '{word}' is not CLIP:SEED with one of the clips ripples"):
        parse_jobs([word], [SOURCE])


def test_folders_that_hold_no_training_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="holds no snapshot"):
        read_snapshots(tmp_path)
    with pytest.raises(UsageError, match=r"--trained .*nowhere is not a folder"):
        PaperTable((SOURCE,), trained=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("asked", "words"),
    [({"size": 16}, "a size of 16"), ({"frames": 8}, "8 frames are too few"), ({"seeds": 0}, "0 seeds")],
)
def test_what_cannot_be_measured_is_refused(asked: dict[str, int], words: str):
    with pytest.raises(UsageError, match=words):
        PaperTable((SOURCE,), **asked)
