"""The HTTP facade: one door to the node. It knows actors only through `gateway.Gateway`."""

from jobd.http.app import build_app, build_metrics_app, serve

__all__ = ["build_app", "build_metrics_app", "serve"]
