"""Where a poller is in its upstream: the outcomes of its items, its cursors, and the validators of its last response.

Cursors and validators hide items from the next poll. They say that each item before them has a final outcome. So they
change only at the end of a poll in which each item got one, and a checkpoint holds them together with the outcomes.
"""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from adapter.contract.formats import Json
from adapter.model.checkpoint import Checkpoint
from adapter.model.event import Event, Outcome
from adapter.polling.incremental import CursorValue, Incremental

WINDOW = 10_000  # number of items kept
FORMAT = 1
_DIGEST_BYTES = 8
_SKIPPED = b"s"
_CODES = {Outcome.DELIVERED: b"d", Outcome.DEAD_LETTERED: b"l", Outcome.REJECTED: b"r", None: _SKIPPED}
_OUTCOMES = {code: outcome for outcome, code in _CODES.items()}


class Handled:
    """The outcomes of the ``size`` items that were used last, by key; a lookup counts as use.

    The outcome of a skipped item is None. The keys are stored as digests: a key can be of any length.
    """

    def __init__(self, size: int = WINDOW) -> None:
        self._size = size
        self._codes: OrderedDict[bytes, bytes] = OrderedDict()  # the item that was used last comes last

    def find(self, key: str) -> tuple[bool, Outcome | None]:
        """Whether the item is known, and its outcome."""
        digest = _digest(key)
        code = self._codes.get(digest)
        if code is None:
            return False, None
        self._codes.move_to_end(digest)
        return True, _OUTCOMES[code]

    def add(self, key: str, outcome: Outcome | None) -> None:
        self._put(_digest(key), _CODES[outcome])

    def _put(self, digest: bytes, code: bytes) -> None:
        self._codes[digest] = code
        if len(self._codes) > self._size:
            self._codes.popitem(last=False)

    def to_bytes(self) -> bytes:
        """The digests in order of use, eight bytes each. Then the codes of the outcomes, one byte each."""
        return b"".join(self._codes) + b"".join(self._codes.values())

    def restore(self, packed: bytes) -> None:
        """Add what :meth:`to_bytes` returned. ``ValueError`` if it is something else."""
        count, rest = divmod(len(packed), _DIGEST_BYTES + 1)
        codes = packed[len(packed) - count :]
        if rest or not set(codes) <= set(b"".join(_OUTCOMES)):
            raise ValueError("this is no list of outcomes")
        for n in range(count):
            self._put(packed[n * _DIGEST_BYTES : (n + 1) * _DIGEST_BYTES], codes[n : n + 1])

    def forget_skipped(self) -> bool:
        """Make the skipped items unknown. False if there is none."""
        skipped = [digest for digest, code in self._codes.items() if code == _SKIPPED]
        for digest in skipped:
            del self._codes[digest]
        return bool(skipped)


class Validators(BaseModel):
    """What makes the next request for the same response conditional (RFC 9110, section 13.1)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: str  # digest of the URL and of the headers in spec
    conditions: Mapping[str, str]  # request headers, such as if-none-match
    is_private: bool = False  # the response depends on credentials, which may be others in the next process


class _Record(BaseModel):
    """A position in a checkpoint."""

    model_config = ConfigDict(extra="forbid", strict=True)

    poller: Literal[1]  # the version of this format
    seen: str
    cursors: dict[str, str | int | FiniteFloat]
    validators: Validators | None = None


class UnusableRecord(Exception):
    """A checkpoint that this version of the adapter cannot read. The text says why, in one line without its data."""


class Position:
    """Call :meth:`see` and :meth:`add` for each item of a poll, and :meth:`end_poll` at its end.

    Each change is a step of the checkpoint. The version counts two for each item with a final outcome, and it is odd
    if a poll has been completed since the last item. So of two processes of a source, the one with the higher version
    has handled more items, however many polls it needed.
    """

    def __init__(self, checkpoint: Checkpoint | None = None, window: int = WINDOW) -> None:
        self.checkpoint = checkpoint or Checkpoint()
        self.handled = Handled(window)
        self.cursors: dict[str, CursorValue] = {}  # by path: the greatest value
        self.validators: Validators | None = None
        self.is_restored = False
        self._seen: dict[str, CursorValue] = {}  # the greatest values in this poll
        self._found: Validators | None = None

    @classmethod
    def restored(cls, checkpoint: Checkpoint, *, sends_skipped: bool, window: int = WINDOW) -> Position:
        """The position that an earlier process saved, or a new one. ``UnusableRecord`` if it cannot be read.

        ``sends_skipped``: send the items that an earlier process has skipped. The cursors and validators would hide
        them, so they start anew.
        """
        position, value = cls(checkpoint, window), checkpoint.load()
        if value is not None:
            position._restore(value)
            if sends_skipped and position.handled.forget_skipped():
                position.cursors, position.validators = {}, None
        return position

    @property
    def is_kept(self) -> bool:
        """Whether the next process of the source starts with this position or an earlier one, in any pod."""
        return self.checkpoint.is_shared and self.checkpoint.is_stored

    def see(self, event: Event, incrementals: Iterable[Incremental]) -> None:
        """Note the values of an item. ``PollFailed`` if one is missing or of another type than those before."""
        if not isinstance(event, Event):
            return  # the poller refuses it
        for each in incrementals:
            before = self._seen.get(each.path, self.cursors.get(each.path))
            self._seen[each.path] = each.greatest(before, event)

    def found(self, validators: Validators) -> None:
        """Note the validators of this poll. Call it when each item has been sent."""
        self._found = validators

    def skip(self, key: str) -> None:
        """Note an item that is not sent. :meth:`end_poll` saves it."""
        self.handled.add(key, None)

    def add(self, key: str, outcome: Outcome) -> None:
        """The outcome of an item is final."""
        self.handled.add(key, outcome)
        self._step(2 - self.checkpoint.version % 2)

    def end_poll(self, *, is_final: bool) -> None:
        """``is_final``: the poll succeeded, and each of its items has a final outcome."""
        seen, self._seen = self._seen, {}
        found, self._found = self._found, None
        if not is_final:
            return
        self.cursors |= seen
        self.validators = found or self.validators
        if self.checkpoint.version % 2 == 0:  # there were items since the last completed poll, or it is the first one
            self._step(1)

    def _step(self, count: int) -> None:
        self.checkpoint.save_later(self._record, count)

    def _record(self) -> Json:
        saved = self.validators if self.validators and not self.validators.is_private else None
        return {
            "poller": FORMAT,
            "seen": base64.b64encode(self.handled.to_bytes()).decode(),
            "cursors": dict(self.cursors),
            "validators": saved.model_dump() if saved else None,
        }

    def _restore(self, value: Json) -> None:
        if not isinstance(value, dict) or "poller" not in value:
            raise UnusableRecord("it is not the state of a poller")
        if value["poller"] != FORMAT:
            raise UnusableRecord(f"it has another format than {FORMAT}, so another version of the adapter wrote it")
        try:
            record = _Record.model_validate(value)
            self.handled.restore(base64.b64decode(record.seen, validate=True))
        except (ValidationError, ValueError):
            raise UnusableRecord("it is damaged") from None
        self.cursors, self.validators, self.is_restored = record.cursors, record.validators, True


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()
