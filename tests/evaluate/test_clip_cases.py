"""Cases about clips: the server's own reading and sampling of what is sent gives the case's pictures and seconds."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flashweb.cli.client import chat_body
from flashweb.evaluate import load_folder
from flashweb.evaluate.animated import animated_png, check_seconds
from flashweb.media import MediaSettings
from flashweb.media.patches import frame_patches
from flashweb.media.videos import Videos
from flashweb.types import VideoPart
from tests.house import ScriptedEngine, open_house, processor

SECONDS = [
    (0.0,),
    (0.0, 1.0),
    (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0),
    (0.0, 7.5, 15.5, 23.5),
    (0.0, 14.0, 15.0, 44.2),
]


def made(folder: Path, count: int) -> list[Path]:
    """Pictures of 280 x 224, of which the second is like the first."""
    paths = [folder / f"{index}.png" for index in range(count)]
    for index, path in enumerate(paths):
        noise = np.random.default_rng(max(1, index)).integers(0, 256, (224, 280, 3), np.uint8)
        Image.fromarray(noise).save(path)
    return paths


def row(**given: Any) -> dict[str, Any]:
    return {"task": "clip", "language": "en", "question": "When?", "answer": "20 s"} | given


@pytest.mark.parametrize("seconds", SECONDS)
def test_the_server_sees_the_pictures_and_the_seconds_of_the_case(tmp_path: Path, seconds: tuple[float, ...]) -> None:
    paths = made(tmp_path, len(seconds))
    data = animated_png(paths, seconds)

    async def opened() -> Any:
        videos = Videos(MediaSettings(), processor().video_geometry, processor().video_rule)
        try:
            return await videos.open([VideoPart(data=data, max_frames=2 * len(seconds))])
        finally:
            await videos.close()

    (clip,) = asyncio.run(opened())
    assert clip.layout.seconds == pytest.approx(seconds, abs=0.002)
    geometry = processor().video_geometry
    for path, picture in zip(paths, clip.pictures, strict=True):
        planes = np.ascontiguousarray(np.asarray(Image.open(path)).transpose(2, 0, 1))
        assert np.array_equal(picture.patches, frame_patches(planes, geometry))


def test_a_clip_opens_as_an_animated_picture_with_every_frame(tmp_path: Path) -> None:
    paths = made(tmp_path, 3)
    with Image.open(io.BytesIO(animated_png(paths, (0.0, 4.0, 10.0)))) as animation:
        assert (animation.format, animation.n_frames) == ("PNG", 6)
        assert np.array_equal(np.asarray(animation.convert("RGB")), np.asarray(Image.open(paths[0])))


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        ((0.0, 1.0, 2.0), "2 pictures and"),
        ((1.0, 2.0), "the first is 0"),
        ((0.0, 0.0), "after the one before"),
        ((0.0, 121.0), "after the one before"),
        ((0.0, 0.1), "too many"),
    ],
)
def test_seconds_that_no_server_would_take_are_refused(seconds: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_seconds(seconds, 2)


def test_pictures_of_different_sizes_are_no_clip(tmp_path: Path) -> None:
    paths = made(tmp_path, 2)
    Image.new("RGB", (64, 48)).save(paths[1])
    with pytest.raises(ValueError, match="have sizes"):
        animated_png(paths, (0.0, 1.0))


async def test_a_case_with_seconds_is_asked_as_a_clip(tmp_path: Path) -> None:
    names = [path.name for path in made(tmp_path, 3)]
    (tmp_path / "cases.jsonl").write_text(json.dumps(row(pictures=names, seconds=[0, 7.5, 20])))
    (case,) = load_folder(tmp_path)
    assert case.score("20 s").exact == 1.0 and case.score("7.5 s").exact == 0.0
    body = chat_body(case.chat())
    engine = ScriptedEngine("20 s")
    async with open_house(engine) as house:
        answer = await house.post(body)
    assert answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"] == "20 s"
    text = processor().tokenizer.decode(engine.asked[0][0].token_ids, keep_control=True)
    told = [piece.split("<|")[0] for piece in text.split("<|end_of_image|>")[1:]]
    assert told == ["0.0 seconds", "7.5 seconds", "20.0 seconds"] and "<|end_of_video|>When?" in text


def test_a_clip_that_no_server_would_take_is_named_by_its_line(tmp_path: Path) -> None:
    names = [path.name for path in made(tmp_path, 2)]
    (tmp_path / "cases.jsonl").write_text(json.dumps(row(pictures=names, seconds=[0])))
    with pytest.raises(ValueError, match=r"line 1: .*give one of each"):
        load_folder(tmp_path)
