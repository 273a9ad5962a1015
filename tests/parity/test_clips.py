"""Clips against transformers: which frames are taken, how large they get, how their patches lie, what the prompt says
of them, and what the network makes of two frames at once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from flashweb.media.frame_sampling import ClipTimes, Rule, patch_times, sample_frames, time_text
from flashweb.media.geometry import ImageGeometry
from flashweb.media.patches import frame_patches
from flashweb.model.glm4v import Glm4v
from flashweb.prompt import PromptProcessor
from flashweb.prompt.positions import rope_positions
from flashweb.types import Chat, Clip, ClipLayout, Grid, ImagePart, Message, PixelPatches, TextPart, VideoPart
from tests.house import NANO
from tests.parity.reference import IMAGE_TOKEN, make_checkpoint, pixel_values, random_picture, reference_model
from tests.parity.test_model_parity import BLOCK, Request, blocks_for, run_step
from tests.parity.video_reference import metadata, reference_class

RULES: list[Rule] = ["glm46v", "glm4v"]
# Fact sheet 3.2: seconds at 30 frames a second -> frames.
VECTORS = [(5, 30), (10, 60), (30, 180), (31, 62), (60, 120), (300, 600), (301, 302), (640, 640), (3600, 640)]


@pytest.mark.parametrize(("seconds", "expected"), VECTORS)
def test_the_fact_sheets_clips_get_the_fact_sheets_frames(seconds: int, expected: int) -> None:
    assert len(sample_frames(ClipTimes(30 * seconds, 30.0, float(seconds)), "glm46v")) == expected


@pytest.mark.parametrize("rule", RULES)
@given(st.integers(2, 9000), st.sampled_from([1.0, 10.0, 23.976, 24.0, 25.0, 30000 / 1001, 30.0, 50.0, 60.0, 240.0]))
@example(36_000, 1.0)
@example(18_000, 30.0)
@example(100, 10.0)
def test_frames_are_those_of_the_reference(rule: Rule, num_frames: int, rate: float) -> None:
    ours = sample_frames(ClipTimes(num_frames, rate, num_frames / rate), rule)
    theirs = reference_class(rule).sample_frames(reference_class(rule), metadata(num_frames, rate)).tolist()
    # Of clips under a sixth of a second the reference takes no frame and fails; here they have their first one.
    assert ours == (theirs or [0, 0])


def test_a_callers_bound_spreads_fewer_frames_over_the_same_clip() -> None:
    clip = ClipTimes(1800, 30.0, 60.0)
    for most in (2, 3, 8, 119, 640):
        frames = sample_frames(clip, "glm46v", most)
        assert len(frames) % 2 == 0 and len(set(frames)) <= min(most, 120)
        assert frames[0] == 0 and frames[-1] == 1785 and frames == sorted(frames)


def test_frames_of_uneven_distance_are_taken_by_their_times() -> None:
    times = (0.0, 0.1, 0.2, 5.0, 5.1, 9.0)
    frames = sample_frames(ClipTimes(6, 6 / 10, 10.0, times), "glm46v")
    assert frames == [0, 1, 2, 3, 4, 5]
    assert patch_times(ClipTimes(6, 6 / 10, 10.0, times), frames) == (0.0, 0.2, 5.1)


@given(st.integers(1, 320), st.integers(30, 4000), st.integers(30, 4000))
def test_frames_get_the_references_size(pairs: int, height: int, width: int) -> None:
    geometry = ImageGeometry(max_pixels=100_352_000)
    theirs = reference_class("glm46v").smart_resize(2 * pairs, height, width, max_pixels=100_352_000)
    assert geometry.target_size(height, width, num_frames=2 * pairs) == theirs


def test_patches_of_two_frames_are_the_references_after_reordering() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 56, 84), dtype=np.uint8)
    video = torch.from_numpy(frames)[None].float()
    theirs, t, h, w = reference_class("glm46v").patchify(None, video, 14, 2, 2)
    ours = np.stack([frame_patches(frame, ImageGeometry()) for frame in frames])  # [2, n, 3 * 196]
    assert (t, h, w) == (1, 4, 6)
    assert np.array_equal(theirs[0].view(-1, 3, 2, 196).numpy(), ours.reshape(2, -1, 3, 196).transpose(1, 2, 0, 3))


def clip_of(layout: ClipLayout) -> Clip:
    row = np.zeros((layout.grid.num_patches, 1176), dtype=np.uint8)
    pictures = [PixelPatches(row, layout.grid, bytes([n]) * 32, (56, 84)) for n in range(len(layout.seconds))]
    return Clip(layout, tuple(pictures))


@pytest.mark.parametrize("rule", RULES)
def test_the_prompt_says_of_a_clip_what_the_references_does(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    processor = PromptProcessor(NANO)
    processor.video_rule = rule
    clip = ClipTimes(45, 10.0, 4.5)
    frames = sample_frames(clip, rule)
    layout = ClipLayout(Grid(1, 4, 6), patch_times(clip, frames))
    parts = (TextPart("a"), VideoPart(data=b""), TextPart("b"), ImagePart(data=b""))
    still = PixelPatches(np.zeros((4, 588), dtype=np.uint8), Grid(1, 2, 2), bytes(32), (28, 28))
    prompt = processor.build(Chat((Message("user", parts),)), [still], [clip_of(layout)])

    inputs = {
        "video_grid_thw": [torch.tensor([len(frames) // 2, 4, 6])],
        "video_metadata": [SimpleNamespace(fps=10.0, timestamps=[frame / 10.0 for frame in frames])],
    }
    reference = reference_class(rule)
    bound = SimpleNamespace(**vars(reference))
    bound.replace_frame_token_id = partial(reference.replace_frame_token_id, reference)
    said = reference.replace_video_token(bound, inputs, 0)
    text = processor.tokenizer.decode(prompt.token_ids, keep_control=True)
    assert f"a<|begin_of_video|>{said}<|end_of_video|>b<|begin_of_image|><|image|><|end_of_image|>" in text
    assert "<|video|>" not in text and time_text(0.0, rule) in said
    assert [span.of_clip for span in prompt.spans] == [True] * (len(frames) // 2) + [False]
    begin = processor.tokenizer.control_id("<|begin_of_image|>")
    assert all(prompt.token_ids[span.start - 1] == begin for span in prompt.spans)


def test_positions_and_logits_of_a_clip_are_the_references(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path)
    frames = [random_picture((4, 6), seed)[0] for seed in range(4)]
    pairs, grid = [np.hstack(frames[:2]), np.hstack(frames[2:])], Grid(1, 4, 6)
    # text, begin of video, (begin, picture, end, time) twice, end of video, text
    run, time = [3, *[IMAGE_TOKEN] * grid.num_tokens, 4], [40, 41]
    ids = [20, 21, 6, *run, *time, *run, *time, 7, 50, 51, 52]
    values = [pixel_values(frame).view(-1, 3, 2, 196)[:, :, 0] for frame in frames]
    tokens = torch.tensor([ids])
    inputs: dict[str, Any] = {
        "input_ids": tokens,
        "attention_mask": torch.ones_like(tokens),
        "mm_token_type_ids": 2 * (tokens == IMAGE_TOKEN).int(),
        "video_grid_thw": torch.tensor([[2, 4, 6]]),
    }
    reference, ours = reference_model(folder), Glm4v.load(folder)
    reference.model.rope_deltas = None
    with torch.no_grad():
        pixels = torch.cat([torch.stack(values[n : n + 2], dim=2).flatten(1) for n in (0, 2)])
        theirs = reference(**inputs, pixel_values_videos=pixels, use_cache=False).logits[0]

    request = Request(ids, pairs, [grid, grid], blocks_for(len(ids)))
    (logits,) = run_step(ours, ours.new_kv_cache(64, BLOCK), [(request, len(ids))])
    assert theirs.abs().max() > 0.5 and (logits - theirs).abs().max() < 1e-4
    places = [index for index, id in enumerate(ids) if id == 3]
    mine, delta = rope_positions(len(ids), [(place + 1, grid) for place in places])
    positions, deltas = reference.model.get_rope_index(
        tokens, inputs["mm_token_type_ids"], video_grid_thw=inputs["video_grid_thw"]
    )
    assert np.array_equal(positions[:, 0].numpy(), mine) and int(deltas[0, 0]) == delta

    # Beside a still picture, and in slices, the features are the same.
    still, size = random_picture((4, 4), 7)
    alone = ours.encode_images([torch.from_numpy(pairs[1])], [grid])[0]
    together = ours.encode_images([torch.from_numpy(rows) for rows in (pairs[0], still, pairs[1])], [grid, size, grid])
    sliced = list(ours.encode_in_slices(torch.from_numpy(pairs[1]), grid, 2))[-1]
    assert sliced is not None
    assert (together[2] - alone).abs().max() < 1e-5 and (sliced - alone).abs().max() < 1e-5
    twice = ours.encode_images([torch.from_numpy(np.hstack((still, still))), torch.from_numpy(still)], [size, size])
    assert (twice[0] - twice[1]).abs().max() < 1e-4, "a frame that stands twice is a still picture"
