"""Runs submissions for a site that it reaches by outgoing HTTP alone. Knows no Django and no database."""
