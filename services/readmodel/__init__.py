"""The ledger's database as a room of its own: tables the ledger writes, queries the gateway asks."""

from services.readmodel.queries import ReadModel, Unavailable

__all__ = ["ReadModel", "Unavailable"]
