"""Where the parts are wired: one Faust app a role, all in one process or each in its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import structlog

from agents.exhibits import Display, exhibits
from agents.intake import intake
from agents.journeys import journeys
from agents.lifecycle import lifecycle
from agents.performers import performers
from pipeline import heartbeats, metrics
from pipeline.dead_letters import ADVICE
from pipeline.folds.links import SHARED_AFTER
from pipeline.folds.silence import Silence
from pipeline.health import Health
from pipeline.identity import CustomerKeys
from pipeline.microbatch import BatchApp, Broker, MemoryStores, Observer, Observers, Stores
from pipeline.observers import StageMetrics
from pipeline.settings import ROLES, Role
from pipeline.stages.configuration import Configuration
from pipeline.stages.intake import Source
from pipeline.stages.limits import RefusalLimit
from pipeline.wall_clock import WallClock
from schemas.exhibit import Exhibit
from schemas.platforms import find_platform
from schemas.platforms.base import OptionError
from schemas.topics import changelog_topic
from sinks.base import Sink
from sinks.clickhouse.agent import clickhouse_sink

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Wiring:
    """What a worker is made of.

    Attributes:
        keys: Makes customer keys; the roles ``intake`` and ``lifecycle`` need it.
        sink: Where rows go; without one the role ``sink`` does nothing.
        wall_clock: Owners of partitions write ticks by the wall clock; else somebody else does.
        clock_runs: No tick is written while it says no.
        heartbeat_seconds: How often intake writes a heartbeat into each raw partition; 0: never.
        until_ms: Intake leaves later events out.
        refusal_limit: Makes what stops the worker when too much of a partition is refused.
        shared_after: An identifier of more accounts than so many joins no customers.
        health: Judges the stages.
        observers: Who else is told what stages do.
        stores: Where stages keep their state.
    """

    broker: Broker
    exhibits: Sequence[Exhibit]
    keys: CustomerKeys | None
    sources: dict[str, Source]
    displays: Sequence[Display] = ()
    sink: Sink | None = None
    group_prefix: str = "cxstream"
    roles: Sequence[Role] = ROLES
    tick_seconds: float = 1.0
    wall_clock: bool = True
    clock_runs: Callable[[], bool] = lambda: True
    heartbeat_seconds: float = 0.0
    until_ms: int | None = None
    refusal_limit: Callable[[], RefusalLimit | None] = lambda: None
    silence: Silence = field(default_factory=Silence)
    shared_after: int = SHARED_AFTER
    health: Health = field(default_factory=Health)
    observers: Sequence[Observer] = ()
    stores: Stores = field(default_factory=MemoryStores)


class Worker:
    """Stages of one process. ``async with Worker(wiring) as worker: await worker.failed()``."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self.apps = {role: self._app(role) for role in wiring.roles}

    def _app(self, role: Role) -> BatchApp:
        wiring = self._wiring
        observer = Observers(StageMetrics(), heartbeats.PASSED, wiring.health, *wiring.observers)
        app = BatchApp(f"{wiring.group_prefix}-{role}", wiring.broker, observer, wiring.stores)
        started_with = Configuration.of(wiring.exhibits)
        lasting = wiring.broker.transactional
        match role:
            case "intake":
                # A counter that is born with its first count shows no increase.
                for reason in ADVICE:
                    metrics.DEAD_LETTERS.labels(reason)
                intake(
                    app,
                    wiring.sources,
                    _needed(wiring.keys),
                    until_ms=wiring.until_ms,
                    limit=wiring.refusal_limit,
                    heartbeat_seconds=wiring.heartbeat_seconds,
                )
            case "lifecycle":
                lifecycle(
                    app,
                    started_with,
                    _needed(wiring.keys),
                    unified_source(),
                    changelog=changelog_topic("lifecycle") if lasting else None,
                    silence=wiring.silence,
                    now_ms=WallClock(wiring.clock_runs) if wiring.wall_clock else None,
                    tick_seconds=wiring.tick_seconds,
                    limit=wiring.refusal_limit,
                )
            case "journeys":
                journeys(
                    app,
                    started_with,
                    changelog=changelog_topic("journeys") if lasting else None,
                    shared_after=wiring.shared_after,
                )
            case "performers":
                performers(
                    app, started_with, changelog=changelog_topic("performers") if lasting else None
                )
            case "exhibits":
                exhibits(app, started_with, wiring.displays)
            case "sink":
                if wiring.sink is not None:
                    clickhouse_sink(app, wiring.sink)
        return app

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        self._stack.callback(self._wiring.stores.close)
        apps = [app for app in self.apps.values() if app.stages]
        for app in apps:
            self._stack.push_async_callback(app.stop)
        beating = asyncio.create_task(self._wiring.health.keep_beating())
        self._stack.callback(beating.cancel)
        await asyncio.gather(*(app.start() for app in apps))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def failed(self) -> Exception:
        """Wait until a stage fails; the failure."""
        ends = [asyncio.create_task(app.ended.wait()) for app in self.apps.values()]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        return next(app.failure for app in self.apps.values() if app.failure is not None)


def _needed(keys: CustomerKeys | None) -> CustomerKeys:
    if keys is None:
        raise ValueError("whoever takes events in needs the identity key")
    return keys


def sources(platforms: Iterable[str], options: Iterable[str] = ()) -> dict[str, Source]:
    """Platforms by name with their options, given as ``PLATFORM.KEY=VALUE``.

    Raises:
        UnknownPlatformError: there is no such platform.
        OptionError: an option is not one of its platform, or of a platform that is not taken in.
    """
    found = {name: find_platform(name) for name in platforms}
    given: dict[str, list[str]] = {name: [] for name in found}
    for option in options:
        name, _, pair = option.partition(".")
        if name not in given:
            raise OptionError(f"option {option[:64]!r}: {name[:64]!r} is not taken in")
        given[name].append(pair)
    return {name: Source(p, p.options(given[name])) for name, p in found.items()}


def unified_source() -> Source:
    """The platform of unified events themselves."""
    return sources(["interactions"])["interactions"]
