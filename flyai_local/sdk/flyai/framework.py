"""The base class of every 2.0 submission."""


class FlyAI:
    """What a submission fills in: every method is optional and does nothing until it is overridden.

    There is no constructor, no metaclass and nothing abstract on purpose: submissions define ``Main(args, logger)``,
    call ``super().__init__()`` bare, or initialise themselves again for every fold.
    """

    def download_data(self):
        """Fetch the competition's data; called by the submission itself."""

    def deal_with_data(self):
        """Prepare the data; called by the submission itself."""

    def train(self):
        """Train and save a model; called by the submission itself."""

    def load_model(self):
        """Load what `train` saved; the evaluator calls it once, before the first picture."""

    def predict(self, **input_data):
        """Answer one row, given its input columns by keyword; ``{"label": value}`` is what the evaluator accepts."""
