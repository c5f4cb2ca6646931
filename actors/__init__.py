"""The actor system of JobD: every stateful thing is an actor."""
