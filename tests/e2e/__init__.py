"""``hirules serve`` as a process of its own between real clients and real archives."""
