"""A look at the data before training: copies and doubtful labels, as a page. `audit.audit(table)`."""
