"""The commands, in groups; a group registers itself with `sweeps/app.py` when it is imported.

`sweeps/cli.py` imports them all, in the order in which `sweep --help` lists them.
"""
