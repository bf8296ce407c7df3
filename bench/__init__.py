"""What the gateway costs, beside nginx that passes the same bytes: `python -m bench`.

Three processes on loopback: a load generator, the gateway (or nginx), and an engine that has its answers written down.
Measured is the CPU time of the middle one, not the clock on the wall: it does not depend on how many cores the others
get. Both take turns within one run, and only ratios within one run mean anything.
"""
