"""Measurements that stand behind numbers in README and cards; each module is a command."""
