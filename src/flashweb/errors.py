"""The exception family. Each knows its machine-readable code and the parameter at fault, never an HTTP status.

    FlashwebError
    ├── InvalidRequest            the caller's request cannot be served as it stands
    │   ├── InvalidImage          bytes that are no picture we can decode
    │   ├── InvalidImageUrl       a source we do not read (blob:, file:, private address, malformed)
    │   ├── ImageDownloadFailed   the remote host refused, timed out, or sent something else
    │   ├── ImageNotFound         no picture is kept under the name the caller gives
    │   ├── IdempotencyKeyReused  a key that came with another body before
    │   ├── InvalidDocument       bytes that are no document we can read, or one beyond its bounds
    │   ├── InvalidVideo          bytes that are no clip we can read
    │   └── ContextLengthExceeded prompt (+ at least one token) does not fit
    ├── TooLarge                  bytes or pixels over a limit
    ├── UnsupportedMediaType      a media type nobody here reads
    ├── ModelNotFound             unknown model name
    ├── SceneNotFound             unknown scene name
    ├── NotAuthenticated          no key, or one that nobody was given
    ├── NotAllowed                a key that is not for this
    ├── RateLimited               too many requests of this caller in the time, or jobs that wait; come back later
    ├── RequestNotFound           no request of this id is running
    ├── ResponseNotFound          no response of this id is kept for this caller
    ├── CancelledByOperator       the operator has ended this request
    ├── Overloaded                queue full; come back later
    ├── NotReady                  loading, draining or restarting
    ├── StorageUnavailable        what outlives a request cannot be kept or found now
    │   ├── StorageFull           because the disk is full
    │   ├── StorageReadOnly       because it may not be written
    │   └── StorageBroken         because what the disk holds, or the disk, is damaged
    ├── ObjectNotFound            no file, batch or job of this id is the caller's
    ├── Conflict                  not possible in the state this object is in
    │   └── IdempotencyKeyInUse   another request with this key is being answered
    ├── DeadlineExceeded          the request took longer than it may
    ├── InvalidAnswer             the model's answer is not what a scene promises
    ├── EngineDied                the engine process ended while serving this request
    ├── ConfigError               a setting or flag is wrong (ends the command, exit code 3)
    └── CheckpointError           a model folder is incomplete or of another shape (exit code 4)

A message says what was wrong, the value, the limit and the fix. `api/error_handlers.py` holds the one table
that maps these to HTTP.
"""

from __future__ import annotations


class FlashwebError(Exception):
    code: str | None = None

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code


class InvalidRequest(FlashwebError):
    code: str | None = None


class InvalidImage(InvalidRequest):
    code = "invalid_image"


class InvalidImageUrl(InvalidRequest):
    code = "invalid_image_url"


class ImageDownloadFailed(InvalidRequest):
    code = "failed_to_download_image"


class ImageNotFound(InvalidRequest):
    code = "image_not_found"


class InvalidDocument(InvalidRequest):
    code = "invalid_document"


class InvalidVideo(InvalidRequest):
    code = "invalid_video"


class ContextLengthExceeded(InvalidRequest):
    code = "context_length_exceeded"


class IdempotencyKeyReused(InvalidRequest):
    code = "idempotency_key_reused"


class TooLarge(FlashwebError):
    code = "image_too_large"


class UnsupportedMediaType(FlashwebError):
    code = "unsupported_media_type"


class ModelNotFound(FlashwebError):
    code = "model_not_found"


class SceneNotFound(FlashwebError):
    code = "scene_not_found"


class NotAuthenticated(FlashwebError):
    code = "invalid_api_key"


class NotAllowed(FlashwebError):
    code = "permission_denied"


class RateLimited(FlashwebError):
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after_seconds: float, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_seconds = retry_after_seconds


class RequestNotFound(FlashwebError):
    code = "request_not_found"


class ResponseNotFound(FlashwebError):
    code = "response_not_found"


class CancelledByOperator(FlashwebError):
    code = "cancelled_by_operator"


class Overloaded(FlashwebError):
    code = "server_is_overloaded"

    def __init__(self, message: str, *, retry_after_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class NotReady(Overloaded):
    code = "model_not_ready"


class StorageUnavailable(Overloaded):
    code = "storage_unavailable"

    def __init__(self, message: str, *, retry_after_seconds: float = 30.0) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)


class StorageFull(StorageUnavailable):
    code = "storage_full"


class StorageReadOnly(StorageUnavailable):
    code = "storage_read_only"


class StorageBroken(StorageUnavailable):
    code = "storage_broken"


class ObjectNotFound(FlashwebError):
    code = "not_found"


class Conflict(FlashwebError):
    code = "conflict"


class IdempotencyKeyInUse(Conflict):
    code = "idempotency_key_in_use"


class DeadlineExceeded(FlashwebError):
    code = "timeout"


class InvalidAnswer(FlashwebError):
    code = "invalid_answer"


class EngineDied(NotReady):
    code = "engine_died"


class ConfigError(FlashwebError):
    code = "config_error"


class CheckpointError(FlashwebError):
    code = "checkpoint_error"


def is_failure(error: BaseException) -> bool:
    """Whether it is something that went wrong, a panic of the native library among it (of which pyo3 makes an exception
    that `except Exception` lets pass), and no order to stop."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
