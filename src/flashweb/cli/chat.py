"""Ask about pictures, once or in a conversation.

  flashweb chat receipt.png "list the amounts"      one answer on standard output
  flashweb chat a.jpg https://host/b.png            a conversation about two pictures
  cat photo.jpg | flashweb chat - "what is this?"   a picture from standard input

Words that are files, URLs or - are pictures; the rest is the question. Uses the server that runs on this machine (or
--url); without one, starts an engine with the bundled model for as long as the command lasts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import TextIO

from flashweb.cli.answerers import Answerer, Options, answerer, number, whole_number
from flashweb.cli.client import user_message
from flashweb.cli.target import add_target_arguments
from flashweb.errors import ConfigError, FlashwebError
from flashweb.types import Chat, FinishReason, ImagePart, Message, TextPart, Usage

PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".avif", ".heic", ".heif", ".tif", ".tiff"}
HELP = """/image PATH or URL ...   add pictures to the next question
/clear                   forget the conversation
/quit (or Ctrl-D)        leave; Ctrl-C stops an answer"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words", nargs="*", metavar="PICTURE|QUESTION", help="paths, URLs or - first, then the question"
    )
    add_target_arguments(parser)
    parser.add_argument("--own", action="store_true", help="start an engine of our own even if a server is running")
    parser.add_argument("--system", metavar="TEXT", help="system message")
    parser.add_argument("--thinking", action="store_true", help="let the model think first (shown on standard error)")
    parser.add_argument(
        "--max-tokens",
        type=whole_number("max_tokens"),
        metavar="N",
        help="longest answer (default: the server's; of an own engine 512, 4096 with --thinking)",
    )
    parser.add_argument(
        "--temperature", type=number("temperature"), metavar="T", help="0 is greedy, up to 2 (default: the model's own)"
    )
    parser.add_argument("--seed", type=whole_number("seed"), help="makes sampling repeatable")
    parser.add_argument("--stats", action="store_true", help="tokens and times on standard error after each answer")


def run(args: argparse.Namespace) -> int:
    pictures, question = sort_words(args.words)
    if not question and not sys.stdin.isatty() and "-" not in args.words:
        question = sys.stdin.read().strip()
        if not question:
            raise ConfigError("there is no question: give one after the pictures, or on standard input")
    if not question and not sys.stdin.isatty():
        raise ConfigError(
            'a picture came on standard input, so the question must be an argument: flashweb chat - "..."'
        )
    return asyncio.run(_run(args, pictures, question))


def sort_words(words: Sequence[str]) -> tuple[list[ImagePart], str]:
    """Pictures and the question. Raises ConfigError for a picture that is not there."""
    pictures: list[ImagePart] = []
    question: list[str] = []
    for word in words:
        if word == "-" or _is_url(word) or _is_file(word):
            pictures.append(read_picture(word))
        elif Path(word).suffix.lower() in PICTURE_SUFFIXES and " " not in word:
            raise ConfigError(f"there is no picture {word!r}; check the path (the folder here is {os.getcwd()})")
        else:
            question.append(word)
    return pictures, " ".join(question)


def read_picture(word: str) -> ImagePart:
    """A picture by path, URL or - (standard input). Raises ConfigError when it cannot be read."""
    if _is_url(word):
        return ImagePart(url=word)
    try:
        data = sys.stdin.buffer.read() if word == "-" else Path(word).expanduser().read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the picture {word!r}: {error.strerror}") from error
    if not data:
        raise ConfigError(f"the picture {word!r} is empty")
    return ImagePart(data=data)


def _is_file(word: str) -> bool:
    """False also for words that could not be a path at all, such as a long question."""
    return os.path.isfile(os.path.expanduser(word))


def _is_url(word: str) -> bool:
    return word.startswith(("http://", "https://", "data:image/"))


async def _run(args: argparse.Namespace, pictures: Sequence[ImagePart], question: str) -> int:
    async with answerer(args, own=args.own) as someone:
        talk = Conversation(someone, args)
        talk.pictures.extend(pictures)
        if question:
            return 0 if await talk.ask(question) else 130
        return await _converse(talk)


class Conversation:
    """The turns so far, and how an answer is shown."""

    def __init__(self, someone: Answerer, args: argparse.Namespace) -> None:
        self.someone = someone
        self.pictures: list[ImagePart] = []  # for the next question
        self._args = args
        self._options = Options(args.max_tokens, args.temperature, args.seed)
        self._system = (Message("system", (TextPart(args.system),)),) if args.system else ()
        self._turns: list[Message] = []

    def clear(self) -> None:
        self._turns.clear()
        self.pictures.clear()

    async def ask(self, question: str) -> bool:
        """Show the answer as it comes and remember it; False when Ctrl-C stopped it. Raises FlashwebError."""
        message = user_message(question, self.pictures)
        chat = Chat((*self._system, *self._turns, message), enable_thinking=self._args.thinking)
        asking = asyncio.ensure_future(self._show(chat))
        loop = asyncio.get_running_loop()
        with suppress(ValueError, RuntimeError):  # not in the main thread: Ctrl-C cannot come here
            loop.add_signal_handler(signal.SIGINT, asking.cancel)
        try:
            answer = await asking
        except asyncio.CancelledError:
            if not asking.cancelled():
                raise
            print(file=sys.stderr)
            return False
        finally:
            loop.remove_signal_handler(signal.SIGINT)
        self.pictures = []
        self._turns += [message, Message("assistant", (TextPart(answer),))]
        return True

    async def _show(self, chat: Chat) -> str:
        started, first = time.perf_counter(), 0.0
        text: list[str] = []
        finish, usage = None, None
        async with aclosing(self.someone.answer(chat, self._options)) as deltas:
            async for delta in deltas:
                if delta.text or delta.reasoning:
                    first = first or time.perf_counter()
                if delta.reasoning:
                    show_text(sys.stderr, delta.reasoning, dim=True)
                show_text(sys.stdout, delta.text)
                text.append(delta.text)
                finish, usage = delta.finish or finish, delta.usage or usage
        if not "".join(text).endswith("\n"):
            show_text(sys.stdout, "\n")
        if finish is FinishReason.LENGTH:
            print("(the answer was cut by its token limit; --max-tokens raises it)", file=sys.stderr)
        if self._args.stats and usage is not None:
            ended = time.perf_counter()
            print(stats_line(usage, (first or ended) - started, ended - (first or ended)), file=sys.stderr)
        return "".join(text)


def stats_line(usage: Usage, first_seconds: float, rest_seconds: float) -> str:
    """`287 prompt tokens (256 of pictures), 18 out; first after 0.21 s, then 95.2 tokens/s`."""
    prompt = f"{usage.prompt_tokens} prompt tokens"
    extra = [f"{usage.image_tokens} of pictures"] * bool(usage.image_tokens)
    extra += [f"{usage.cached_tokens} cached"] * bool(usage.cached_tokens)
    prompt += f" ({', '.join(extra)})" if extra else ""
    measurable = usage.completion_tokens > 1 and rest_seconds > 0
    rate = f", then {(usage.completion_tokens - 1) / rest_seconds:.1f} tokens/s" if measurable else ""
    return f"{prompt}, {usage.completion_tokens} out; first after {first_seconds:.2f} s{rate}"


def show_text(out: TextIO, text: str, *, dim: bool = False) -> None:
    """Text of a model never moves the cursor or changes the title: control characters are dropped on a terminal."""
    if not text:
        return
    if out.isatty():
        text = "".join(c for c in text if c in "\n\t" or (c.isprintable() or ord(c) > 0x9F))
        if dim and "NO_COLOR" not in os.environ:
            text = f"\x1b[2m{text}\x1b[0m"
    out.write(text)
    out.flush()


# --- the conversation at a terminal -----------------------------------------------------------------------------------


async def _converse(talk: Conversation) -> int:
    print(f"{talk.someone.name}; /help lists the commands", file=sys.stderr)
    with _terminal_restored():
        async with aclosing(_typed_lines()) as lines:
            await _follow(talk, lines)
    return 0


async def _follow(talk: Conversation, lines: AsyncGenerator[str, None]) -> None:
    async for line in lines:
        try:
            if line.startswith("/"):
                if not _command(talk, line):
                    return
            elif line:
                await talk.ask(line)
        except FlashwebError as error:  # the conversation goes on
            print(f"flashweb: {error.message}", file=sys.stderr)


@contextmanager
def _terminal_restored() -> Iterator[None]:
    """The line editor runs on a thread that may be left in the middle of a line: give the terminal its echo back."""
    import termios

    before = termios.tcgetattr(sys.stdin.fileno())
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)


def _command(talk: Conversation, line: str) -> bool:
    """Do what a /command says; False ends the conversation."""
    name, *words = line.split()
    if name in ("/quit", "/exit", "/bye"):
        return False
    if name == "/image" and words:
        found, rest = sort_words([" ".join(words)] if _is_file(" ".join(words)) else words)
        if rest:
            raise ConfigError(f"there is no picture {rest!r}")
        talk.pictures += found
        print(f"{len(talk.pictures)} picture(s) go with the next question", file=sys.stderr)
    elif name == "/clear":
        talk.clear()
        print("forgotten", file=sys.stderr)
    else:
        print(HELP, file=sys.stderr)
    return True


async def _typed_lines() -> AsyncGenerator[str, None]:
    """Lines from the keyboard, read on a thread so that the engine's messages are read meanwhile."""
    loop = asyncio.get_running_loop()
    asked = threading.Event()
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    threading.Thread(target=_read_keyboard, args=(loop, asked, lines), daemon=True).start()
    while True:
        asked.set()
        line = await lines.get()
        if line is None:
            return
        yield line.strip()


def _read_keyboard(loop: asyncio.AbstractEventLoop, asked: threading.Event, lines: asyncio.Queue[str | None]) -> None:
    with suppress(ImportError):
        import readline

        readline.parse_and_bind("tab: complete")
        readline.set_completer_delims(" \t\n")
        readline.set_completer(_complete)
    while True:
        asked.wait()
        asked.clear()
        line: str | None
        try:
            line = input("> ")
        except (EOFError, OSError):
            line = None
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(lines.put_nowait, line)
        if line is None:
            return


def _complete(text: str, state: int) -> str | None:
    """Tab completion of paths."""
    path = Path(text).expanduser()
    folder, stem = (path, "") if text.endswith("/") else (path.parent, path.name)
    try:
        found = sorted(p for p in folder.iterdir() if p.name.startswith(stem))
    except OSError:
        return None
    return None if state >= len(found) else str(found[state]) + ("/" if found[state].is_dir() else "")
