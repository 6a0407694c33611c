"""The base class of a 1.x submission's processor."""


class Base:
    """What a submission derives its processor from.

    The methods are named in app.yaml: `input_x` and `input_y` (one row's columns by keyword), `output_x` (the same for
    a row to predict) and `output_y` (a prediction to a label). None is defined here: a processor without `output_x` is
    used through `input_x`, and a default would hide that.
    """
