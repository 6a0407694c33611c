"""A run within its minutes: pacer.py decides, plan.py is arithmetic, cost.py measures, limit.py keeps account."""
