"""A chat and its pictures to a prompt; what a checkpoint folder must and may hold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flashweb.errors import CheckpointError
from flashweb.prompt import GenerationDefaults, PromptProcessor
from flashweb.types import Chat, Grid, ImagePart, Message, PixelPatches, TextPart
from tests.prompt.conftest import CONTROL


@pytest.fixture(scope="module")
def processor(folder: Path) -> PromptProcessor:
    return PromptProcessor(folder)


def picture(h: int = 4, w: int = 6) -> PixelPatches:
    return PixelPatches(np.zeros((h * w, 588), np.uint8), Grid(1, h, w), bytes(32), (h * 14, w * 14))


def user(*parts: str | None) -> Message:
    return Message("user", tuple(ImagePart(data=b"") if part is None else TextPart(part) for part in parts))


def test_pictures_are_expanded_where_they_stand(processor: PromptProcessor) -> None:
    chat = Chat((user("a", None, "b", None), Message("assistant", (TextPart("x"),)), user(None)))
    images = [picture(2, 2), picture(4, 6), picture(6, 4)]
    prompt = processor.build(chat, images)
    ids = prompt.token_ids
    assert [span.image for span in prompt.spans] == images
    assert prompt.num_image_tokens == ids.count(processor.image_token_id) == 1 + 6 + 6
    for span in prompt.spans:
        assert set(ids[span.start : span.end]) == {processor.image_token_id}
        assert ids[span.start - 1] == processor.tokenizer.control_ids["<|begin_of_image|>"]
        assert ids[span.end] == processor.tokenizer.control_ids["<|end_of_image|>"]
    assert prompt.positions.shape == (3, prompt.num_tokens)
    assert prompt.position_delta == int(prompt.positions.max()) + 1 - prompt.num_tokens


@pytest.mark.parametrize("name", CONTROL)
def test_text_that_spells_a_control_token_changes_no_control_token(processor: PromptProcessor, name: str) -> None:
    def controls(text: str, images: list[PixelPatches]) -> list[int]:
        chat = Chat((Message("system", (TextPart(text),)), user(text, *([None] * len(images)), text)))
        prompt = processor.build(chat, images)
        assert len(prompt.spans) == len(images)
        return [id for id in prompt.token_ids if processor.tokenizer.is_control(id)]

    for images in ([], [picture()], [picture(), picture(2, 2)]):
        assert controls(f"x {name}{name} y", images) == controls("z", images)


def test_text_that_spells_placeholders_needs_no_pictures(processor: PromptProcessor) -> None:
    prompt = processor.build(Chat((user("<|image|>" * 50 + "<|begin_of_image|><|video|>"),)), [])
    assert processor.image_token_id not in prompt.token_ids
    assert prompt.spans == ()


def test_a_template_that_loses_a_picture_is_a_checkpoint_error(folder: Path, tmp_path: Path) -> None:
    for source, count in (("{{ messages[0].content[0].text }}", 0), ("<|image|><|image|>", 2)):
        target = tmp_path / str(count)
        shutil.copytree(folder, target)
        (target / "chat_template.jinja").write_text(source)
        with pytest.raises(CheckpointError, match=f"places {count} pictures where the chat has 1"):
            PromptProcessor(target).build(Chat((user("a", None),)), [picture()])


def write(folder: Path, name: str, content: Any) -> None:
    (folder / name).write_text(json.dumps(content))


def test_stop_ids_come_from_the_nearest_file_that_names_them(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "c"
    shutil.copytree(folder, target)
    names = PromptProcessor(target).tokenizer.control_ids
    assert PromptProcessor(target).eos_token_ids == (names["<|endoftext|>"],)
    write(target, "generation_config.json", {"eos_token_id": 7})
    assert PromptProcessor(target).eos_token_ids == (7,)
    write(target, "generation_config.json", {"eos_token_id": [7, 8]})
    assert PromptProcessor(target).eos_token_ids == (7, 8)
    write(target, "generation_config.json", {})
    write(target, "config.json", {})
    expected = tuple(names[name] for name in ("<|endoftext|>", "<|user|>", "<|observation|>"))
    assert PromptProcessor(target).eos_token_ids == expected


def test_old_flat_configs_are_read_too(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "c"
    shutil.copytree(folder, target)
    write(target, "config.json", {"max_position_embeddings": 777, "eos_token_id": 5})
    processor = PromptProcessor(target)
    assert (processor.max_position_embeddings, processor.eos_token_ids) == (777, (5,))


def test_generation_defaults_are_the_checkpoints() -> None:
    flash = {"do_sample": True, "temperature": 0.8, "top_p": 0.6, "top_k": 2}
    assert GenerationDefaults.from_config(flash) == GenerationDefaults(temperature=0.8, top_p=0.6, top_k=2)
    assert GenerationDefaults.from_config({"do_sample": False, "temperature": 0.8}).temperature == 0.0
    assert GenerationDefaults.from_config({"temperature": 0.3}).temperature == 0.3
    assert GenerationDefaults.from_config({}).temperature == 0.0


def test_files_of_different_models_are_refused(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "c"
    shutil.copytree(folder, target)
    write(target, "config.json", {"image_token_id": 3})
    with pytest.raises(CheckpointError, match="different models"):
        PromptProcessor(target)


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_broken_config_names_itself(name: str, text: str, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "c"
    shutil.copytree(folder, target)
    (target / name).write_text(text)
    with pytest.raises(CheckpointError, match=name):
        PromptProcessor(target)


def test_an_empty_folder_is_a_checkpoint_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        PromptProcessor(tmp_path)


def test_prompts_are_the_same_every_time(processor: PromptProcessor) -> None:
    chat = Chat((user("same ", None, "text"),))
    one, two = (processor.build(chat, [picture()]) for _ in range(2))
    assert one.token_ids == two.token_ids
    assert np.array_equal(one.positions, two.positions)
