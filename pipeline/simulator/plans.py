"""What the center plans and agrees: forecasts, required staff, rates, people, verified bots.

It has a random stream of its own and ids that do not depend on the start, so that the rest of a
simulation is the same with plans and without, and a later start replaces what an earlier one said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from math import ceil
from random import Random
from typing import Any, Final

from pipeline.simulator.arrivals import contacts_per_second
from pipeline.simulator.config import SimulatorConfig
from pipeline.simulator.profiles import (
    BOT_VERSIONS,
    CAPACITY,
    CHANNELS,
    QUEUES,
    STATE_CHANNEL,
    Media,
)
from pipeline.simulator.staff import DAY_MS, Agent
from pipeline.simulator.timeline import Event, rfc3339

SLOT_MS: Final = 1_800_000
FORECAST_ERROR: Final = 0.1
"""Standard deviation of a forecast, of what is expected."""
RATES: Final[tuple[tuple[str, dict[str, str], float], ...]] = (
    ("performer_minute", {}, 0.55),
    ("performer_minute", {"vendor": "vendor-a"}, 0.42),
    ("bot_session", {}, 0.03),
    ("bot_turn", {}, 0.004),
    ("million_input_tokens", {}, 2.5),
    ("million_output_tokens", {}, 10.0),
)
"""Activity, the work it is for, and units of cost a minute, session, turn or million tokens."""
VERIFIED_SHARE: Final = {"human": 0.93, "bot": 0.8}
TRAINED_SHARE: Final = 0.85
LEAVERS_SHARE: Final = 0.12
"""People who left within the last half year, against those who are there."""
ANSWERS: Final = (3, 5, 6, 7, 7, 8, 8, 8, 9, 9, 10, 10)
"""What people answer who are asked whether they would recommend working here, one as often as
another."""
OWNER: Final = "automation-team"
ANY_CHANNEL: Final = "other"


class Plans:
    """Plan events in order of time: all that stands at the start, then what each day brings.

    Args:
        config: What the center is like.
        seed: Decides everything that is left to chance here.
        start_ms: Event time at which the simulation begins.
        id_prefix: Begins every id of an event.
        agents: Everybody who works there.
        load: Mean contacts in handling at a time, by (queue, media), over a day.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        seed: int,
        start_ms: int,
        id_prefix: str,
        agents: Sequence[Agent],
        load: dict[tuple[str, Media], float],
    ) -> None:
        self._config = config
        self._rng = Random(f"plans {seed}")  # noqa: S311
        self._asked = Random(f"asked {seed}")  # noqa: S311
        self._id_prefix = id_prefix
        self._load = load
        self._events = 0
        self._next_ms = start_ms
        self._planned_until_ms = start_ms // SLOT_MS * SLOT_MS
        self._waiting: deque[Event] = deque()
        self._rates(start_ms)
        self._people(start_ms, agents)
        self._bots(start_ms)

    def until(self, until_ms: int) -> Iterator[Event]:
        """Events up to and including ``until_ms``, from where it stopped before."""
        while self._next_ms <= until_ms:
            self._day(self._next_ms)
            self._next_ms += DAY_MS
        while self._waiting:
            yield self._waiting.popleft()

    # --- what stands at the start -------------------------------------------------------------

    def _rates(self, at_ms: int) -> None:
        since_ms = at_ms - 365 * DAY_MS
        for activity, work, value in RATES:
            key = ":".join(("rate", activity, *work.values()))
            self._tell(at_ms, key, "rate", value, since_ms, None, activity=activity, **work)

    def _people(self, at_ms: int, agents: Sequence[Agent]) -> None:
        for agent in agents:
            task = QUEUES[agent.queues[0]].kcr_task
            about = {**agent.who, **agent.traits, "kcr_task": task}
            joined_ms = at_ms - self._days(30, 800)
            self._tell(
                at_ms, f"employment:{agent.performer_id}", "employment", 1, joined_ms, None, **about
            )
            self._verify(at_ms, about)
            self._ask(at_ms, agent, joined_ms)
        for number in range(ceil(len(agents) * LEAVERS_SHARE)):
            left_ms = at_ms - self._days(1, 180)
            reason = "voluntary" if self._rng.random() < 0.7 else "involuntary"
            about = {
                "performer_kind": "human", "performer_id": f"former-{number + 1:05d}",
                "activity": reason,
            }  # fmt: skip
            self._tell(
                at_ms, f"employment:{about['performer_id']}", "employment", 1,
                left_ms - self._days(20, 900), left_ms, **about,
            )  # fmt: skip

    def _bots(self, at_ms: int) -> None:
        version = BOT_VERSIONS[-1][0]
        for channel in CHANNELS.values():
            if not channel.bot_share:
                continue
            for task in sorted({queue.kcr_task for queue in QUEUES.values()}):
                about = {
                    "performer_kind": "bot", "performer_id": f"bot-{channel.name}",
                    "model_version": version, "kcr_task": task, "owner": OWNER,
                }  # fmt: skip
                key = f"{about['performer_id']}:{task}"
                since_ms = at_ms - self._days(60, 90)
                self._tell(at_ms, f"employment:{key}", "employment", 1, since_ms, None, **about)
                self._verify(at_ms, about)
                passed = float(self._rng.random() < 0.9)
                checked_ms = at_ms - self._days(1, 50)
                self._tell(
                    at_ms, f"ethics_check:{key}", "ethics_check", passed, checked_ms,
                    checked_ms + 180 * DAY_MS, **about,
                )  # fmt: skip

    def _ask(self, at_ms: int, agent: Agent, joined_ms: int) -> None:
        """Two in three have answered within the last week, without their names."""
        if self._asked.random() < 2 / 3:
            answered_ms = at_ms - self._asked.randrange(7 * DAY_MS)
            self._tell(
                at_ms, f"enps:{self._events + 1}", "enps", self._asked.choice(ANSWERS),
                joined_ms, answered_ms, **agent.traits,
            )  # fmt: skip

    def _verify(self, at_ms: int, about: dict[str, Any]) -> None:
        """Let most performers be verified on their task, people trained too, for a year."""
        self._attest(at_ms, "verification", VERIFIED_SHARE[about["performer_kind"]], about)
        if about["performer_kind"] == "human":
            self._attest(at_ms, "training", TRAINED_SHARE, about)

    def _attest(self, at_ms: int, plan: str, share: float, about: dict[str, Any]) -> None:
        if self._rng.random() < share:
            since_ms = at_ms - self._days(1, 300)
            key = f"{plan}:{about['performer_id']}:{about['kcr_task']}"
            self._tell(at_ms, key, plan, 1, since_ms, since_ms + 365 * DAY_MS, **about)

    def _days(self, least: int, most: int) -> int:
        return self._rng.randint(least, most) * DAY_MS

    # --- what each day brings -------------------------------------------------------------------

    def _day(self, at_ms: int) -> None:
        """Forecasts and required staff of the half hours up to a day ahead."""
        end_ms = (at_ms + DAY_MS) // SLOT_MS * SLOT_MS
        for slot_ms in range(self._planned_until_ms, end_ms, SLOT_MS):
            self._forecasts(at_ms, slot_ms)
            self._required(at_ms, slot_ms)
        self._planned_until_ms = end_ms

    def _relative(self, slot_ms: int) -> float:
        curve = self._config.daily_curve
        hour = (slot_ms + self._config.utc_offset_minutes * 60_000) // 3_600_000 % 24
        return curve[hour] * 24 / sum(curve)

    def _forecasts(self, at_ms: int, slot_ms: int) -> None:
        config = self._config
        contacts = contacts_per_second(config.events_per_second, dict(config.channels))
        slot = contacts * SLOT_MS / 1000 * self._relative(slot_ms)
        channels, queues = sum(config.channels.values()), sum(config.queues.values())
        for queue, queue_weight in config.queues.items():
            for name, weight in config.channels.items():
                share = weight / channels * queue_weight / queues * CHANNELS[name].human_share
                if share:
                    error = max(0.0, self._rng.gauss(1.0, FORECAST_ERROR))
                    self._tell(
                        at_ms, f"forecast:{queue}:{name}:{slot_ms}", "forecast",
                        round(slot * share * error, 2), slot_ms, slot_ms + SLOT_MS,
                        queue=queue, channel=name,
                    )  # fmt: skip

    def _required(self, at_ms: int, slot_ms: int) -> None:
        for (queue, media), load in self._load.items():
            needed = load * self._relative(slot_ms) / CAPACITY[media] / self._config.occupancy
            self._tell(
                at_ms, f"required:{queue}:{media}:{slot_ms}", "required", ceil(needed), slot_ms,
                slot_ms + SLOT_MS, queue=queue, channel=STATE_CHANNEL[media],
            )  # fmt: skip

    def _tell(
        self,
        at_ms: int,
        key: str,
        plan: str,
        value: float,
        starts_ms: int,
        ends_ms: int | None,
        **fields: Any,
    ) -> None:
        self._events += 1
        told: Event = {
            "event_id": f"{self._id_prefix}-plan-{self._events}",
            "kind": "plan",
            "source": "simulator",
            "occurred_at": rfc3339(at_ms),
            "interaction_id": key,
            "channel": ANY_CHANNEL,
            "plan": plan,
            "value": value,
            "starts_at": rfc3339(starts_ms),
            **fields,
        }
        if ends_ms is not None:
            told["ends_at"] = rfc3339(ends_ms)
        self._waiting.append(told)
