"""Who the customers are: one kind of customer, one file, one line here.

The order and the weights are part of what a seed means: the same seed and the same list give the same
customers. What each copies, and what it shows, is told in docs/personas.md, which is made from this list.
"""

from typing import Final

from simulator.workload.behaviour import Persona, Resend
from simulator.workload.personas.apollo_retry_link import ApolloRetryLink
from simulator.workload.personas.app_killed import AppKilled
from simulator.workload.personas.axios_retry import AxiosRetry, AxiosRetryPost
from simulator.workload.personas.button_masher import ButtonMasher
from simulator.workload.personas.careful import Careful
from simulator.workload.personas.changed_amount import ChangedAmount
from simulator.workload.personas.double_clicker import DoubleClicker
from simulator.workload.personas.impatient import Impatient
from simulator.workload.personas.key_per_click import KeyPerClick
from simulator.workload.personas.key_per_retry import KeyPerRetry
from simulator.workload.personas.lost_connection import LostConnection
from simulator.workload.personas.network_switcher import NetworkSwitcher
from simulator.workload.personas.no_key import NoKey, NoKeyBackoff, NoKeyDisabledButton
from simulator.workload.personas.offline_resumer import OfflineResumer
from simulator.workload.personas.okhttp import OkHttp
from simulator.workload.personas.refresher import RefresherCancelled, RefresherRendered, RefresherResent
from simulator.workload.personas.silent_resend import SilentResend
from simulator.workload.personas.stripe_python import StripePython
from simulator.workload.personas.swr import Swr, SwrMutation
from simulator.workload.personas.tanstack import TanStackMutation, TanStackMutationRetry, TanStackQuery

PERSONAS: Final[tuple[Persona, ...]] = (
    Careful(),
    DoubleClicker(),
    LostConnection(),
    ButtonMasher(),
    Impatient(),
    RefresherCancelled(key_kept=True),
    RefresherRendered(key_kept=True),
    RefresherResent(key_kept=True),
    AppKilled(key_kept=True),
    OfflineResumer(key_kept=True),
    NetworkSwitcher(),
    ChangedAmount(key_kept=True),
    SilentResend(Resend.CLIENT),
    SilentResend(Resend.PROXY),
    StripePython(),
    AxiosRetry(),
    AxiosRetryPost(),
    TanStackMutation(),
    TanStackMutationRetry(),
    TanStackQuery(),
    SwrMutation(),
    Swr(),
    ApolloRetryLink(),
    OkHttp(),
    OkHttp(on_connection_failure=False),
    KeyPerClick(),
    KeyPerRetry(),
    RefresherCancelled(key_kept=False),
    RefresherRendered(key_kept=False),
    RefresherResent(key_kept=False),
    AppKilled(key_kept=False),
    OfflineResumer(key_kept=False),
    ChangedAmount(key_kept=False),
    AxiosRetry(key_kept=False),
    AxiosRetryPost(key_kept=False),
    TanStackMutationRetry(key_kept=False),
    TanStackQuery(key_kept=False),
    Swr(key_kept=False),
    ApolloRetryLink(key_kept=False),
    NoKey(),
    NoKeyDisabledButton(),
    NoKeyBackoff(),
)

BY_NAME: Final[dict[str, Persona]] = {persona.name: persona for persona in PERSONAS}
