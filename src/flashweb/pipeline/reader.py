"""`Reader`: from one sequence's tokens to what its caller may see, with the count of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from flashweb.output import MARKS, ReplySplitter, TextStream, find_boxes, ids_of_names
from flashweb.prompt import PromptProcessor, Tokenizer
from flashweb.types import (
    Box,
    Chat,
    Delta,
    FinishReason,
    ImageUse,
    Prompt,
    SamplingParams,
    TokenLogprob,
    TokenOut,
    Usage,
)


@lru_cache(maxsize=16)  # the same few for every request
def _kept(tokenizer: Tokenizer, marked: bool, shown: bool) -> Mapping[int, str]:
    """What of the control tokens is passed on: marks for the splitter, the others as text where that was asked for."""
    names = {name: name for name in tokenizer.control_ids} if shown else {}
    return ids_of_names(tokenizer, {**names, **(MARKS if marked else dict.fromkeys(MARKS, ""))})


class Reader:
    def __init__(
        self, processor: PromptProcessor, chat: Chat, prompt: Prompt, params: SamplingParams, running_usage: bool
    ) -> None:
        eos = () if params.ignore_eos else processor.eos_token_ids
        self._text = TextStream(
            processor.tokenizer,
            stop=params.stop,
            stop_token_ids={*eos, *params.stop_token_ids},
            include_stop=params.include_stop,
            keep_control=_kept(processor.tokenizer, bool(chat.enable_thinking or chat.tools), params.keep_control),
            min_tokens=params.min_tokens,
        )
        most = None if chat.parallel_tool_calls else 1
        self._reply = ReplySplitter(thinking=chat.enable_thinking, tools=chat.tools, max_calls=most)
        self._thinking = chat.enable_thinking
        self._thought_end_ids = processor.thought_end_ids
        self._prompt = prompt
        self._patch_size = processor.geometry.patch_size
        self._running_usage = running_usage
        # Of clips nobody can say in which frame a box lies: boxes and usage are told of still pictures.
        self._stills = [span.image for span in prompt.spans if not span.of_clip]
        self._answer: list[str] | None = [] if self._stills else None  # where boxes are looked for
        self._completion_tokens = 0
        self._reasoning_tokens = 0
        self._cached_tokens = 0
        self._logprobs: list[TokenLogprob] = []

    def read(self, out: TokenOut) -> Delta | None:
        """What one step adds, or None when that is nothing yet (half a character, the beginning of a stop string).
        Log probabilities wait for the text they belong to."""
        text, before = self._text, self._text.num_tokens
        reasoning, content, calls = self._reply.feed(text.feed(out))
        # What the engine made beyond a stop string is nobody's: how much depends on how many steps came at once.
        num_used = text.num_tokens - before
        self._completion_tokens += num_used
        if out.num_cached_tokens:
            self._cached_tokens = max(self._cached_tokens, out.num_cached_tokens)
        if out.logprobs:
            self._logprobs += out.logprobs[:num_used]
        if self._thinking:
            self._count_thought(out.token_ids[:num_used])
        finish = FinishReason.STOP if text.stopped else out.finish
        if finish is None and self._reply.is_over:
            finish = FinishReason.STOP
        if finish is not None:
            rest = self._reply.feed(text.flush())
            tail = self._reply.flush(ended=finish is FinishReason.STOP and not text.found_stop)
            reasoning += rest.reasoning + tail.reasoning
            content += rest.content + tail.content
            calls += rest.calls + tail.calls
            if self._reply.calls_are_complete:
                finish = FinishReason.TOOL_CALLS
        if not (content or reasoning or calls or finish):
            return None
        if self._answer is not None:
            self._answer.append(content)
        if not (reasoning or calls or finish or self._logprobs or self._running_usage):
            return Delta(content)  # nearly every one
        logprobs, self._logprobs = tuple(self._logprobs), []
        return Delta(
            text=content,
            reasoning=reasoning,
            tool_calls=calls,
            boxes=self._boxes() if finish else (),
            logprobs=logprobs,
            finish=finish,
            usage=self.usage(images=self._images() if finish else ()) if finish or self._running_usage else None,
            stop=self._text.found_stop if finish else None,
        )

    def _count_thought(self, token_ids: Sequence[int]) -> None:
        """Tokens up to the one that ends the thought."""
        for token_id in token_ids:
            self._reasoning_tokens += 1
            if token_id in self._thought_end_ids:
                self._thinking = False
                return

    def _boxes(self) -> tuple[Box, ...]:
        if self._answer is None:
            return ()
        return find_boxes("".join(self._answer), [picture.source_size for picture in self._stills])

    def _images(self) -> tuple[ImageUse, ...]:
        side = self._patch_size
        return tuple(
            ImageUse(
                width=picture.grid.w * side,
                height=picture.grid.h * side,
                source_width=picture.source_size[1],
                source_height=picture.source_size[0],
                tokens=picture.grid.num_tokens,
            )
            for picture in self._stills
        )

    def usage(self, images: tuple[ImageUse, ...] = ()) -> Usage:
        """So far."""
        return Usage(
            prompt_tokens=self._prompt.num_tokens,
            completion_tokens=self._completion_tokens,
            cached_tokens=self._cached_tokens,
            image_tokens=self._prompt.num_image_tokens,
            reasoning_tokens=self._reasoning_tokens,
            images=images,
        )
