"""From a run directory to tables, metrics and a verdict: pure reading, without root and without the network.

source     the files of a run, as they were written
dataset    everything as tidy tables, times in seconds of the timeline
metrics    figures of one overlay in one window; `METRICS` is the list
fidelity   did the network do what the plan says?
verdict    fidelity, failures and expectations, summed up
"""
