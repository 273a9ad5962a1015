"""`ResultSettings`: whole answers that are kept for requests that come again."""

from __future__ import annotations

from pydantic import SecretStr, field_validator

from flashweb.settings.section import Section, Size, option


class ResultSettings(Section):
    """Whole answers that are kept for requests that come again; off unless --result-cache says how much."""

    result_cache: Size = option(
        0,
        "memory for answers, greedy ones and those with a seed, that identical requests of the same caller get without "
        "asking the model; 0 computes each",
        unit="bytes",
        ge=0,
    )
    result_cache_entries: int = option(10_000, "answers kept at most", ge=1)
    result_cache_seconds: float = option(3600.0, "how long an answer is kept", unit="seconds", gt=0)
    result_cache_redis: SecretStr | None = option(
        None, "redis:// URL where several processes and servers keep them; --result-cache is then its bound there"
    )
    result_cache_sampled: bool = option(
        False, "keep also answers that were drawn at random without a seed: the same request then gets the same answer"
    )
    result_cache_shared: bool = option(
        False,
        "give answers to callers with other keys too; from how fast one comes, they can then tell what others asked",
    )

    @field_validator("result_cache_redis")
    @classmethod
    def _a_redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("redis://", "rediss://", "redis+unix://")):
            raise ValueError("it is no redis://, rediss:// or redis+unix:// URL")
        return url
