"""Ray-like primitives on the runtime: a user's classes as actors, called by handles.

`actors/__init__.py` is the door. An actor lives in the process that makes it, at
`jobd://<process>/actor/<n>`; a node never imports a user's code, and nothing is ever pickled.

    actor_class   @remote: a class, its options, .remote()      -> ActorHandle
    handle        handle.method.remote(…)                       -> Ref or Results
    process       this process: the loop's thread, its actors   (names, departures, graveyard)
    user_actor    one actor at an address: supervises its incarnations, has workers run its calls
    verbs         get, wait, cancel, kill, get_actor
"""
