"""What the account of a run is like, and how the workers are set: drawn from the seed, the same for all its workers."""

import random
from dataclasses import dataclass

# A program that trades in the same account under its own client id; the workers are told that it is somebody else's.
OTHER_PROGRAM = 77
# How much later than a deal a position report may come; shorter than in earnest, so that a run can wait for it twice,
# and long enough for two answers to come in it.
LAG_SECONDS = 6.0


@dataclass(frozen=True, kw_only=True)
class Setting:
    """`long_term` is what somebody held before us. `answers`: a person settles at the end what was left to one.

    `unexplained`: positions also change by themselves (splits, transfers), and deals of others are corrected. Where
    they do not, nobody may be told that they did, and whose each share was is counted to the end.
    """

    use: str = "SHARED"
    road: str = "auto"
    long_term: int = 0
    answers: bool = False
    unexplained: bool = False

    @property
    def others_client_ids(self) -> frozenset[int]:
        """Whose deals are never ours: an exclusive account has no such."""
        return frozenset({OTHER_PROGRAM}) if self.use == "SHARED" else frozenset()

    def __str__(self) -> str:
        drawn = f"long_term={self.long_term} answers={self.answers} unexplained={self.unexplained}"
        return f"{self.use} road={self.road} {drawn}"


def setting_of(seed: int) -> Setting:
    """Return the setting of a seed."""
    chance = random.Random(f"setting {seed}")
    use = chance.choice(("SHARED", "SHARED", "SHARED", "EXCLUSIVE"))
    return Setting(
        use=use,
        road=chance.choice(("auto", "auto", "target", "join", "cancel_first")),
        long_term=chance.choice((0, 0, 5, 100)) if use == "SHARED" else 0,
        answers=chance.random() < 0.5,
        unexplained=chance.random() < 0.5,
    )
