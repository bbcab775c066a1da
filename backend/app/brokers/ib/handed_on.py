"""What was handed on in one session: each answer tells the whole day again, and what is known is not queued again."""

KEYS_MAX = 100_000


class HandedOn:
    """Remembers the newest keys, as numbers. What is forgotten is handed on once more, and the rows know it."""

    def __init__(self, *, keys_max: int = KEYS_MAX) -> None:
        self._keys: dict[int, None] = {}
        self._keys_max = keys_max

    def __contains__(self, dedupe_key: str) -> bool:
        return hash(dedupe_key) in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, dedupe_key: str) -> None:
        """Note that the event of this key was taken."""
        self._keys[hash(dedupe_key)] = None
        if len(self._keys) > self._keys_max:
            del self._keys[next(iter(self._keys))]
