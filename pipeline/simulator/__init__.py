"""A whole contact center from a seed: unified events, and the truth they were made from.

Pure and deterministic: the caller gives the start and asks for events up to a time, so pacing by a
wall clock belongs to the caller. The truth is written down by construction, from what the simulator
knows it did, and shares no code with the folds and KPI definitions it is compared with.

====================  ==============================================================
``config``            what a caller chooses: rate, mixes, shares, when arrivals stop
``profiles``          how channels and queues of the default center behave
``timeline``          agenda of planned events and decisions, in order of time
``records``           what happened; ``summary`` counts KPIs of it, ``truth`` is both
``contact``           one running interaction, and what all parts share
``staff``             agents, shifts, breaks and their states
``queueing``          queue stays, routing to agents, ways out of a queue
``bots``              bot sessions
``handling``          conversations, holds, transfers, consultations, wrap-up
``aftermath``         surveys and repeat contacts
``plans``             forecasts, required staff, rates, people, verified bots
``arrivals``          who contacts the center, when, and about what
``simulator``         puts the parts together
``disorder``          duplicates, delays and shuffles a stream
====================  ==============================================================
"""

from pipeline.simulator.config import SimulatorConfig
from pipeline.simulator.disorder import Disorder, DisorderConfig
from pipeline.simulator.simulator import Simulator
from pipeline.simulator.summary import Summary
from pipeline.simulator.truth import Truth

__all__ = ["Disorder", "DisorderConfig", "Simulator", "SimulatorConfig", "Summary", "Truth"]
