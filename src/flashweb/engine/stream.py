"""`TokenStream`: what the engine has told of one request, until whoever answers it takes it."""

from __future__ import annotations

import asyncio

from flashweb.engine.protocol import Started, Token
from flashweb.errors import FlashwebError
from flashweb.types import EngineTimes, FinishReason, TokenLogprob, TokenOut


class TokenStream:
    """The news of one request, collected until its reader takes them: several steps become one TokenOut."""

    __slots__ = (
        "_cached", "_error", "_finish", "_logprobs", "_loop", "_times", "_tokens", "_waiter", "ended", "needs_pixels",
        "pictures",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, pictures: set[bytes]) -> None:
        self.pictures = pictures  # digests of those that were sent with their pixels
        self.needs_pixels = False  # the engine did not take the request without
        self._loop = loop  # kept: asking for the running one is a system call, once per token
        self.ended = False  # the engine holds nothing of it any more
        self._tokens: list[int] = []
        self._logprobs: list[TokenLogprob] = []
        self._finish: FinishReason | None = None
        self._cached = 0
        self._times: EngineTimes | None = None
        self._error: FlashwebError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def note_start(self, started: Started) -> None:
        self._times = EngineTimes(started.queue, started.prefill, started.encode)

    def put(self, token: Token) -> None:
        self._tokens += token.token_ids
        if token.logprobs:
            self._put_logprobs(token)
        self._cached = token.num_cached_tokens
        if token.finish is not None:
            self._finish = FinishReason(token.finish)
            self.ended = True
        self._wake()

    def _put_logprobs(self, token: Token) -> None:
        for token_id, (logprob, top) in zip(token.token_ids, token.logprobs, strict=False):
            self._logprobs.append(TokenLogprob(token_id, logprob, top))

    def fail(self, error: FlashwebError) -> None:
        if not self.ended:
            self._error = error
            self.ended = True
            self._wake()

    def ask_for_pixels(self) -> None:
        self.needs_pixels = True
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    @property
    def has_news(self) -> bool:
        """Raises what failed it, once everything before that was taken."""
        if self._tokens or self._finish is not None:
            return True
        if self._error is not None:
            raise self._error
        return False

    def wait(self) -> asyncio.Future[None]:
        """Done when there may be news. For one reader at a time."""
        self._waiter = self._loop.create_future()
        return self._waiter

    def take(self) -> TokenOut:
        """All news so far, as one."""
        out = TokenOut(tuple(self._tokens), self._finish, tuple(self._logprobs), self._cached, self._times)
        self._tokens, self._logprobs, self._times = [], [], None
        return out
