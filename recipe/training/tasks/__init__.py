"""Trainings that run elsewhere: a task is a file (spec.py), runs in attempts (attempt.py), is carried by a transport
(transport.py and one module for each) and looked after by a coordinator (coordinator.py).
"""
