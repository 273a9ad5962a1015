"""Ordinary words to draw, in one compact file beside the fonts.

`python -m training.words OUT --chinese DICT --english LIST` reads a Chinese dictionary in jieba's form (word, count,
part of speech) and an English word list, and keeps common words without names of persons or places and without rude
or grim ones. The goods, shops and field names of receipts and labels are not here but in `training.content`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from training.charset import HANZI
from training.fonts import pack_folder

MAX_CHINESE, MAX_ENGLISH = 26_000, 16_000
KEPT_PARTS = frozenset("n v a vn b d an ad t s f".split())  # nr, ns, nt, nz hold names of persons, places, bodies
# A word with one of these characters is left out: rude, grim, or political. Wide on purpose, words are plenty.
BARRED_HANZI = frozenset(
    "淫奸妓贱逼屎尿粪屁奶乳阴肛裸娠孕胎经性欲交骚浪荡操干娘傻蠢杀死尸毙奴匪贼盗枪弹炮毒赌嫌犯狱囚刑"
    "党政军战革帝敌侵侮辱骂鬼恐怖暴虐残癌瘟疫病伤血肉民族教神佛宗徒独叛乱反动主席令"
)
BARRED_ENGLISH = (
    "sex porn rape rapi nazi slut whor fuck shit cunt cock dick piss arse ass tit bitch bastard nude naked erot anal anus "
    "breast penis vagin kill murder corps death dead die suicid slave negro nigg gay lesb homo fag queer jew muslim islam "
    "christ hitler terror bomb drug heroin cocain crack crap damn hell devil satan orgas mastur sperm semen incest "
    "prostit pimp genoc lynch virgin boob butt menstr slaughter vomit lewd obscen whip torture behead turd poop pee urin feces rectum idiot moron retard"
).split()


@dataclass(frozen=True, slots=True)
class Words:
    """Chinese and English words, common ones first, and hanzi by how often the Chinese words use them."""

    chinese: tuple[str, ...]
    english: tuple[str, ...]
    hanzi: str


def chinese_words(lines: Iterable[str]) -> tuple[list[str], str]:
    """Kept words by falling count, and all level-1 hanzi by falling use."""
    known, uses = frozenset(HANZI), Counter(dict.fromkeys(HANZI, 0))
    counts: dict[str, int] = {}
    for line in lines:
        word, count, *part = line.split()
        if not known.issuperset(word):
            continue
        uses.update({char: int(count) for char in word})
        if 2 <= len(word) <= 4 and part and part[0] in KEPT_PARTS and not BARRED_HANZI.intersection(word):
            counts[word] = int(count)
    kept = sorted(counts, key=lambda word: (-counts[word], word))[:MAX_CHINESE]
    return kept, "".join(sorted(uses, key=lambda char: (-uses[char], char)))


def english_words(lines: Iterable[str]) -> list[str]:
    """Kept words in the list's order, thinned evenly to the limit."""
    words = [line.strip() for line in lines]
    kept = [
        word
        for word in words
        if 3 <= len(word) <= 11
        and word.isascii()
        and word.islower()
        and word.isalpha()
        and not any(bad in word for bad in BARRED_ENGLISH)
    ]
    step = max(1.0, len(kept) / MAX_ENGLISH)
    return [kept[int(index * step)] for index in range(int(len(kept) / step))]


@lru_cache(4)
def _load(path: Path) -> Words:
    if not path.is_file():
        raise FileNotFoundError(f"no word file {path}: make one with `python -m training.words {path.parent} ...`")
    stored = json.loads(path.read_text("utf-8"))
    return Words(tuple(stored["chinese"].split()), tuple(stored["english"].split()), stored["hanzi"])


def load() -> Words:
    """The word file of the font pack's folder, cached per process."""
    return _load(pack_folder() / "words.json")


def main() -> int:
    """Command line: write `words.json`."""
    parser = argparse.ArgumentParser(prog="python -m training.words", description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=pack_folder())
    parser.add_argument("--chinese", type=Path, required=True, help="dictionary: word, count, part of speech a line")
    parser.add_argument("--english", type=Path, default=Path("/usr/share/dict/american-english-small"))
    arguments = parser.parse_args()
    with arguments.chinese.open(encoding="utf-8") as lines:
        chinese, hanzi = chinese_words(lines)
    with arguments.english.open(encoding="utf-8") as lines:
        english = english_words(lines)
    stored = {"chinese": " ".join(chinese), "english": " ".join(english), "hanzi": hanzi}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "words.json").write_text(json.dumps(stored, ensure_ascii=False), "utf-8")
    print(f"{len(chinese)} Chinese and {len(english)} English words in {arguments.out / 'words.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
