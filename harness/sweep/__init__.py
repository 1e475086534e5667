"""Many runs of one experiment: cells of a sweep, repeated with paired seeds, resumed, tabulated."""
