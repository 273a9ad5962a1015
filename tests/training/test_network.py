"""Packing, distortion and the step: what a batch says about its pages is true, and training lowers both losses."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from training.augment import MEAN, STD, distorted_patches
from training.batches import BatchWriter, Budget, Use, empty_batch, patch_places
from training.encoding import Encoder, Turn, answer_weight, encode_conversation, rope_positions
from training.looks import Look, random_look, resize
from training.network import PLAIN, Network, Shape, interpolation_table
from training.page import COLOUR, FIGURE, QA, TOKEN, Glyph, Page, Sight, moved
from training.tokenizer import padded_vocab_size
from training.train import Device, Plan

SHAPE = Shape(
    vocab_size=padded_vocab_size(), hidden=128, layers=1, heads=2, kv_heads=1, mlp=128, vision_hidden=64,
    vision_layers=1, merger_mlp=128,
)  # fmt: skip
BUDGET = Budget(visual=64, text=420, pictures=32, conversations=16, labels=120, glyphs=64, max_side=6, max_area=32,
                max_row=200, passes=1)  # fmt: skip
ENCODER = Encoder()


def dot_page(h: int, w: int, dots: list[tuple[int, int]]) -> Page:
    """A white page with a dark 5 x 5 square at each place; each counts as a glyph."""
    image = np.full((h * TOKEN, w * TOKEN, 3), 255, np.uint8)
    for x, y in dots:
        image[y - 2 : y + 3, x - 2 : x + 3] = 0
    glyphs = [Glyph("好", x + 0.5, y + 0.5, 20.0) for x, y in dots]
    return Page(image, glyphs, [QA("read", "zh", "读", "好")])


def load(device: Device, pages: list[Page], looks: list[tuple[Look, np.ndarray]]) -> None:
    buffer = bytearray(BUDGET.nbytes())
    writer = BatchWriter(BUDGET, ENCODER, buffer)
    for page, look in zip(pages, looks, strict=True):
        assert writer.add([page], [Use([Turn("读", "好好", (0,))], [look])])
    writer.close(random.Random(0))
    shared, passes = BUDGET.views(buffer)
    device.load({**shared, **passes[0]})


def shown_picture(device: Device, index: int) -> np.ndarray:
    """The distorted picture of a batch as floats [h, w, 3] in 0..1, put together from its patches."""
    i = device.inputs
    patches = distorted_patches(
        i["pixels"], i["picture_offset"], i["picture_size"], i["patch_picture"], i["patch_yx"], i["look"],
        torch.zeros(4 * BUDGET.visual, 588),
    )  # fmt: skip
    pixels = patches.view(-1, 3, 14, 14) * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
    begin, end = i["vision_offsets"][index : index + 2].tolist()
    height, width = i["picture_size"][index].tolist()
    picture = np.zeros((height, width, 3), np.float32)
    for patch in range(begin, end):
        y, x = i["patch_yx"][patch].tolist()
        picture[14 * y : 14 * y + 14, 14 * x : 14 * x + 14] = pixels[patch].permute(1, 2, 0).numpy()
    return picture


@pytest.fixture
def device() -> Device:
    torch.manual_seed(0)
    return Device(Network(SHAPE), BUDGET, torch.device("cpu"))


def test_an_undistorted_picture_reaches_the_network_pixel_by_pixel(device: Device) -> None:
    rng = np.random.default_rng(1)
    pages = [Page(rng.integers(0, 256, (h * 28, w * 28, 3), dtype=np.uint8), [], []) for h, w in ((2, 3), (4, 1))]
    load(device, pages, [(Look(), np.eye(3))] * 2)
    for index, page in enumerate(pages):
        np.testing.assert_allclose(shown_picture(device, index), page.image / 255, atol=1e-5)


def test_the_map_that_moves_glyph_positions_is_the_one_that_moves_pixels(device: Device) -> None:
    moved = 0
    for seed in range(12):
        page = dot_page(4, 6, [(60, 50), (110, 70)])
        look, forward = random_look(random.Random(seed), page, 1.0)
        look.noise = look.blur = 0.0
        look.gain, look.bias, look.fill = (1.0,) * 3, (0.0,) * 3, (0.0, 0.0, 0.0, 0.0)
        load(device, [page], [(look, forward)])
        picture = shown_picture(device, 0)
        for glyph in page.glyphs:
            x, y, depth = forward @ (glyph.x, glyph.y, 1.0)
            x, y = x / depth, y / depth
            dark = 1 - picture[..., 0]
            near = np.zeros_like(dark)
            near[max(0, int(y) - 8) : int(y) + 8, max(0, int(x) - 8) : int(x) + 8] = 1
            weight = dark * near
            ys, xs = np.indices(dark.shape) + 0.5
            assert abs((weight * xs).sum() / weight.sum() - x) < 0.7
            assert abs((weight * ys).sum() / weight.sum() - y) < 0.7
        moved += not np.allclose(forward, np.eye(3))
    assert moved >= 2


def test_places_and_colours_stay_where_they_are_asked_for() -> None:
    page = dot_page(4, 6, [(60, 50)])
    page.fixed_geometry = page.fixed_colours = True
    for seed in range(30):
        look, forward = random_look(
            random.Random(seed), page, 1.0, [QA("box", "en", "q", "a"), QA("colour", "en", "q", "a")]
        )
        assert np.array_equal(forward, np.eye(3))
        assert look.gain == (1.0, 1.0, 1.0) and look.bias == (0.0, 0.0, 0.0)


def test_a_resized_page_takes_its_glyphs_along() -> None:
    page = dot_page(4, 4, [(56, 28)])
    resize(page, 8 * TOKEN, 6 * TOKEN, 640)
    assert page.image.shape == (6 * TOKEN, 8 * TOKEN, 3)
    glyph = page.glyphs[0]
    assert (glyph.x, glyph.y) == (113.0, 42.75)
    assert page.image[int(glyph.y), int(glyph.x)].max() < 60


def test_a_page_with_small_glyphs_is_not_shrunk() -> None:
    page = dot_page(4, 4, [(56, 28)])
    page.glyphs[0].size = 13.0
    resize(page, 2 * TOKEN, 2 * TOKEN, 640)
    assert page.image.shape == (4 * TOKEN, 4 * TOKEN, 3)


def test_patches_are_in_merge_block_order() -> None:
    places = patch_places(2, 3).reshape(6, 4, 2)
    for token, block in enumerate(places):
        row, column = divmod(token, 3)
        expected = [[2 * row + i, 2 * column + j] for i in (0, 1) for j in (0, 1)]
        assert block.tolist() == expected


def test_positions_follow_the_multi_dimensional_rule() -> None:
    row = encode_conversation(ENCODER, [Turn("a", "b", (0,))], [6])
    first, _ = row.pictures[0]
    positions = rope_positions(row, [(2, 3)])
    assert positions[:, first].tolist() == [first] * 3
    assert positions[:, first + 5].tolist() == [first, first + 1, first + 2]
    assert positions[:, first + 6].tolist() == [first + 3] * 3


def test_position_interpolation_is_torchs_bicubic() -> None:
    table = torch.randn(1, 5, 24, 24)
    ours = interpolation_table(12)
    for height, width in ((2, 12), (7, 4)):
        y = (torch.arange(height) + 0.5) / height * 2 - 1
        x = (torch.arange(width) + 0.5) / width * 2 - 1
        grid = torch.stack((x.expand(height, -1), y[:, None].expand(-1, width)), -1)[None]
        theirs = torch.nn.functional.grid_sample(
            table, grid, mode="bicubic", padding_mode="border", align_corners=False
        )
        mine = torch.einsum("yi,xj,cij->cyx", ours[height, :height], ours[width, :width], table[0])
        torch.testing.assert_close(mine, theirs[0], atol=1e-5, rtol=1e-5)


def test_a_page_is_read_the_same_alone_and_among_others(device: Device) -> None:
    rng = np.random.default_rng(2)
    page, *others = [Page(rng.integers(0, 256, (h * 28, w * 28, 3), dtype=np.uint8), [], []) for h, w in
                     ((3, 4), (2, 2), (5, 3))]  # fmt: skip
    results = []
    for pages in ([page], [page, *others]):
        load(device, pages, [(Look(), np.eye(3))] * len(pages))
        with torch.no_grad():
            batch = device.packed()
            batch.patches = batch.patches.float()
            visual = device.network.encode(batch, PLAIN)
            results.append((visual[:12], device.network.decode(batch, visual, PLAIN)[:20]))
    for alone, among in zip(*results, strict=True):
        torch.testing.assert_close(alone, among, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_training_on_one_batch_lowers_both_losses(device: Device) -> None:
    load(device, [dot_page(2, 3, [(20, 20)]), dot_page(3, 3, [(40, 50)])], [(Look(), np.eye(3))] * 2)
    device.rate.fill_(1.0)
    seen = []
    for _ in range(25):
        device.totals.zero_()
        device.step()
        seen.append(device.totals[:2].tolist())
    (first_answer, first_reading), (answer, reading) = seen[0], seen[-1]
    assert answer < 0.3 * first_answer and reading < 0.3 * first_reading


def test_a_full_batch_is_refused_and_padding_fills_every_field() -> None:
    buffer = bytearray(BUDGET.nbytes())
    writer = BatchWriter(BUDGET, ENCODER, buffer)
    added = 0
    while writer.add([dot_page(3, 3, [(20, 20)])], [Use([Turn("读", "好", (0,))], [(Look(), np.eye(3))])]):
        added += 1
    writer.close(random.Random(0))
    shared, (arrays,) = BUDGET.views(buffer)
    assert 1 < added <= BUDGET.visual // 9
    assert shared["vision_offsets"][-1] == 4 * BUDGET.visual and arrays["text_offsets"][-1] == BUDGET.text
    assert (np.diff(shared["vision_offsets"]) >= 0).all() and (np.diff(arrays["text_offsets"]) >= 0).all()
    assert np.diff(arrays["text_offsets"]).max() <= BUDGET.max_row
    assert len(set(arrays["image_slots"].tolist())) == BUDGET.visual
    assert np.count_nonzero(arrays["label_weights"]) == added * 2


def test_short_answers_weigh_more_a_token_and_long_ones_more_in_all() -> None:
    assert answer_weight(2) == 3.0 and answer_weight(400) == 0.6
    weights = [answer_weight(n) for n in range(1, 400)]
    assert weights == sorted(weights, reverse=True)
    totals = [n * answer_weight(n) for n in range(1, 400)]
    assert totals == sorted(totals)


def sights_of(look: Look, forward: np.ndarray) -> dict[tuple[int, int], int]:
    """(visual token, cell): label, of a page of 3 x 3 tokens with a red circle in its middle."""
    page = dot_page(3, 3, [])
    page.sights = [Sight("圆", 42, 42), Sight("红", 42, 42, COLOUR)]
    writer = BatchWriter(BUDGET, ENCODER, bytearray(BUDGET.nbytes()))
    assert writer.add([page], [Use([Turn("读", "好", (0,))], [(look, forward)])])
    writer.close(random.Random(0))
    arrays = writer.passes[0]
    rows = zip(arrays["glyph_token"], arrays["glyph_cell"], arrays["glyph_label"], arrays["glyph_weights"], strict=True)
    return {(int(token), int(cell)): int(label) for token, cell, label, weight in rows if weight}


def test_things_and_their_colours_are_labelled_at_the_token_that_shows_them() -> None:
    red, circle = ENCODER.single("红"), ENCODER.single("圆")
    assert sights_of(Look(), np.eye(3)) == {(4, FIGURE): circle, (4, COLOUR): red}
    right = np.array([[1.0, 0, 28], [0, 1, 0], [0, 0, 1]])
    assert sights_of(Look(), right) == {(5, FIGURE): circle, (5, COLOUR): red}
    assert sights_of(Look(), 3 * right - 2 * np.eye(3)) == {}, "it has left the picture"


def test_colours_are_not_labelled_where_the_light_changes_them() -> None:
    dark = Look(gain=(0.6, 0.6, 0.6))
    assert sights_of(dark, np.eye(3)) == {(4, FIGURE): ENCODER.single("圆")}


def test_an_empty_batch_moves_no_weight(device: Device) -> None:
    device.load(empty_batch(BUDGET))
    before = {name: p.detach().clone() for name, p in device.network.named_parameters()}
    device.step()
    for name, parameter in device.network.named_parameters():
        assert torch.equal(before[name], parameter), name


def test_the_rate_rises_stays_and_falls_to_zero() -> None:
    plan = Plan(peak=0.5)
    assert plan.rate(0.0) == 0.0 and plan.rate(1.0) == 0.0
    assert plan.rate(0.3) == 0.5
    assert plan.rate(0.9) == pytest.approx(0.5 * 0.1 / 0.45)


def test_an_overlong_conversation_is_dropped_not_written() -> None:
    budget = replace(BUDGET, max_row=30)
    writer = BatchWriter(budget, ENCODER, bytearray(budget.nbytes()))
    assert writer.add([], [Use([Turn("x" * 40, "y")], [])])
    assert writer.num_rows == [0]


def test_boxes_in_answers_follow_the_distortion(device: Device) -> None:
    places = [(40, 40), (120, 60)]
    page = dot_page(4, 6, places)
    corners = [tuple(((x + dx) / 168, (y + dy) / 112) for dx in (-5, 5) for dy in (-5, 5)) for x, y in places]
    qa = QA("box", "en", "q", "5 [1,1,2,2]\n7 [3,3,4,4]", outlines=tuple(corners))
    turned = 0
    for seed in range(20):
        look, forward = random_look(random.Random(seed), page, 1.0, [qa])
        answer = moved(qa, forward, 168, 112).answer
        if np.array_equal(forward, np.eye(3)):
            assert answer == qa.answer
            continue
        turned += 1
        for box, (x, y) in zip(re.findall(r"\[(\d+),(\d+),(\d+),(\d+)\]", answer), places, strict=True):
            x1, y1, x2, y2 = map(int, box)
            at_x, at_y, depth = forward @ (x, y, 1.0)
            assert x1 < 1000 * at_x / depth / 168 < x2 and y1 < 1000 * at_y / depth / 112 < y2
            assert 5 < (x2 - x1) * 0.168 < 17 and 5 < (y2 - y1) * 0.112 < 17
    assert turned >= 5


def test_light_shadow_and_motion_do_what_they_say(device: Device) -> None:
    page = Page(np.full((56, 112, 3), 200, np.uint8), [], [])
    page.image[20:30, 50:52] = 0
    plain, lit, shaded, blurred = Look(), Look(light=(0.4, 0.0)), Look(shadow=(60.0, 0.0, 0.0, 0.5)), Look()
    blurred.motion = (4.0, 0.0)
    load(device, [page] * 4, [(look, np.eye(3)) for look in (plain, lit, shaded, blurred)])
    flat, right, edge, wiped = (shown_picture(device, index)[..., 0] for index in range(4))
    assert right[5, 100] > flat[5, 100] > right[5, 10]
    assert abs(edge[5, 10] - flat[5, 10]) < 0.01 and abs(edge[5, 105] - 0.5 * flat[5, 105]) < 0.01
    assert wiped[25, 50] > flat[25, 50] + 0.2 and wiped[25, 47] < flat[25, 47] - 0.05
    assert np.allclose(wiped[15:18, 50], flat[15:18, 50])  # nothing is wiped up or down


def test_answers_that_name_colours_keep_them_nearly(device: Device) -> None:
    page = dot_page(4, 6, [(60, 50)])
    for seed in range(60):
        look, _ = random_look(random.Random(seed), page, 1.0, [QA("count", "en", "q", "a", colours=True)])
        assert all(0.8 < gain < 1.1 for gain in look.gain) and all(abs(bias) <= 0.03 for bias in look.bias)
        assert max(look.gain) - min(look.gain) <= 0.06 and look.shadow[3] <= 0.13
