"""What can go wrong on purpose: one fault, one file, one line here (CONTRIBUTING, "Add a fault")."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BeforeValidator, Field

from simulator.faults.base import Fault
from simulator.faults.black_hole import BlackHole
from simulator.faults.delay_fetch import DelayFetch
from simulator.faults.deliver_late import DeliverLate
from simulator.faults.deliver_twice import DeliverTwice
from simulator.faults.duplicate_commands import DuplicateCommands
from simulator.faults.isolate_processor import IsolateProcessor
from simulator.faults.kill_at_moment import KillAtMoment
from simulator.faults.kill_broker import KillBroker
from simulator.faults.kill_gateway import KillGateway
from simulator.faults.kill_ledger import KillLedger
from simulator.faults.kill_processor import KillProcessor
from simulator.faults.late_end_txn import LateEndTxn
from simulator.faults.lose_end_txn_answer import LoseEndTxnAnswer
from simulator.faults.lose_offset_commit_answer import LoseOffsetCommitAnswer
from simulator.faults.lose_produce_answer import LoseProduceAnswer
from simulator.faults.lose_request import LoseRequest
from simulator.faults.lose_response import LoseResponse
from simulator.faults.misrouted_commands import MisroutedCommands
from simulator.faults.narrow_broker_link import NarrowBrokerLink
from simulator.faults.narrow_link import NarrowLink
from simulator.faults.pause_broker import PauseBroker
from simulator.faults.pause_gateway import PauseGateway
from simulator.faults.pause_ledger import PauseLedger
from simulator.faults.pause_processor import PauseProcessor
from simulator.faults.poison_commands import PoisonCommands
from simulator.faults.rebalance_storm import RebalanceStorm
from simulator.faults.reset_broker_link import ResetBrokerLink
from simulator.faults.reset_mid_body import ResetMidBody
from simulator.faults.rewind_offsets import RewindOffsets
from simulator.faults.rolling_restart import RollingRestart
from simulator.faults.silent_broker_link import SilentBrokerLink
from simulator.faults.slow_broker_link import SlowBrokerLink
from simulator.faults.slow_close import SlowClose
from simulator.faults.slow_link import SlowLink

FAULTS: Final[tuple[type[Fault], ...]] = (
    BlackHole,
    DelayFetch,
    DeliverLate,
    DeliverTwice,
    DuplicateCommands,
    IsolateProcessor,
    KillAtMoment,
    KillBroker,
    KillGateway,
    KillLedger,
    KillProcessor,
    LateEndTxn,
    LoseEndTxnAnswer,
    LoseOffsetCommitAnswer,
    LoseProduceAnswer,
    LoseRequest,
    LoseResponse,
    MisroutedCommands,
    NarrowBrokerLink,
    NarrowLink,
    PauseBroker,
    PauseGateway,
    PauseLedger,
    PauseProcessor,
    PoisonCommands,
    RebalanceStorm,
    ResetBrokerLink,
    ResetMidBody,
    RewindOffsets,
    RollingRestart,
    SilentBrokerLink,
    SlowBrokerLink,
    SlowClose,
    SlowLink,
)

BY_NAME: Final[dict[str, type[Fault]]] = {fault.model_fields["fault"].default: fault for fault in FAULTS}


def _spelled_out(written: Any) -> Any:
    """A bare name is that fault as it comes."""
    return {"fault": written} if isinstance(written, str) else written


if TYPE_CHECKING:
    AnyFault = Fault
else:
    AnyFault = Annotated[reduce(or_, FAULTS), Field(discriminator="fault"), BeforeValidator(_spelled_out)]
