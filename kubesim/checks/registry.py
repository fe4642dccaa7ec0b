"""The table of invariants, by the name that files use."""

from __future__ import annotations

from collections.abc import Callable

from kubesim.checks.bookkeeping import GenerationsMoveForward, RevisionsMoveForward
from kubesim.checks.budgets import BudgetsHonoured
from kubesim.checks.calm import NoHotLoop
from kubesim.checks.data import WritesKept
from kubesim.checks.identity import EndedBeforeGone, OneIdentity
from kubesim.checks.invariant import Invariant
from kubesim.checks.nodes import SilenceNoticed, TolerationsHonoured
from kubesim.checks.owners import OwnersExist
from kubesim.checks.placing import BoundOnce, NodesFit
from kubesim.checks.restarting import RestartsBackOff
from kubesim.checks.rollouts import NoExtraPods, RolloutBounds, VictimsRanked
from kubesim.checks.routing import RoutedToReady
from kubesim.checks.stateful import StatefulOrder
from kubesim.checks.statuses import ClaimsTrue, CountsTrue, EndpointsTrue, PodsTrue

_ALL: tuple[type[Invariant], ...] = (
    OneIdentity,
    EndedBeforeGone,
    StatefulOrder,
    RolloutBounds,
    NoExtraPods,
    VictimsRanked,
    BudgetsHonoured,
    RoutedToReady,
    BoundOnce,
    NodesFit,
    RestartsBackOff,
    SilenceNoticed,
    TolerationsHonoured,
    CountsTrue,
    PodsTrue,
    EndpointsTrue,
    ClaimsTrue,
    OwnersExist,
    RevisionsMoveForward,
    GenerationsMoveForward,
    NoHotLoop,
    WritesKept,
)

INVARIANTS: dict[str, Callable[[], Invariant]] = {str(each.name): each for each in _ALL}
