"""`jobd repl`: a Python prompt with a cluster at hand."""
