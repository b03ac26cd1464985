"""Fields of records that carry their help text, for `--json` and the reference page alike."""

import msgspec


def helped(text: str) -> msgspec.Meta:
    """Return what goes into a field's `Annotated`.

    Example:
        >>> helped("bytes in use").description
        'bytes in use'
    """
    return msgspec.Meta(description=text)
