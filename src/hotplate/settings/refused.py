"""How the reading of a value says no."""


class RefusedError(ValueError):
    """A value cannot be used.

    Args:
        cause: why, as it reads after a colon, such as "it is not a duration".
        right: what would be right, as it reads after "Give".
    """

    def __init__(self, cause: str, right: str) -> None:
        super().__init__(f"{cause}; give {right}")
        self.cause = cause
        self.right = right
