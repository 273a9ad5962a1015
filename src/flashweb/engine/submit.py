"""A request in the words of the line: `to_submit`."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from flashweb.engine.protocol import Submit, WireImage, WireSampling, WireStructure
from flashweb.types import Prompt, SamplingParams


def to_submit(wire_id: str, prompt: Prompt, params: SamplingParams, known: Collection[bytes] = ()) -> Submit:
    """A request as its message. Pictures whose digest is in `known` go without pixels; those of the others are handed
    over as views: the frame holds their only copy."""
    images = tuple(
        WireImage(
            start=span.start,
            grid=(span.image.grid.t, span.image.grid.h, span.image.grid.w),
            digest=span.image.digest,
            patches=np.ascontiguousarray(span.image.patches).data.cast("B") if span.image.digest not in known else None,
        )
        for span in prompt.spans
    )
    structure = params.structure
    sampling = WireSampling(
        max_tokens=params.max_tokens,
        min_tokens=params.min_tokens,
        temperature=params.temperature,
        top_p=params.top_p,
        top_k=params.top_k,
        min_p=params.min_p,
        repetition_penalty=params.repetition_penalty,
        presence_penalty=params.presence_penalty,
        frequency_penalty=params.frequency_penalty,
        seed=None if params.seed is None else params.seed & (2**63 - 1),
        logit_bias=dict(params.logit_bias),
        logprobs=params.logprobs,
        stop_token_ids=tuple(params.stop_token_ids),
        ignore_eos=params.ignore_eos,
        structure=None if structure is None else WireStructure(structure.kind, structure.source, structure.after_token),
        thinking_budget=params.thinking_budget,
        background=params.background,
    )
    return Submit(
        request_id=wire_id,
        token_ids=tuple(prompt.token_ids),
        positions=prompt.positions.astype("<i4", copy=False).tobytes(),
        position_delta=int(prompt.position_delta),
        images=images,
        sampling=sampling,
    )
