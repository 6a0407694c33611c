"""Cause and remedy of every code in `states.py`, in English and Chinese: what a participant reads after a failure."""

from __future__ import annotations

from typing import NamedTuple

from flyai_local.states import Code

__all__ = ["CAUSES", "Sentence", "explain"]


class Sentence(NamedTuple):
    """Cause and remedy in both languages."""

    cause: str
    remedy: str
    cause_zh: str
    remedy_zh: str


CAUSES: dict[Code, Sentence] = {
    Code.BAD_ARCHIVE: Sentence(
        "The archive cannot be read as a zip file.",
        "Make it with `python -m flyai_local pack`.",
        "无法读取该 zip 压缩包。",
        "请使用 `python -m flyai_local pack` 生成。",
    ),
    Code.UNSAFE_ARCHIVE: Sentence(
        "The archive holds an entry that would leave the folder, or a link.",
        "Pack plain files with relative names only.",
        "压缩包中含有越界路径或链接。",
        "只打包普通文件，并使用相对路径。",
    ),
    Code.ARCHIVE_TOO_LARGE: Sentence(
        "The archive unpacks to more files or bytes than the limit allows.",
        "Leave data, logs and resume state out; `pack` shows the size.",
        "解压后的文件数量或大小超过限制。",
        "请去掉数据、日志与续训状态；`pack` 会显示大小。",
    ),
    Code.NESTED_FOLDER: Sentence(
        "The archive holds one extra top-level folder, so main.py is not where the platform looks.",
        "Zip the content of the folder, not the folder itself.",
        "压缩包多了一层顶级目录，平台找不到 main.py。",
        "请打包目录中的内容，而不是目录本身。",
    ),
    Code.BAD_FOLDER: Sentence(
        "The files of the submission, or those that its training left, are in the platform's way.",
        "Leave data/input to the platform; make no pipes, no folders many levels deep and no strange names.",
        "提交的文件或训练留下的文件妨碍了平台。",
        "请不要占用 data/input，不要创建管道、过深的目录或特殊文件名。",
    ),
    Code.PACK_REFUSED: Sentence(
        "The folder holds something that must not be uploaded.",
        "Correct each line that the list above names, then pack again.",
        "项目中含有不允许上传的内容。",
        "请按上面的列表逐条修改后重新打包。",
    ),
    Code.NO_MAIN: Sentence(
        "There is no main.py at the top of the submission.",
        "Put main.py beside prediction.py, at the root of the archive.",
        "提交的根目录中没有 main.py。",
        "请把 main.py 与 prediction.py 放在压缩包根目录。",
    ),
    Code.NO_PREDICTION: Sentence(
        "There is neither a prediction.py (2.0) nor a model.py with processor.py and app.yaml (1.x).",
        "2.0: add prediction.py with a class Prediction(FlyAI). 1.x: put the sample's app.yaml beside model.py and "
        "processor.py.",
        "既没有 prediction.py（2.0），也没有 model.py、processor.py 与 app.yaml（1.x）。",
        "2.0：请添加 prediction.py，并定义 class Prediction(FlyAI)。"
        "1.x：请把样例项目的 app.yaml 放在 model.py 与 processor.py 旁。",
    ),
    Code.INSTALL_FAILED: Sentence(
        "The fresh environment could not be made.",
        "Read the installation log; without --fresh-env the current interpreter is used.",
        "无法创建全新的虚拟环境。",
        "请查看安装日志；不加 --fresh-env 时使用当前解释器。",
    ),
    Code.MAIN_ARGUMENTS: Sentence(
        "main.py did not accept the arguments -e=E -b=B and left with a usage message.",
        "Declare `-e/--EPOCHS` and `-b/--BATCH` as ints in main.py.",
        "main.py 不接受参数 -e=E -b=B。",
        "请在 main.py 中声明整数参数 `-e/--EPOCHS` 和 `-b/--BATCH`。",
    ),
    Code.MISSING_PACKAGE: Sentence(
        "A module that the submission imports is not there.",
        "Name its package in requirements.txt (the package, not the import name), or add the file to the archive; "
        "--fresh-env installs what is named already.",
        "提交所导入的模块不存在。",
        "请在 requirements.txt 中写明包名（不是 import 名），或把该文件加入压缩包；已写明的包用 --fresh-env 安装。",
    ),
    Code.MISSING_WEIGHTS: Sentence(
        "A pretrained file that the submission asks for is not on this machine, and there is no network.",
        "Put it into a folder DIR and give --weights DIR: torch hub's as DIR/FILE, a network of the Hugging Face hub "
        "(timm, pretrained=True) as DIR/ORG/NAME/model.safetensors.",
        "本机没有提交所需的预训练文件，且没有网络。",
        "请把它放入目录 DIR 并用 --weights DIR 指定：torch hub 的文件为 DIR/文件名，"
        "Hugging Face hub 的网络（timm 的 pretrained=True）为 DIR/组织/名称/model.safetensors。",
    ),
    Code.SYNTAX_ERROR: Sentence(
        "Python could not read a source file.",
        "Correct the line that the log names; the platform of the time ran Python 3.6.",
        "Python 无法解析源文件。",
        "请修改日志指出的那一行；当时的平台使用 Python 3.6。",
    ),
    Code.OLD_LIBRARY_CALL: Sentence(
        "The submission calls a library in a way that the installed version no longer accepts.",
        "Pin the version in requirements.txt and use --fresh-env, or change the call.",
        "提交以旧方式调用了库，已安装的版本不再支持。",
        "请在 requirements.txt 中固定版本并使用 --fresh-env，或修改调用。",
    ),
    Code.TRAINING_FAILED: Sentence(
        "main.py ended with an error.",
        "Read the last lines of the training log.",
        "main.py 出错退出。",
        "请查看训练日志的最后几行。",
    ),
    Code.BROKEN_IMAGE: Sentence(
        "A picture that cannot be decoded ended the run.",
        "Catch the decoding error and go on without that picture; never retry it endlessly.",
        "一张无法解码的图片导致运行中断。",
        "请捕获解码错误并跳过该图片，不要无限重试。",
    ),
    Code.OUT_OF_MEMORY: Sentence(
        "The processes of the submission used more memory than the limit, or an allocation failed.",
        "Use a smaller batch, smaller pictures or fewer loader processes.",
        "提交的进程使用的内存超过限制，或内存分配失败。",
        "请减小 batch、图片尺寸或数据加载进程数。",
    ),
    Code.TIME_LIMIT: Sentence(
        "The phase did not end within its wall-clock limit and was ended with all its processes.",
        "Train fewer epochs, or give --time-limit SECONDS.",
        "该阶段超过时间限制，所有进程已被结束。",
        "请减少训练轮数，或使用 --time-limit 指定秒数。",
    ),
    Code.PROCESS_LIMIT: Sentence(
        "The submission started more processes than the limit allows.",
        "Use fewer loader processes.",
        "提交启动的进程数超过限制。",
        "请减少数据加载进程数。",
    ),
    Code.DISK_LIMIT: Sentence(
        "The submission wrote more bytes than the limit allows, in one file or in all.",
        "Keep the last or best checkpoint only.",
        "提交写入的数据超过限制（单个文件或总量）。",
        "请只保留最后或最好的模型。",
    ),
    Code.LOG_LIMIT: Sentence(
        "The submission printed more than the log limit allows.",
        "Print one line per epoch or per hundred steps.",
        "提交打印的日志超过限制。",
        "请每轮或每一百步只打印一行。",
    ),
    Code.KILLED: Sentence(
        "The process was ended by a signal.",
        "Signal 9 is mostly the system's lack of memory, signal 11 a fault in a compiled library.",
        "进程被信号终止。",
        "信号 9 多为系统内存不足，信号 11 为编译库出错。",
    ),
    Code.IMPORT_FAILED: Sentence(
        "Importing the prediction module raised an error.",
        "Try `python -c 'import prediction'` in a folder that holds only the archive's files.",
        "导入预测模块时出错。",
        "请在只含压缩包文件的目录中运行 `python -c 'import prediction'`。",
    ),
    Code.ARGPARSE_AT_IMPORT: Sentence(
        "prediction.py imports a module that parses the command line; in evaluation sys.argv holds the competition id.",
        "Move parser.parse_args() below `if __name__ == '__main__':`.",
        "prediction.py 导入的模块在导入时解析命令行；评估时 sys.argv 中是赛题 id，因此以退出码 2 结束。",
        "请把 parser.parse_args() 移到 `if __name__ == '__main__':` 之下。",
    ),
    Code.NO_CLASS: Sentence(
        "prediction.py holds no subclass of FlyAI.",
        "Write `class Prediction(FlyAI)` with FlyAI imported from flyai.framework.",
        "prediction.py 中没有 FlyAI 的子类。",
        "请写 `class Prediction(FlyAI)`，并从 flyai.framework 导入 FlyAI。",
    ),
    Code.WRONG_CLASS: Sentence(
        "The platform takes the first subclass of FlyAI in alphabetical order, and that is not Prediction.",
        "Do not import Main (or any other FlyAI subclass) into prediction.py; share code through another module.",
        "平台按字母顺序取第一个 FlyAI 子类，而它不是 Prediction。",
        "不要在 prediction.py 中导入 Main 等 FlyAI 子类；把需要的代码放到单独的模块。",
    ),
    Code.NO_CHECKPOINT: Sentence(
        "load_model did not find the file that training should have saved.",
        "Save and load under the same name, relative to the project root, and save in every run, short ones too.",
        "load_model 找不到训练应保存的模型文件。",
        "保存与加载请使用同一个相对于项目根目录的文件名，且短训练也要保存。",
    ),
    Code.CLASS_NOT_FOUND_IN_PICKLE: Sentence(
        "The checkpoint is a whole pickled module whose class stood in main.py, which is not the main module here.",
        "Save model.state_dict(), or define the network in a module that both files import.",
        "模型文件是整体 pickle，其类定义在 main.py 中，评估时主模块不是 main.py。",
        "请保存 model.state_dict()，或把网络定义放到两者共同导入的模块。",
    ),
    Code.NEEDS_GPU: Sentence(
        "The code asks for a GPU where there is none.",
        "Use torch.load(..., map_location=device) and .to(device) with a device that was asked for.",
        "代码要求 GPU，但当前没有 GPU。",
        "请使用 torch.load(..., map_location=device)，并用 .to(device) 代替 .cuda()。",
    ),
    Code.LOAD_FAILED: Sentence(
        "load_model (or the constructor) raised an error.",
        "Read the last lines of the evaluation log.",
        "load_model（或构造函数）出错。",
        "请查看评估日志的最后几行。",
    ),
    Code.PREDICT_ARGUMENTS: Sentence(
        "predict does not accept the competition's input columns as keywords.",
        "Write `def predict(self, image_path)` with the column names of the competition, or `**input_data`.",
        "predict 不接受赛题输入列作为关键字参数。",
        "请写 `def predict(self, image_path)`（使用赛题的列名）或 `**input_data`。",
    ),
    Code.PREDICT_FAILED: Sentence(
        "predict raised an error; one is enough to end the evaluation without a score.",
        "Catch what a single picture can cause and answer with a class of your choice.",
        "predict 出错；一次错误就会使评估没有分数。",
        "请捕获单张图片可能引起的错误，并返回一个类别。",
    ),
    Code.BARE_RETURN: Sentence(
        "predict returned something that is not a dict.",
        'Return {"label": value}.',
        "predict 的返回值不是字典。",
        '请返回 {"label": value}。',
    ),
    Code.NO_LABEL_KEY: Sentence(
        "predict returned a dict without the key `label`.",
        'Return {"label": value}.',
        "predict 返回的字典中没有键 `label`。",
        '请返回 {"label": value}。',
    ),
    Code.LABEL_TYPE: Sentence(
        "Answers have the right text but not the type of the label column, and == says they differ.",
        "Return the label in the type of train.csv: int(label) for an int column.",
        "答案内容正确但类型与标签列不同，== 判为不相等。",
        "请按 train.csv 的类型返回标签：整数列请用 int(label)。",
    ),
    Code.LABEL_NOT_COMPARABLE: Sentence(
        "A label is an array of several elements; == has no single answer, and the platform fails.",
        "Return one class, not the probabilities: int(probs.argmax()).",
        "标签是含多个元素的数组，无法用 == 比较，平台会出错。",
        "请返回一个类别而不是概率：int(probs.argmax())。",
    ),
    Code.WRONG_COUNT: Sentence(
        "The number of answers is not the number of rows.",
        "Answer every row exactly once.",
        "答案数量与测试行数不一致。",
        "每一行必须且只能回答一次。",
    ),
    Code.EVALUATION_VIOLATED: Sentence(
        "Something else than the evaluator wrote to the evaluator's pipe.",
        "Do not write to file descriptors that you did not open.",
        "评估管道收到了不属于评估器的内容。",
        "不要写入不是自己打开的文件描述符。",
    ),
    Code.EVALUATION_EXIT: Sentence(
        "The evaluation process left before every row was answered.",
        "Do not call sys.exit() or os._exit() in prediction.py or what it imports.",
        "评估进程在回答完所有行之前退出。",
        "不要在 prediction.py 及其导入的模块中调用 sys.exit() 或 os._exit()。",
    ),
    Code.ABANDONED: Sentence(
        "The platform's own process was killed while the run was at work.",
        "Start the run again; this one does not count.",
        "平台自身的进程在运行中被终止。",
        "请重新运行；本次不计入提交次数。",
    ),
    Code.INTERRUPTED: Sentence(
        "The run was interrupted from the keyboard.",
        "Start the run again; this one does not count.",
        "运行被键盘中断。",
        "请重新运行；本次不计入提交次数。",
    ),
    Code.PLATFORM_FAULT: Sentence(
        "The platform itself failed.",
        "Read platform.log in the run's folder and report it; this run does not count.",
        "平台自身出错。",
        "请查看运行目录中的 platform.log 并反馈；本次不计入提交次数。",
    ),
    Code.WORKER_LOST: Sentence(
        "Three workers in turn were lost while they ran this submission.",
        "Ask the organiser to run it again; this run does not count.",
        "运行该提交的评测机连续三次失联。",
        "请联系主办方重新运行；本次不计入提交次数。",
    ),
}


def explain(code: Code, language: str = "en") -> tuple[str, str]:
    """Cause and remedy of `code` in `language` ("en" or "zh").

    Raises:
        ValueError: another language.
    """
    if language not in ("en", "zh"):
        raise ValueError(f"language {language!r} is not known; it must be 'en' or 'zh'.")
    sentence = CAUSES[code]
    return (sentence.cause_zh, sentence.remedy_zh) if language == "zh" else (sentence.cause, sentence.remedy)
