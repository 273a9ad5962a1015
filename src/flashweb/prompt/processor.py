"""`PromptProcessor`: a chat and its prepared pictures -> the `Prompt` that the engine reads.

The one place that knows a checkpoint's text side: tokenizer, template, stop ids, defaults, picture geometry. Knows
nothing of networks, weights or the engine; whether a prompt fits is decided where `max_model_len` is known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flashweb.errors import CheckpointError, InvalidRequest
from flashweb.media import ImageGeometry
from flashweb.media.frame_sampling import rule_of, time_text
from flashweb.prompt.positions import rope_positions
from flashweb.prompt.template import IMAGE_TOKEN, VIDEO_TOKEN, ChatTemplate
from flashweb.prompt.tokenizer import Tokenizer
from flashweb.types import Chat, Clip, ClipLayout, Grid, ImageSpan, PixelPatches, Prompt

# Where no file names them: the family ends a turn where the next role would begin.
_FAMILY_STOPS = ("<|endoftext|>", "<|user|>", "<|observation|>")
# What every prompt of the family begins with: the templates write it, a prompt without messages needs it too.
_PREFIX = ("[gMASK]", "<sop>")
# What ends a thought; a call cannot stand in one.
_END_OF_THOUGHT, _TOOL_CALL = "</think>", "<tool_call>"
# What stands around each picture of a clip, as the template writes it around a still one.
_AROUND = ("<|begin_of_image|>", "<|end_of_image|>")
_THOUGHT_ENDS = (_END_OF_THOUGHT, _TOOL_CALL)


@dataclass(frozen=True, slots=True)
class GenerationDefaults:
    """What `generation_config.json` says; None where it is silent, greedy (temperature 0) when it does not sample."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    max_new_tokens: int | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> GenerationDefaults:
        samples = bool(config.get("do_sample", "temperature" in config))
        return cls(
            temperature=_optional(config, "temperature", float) if samples else 0.0,
            top_p=_optional(config, "top_p", float),
            top_k=_optional(config, "top_k", int),
            min_p=_optional(config, "min_p", float),
            repetition_penalty=_optional(config, "repetition_penalty", float),
            max_new_tokens=_optional(config, "max_new_tokens", int),
        )


@dataclass(frozen=True, slots=True)
class _Placed:
    """A prompt's token ids, and where the runs begin of every still picture and of every one of the clips'."""

    ids: list[int]
    images: list[int]
    frames: list[int]


class PromptProcessor:
    """Everything of a checkpoint folder that is not weights. Raises CheckpointError for missing or broken files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        config = _read_json(folder / "config.json")
        text_config = config.get("text_config") or config
        generation = _read_json(folder / "generation_config.json")
        self.tokenizer = Tokenizer(folder / "tokenizer.json")
        image_token_id = self.tokenizer.control_id(IMAGE_TOKEN)
        if image_token_id is None:
            raise CheckpointError(f"{folder}: the tokenizer has no {IMAGE_TOKEN} token; this is no GLM-4V checkpoint")
        if image_token_id != (declared := config.get("image_token_id", image_token_id)):
            raise CheckpointError(
                f"{folder}: config.json says image_token_id {declared}, the tokenizer {image_token_id}; "
                "the files belong to different models"
            )
        self.image_token_id = image_token_id
        prefix = (self.tokenizer.control_id(name) for name in _PREFIX)
        self.prefix_ids = tuple(id for id in prefix if id is not None)
        self.template = ChatTemplate.load(folder, self.tokenizer.control_ids)
        self.geometry = ImageGeometry.load(folder)
        self.video_geometry, self.video_rule = ImageGeometry.load_video(folder), rule_of(folder)
        around = [self.tokenizer.control_id(name) for name in (*_AROUND, VIDEO_TOKEN)]
        self._around = None if None in around else (around[0] or 0, around[1] or 0)  # None: it knows no clips
        self.eos_token_ids = self._eos_token_ids(generation, text_config)
        known = (self.tokenizer.control_id(name) for name in _THOUGHT_ENDS)
        self.thought_end_ids = tuple(id for id in known if id is not None)
        end_of_thought = self.tokenizer.control_id(_END_OF_THOUGHT)
        # As the template writes it; nothing where a model knows no thoughts.
        self.thought_close_ids = () if end_of_thought is None else (end_of_thought, *self.tokenizer.encode("\n"))
        self.generation_defaults = GenerationDefaults.from_config(generation)
        self.num_real_tokens = self.tokenizer.num_tokens
        self.max_position_embeddings = int(text_config.get("max_position_embeddings", 131072))

    def build(self, chat: Chat, images: Sequence[PixelPatches], clips: Sequence[Clip] = ()) -> Prompt:
        """Render, tokenise, place the pictures, compute positions. `images` and `clips` are the chat's, in order.

        Raises InvalidRequest when the template refuses the messages, CheckpointError when it loses a picture.
        """
        placed = self._placed(chat, [image.grid for image in images], [clip.layout for clip in clips])
        spans = [ImageSpan(start, image) for start, image in zip(placed.images, images, strict=True)]
        frames = [picture for clip in clips for picture in clip.pictures]
        spans += [ImageSpan(start, frame, of_clip=True) for start, frame in zip(placed.frames, frames, strict=True)]
        spans.sort(key=lambda span: span.start)
        positions, delta = rope_positions(len(placed.ids), [(span.start, span.image.grid) for span in spans])
        return Prompt(tuple(placed.ids), positions, delta, tuple(spans))

    def token_ids(self, chat: Chat, grids: Sequence[Grid], clips: Sequence[ClipLayout] = ()) -> list[int]:
        """The same prompt's tokens alone, of pictures of which only the patch grids are known. Raises what `build`
        does."""
        return self._placed(chat, grids, clips).ids

    def _placed(self, chat: Chat, grids: Sequence[Grid], clips: Sequence[ClipLayout]) -> _Placed:
        placed = _Placed([], [], [])
        if chat.token_ids is not None:
            assert not chat.messages and not grids and not clips, "a prompt as tokens stands for itself"
            placed.ids.extend(chat.token_ids)
            return placed
        if chat.tools and self.tokenizer.control_id(_TOOL_CALL) is None:
            raise InvalidRequest(
                "this model does not know tools (its tokenizer has no <tool_call>); leave tools out.", param="tools"
            )
        assert len(grids) == len(chat.images), "one prepared picture per picture of the chat"
        assert len(clips) == len(chat.videos), "one prepared clip per clip of the chat"
        token_ids = placed.ids
        wanted = {IMAGE_TOKEN: len(grids), VIDEO_TOKEN: len(clips)}
        found = dict.fromkeys(wanted, 0)
        for text, is_control in self.template.render(chat):
            if not is_control:
                token_ids += self.tokenizer.encode(text)
            elif text not in wanted:
                token_ids.append(self.tokenizer.control_ids[text])
            else:
                index = found[text]
                found[text] += 1
                if index >= wanted[text]:
                    continue
                if text == VIDEO_TOKEN:
                    self._place_clip(placed, clips[index])
                else:
                    placed.images.append(len(token_ids))
                    token_ids += [self.image_token_id] * grids[index].num_tokens
        if found != wanted:
            raise CheckpointError(
                f"the chat template places {found[IMAGE_TOKEN]} pictures where the chat has {len(grids)}, and "
                f"{found[VIDEO_TOKEN]} clips where it has {len(clips)}; it does not fit this model family"
            )
        return placed

    def _place_clip(self, placed: _Placed, clip: ClipLayout) -> None:
        """Each of its pictures as a still one would stand, and the second it is from (transformers
        `Glm46VProcessor.replace_video_token`). Raises InvalidRequest for a model that knows no clips."""
        if self._around is None:
            raise InvalidRequest("this model does not know video; send frames of it as pictures.", param="messages")
        begin, end = self._around
        for seconds in clip.seconds:
            placed.ids.append(begin)
            placed.frames.append(len(placed.ids))
            placed.ids.extend([self.image_token_id] * clip.grid.num_tokens)
            placed.ids.extend((end, *self.tokenizer.encode(time_text(seconds, self.video_rule))))

    def _eos_token_ids(self, generation: Mapping[str, Any], text_config: Mapping[str, Any]) -> tuple[int, ...]:
        for config in (generation, text_config):
            if (declared := config.get("eos_token_id")) is not None:
                return tuple(int(id) for id in (declared if isinstance(declared, list) else [declared]))
        known = (self.tokenizer.control_id(name) for name in _FAMILY_STOPS)
        return tuple(id for id in known if id is not None)


def _optional(config: Mapping[str, Any], name: str, kind: type) -> Any:
    value = config.get(name)
    return None if value is None else kind(value)


def _read_json(path: Path) -> dict[str, Any]:
    """The file's object, empty when there is no such file."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be used: {error}; fetch the file again") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds no JSON object; fetch the file again")
    return content
