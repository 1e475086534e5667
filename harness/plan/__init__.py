"""Spec + seed -> Plan: every address, seed and moment is concrete. Pure: nothing is touched, nothing is started."""
