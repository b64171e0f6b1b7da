"""Every error number of Kafka, sorted by what the caller must do, and where the request changes the answer.

In:      an ErrorCode (kio's enum of Kafka's own table) and the request it answered.
Out:     its Kind; `failure` makes the exception of services.kafka.errors.
Source:  Kafka's Errors.java by way of kio; research, sections 1.4 and 8.1 (each transactional code provoked
         on 4.3.1).

A number that a producer, a consumer or an administrator of ours can never be answered is still in the
table, as fatal: an answer that nobody expects must not be guessed at. A test fails when kio learns a code
that is not here.
"""

from enum import Enum, auto
from typing import Final

from kio.schema.errors import ErrorCode

from services.kafka.errors import (
    Abortable,
    Fatal,
    Fenced,
    Indefinite,
    KafkaFailure,
    NotMember,
    OffsetOutOfRange,
    Retriable,
    StaleGeneration,
)

Code = ErrorCode


class Kind(Enum):
    """What the caller must do."""

    NONE = auto()  # no error
    RETRIABLE = auto()  # the same request again, after a moment and with fresh metadata
    ABORTABLE = auto()  # this transaction is lost: abort or recover
    FENCED = auto()  # somebody else has the identity
    INDEFINITE = auto()  # it may have happened
    FATAL = auto()  # configuration, authorization, version, or a bug of ours


class Request(Enum):
    """The requests whose meaning changes that of a number."""

    INIT_PRODUCER_ID = "InitProducerId"
    PRODUCE = "Produce"
    TXN_OFFSET_COMMIT = "TxnOffsetCommit"
    OFFSET_COMMIT = "OffsetCommit"
    END_TXN = "EndTxn"
    OTHER = "request"


_RETRIABLE = {
    Code.corrupt_message,  # damaged on its way: the checksum saw it
    Code.unknown_topic_or_partition,  # a broker that has not heard of a new topic yet
    Code.leader_not_available,
    Code.not_leader_or_follower,
    Code.broker_not_available,
    Code.replica_not_available,
    Code.network_exception,
    Code.coordinator_load_in_progress,
    Code.coordinator_not_available,
    Code.not_coordinator,
    Code.not_enough_replicas,
    Code.rebalance_in_progress,
    Code.not_controller,
    Code.concurrent_transactions,  # the markers of the transaction before are still being written
    Code.kafka_storage_error,
    Code.reassignment_in_progress,
    Code.fetch_session_id_not_found,
    Code.invalid_fetch_session_epoch,
    Code.listener_not_found,
    Code.fenced_leader_epoch,
    Code.unknown_leader_epoch,
    Code.offset_not_available,
    Code.member_id_required,  # join again with the id just given
    Code.preferred_leader_not_available,
    Code.eligible_leaders_not_available,
    Code.election_not_needed,
    Code.unstable_offset_commit,  # an open transaction carries the offsets
    Code.throttling_quota_exceeded,
    Code.unknown_topic_id,
    Code.inconsistent_topic_id,
    Code.fetch_session_topic_id_error,
    Code.new_leader_elected,
    Code.share_session_not_found,
    Code.invalid_share_session_epoch,
    Code.share_session_limit_reached,
    Code.rebootstrap_required,
    Code.offset_out_of_range,  # of a reader: a decision; it has its own class below Retriable
    Code.offset_moved_to_tiered_storage,
}
_ABORTABLE = {
    Code.illegal_generation,
    Code.unknown_member_id,
    Code.out_of_order_sequence_number,
    Code.invalid_producer_epoch,  # a transaction that timed out, or a successor: InitProducerId tells which
    Code.invalid_txn_state,
    Code.invalid_producer_id_mapping,  # the broker forgot an idle producer
    Code.transaction_coordinator_fenced,  # the coordinator has moved while it answered
    Code.unknown_producer_id,
    Code.fenced_instance_id,
    Code.fenced_member_epoch,
    Code.stale_member_epoch,
    Code.transaction_abortable,
}
_INDEFINITE = {
    Code.unknown_server_error,  # the broker does not say how far it came
    Code.request_timed_out,
    Code.not_enough_replicas_after_append,
    Code.duplicate_sequence_number,  # it is on the log, at an offset that the broker no longer knows
}
_FENCED = {Code.producer_fenced}
_FATAL = {
    Code.invalid_fetch_size,
    Code.message_too_large,
    Code.stale_controller_epoch,
    Code.offset_metadata_too_large,
    Code.invalid_topic_exception,
    Code.record_list_too_large,
    Code.invalid_required_acks,
    Code.inconsistent_group_protocol,
    Code.invalid_group_id,
    Code.invalid_session_timeout,
    Code.invalid_commit_offset_size,
    Code.topic_authorization_failed,
    Code.group_authorization_failed,
    Code.cluster_authorization_failed,
    Code.invalid_timestamp,
    Code.unsupported_sasl_mechanism,
    Code.illegal_sasl_state,
    Code.unsupported_version,
    Code.topic_already_exists,
    Code.invalid_partitions,
    Code.invalid_replication_factor,
    Code.invalid_replica_assignment,
    Code.invalid_config,
    Code.invalid_request,
    Code.unsupported_for_message_format,
    Code.policy_violation,
    Code.invalid_transaction_timeout,
    Code.transactional_id_authorization_failed,
    Code.security_disabled,
    Code.operation_not_attempted,
    Code.log_dir_not_found,
    Code.sasl_authentication_failed,
    Code.delegation_token_auth_disabled,
    Code.delegation_token_not_found,
    Code.delegation_token_owner_mismatch,
    Code.delegation_token_request_not_allowed,
    Code.delegation_token_authorization_failed,
    Code.delegation_token_expired,
    Code.invalid_principal_type,
    Code.non_empty_group,
    Code.group_id_not_found,
    Code.topic_deletion_disabled,
    Code.unsupported_compression_type,
    Code.stale_broker_epoch,
    Code.group_max_size_reached,
    Code.no_reassignment_in_progress,
    Code.group_subscribed_to_topic,
    Code.invalid_record,
    Code.resource_not_found,
    Code.duplicate_resource,
    Code.unacceptable_credential,
    Code.inconsistent_voter_set,
    Code.invalid_update_version,
    Code.feature_update_failed,
    Code.principal_deserialization_failure,
    Code.snapshot_not_found,
    Code.position_out_of_range,
    Code.duplicate_broker_registration,
    Code.broker_id_not_registered,
    Code.inconsistent_cluster_id,
    Code.transactional_id_not_found,
    Code.ineligible_replica,
    Code.unreleased_instance_id,
    Code.unsupported_assignor,
    Code.mismatched_endpoint_type,
    Code.unsupported_endpoint_type,
    Code.unknown_controller_id,
    Code.unknown_subscription_id,
    Code.telemetry_too_large,
    Code.invalid_registration,
    Code.invalid_record_state,
    Code.fenced_state_epoch,
    Code.invalid_voter_key,
    Code.duplicate_voter,
    Code.voter_not_found,
    Code.invalid_regular_expression,
    Code.streams_invalid_topology,
    Code.streams_invalid_topology_epoch,
    Code.streams_topology_fenced,
}

KINDS: Final[dict[Code, Kind]] = {
    Code.none: Kind.NONE,
    **dict.fromkeys(_RETRIABLE, Kind.RETRIABLE),
    **dict.fromkeys(_ABORTABLE, Kind.ABORTABLE),
    **dict.fromkeys(_FENCED, Kind.FENCED),
    **dict.fromkeys(_INDEFINITE, Kind.INDEFINITE),
    **dict.fromkeys(_FATAL, Kind.FATAL),
}

# Where the request changes the answer.
_FENCING_QUESTION = {Code.invalid_producer_epoch: Kind.FENCED, Code.producer_fenced: Kind.FENCED}
_ONLY_RECOVERY_TELLS = {Code.producer_fenced: Kind.ABORTABLE}
# A batch sent again unchanged has its sequence numbers: the broker keeps one, so "may have happened" is
# retriable.
_DEDUPLICATED_BY_SEQUENCE = {
    Code.request_timed_out: Kind.RETRIABLE,
    Code.not_enough_replicas_after_append: Kind.RETRIABLE,
}
IN_CONTEXT: Final[dict[Request, dict[Code, Kind]]] = {
    # Asked with the old producer id and epoch, this is the one request whose 47 or 90 proves a successor.
    Request.INIT_PRODUCER_ID: {
        **_FENCING_QUESTION,
        Code.request_timed_out: Kind.RETRIABLE,
        Code.transaction_coordinator_fenced: Kind.RETRIABLE,
        Code.invalid_producer_id_mapping: Kind.FENCED,  # the id is another producer's by now
        Code.invalid_txn_state: Kind.FATAL,
    },
    # 90 here may be a successor or our own recovered epoch: an exit must not hang on it, so recovery asks.
    Request.PRODUCE: {**_ONLY_RECOVERY_TELLS, **_DEDUPLICATED_BY_SEQUENCE},
    Request.TXN_OFFSET_COMMIT: {
        **_ONLY_RECOVERY_TELLS,
        Code.request_timed_out: Kind.RETRIABLE,  # the same offsets again are the same offsets
        Code.rebalance_in_progress: Kind.ABORTABLE,
    },
    Request.OFFSET_COMMIT: {
        Code.request_timed_out: Kind.RETRIABLE,
        Code.rebalance_in_progress: Kind.ABORTABLE,
    },
    Request.END_TXN: {
        **_ONLY_RECOVERY_TELLS,
        Code.unknown_topic_or_partition: Kind.INDEFINITE,
        Code.transaction_coordinator_fenced: Kind.INDEFINITE,  # the new coordinator may have the end, or not
    },
    Request.OTHER: {},
}

_SPECIAL: Final[dict[Code, type[KafkaFailure]]] = {
    Code.offset_out_of_range: OffsetOutOfRange,
    Code.illegal_generation: StaleGeneration,
    Code.rebalance_in_progress: StaleGeneration,
    Code.unknown_member_id: NotMember,
}
_CLASSES: Final[dict[Kind, type[KafkaFailure]]] = {
    Kind.RETRIABLE: Retriable,
    Kind.ABORTABLE: Abortable,
    Kind.FENCED: Fenced,
    Kind.INDEFINITE: Indefinite,
    Kind.FATAL: Fatal,
}


def kind(code: Code, request: Request = Request.OTHER) -> Kind:
    return IN_CONTEXT[request].get(code, KINDS[code])


def failure(code: Code, request: Request, about: str) -> KafkaFailure:
    """The exception for an answer that was an error; `about` says of what, in the words of the log."""
    sort = kind(code, request)
    name = request.value
    made: type[KafkaFailure] = _CLASSES[sort]
    special = _SPECIAL.get(code)
    if special is not None and issubclass(special, made):
        made = special
    return made(f"{name} of {about} was answered {int(code)} ({code.name})", code=int(code))
