"""A `World` whose log is sequenced and published: tree, tiles, checkpoints, and who trusts them."""

from dataclasses import dataclass
from pathlib import Path

from activities.recorder import Recorded
from audit.entry import header_digest
from audit.policy import LogKey, Policy
from sequencing.attesting import heads_due
from sequencing.files import TreeFiles
from sequencing.opening import open_state
from sequencing.sequencer import Probe, Sequencer, Signed, State, no_probe
from sequencing.signing import LogSigning
from tests.support.world import World


@dataclass
class Published:
    """A world, and the folder in which its log is published."""

    world: World
    files: TreeFiles

    @property
    def signing(self) -> LogSigning:
        return LogSigning(self.world.origin, lambda _directory: self.world.checkpoint_keys)

    def reopen(self) -> State:
        """What a sequencer that starts now goes on from. Raises Refused."""
        return open_state(self.world.engine, self.files, self.world.origin, self.signing.keys_at)

    def sequencer(self, probe: Probe = no_probe) -> Sequencer:
        """A sequencer that starts now."""
        return Sequencer(
            self.world.engine,
            self.files,
            self.world.origin,
            self.signing.signers_at,
            self.reopen,
            lambda: self.world.now,
            probe,
        )

    def publish(self) -> Signed:
        """Sequence, sign and publish all there is; there must be something."""
        sequencer = self.sequencer()
        signed = sequencer.turn()
        assert signed is not None
        sequencer.publish(signed.note)
        return signed

    def state_heads(self) -> Signed:
        """Let the log state how long its chains are, and publish that, too."""
        due = heads_due(self.world.engine, lambda: self.world.now)
        assert due is not None
        assert isinstance(self.world.recorder.record([due])[0], Recorded)
        return self.publish()

    @property
    def policy(self) -> Policy:
        """A trust file: the keys and the founding, nobody else."""
        with self.world.engine.connect() as connection:
            keys = self.signing.keys_at(connection, 1)
        return Policy(
            logs=tuple(map(LogKey, keys)),
            witnesses=(),
            groups=(),
            quorum="none",
            founding=header_digest(self.world.founding),
            max_age=None,
        )


def published(world: World, folder: Path) -> Published:
    """Nothing is sequenced yet."""
    return Published(world, TreeFiles(folder))
