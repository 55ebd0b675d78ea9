"""The call ledger: what was reserved, sent and spent, kept across crashes and processes.

Belongs here: the state changes of a call; the limits they are held to are in limits.py. RESERVED -> SENT ->
ANSWERED, REJECTED or UNKNOWN; REFUNDED when it never left. Nothing here knows HTTP. Times of day come from the injected
clock; leases and the cooldown are real seconds, because they are about real processes.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from timegpt_assets.adapters.call_errors import NotSent
from timegpt_assets.adapters.ledger import limits, vouching
from timegpt_assets.adapters.ledger.limits import Account
from timegpt_assets.adapters.ledger.process_identity import is_known_alive, is_known_dead, owner
from timegpt_assets.adapters.ledger.tables import (
    ANSWERED,
    CALLS,
    REFUNDED,
    REJECTED,
    RESERVED,
    SENT,
    SNAPSHOTS,
    SWITCHES,
    TAKEN,
    UNKNOWN,
    LedgerStore,
)
from timegpt_assets.adapters.storage.object_store import ObjectStore

LONGEST_WAIT_SEC = 120.0
"""A provider that entries for a longer pause than this is not waited for; the run ends and a re-run continues."""
LEASE_SEC = 300.0
"""How long a reservation is held for a process on another machine, which nobody here can see die."""

NOTHING_STANDS = -1
"""What a successor replaces where the ledger remembers no answer: its bytes alone make way."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One thing to be asked for: its hash, the snapshot it stands for, and what to remember of the moment it is asked.

    Requests of one ``moment`` share its symbols between them, so they are granted together or not at all. Granted, it
    has the ledger's row (``id``) and the number of its attempt. ``replaces`` is the row whose answer it succeeds
    (--reask): that one stands until this one is answered.
    """

    kind: str
    request_hash: str
    snapshot_key: str
    record: Mapping[str, Any]
    moment: str = ""
    id: int = 0
    attempt: int = 0
    replaces: int = 0


class BudgetLedger:
    """Every paid request, one row each, in SQLite or PostgreSQL."""

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], datetime],
        lease_sec: float = LEASE_SEC,
        wall: Callable[[], float] | None = None,
    ) -> None:
        """Remember where the ledger lies; ``lease_sec`` must outlast the slowest request.

        Leases and pauses are counted by the database's own clock where it has one, else by this machine's, or ``wall``.
        """
        self.store, self.clock, self.lease_sec, self.wall = LedgerStore(url), clock, lease_sec, wall

    def left(self, account: Account, budget_run_id: str) -> dict[str, int]:
        """Return the calls each limit still allows."""
        with self.store.reading() as connection:
            return limits.left(connection, account, budget_run_id, day=self._day(account))

    def require(self, account: Account, budget_run_id: str, *, needed: int) -> None:
        """Raise BudgetExceeded or Frozen when ``needed`` calls could not be sent now."""
        with self.store.reading() as connection:
            limits.require_thawed(connection)
            limits.require(connection, account, budget_run_id, day=self._day(account), needed=needed)

    def reserve(
        self, entries: Sequence[LedgerEntry], account: Account, *, budget_run_id: str, to_come: int = 0
    ) -> dict[str, LedgerEntry]:
        """Return the calls granted, by request hash: all that nobody holds or has answered, or none at all.

        An empty answer means: look for the answers again, then ask again. ``to_come`` further calls are demanded of
        the limits without being reserved. Raises BudgetExceeded or Frozen, with nothing reserved.
        """
        with self.store.writing() as connection:
            # something sent was orphaned: its bytes may lie in the cache, so the caller looks again before it buys
            if self._settle_dead(connection):
                return {}
            free = self._free(connection, entries, account.host)
            if free or to_come:
                limits.require_thawed(connection)
                # all or nothing, in one transaction: two processes can never each take half of a day they cannot finish
                needed = len(free) + to_come
                limits.require(connection, account, budget_run_id, day=self._day(account), needed=needed)
            return {entry.request_hash: self._insert(connection, entry, account, budget_run_id) for entry in free}

    def send(self, call: LedgerEntry, account: Account) -> float:
        """Mark the call SENT and return 0.0, or return the seconds of cooldown to wait before trying again.

        Raises NotSent when the reservation was lost to its lease, Frozen, or BudgetExceeded when the day has turned.
        """
        with self.store.writing() as connection:
            row = connection.execute(sa.select(CALLS).where(CALLS.c.id == call.id)).mappings().one()
            # asked at the last moment: a machine may have slept through its lease between reserve and send
            if row["state"] != RESERVED or row["owner"] != owner():
                raise NotSent(f"The reservation of call {call.id} ran out ({row['state']}). Run again.")
            limits.require_thawed(connection)
            today = self._day(account)
            # midnight passed between reserving and sending: the call belongs to the day on which it is spent
            if today != row["budget_day"]:
                run = row["budget_run_id"]
                limits.require(connection, account, run, day=today, needed=1, but=call.id)
            now = self._now(connection)
            # all of this process's: the day's last call waits behind every other one and must not run out meanwhile
            self._renew_leases(connection, now)
            if (wait := limits.pause(connection, account, now)) > 0:
                return wait
            change = {"state": SENT, "budget_day": today, "sent_at": self.clock().isoformat(), "sent_wall": now}
            connection.execute(sa.update(CALLS).where(CALLS.c.id == call.id).values(change))
            return 0.0

    def sealing(self, account: Account, budget_run_id: str) -> vouching.Sealing:
        """Return what seals the record of an answer: fetched before its call is sent, nothing is asked for after."""
        spent = {"account": account.name, "budget_run_id": budget_run_id, "budget_day": self._day(account)}
        with self.store.writing() as connection:
            return vouching.sealing(connection, account.host, spent)

    def vouches_for(self, request_hash: str, record: Mapping[str, Any]) -> bool:
        """Return whether the record of a stored answer is one that this ledger sealed."""
        with self.store.reading() as connection:
            return vouching.is_sealed(connection, request_hash, record)

    def answered(self, entry: LedgerEntry) -> set[str]:
        """Mark the attempt ANSWERED and let its record stand for the snapshot; its bytes must be stored already.

        Return the request hashes whose answers it succeeds: they are given up now and not before.
        """
        with self.store.writing() as connection:
            self._answer(connection, entry)
            vouching.remember_clock(connection, str(entry.record.get("host")), entry.record, now=self.clock())
            return self._give_up(connection, entry)

    def rejected(self, call: LedgerEntry, note: str) -> None:
        """Mark the call REJECTED: the provider refused it; it stays spent."""
        self._settle((call,), (SENT,), REJECTED, note)

    def unknown(self, call: LedgerEntry, note: str) -> None:
        """Mark the call UNKNOWN: nobody can say whether the work was done and billed; it stays spent."""
        self._settle((call,), (SENT,), UNKNOWN, note)

    def refunded(self, call: LedgerEntry, note: str) -> None:
        """Mark the call REFUNDED: it certainly never reached the provider."""
        self._settle((call,), (RESERVED, SENT), REFUNDED, note)

    def release(self, calls: Collection[LedgerEntry]) -> None:
        """Give back those of the calls that are still only reserved."""
        self._settle(calls, (RESERVED,), REFUNDED, "not needed")

    def records(self, snapshot_keys: Collection[str]) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return request hash and record of the snapshots that were ever reserved, by snapshot key."""
        with self.store.reading() as connection:
            wanted = sa.select(SNAPSHOTS).where(SNAPSHOTS.c.snapshot_key.in_(snapshot_keys))
            rows = connection.execute(wanted).mappings().all()
        return {row["snapshot_key"]: (row["request_hash"], json.loads(row["record"])) for row in rows}

    def record_of(self, request_hash: str) -> dict[str, Any]:
        """Return what is remembered of the answer to a request, for whatever snapshot; empty if nothing."""
        wanted = sa.select(SNAPSHOTS.c.record).where(SNAPSHOTS.c.request_hash == request_hash)
        with self.store.reading() as connection:
            found = [json.loads(row) for row in connection.execute(wanted).scalars()]
        return next((record for record in found if "sha256" in record), found[0] if found else {})

    def all_records(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return request hash and record of every snapshot, by snapshot key."""
        with self.store.reading() as connection:
            rows = connection.execute(sa.select(SNAPSHOTS).order_by(SNAPSHOTS.c.snapshot_key)).mappings().all()
        return {row["snapshot_key"]: (row["request_hash"], json.loads(row["record"])) for row in rows}

    def has_answer(self, request_hash: str) -> bool:
        """Return whether an answer to the request was paid for and not given up."""
        answered = (CALLS.c.request_hash == request_hash) & (CALLS.c.state == ANSWERED) & ~CALLS.c.void
        with self.store.reading() as connection:
            return connection.execute(sa.select(CALLS.c.id).where(answered).limit(1)).first() is not None

    def answered_hashes(self, request_hashes: Collection[str]) -> set[str]:
        """Return those of the requests whose answer was paid for and not given up."""
        answered = CALLS.c.request_hash.in_(request_hashes) & (CALLS.c.state == ANSWERED) & ~CALLS.c.void
        with self.store.reading() as connection:
            return set(connection.execute(sa.select(CALLS.c.request_hash).where(answered)).scalars())

    def adopt(
        self,
        host: str,
        snapshot_key: str,
        request_hash: str,
        record: Mapping[str, Any],
        *,
        is_stored: Callable[[str], bool] = lambda _: True,
        only_ours: bool = False,
    ) -> bool:
        """Let a stored answer stand for its snapshot where none does (an older ledger, another machine's cache).

        Return whether it does now. A snapshot whose answer is ``is_stored`` keeps it, unless this one was asked for
        later from here and its process died. What this ledger did not seal spends nobody's budget and is never live:
        who paid for it, and when, is not known here; ``only_ours`` refuses it. What it did is booked as it was.
        """
        with self.store.writing() as connection:
            self._settle_dead(connection)
            # a process is between storing bytes and telling us: adopting now would file its live answer as a stranger's
            if self._is_in_flight(connection, host, request_hash):
                return False
            is_sealed = vouching.is_sealed(connection, request_hash, record)
            ours = self._own_call(connection, host, request_hash, record.get("attempt"))
            standing = self._standing(connection, host, snapshot_key)
            if only_ours and not (ours and is_sealed):
                return False
            if standing and is_stored(standing["request_hash"]) and not (ours and ours["id"] > standing["id"]):
                return False
            kept = dict(record) if is_sealed else vouching.not_live(record)
            entry = LedgerEntry("adopted", request_hash, snapshot_key, kept)
            adopted = (
                replace(entry, attempt=ours["attempt"], id=ours["id"])
                if ours
                else self._entered(connection, entry, host, record.get("spent") if is_sealed else None)
            )
            self._answer(connection, adopted)
            self._give_up(connection, adopted)
            return True

    def standing(self, host: str, snapshot_key: str) -> int:
        """Return the row whose answer stands for the snapshot, 0 when none does."""
        with self.store.reading() as connection:
            found = self._standing(connection, host, snapshot_key)
        return found["id"] if found else 0

    def standing_hashes(self, host: str) -> set[str]:
        """Return the request hashes of every answer of the host that was paid for and not given up."""
        answered = (CALLS.c.host == host) & (CALLS.c.state == ANSWERED) & ~CALLS.c.void
        with self.store.reading() as connection:
            return set(connection.execute(sa.select(CALLS.c.request_hash).where(answered)).scalars())

    def holders(self, snapshot_keys: Collection[str]) -> list[str]:
        """Return who holds calls for the snapshots, since when, as people read it."""
        held = CALLS.c.snapshot_key.in_(snapshot_keys) & CALLS.c.state.in_((RESERVED, SENT))
        wanted = sa.select(CALLS.c.owner, CALLS.c.state, CALLS.c.reserved_at).where(held).order_by(CALLS.c.id)
        with self.store.reading() as connection:
            rows = connection.execute(wanted).all()
        return [f"process {row.owner.split('/')[1]} ({row.state} since {row.reserved_at})" for row in rows]

    def frozen(self) -> str | None:
        """Return why sending is frozen, None when it is not."""
        with self.store.reading() as connection:
            return connection.execute(sa.select(SWITCHES.c.why).where(SWITCHES.c.name == "frozen")).scalar()

    def freeze(self, why: str) -> None:
        """Stop every send of every process at once."""
        with self.store.writing() as connection:
            connection.execute(sa.delete(SWITCHES).where(SWITCHES.c.name == "frozen"))
            connection.execute(sa.insert(SWITCHES).values(name="frozen", why=why))

    def thaw(self) -> None:
        """Let calls be sent again."""
        with self.store.writing() as connection:
            connection.execute(sa.delete(SWITCHES).where(SWITCHES.c.name == "frozen"))

    def calls(self, account: Account) -> list[dict[str, Any]]:
        """Return every call of the account, oldest first."""
        mine = (CALLS.c.host == account.host) & (CALLS.c.account == account.name)
        with self.store.reading() as connection:
            rows = connection.execute(sa.select(CALLS).where(mine).order_by(CALLS.c.id)).mappings().all()
        return [dict(row) for row in rows]

    def counts(self, account: Account) -> dict[tuple[str, str], int]:
        """Return (day or month, state) -> how many calls of the account, of this budget day and of its month."""
        today = self._day(account)
        of_month = CALLS.c.budget_day.between(f"{today[:7]}-01", f"{today[:7]}-31")  # by the index, unlike a prefix
        mine = (CALLS.c.host == account.host) & (CALLS.c.account == account.name) & of_month
        asked = sa.select(CALLS.c.state, CALLS.c.budget_day == today, sa.func.count()).where(mine)
        with self.store.reading() as connection:
            rows = connection.execute(asked.group_by(CALLS.c.state, CALLS.c.budget_day == today)).all()
        found = Counter[tuple[str, str]]()
        for state, is_today, count in rows:
            found["month", state] += count
            found["day", state] += count * bool(is_today)
        return dict(found)

    def view(self, account: Account) -> dict[str, Any]:
        """Return the account's figures as artifacts/api_budget.json shows them: limits, spent by day and by run."""
        return limits.figures(account, self.calls(account), self._day(account))

    def export(self, account: Account, objects: ObjectStore, name: str = "api_budget.json") -> None:
        """Write the account's figures into an object store as JSON; readers never see half a file."""
        text = json.dumps(self.view(account), indent=2, sort_keys=True) + "\n"
        objects.update(name, lambda _: text.encode())

    def _day(self, account: Account) -> str:
        return limits.day_of(account, self.clock())

    def _settle_dead(self, connection: sa.Connection) -> int:
        """Settle what dead processes left behind: unsent is refunded, sent is unknown. Return how many were sent."""
        held = sa.select(CALLS.c.id, CALLS.c.owner, CALLS.c.lease_until, CALLS.c.state)
        rows = connection.execute(held.where(CALLS.c.state.in_((RESERVED, SENT)))).all()
        now = self._now(connection)
        # a clock may run ahead: whoever can be seen to live is not dead, whatever its lease says
        dead = [r for r in rows if is_known_dead(r.owner) or (r.lease_until < now and not is_known_alive(r.owner))]
        for row in dead:
            state = UNKNOWN if row.state == SENT else REFUNDED
            change = sa.update(CALLS).where(CALLS.c.id == row.id).values(state=state, note="its process died")
            connection.execute(change)
        return sum(row.state == SENT for row in dead)

    def _free(self, connection: sa.Connection, entries: Sequence[LedgerEntry], host: str) -> list[LedgerEntry]:
        hashes, keys = [entry.request_hash for entry in entries], [entry.snapshot_key for entry in entries]
        same = CALLS.c.request_hash.in_(hashes) | CALLS.c.snapshot_key.in_(keys)
        taken = (CALLS.c.host == host) & CALLS.c.state.in_(TAKEN) & ~CALLS.c.void & same
        wanted = sa.select(CALLS.c.id, CALLS.c.state, CALLS.c.request_hash, CALLS.c.snapshot_key)
        rows = connection.execute(wanted.where(taken)).all()
        # two snapshots may have the same body: one call answers both
        once = {entry.request_hash: entry for entry in entries}.values()
        held = [entry for entry in once if any(_holds(row, entry) for row in rows)]
        # one part of a moment held: the others wait with it, since whoever holds it may have cut the universe otherwise
        moments = {entry.moment for entry in held if entry.moment}
        return [entry for entry in once if entry not in held and entry.moment not in moments]

    def _insert(
        self,
        connection: sa.Connection,
        entry: LedgerEntry,
        account: Account,
        budget_run_id: str,
        *,
        state: str = RESERVED,
    ) -> LedgerEntry:
        same = (CALLS.c.host == account.host) & (CALLS.c.request_hash == entry.request_hash)
        # attempts are numbered on: the unique key of host, hash and attempt is what forbids a row counted twice
        last = connection.execute(sa.select(sa.func.max(CALLS.c.attempt)).where(same)).scalar()
        attempt = (last or 0) + 1
        row = {
            "host": account.host,
            "account": account.name,
            "kind": entry.kind,
            "request_hash": entry.request_hash,
            "snapshot_key": entry.snapshot_key,
            "attempt": attempt,
            "budget_run_id": budget_run_id,
            "state": state,
            "budget_day": self._day(account),
            "reserved_at": self.clock().isoformat(),
            "lease_until": self._now(connection) + self.lease_sec,
            "owner": owner(),
        }
        number = connection.execute(sa.insert(CALLS).values(row).returning(CALLS.c.id)).scalar_one()
        if not self._standing(connection, account.host, entry.snapshot_key):
            self._write_record(connection, entry)  # a crash between bytes and ledger finds them by their snapshot
        return replace(entry, id=number, attempt=attempt)

    def _entered(
        self, connection: sa.Connection, entry: LedgerEntry, host: str, spent: Mapping[str, str] | None
    ) -> LedgerEntry:
        """Return the entry with a row of its own, answered; booked as ``spent`` where no row of its attempt is left."""
        attempt = CALLS.c.attempt == entry.record.get("attempt")
        mine = (CALLS.c.host == host) & (CALLS.c.request_hash == entry.request_hash) & attempt
        is_booked = connection.execute(sa.select(CALLS.c.id).where(mine)).first() is not None
        if spent is None or is_booked:
            return self._insert(connection, entry, Account(host=host, name=""), "adopted", state=ANSWERED)
        account, run = Account(host=host, name=spent["account"]), spent["budget_run_id"]
        made = self._insert(connection, entry, account, run, state=ANSWERED)
        booked = sa.update(CALLS).where(CALLS.c.id == made.id).values(budget_day=spent["budget_day"])
        connection.execute(booked)
        return made

    def _answer(self, connection: sa.Connection, entry: LedgerEntry) -> None:
        mine = (CALLS.c.request_hash == entry.request_hash) & (CALLS.c.attempt == entry.attempt)
        # UNKNOWN too: a lost answer whose bytes turn up is an answer; REFUNDED never was one
        allowed = mine & CALLS.c.state.in_((SENT, UNKNOWN, ANSWERED))
        connection.execute(sa.update(CALLS).where(allowed).values(state=ANSWERED, void=False))
        self._write_record(connection, entry)

    def _give_up(self, connection: sa.Connection, entry: LedgerEntry) -> set[str]:
        """Mark the snapshot's other answers void and return their hashes; what was spent stays spent."""
        same = (CALLS.c.snapshot_key == entry.snapshot_key) & (CALLS.c.state == ANSWERED) & ~CALLS.c.void
        mine = (CALLS.c.request_hash == entry.request_hash) & (CALLS.c.attempt == entry.attempt)
        if connection.execute(sa.select(CALLS.c.id).where(same & mine)).first() is None:
            return set()
        # void and not deleted: what was spent stays in the books
        others = same & ~mine
        hashes = set(connection.execute(sa.select(CALLS.c.request_hash).where(others)).scalars())
        connection.execute(sa.update(CALLS).where(others).values(void=True))
        return hashes - {entry.request_hash}

    def _standing(self, connection: sa.Connection, host: str, snapshot_key: str) -> sa.RowMapping | None:
        """Return the newest call whose answer stands for the snapshot, be it another snapshot's to the same body."""
        named = sa.select(SNAPSHOTS.c.request_hash).where(SNAPSHOTS.c.snapshot_key == snapshot_key)
        mine = (CALLS.c.snapshot_key == snapshot_key) | CALLS.c.request_hash.in_(named)
        answered = mine & (CALLS.c.host == host) & (CALLS.c.state == ANSWERED) & ~CALLS.c.void
        found = connection.execute(sa.select(CALLS).where(answered).order_by(CALLS.c.id.desc()).limit(1))
        return found.mappings().first()

    def _own_call(
        self, connection: sa.Connection, host: str, request_hash: str, attempt: object
    ) -> sa.RowMapping | None:
        """Return the call that an answer's record names, when it was sent from here and does not stand."""
        mine = (CALLS.c.host == host) & (CALLS.c.request_hash == request_hash) & (CALLS.c.attempt == attempt)
        given_up = (CALLS.c.state == ANSWERED) & CALLS.c.void
        found = connection.execute(sa.select(CALLS).where(mine & ((CALLS.c.state == UNKNOWN) | given_up)))
        return found.mappings().first()

    def _is_in_flight(self, connection: sa.Connection, host: str, request_hash: str) -> bool:
        sent = (CALLS.c.host == host) & (CALLS.c.request_hash == request_hash) & (CALLS.c.state == SENT)
        return connection.execute(sa.select(CALLS.c.id).where(sent).limit(1)).first() is not None

    def _now(self, connection: sa.Connection) -> float:
        if self.wall is not None:
            return self.wall()
        if self.store.url.get_backend_name() == "postgresql":  # one clock for all machines that share it
            return float(connection.execute(sa.text("select extract(epoch from clock_timestamp())")).scalar_one())
        return time.time()

    def _write_record(self, connection: sa.Connection, entry: LedgerEntry) -> None:
        connection.execute(sa.delete(SNAPSHOTS).where(SNAPSHOTS.c.snapshot_key == entry.snapshot_key))
        record = json.dumps(dict(entry.record), sort_keys=True)
        row = {"snapshot_key": entry.snapshot_key, "request_hash": entry.request_hash, "record": record}
        connection.execute(sa.insert(SNAPSHOTS).values(row))

    def _renew_leases(self, connection: sa.Connection, now: float) -> None:
        mine = (CALLS.c.owner == owner()) & (CALLS.c.state == RESERVED)
        connection.execute(sa.update(CALLS).where(mine).values(lease_until=now + self.lease_sec))

    def _settle(self, calls: Collection[LedgerEntry], allowed: Collection[str], state: str, note: str) -> None:
        theirs = CALLS.c.id.in_([call.id for call in calls]) & CALLS.c.state.in_(allowed)
        with self.store.writing() as connection:
            connection.execute(sa.update(CALLS).where(theirs).values(state=state, note=note))


def _holds(row: sa.Row[Any], entry: LedgerEntry) -> bool:
    """Return whether the call stands in the way of the entry: not when its answer is the one to be replaced."""
    # by body or by snapshot: a bar revised since gives the same question other bytes
    is_same = entry.request_hash == row.request_hash or entry.snapshot_key == row.snapshot_key
    return is_same and not (row.state == ANSWERED and row.id <= entry.replaces)
