"""`jobd dev`: a cluster on loopback in one process tree, and the faults one can have in it."""
