"""The 1.x data pipeline: CSV rows through the submission's own processor, as stacked arrays."""

import importlib

from flyai.project import say, tr
from flyai.source.source import Source
from flyai.utils.yaml_helper import Yaml


class Dataset:
    """The competition's rows, and what the submission's `processor` makes of them.

    The processor is called once per row, with the row's columns as keywords; its results are stacked with a leading
    batch dimension. A result that is a tuple gives a list of stacks.

    Attributes:
        processor: the object of the class that app.yaml names under ``model.processor``, from the module `processor`.
        transformation: given, or a ``Transformation`` of the submission's module `transformation`, or None.
        db: the source of the rows; ``db.source.data`` and ``db.source.test`` are its pandas tables.
    """

    def __init__(
        self,
        epochs=5,
        batch=32,
        val_batch=32,
        transformation=None,
        source=None,
        processor_pka="processor",
        processor_class=None,
        config_path=None,
    ):
        package = f"{config_path}.".replace("/", ".").replace("\\", ".") if config_path else ""
        self.db = Source() if source is None else source
        self._epochs, self._batch, self._val_batch = epochs, batch, val_batch
        self._methods = Yaml(path=f"{config_path}/app.yaml" if config_path else None).processor()
        self.processor = self.create_instance(package + processor_pka, processor_class or self._methods["processor"])
        self.transformation = transformation or self._own_transformation(package + "transformation")
        self._validation_transformed = False

    @property
    def lib(self):
        """Return this object: versions with `flyai.core` reached the same methods through `dataset.lib`."""
        return self

    def get_step(self):
        """Return the number of batches of a whole training: rows / batch, rounded, times epochs."""
        length = self.get_train_length()
        batches = round(length / self._batch)
        if not batches:
            say(
                tr(
                    "get_step() is 0: a batch of {batch} is too large for {rows} training rows; give a smaller -b",
                    batch=self._batch,
                    rows=length,
                )
            )
        return batches * self._epochs

    def get_train_length(self):
        """Return the number of training rows."""
        return self.db.get_train_length()

    def get_validation_length(self):
        """Return the number of validation rows."""
        return self.db.get_validation_length()

    def next_train_batch(self):
        """Return (x, y) of the next `batch` training rows."""
        return self._processed(*self.db.next_train_batch(self._batch))

    def next_validation_batch(self):
        """Return (x, y) of the next `val_batch` validation rows."""
        return self._processed(*self.db.next_validation_batch(self._val_batch))

    def next_batch(self, size=32, test_size=32, test_data=True):
        """Return (x_train, y_train, x_val, y_val); the last two are None unless `test_data`.

        A transformation sees the validation part in the first call only, as on the platform.
        """
        x_train, y_train, x_val, y_val = self.db.next_batch(size, test_size)
        x_train, y_train = self._processed(x_train, y_train)
        x_val, y_val = self._processed(x_val, y_val) if test_data else (None, None)
        if self.transformation is None:
            return x_train, y_train, x_val, y_val
        if self._validation_transformed:
            x_train, y_train, _, _ = self.transformation.transformation_data(x_train, y_train)
            return x_train, y_train, x_val, y_val
        self._validation_transformed = True
        return self.transformation.transformation_data(x_train, y_train, x_val, y_val)

    def get_all_data(self):
        """Return every row as it stands in the tables: four lists of dicts, x_train, y_train, x_val, y_val."""
        return self.db.get_all_data()

    def get_all_processor_data(self):
        """Return every row processed: x_train, y_train, x_val, y_val."""
        x_train, y_train, x_val, y_val = self.db.get_all_data()
        processed = *self._processed(x_train, y_train), *self._processed(x_val, y_val)
        return processed if self.transformation is None else self.transformation.transformation_data(*processed)

    def get_all_validation_data(self):
        """Return every validation row processed, without a transformation."""
        return self._processed(*self.db.get_all_data()[2:])

    def evaluate_data_no_processor(self, path=None):
        """Return the validation rows, or those of another CSV of data/input, as two lists of dicts."""
        return self.db.get_validation_data() if path is None else self.db.get_evaluate_data(path)

    evaluate_source = evaluate_data_no_processor

    def evaluate_data(self, path=None):
        """Return the same rows processed and transformed."""
        x_val, y_val = self._processed(*self.evaluate_data_no_processor(path))
        if self.transformation is not None:
            _, _, x_val, y_val = self.transformation.transformation_data(x_test=x_val, y_test=y_val)
        return x_val, y_val

    def predict_data(self, **data):
        """Return one row as a batch of one, through `output_x`; through `input_x` where there is no `output_x`."""
        name = self._methods.get("output_x") or "output_x"
        if not hasattr(self.processor, name):
            name = self._methods["input_x"]
        x = _stack([getattr(self.processor, name)(**data)])
        return x if self.transformation is None else self.transformation.transformation_data(x)[0]

    def to_categorys(self, predict):
        """Return what the processor's `output_y` makes of a prediction."""
        return getattr(self.processor, self._methods["output_y"])(predict)

    def processor_x(self, x_datas):
        """Return the stack of `input_x` over rows."""
        return _stack([getattr(self.processor, self._methods["input_x"])(**row) for row in x_datas])

    def processor_y(self, y_datas):
        """Return the stack of `input_y` over rows."""
        return _stack([getattr(self.processor, self._methods["input_y"])(**row) for row in y_datas])

    def create_instance(self, module_name, class_name, *args, **named):
        """Return a new object of a class that is given by its module's name and its own name, or by itself."""
        if isinstance(class_name, type):
            return class_name(*args, **named)
        return getattr(importlib.import_module(module_name), class_name)(*args, **named)

    def _processed(self, x_rows, y_rows):
        return self.processor_x(x_rows), self.processor_y(y_rows)

    def _own_transformation(self, module_name):
        """Return the submission's Transformation; None without one, and (as on the platform) where it does not load."""
        try:
            return self.create_instance(module_name, "Transformation")
        except ModuleNotFoundError as error:
            if error.name != module_name:
                say(f"{module_name}.py is left out: {error}")
        except Exception as error:  # The submission's own code may raise anything; the platform went on without it.
            say(f"{module_name}.py is left out: {error}")
        return None


def _stack(results):
    """Return results as one array with a leading batch dimension; a list of such arrays where they are tuples."""
    if results and isinstance(results[0], tuple):
        return [_array(list(column)) for column in zip(*results, strict=True)]
    return _array(results)


def _array(values):
    """Return an array of `values`; one of objects where their shapes differ, as numpy did on its own until 1.24."""
    import numpy as np  # Only here: importing the SDK must not need numpy.

    arrays = [np.asarray(value) for value in values]
    if len({array.shape for array in arrays}) <= 1:
        return np.array(arrays)
    ragged = np.empty(len(arrays), dtype=object)
    ragged[:] = arrays
    return ragged
