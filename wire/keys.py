"""Every Redis key and channel, with what it promises.

The name of the run stands in braces, so that a Redis Cluster keeps all keys of a run on one shard.
"Kept" keys survive a restart of Redis through its append-only file; "passing" ones need not.
"""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_RUN = "default"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys and channels of one run."""

    run: str = DEFAULT_RUN

    def _key(self, name: str) -> str:
        return f"inkling:{{{self.run}}}:{name}"

    # --- the flow of data -------------------------------------------------------------------
    @property
    def tickets(self) -> str:
        """List, kept. Popped by one worker; lost if that worker dies, then issued again."""
        return self._key("tickets")

    @property
    def batches(self) -> str:
        """List, passing. Popped by the active trainer; whatever is lost is made again."""
        return self._key("batches")

    @property
    def workers(self) -> str:
        """Sorted set, kept. Data workers by the time at which each counts as gone."""
        return self._key("workers")

    @property
    def worker_batches(self) -> str:
        """Hash, kept. How many batches each data worker in `workers` has cut since it started."""
        return self._key("worker-batches")

    @property
    def dataset(self) -> str:
        """String, kept. The data set in use, announced by the data service."""
        return self._key("dataset")

    # --- what is wanted ---------------------------------------------------------------------
    @property
    def settings(self) -> str:
        """Hash, kept. The settings that the run shall have, and their revision."""
        return self._key("settings")

    @property
    def wake(self) -> str:
        """List of at most one item, passing. Wakes the trainer, which then looks at what is wanted.

        A wake-up that is lost costs a second: the trainer looks that often anyway.
        """
        return self._key("wake")

    def calls(self, service: str) -> str:
        """List, kept. Requests to `service`, each taken by one of its processes, or withdrawn."""
        return self._key(f"calls:{service}")

    def reply(self, call: str) -> str:
        """List of one item, gone after a minute. The answer to one call."""
        return self._key(f"reply:{call}")

    @property
    def probe(self) -> str:
        """String that is never there. A write to it that needs it shows whether Redis takes any."""
        return self._key("probe")

    # --- who trains, and from where ---------------------------------------------------------
    @property
    def lease(self) -> str:
        """String with a time to live. Token of the active trainer: only its holder may write."""
        return self._key("lease")

    @property
    def tokens(self) -> str:
        """Counter, kept. The last token handed out; each taking of the lease gets a higher one."""
        return self._key("tokens")

    @property
    def taking(self) -> str:
        """String, kept. The last taking of the lease: its token, the one before, and who took it.

        It tells a trainer that had no answer whether it leads.
        """
        return self._key("taking")

    @property
    def checkpoint(self) -> str:
        """String, kept. Whence the next trainer goes on: weights, iteration, place in the data."""
        return self._key("checkpoint")

    # --- what is so -------------------------------------------------------------------------
    @property
    def version(self) -> str:
        """Counter, kept. The last version number handed out for weights."""
        return self._key("version")

    @property
    def weights(self) -> str:
        """Hash. The live weights: version, generation, safetensors bytes.

        `request_id` is that of the call that made the generation.
        Kept as often as a checkpoint is; the publications between two checkpoints are passing.
        """
        return self._key("weights")

    @property
    def weights_news(self) -> str:
        """Channel. The version of each new publication: a hint to fetch, so none need arrive."""
        return self._key("weights-news")

    @property
    def frame(self) -> str:
        """String, kept. The latest frame of the trainer, without its history."""
        return self._key("frame")

    @property
    def frames(self) -> str:
        """Channel. Every frame of the trainer; whoever missed one finds it in `recent`."""
        return self._key("frames")

    @property
    def curve(self) -> str:
        """String, kept. The thinned curve up to the last checkpoint."""
        return self._key("curve")

    @property
    def recent(self) -> str:
        """List, kept. The frames since `curve` was saved: together they are the whole curve."""
        return self._key("recent")

    @property
    def to_evaluate(self) -> str:
        """List of at most 64 items, kept. Weights whose test accuracy somebody asked for."""
        return self._key("to-evaluate")

    @property
    def evaluation(self) -> str:
        """String, kept. The latest test accuracy of live weights."""
        return self._key("evaluation")

    @property
    def evaluations(self) -> str:
        """Channel. Every measured test accuracy; one that is missed is asked for again."""
        return self._key("evaluations")

    @property
    def tests(self) -> str:
        """Sorted set of at most 1,000 test points, kept. The run's test accuracy by iteration."""
        return self._key("tests")
