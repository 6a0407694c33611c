"""Cause and remedy of every code in `states.py`: what a participant reads after a failure."""

from __future__ import annotations

from typing import NamedTuple

from flyai_local.states import Code
from protocol.language import LANGUAGES, later, translated

__all__ = ["CAUSES", "Sentence", "explain"]


class Sentence(NamedTuple):
    """Cause and remedy in English; in Chinese as the catalogue has them."""

    cause: str
    remedy: str

    @property
    def cause_zh(self) -> str:
        """The cause in Chinese."""
        return translated(self.cause, "zh")

    @property
    def remedy_zh(self) -> str:
        """The remedy in Chinese."""
        return translated(self.remedy, "zh")


CAUSES: dict[Code, Sentence] = {
    Code.BAD_ARCHIVE: Sentence(
        later("The archive cannot be read as a zip file."), later("Make it with `python -m flyai_local pack`.")
    ),
    Code.UNSAFE_ARCHIVE: Sentence(
        later("The archive holds an entry that would leave the folder, or a link."),
        later("Pack plain files with relative names only."),
    ),
    Code.ARCHIVE_TOO_LARGE: Sentence(
        later("The archive unpacks to more files or bytes than the limit allows."),
        later("Leave data, logs and resume state out; `pack` shows the size."),
    ),
    Code.NESTED_FOLDER: Sentence(
        later("The archive holds one extra top-level folder, so main.py is not where the platform looks."),
        later("Zip the content of the folder, not the folder itself."),
    ),
    Code.BAD_FOLDER: Sentence(
        later("The files of the submission, or those that its training left, are in the platform's way."),
        later("Leave data/input to the platform; make no pipes, no folders many levels deep and no strange names."),
    ),
    Code.PACK_REFUSED: Sentence(
        later("The folder holds something that must not be uploaded."),
        later("Correct each line that the list above names, then pack again."),
    ),
    Code.NO_MAIN: Sentence(
        later("There is no main.py at the top of the submission."),
        later("Put main.py beside prediction.py, at the root of the archive."),
    ),
    Code.NO_PREDICTION: Sentence(
        later("There is neither a prediction.py (2.0) nor a model.py with processor.py and app.yaml (1.x)."),
        later(
            "2.0: add prediction.py with a class Prediction(FlyAI). 1.x: put the sample's app.yaml "
            "beside model.py and processor.py."
        ),
    ),
    Code.INSTALL_FAILED: Sentence(
        later("The fresh environment could not be made."),
        later("Read the installation log; without --fresh-env the current interpreter is used."),
    ),
    Code.MAIN_ARGUMENTS: Sentence(
        later("main.py did not accept the arguments -e=E -b=B and left with a usage message."),
        later("Declare `-e/--EPOCHS` and `-b/--BATCH` as ints in main.py."),
    ),
    Code.MISSING_PACKAGE: Sentence(
        later("A module that the submission imports is not there."),
        later(
            "Name its package in requirements.txt (the package, not the import name), or add the "
            "file to the archive; --fresh-env installs what is named already."
        ),
    ),
    Code.MISSING_WEIGHTS: Sentence(
        later("A pretrained file that the submission asks for is not on this machine, and there is no network."),
        later(
            "Put it into a folder DIR and give --weights DIR: torch hub's as DIR/FILE, a network of "
            "the Hugging Face hub (timm, pretrained=True) as DIR/ORG/NAME/model.safetensors."
        ),
    ),
    Code.SYNTAX_ERROR: Sentence(
        later("Python could not read a source file."),
        later("Correct the line that the log names; the platform of the time ran Python 3.6."),
    ),
    Code.OLD_LIBRARY_CALL: Sentence(
        later("The submission calls a library in a way that the installed version no longer accepts."),
        later("Pin the version in requirements.txt and use --fresh-env, or change the call."),
    ),
    Code.TRAINING_FAILED: Sentence(
        later("main.py ended with an error."), later("Read the last lines of the training log.")
    ),
    Code.BROKEN_IMAGE: Sentence(
        later("A picture that cannot be decoded ended the run."),
        later("Catch the decoding error and go on without that picture; never retry it endlessly."),
    ),
    Code.OUT_OF_MEMORY: Sentence(
        later("The processes of the submission used more memory than the limit, or an allocation failed."),
        later("Use a smaller batch, smaller pictures or fewer loader processes."),
    ),
    Code.TIME_LIMIT: Sentence(
        later("The phase did not end within its wall-clock limit and was ended with all its processes."),
        later("Train fewer epochs, or give --time-limit SECONDS."),
    ),
    Code.PROCESS_LIMIT: Sentence(
        later("The submission started more processes than the limit allows."), later("Use fewer loader processes.")
    ),
    Code.DISK_LIMIT: Sentence(
        later("The submission wrote more bytes than the limit allows, in one file or in all."),
        later("Keep the last or best checkpoint only."),
    ),
    Code.LOG_LIMIT: Sentence(
        later("The submission printed more than the log limit allows."),
        later("Print one line per epoch or per hundred steps."),
    ),
    Code.KILLED: Sentence(
        later("The process was ended by a signal."),
        later("Signal 9 is mostly the system's lack of memory, signal 11 a fault in a compiled library."),
    ),
    Code.IMPORT_FAILED: Sentence(
        later("Importing the prediction module raised an error."),
        later("Try `python -c 'import prediction'` in a folder that holds only the archive's files."),
    ),
    Code.ARGPARSE_AT_IMPORT: Sentence(
        later(
            "prediction.py imports a module that parses the command line; in evaluation sys.argv "
            "holds the competition id."
        ),
        later("Move parser.parse_args() below `if __name__ == '__main__':`."),
    ),
    Code.NO_CLASS: Sentence(
        later("prediction.py holds no subclass of FlyAI."),
        later("Write `class Prediction(FlyAI)` with FlyAI imported from flyai.framework."),
    ),
    Code.WRONG_CLASS: Sentence(
        later("The platform takes the first subclass of FlyAI in alphabetical order, and that is not Prediction."),
        later(
            "Do not import Main (or any other FlyAI subclass) into prediction.py; share code through another module."
        ),
    ),
    Code.NO_CHECKPOINT: Sentence(
        later("load_model did not find the file that training should have saved."),
        later(
            "Save and load under the same name, relative to the project root, and save in every run, short ones too."
        ),
    ),
    Code.CLASS_NOT_FOUND_IN_PICKLE: Sentence(
        later(
            "The checkpoint is a whole pickled module whose class stood in main.py, which is not the main module here."
        ),
        later("Save model.state_dict(), or define the network in a module that both files import."),
    ),
    Code.NEEDS_GPU: Sentence(
        later("The code asks for a GPU where there is none."),
        later("Use torch.load(..., map_location=device) and .to(device) with a device that was asked for."),
    ),
    Code.LOAD_FAILED: Sentence(
        later("load_model (or the constructor) raised an error."), later("Read the last lines of the evaluation log.")
    ),
    Code.PREDICT_ARGUMENTS: Sentence(
        later("predict does not accept the competition's input columns as keywords."),
        later("Write `def predict(self, image_path)` with the column names of the competition, or `**input_data`."),
    ),
    Code.PREDICT_FAILED: Sentence(
        later("predict raised an error; one is enough to end the evaluation without a score."),
        later("Catch what a single picture can cause and answer with a class of your choice."),
    ),
    Code.BARE_RETURN: Sentence(
        later("predict returned something that is not a dict."), later('Return {"label": value}.')
    ),
    Code.NO_LABEL_KEY: Sentence(
        later("predict returned a dict without the key `label`."), later('Return {"label": value}.')
    ),
    Code.LABEL_TYPE: Sentence(
        later("Answers have the right text but not the type of the label column, and == says they differ."),
        later("Return the label in the type of train.csv: int(label) for an int column."),
    ),
    Code.LABEL_NOT_COMPARABLE: Sentence(
        later("A label is an array of several elements; == has no single answer, and the platform fails."),
        later("Return one class, not the probabilities: int(probs.argmax())."),
    ),
    Code.WRONG_COUNT: Sentence(
        later("The number of answers is not the number of rows."), later("Answer every row exactly once.")
    ),
    Code.EVALUATION_VIOLATED: Sentence(
        later("Something else than the evaluator wrote to the evaluator's pipe."),
        later("Do not write to file descriptors that you did not open."),
    ),
    Code.EVALUATION_EXIT: Sentence(
        later("The evaluation process left before every row was answered."),
        later("Do not call sys.exit() or os._exit() in prediction.py or what it imports."),
    ),
    Code.ABANDONED: Sentence(
        later("The platform's own process was killed while the run was at work."),
        later("Start the run again; this one does not count."),
    ),
    Code.INTERRUPTED: Sentence(
        later("The run was interrupted from the keyboard."), later("Start the run again; this one does not count.")
    ),
    Code.PLATFORM_FAULT: Sentence(
        later("The platform itself failed."),
        later("Read platform.log in the run's folder and report it; this run does not count."),
    ),
    Code.WORKER_LOST: Sentence(
        later("Three workers in turn were lost while they ran this submission."),
        later("Ask the organiser to run it again; this run does not count."),
    ),
}


def explain(code: Code, language: str = "en") -> tuple[str, str]:
    """Cause and remedy of `code` in `language` ("en" or "zh").

    Raises:
        ValueError: another language.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r} is not known; there are {', '.join(LANGUAGES)}.")
    sentence = CAUSES[code]
    return translated(sentence.cause, language), translated(sentence.remedy, language)
