"""The composition root: the one place that knows both the actors and the backends."""

from jobd.node.wiring.node import Node
from jobd.node.wiring.stores import export_store, import_store, migrate_store, open_store

__all__ = ["Node", "export_store", "import_store", "migrate_store", "open_store"]
