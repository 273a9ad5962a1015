"""`EchoEngine`: the engine's face without a model. It answers with the prompt's own text tokens.

For tests of everything in front of the engine, for `--engine echo`, and for measuring what the web side costs.
No torch, no process, no clock beyond an optional delay per token. Deterministic.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection

import msgspec

from flashweb.engine.face import EngineState
from flashweb.engine.protocol import NO_STATS
from flashweb.errors import ContextLengthExceeded, NotReady, Overloaded
from flashweb.types import FinishReason, Prompt, SamplingParams, TokenLogprob, TokenOut


class EchoEngine:
    """Repeats the prompt's text tokens (picture tokens and `skip_token_ids` left out), one per `delay_seconds`.

    The answer ends with `stop` when the prompt is used up or a stop token came, with `length` at `max_tokens`.
    With `ignore_eos` the tokens start over, so that exactly `max_tokens` come. `num_aborted` counts the answers
    that were closed early.
    """

    def __init__(
        self,
        *,
        delay_seconds: float = 0.0,
        max_model_len: int = 32768,
        max_num_seqs: int = 256,
        max_waiting: int | None = None,
        eos_token_ids: Collection[int] = (),
        skip_token_ids: Collection[int] = (),
    ) -> None:
        self.delay_seconds = delay_seconds
        self.max_model_len = max_model_len
        self.max_num_seqs = max_num_seqs
        self.max_waiting = 4 * max_num_seqs if max_waiting is None else max_waiting
        self.eos_token_ids = frozenset(eos_token_ids)
        self.skip_token_ids = frozenset(skip_token_ids)
        self.num_aborted = 0
        self._phase_ready = False
        self._stopped = False
        self._num_requests = 0
        self._num_steps = 0
        self._num_prompt_tokens = 0
        self._stats = NO_STATS
        self._slots = asyncio.Semaphore(max_num_seqs)

    async def start(self) -> None:
        self._phase_ready, self._stopped = True, False

    async def stop(self) -> None:
        self._stopped = True

    async def generate(self, prompt: Prompt, params: SamplingParams, request_id: str) -> AsyncIterator[TokenOut]:
        self._admit(prompt)
        self._num_requests += 1
        self._num_prompt_tokens += prompt.num_tokens
        finished = False
        try:
            async with self._slots:
                async for out in self._answer(prompt, params):
                    finished = out.finish is not None
                    yield out
        finally:
            self._num_requests -= 1
            self._stats = msgspec.structs.replace(
                NO_STATS, num_prompt_tokens=self._num_prompt_tokens, num_answer_tokens=self._num_steps
            )
            self.num_aborted += not finished

    @property
    def state(self) -> EngineState:
        running = min(self._num_requests, self.max_num_seqs)
        return EngineState(
            phase="stopped" if self._stopped else "ready" if self._phase_ready else "off",
            max_model_len=self.max_model_len,
            max_num_seqs=self.max_num_seqs,
            num_running=running,
            num_waiting=self._num_requests - running,
            num_steps=self._num_steps,
            stats=self._stats,
        )

    def _admit(self, prompt: Prompt) -> None:
        if self._stopped or not self._phase_ready:
            raise NotReady("the engine is not running; try again shortly")
        if prompt.num_tokens >= self.max_model_len:
            raise ContextLengthExceeded(
                f"the prompt has {prompt.num_tokens} tokens; the context holds {self.max_model_len}, "
                "at least one of them for the answer: shorten the text or send smaller pictures"
            )
        limit = self.max_num_seqs + self.max_waiting
        if self._num_requests >= limit:
            raise Overloaded(
                f"{self._num_requests} requests are running or waiting and the limit is {limit}; try again shortly"
            )

    async def _answer(self, prompt: Prompt, params: SamplingParams) -> AsyncIterator[TokenOut]:
        tokens = self._text_tokens(prompt)
        limit = min(params.max_tokens, self.max_model_len - prompt.num_tokens)
        stops = set(params.stop_token_ids) | (set() if params.ignore_eos else self.eos_token_ids)
        length = limit if params.ignore_eos else min(limit, len(tokens))
        if length == 0:
            yield TokenOut((), FinishReason.STOP)
        for index in range(length):
            await asyncio.sleep(self.delay_seconds)
            if self._stopped:
                raise NotReady("the engine was stopped while it served this request")
            self._num_steps += 1
            token = tokens[index % len(tokens)]
            stopped = token in stops and index >= params.min_tokens
            cut = index + 1 == limit
            ended = stopped or index + 1 == length
            finish = None if not ended else FinishReason.LENGTH if cut and not stopped else FinishReason.STOP
            top = () if params.logprobs in (None, 0) else ((token, 0.0),)
            logprobs = () if params.logprobs is None else (TokenLogprob(token, 0.0, top),)
            yield TokenOut((token,), finish, logprobs)
            if ended:
                return

    def _text_tokens(self, prompt: Prompt) -> list[int]:
        in_picture = {i for span in prompt.spans for i in range(span.start, span.end)}
        text = [t for i, t in enumerate(prompt.token_ids) if i not in in_picture and t not in self.skip_token_ids]
        return text or [0]
