"""Virtual time: a Linux kernel that runs as an ordinary process and whose clock jumps over idle time.

    kernel.py   which kernel there is: cache, status, build (source.py, build.py: how it is made)
    boot.py     run a command in it: the public face
    guest.py    the running kernel: its output, its end (console.py), its limits, and Ctrl-C
    jail.py     what it may see and change of this machine          guest.sh       its first process
    watch.py    its clock and its running process, from outside     processor.py   where it runs

The kernel is user-mode Linux with time travel (`time-travel=inf-cpu`): computing takes no time at all, and when every
process sleeps the clock moves to the next timer. docs/virtual-time.md says what that means for an experiment.
"""
