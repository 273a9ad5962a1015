"""flashweb serves GLM-4V vision-language models over an OpenAI-compatible API."""

__version__ = "0.1.0"
