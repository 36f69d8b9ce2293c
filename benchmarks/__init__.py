"""Benchmarks against peers, all in one run: ``make bench``. Compare within a run only; absolute figures drift with the machine.

    python -m benchmarks [decisions] [load]

    workload     seeded rules and requests of a hospital, in nobody's form
    policies     the rules as a folder of hirules policies
    engines      the list of what is compared; an engine is one entry
    ours         hirules' own: bare evaluator, gate, reference
    peers/       one file a peer: the rules in its own form, why that one, and how it is asked
    measure      one decision's time, less the clock's own; percentiles
    decisions    interleaved rounds: every engine in turn, its answers compared with ours
    load         loading 10,000 rules: time and memory, in processes of their own
    report       table, JSON and plot in docs/benchmarks
    machine      what it ran on; `install` puts the peers into the virtual environment

    python -m benchmarks relay                            the gateway on the wire: against the archive alone and TCP relays; see `relay`

What is timed is request in, decision out. A request is ready as the data that its engine takes (a `Request`, a dict, JSON text, a
protocol buffer) before the clock starts, for every engine alike; what the engine makes of them is its own work, and timed.
"""
