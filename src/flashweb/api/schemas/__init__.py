"""What crosses HTTP, as models: shapes and ranges, nothing else. What an endpoint takes is in the file named as its
router's (`chat` for `api/chat.py`); what it answers stands below, or in `..._answers` where it is long.

`parts`, `tools` and `structures` (what an answer must match) belong to every chat, whatever endpoint it comes by, and
`base` to all. The models of `/v1/responses` stand with its other files, in `responses/`.
"""
