"""The frame of the benchmarks: fair turns, one list of rows, sections that replace themselves. No timings."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys

import pytest

from benchmarks import table
from benchmarks.__main__ import names


def test_every_second_round_runs_backwards_and_the_first_does_not_count():
    order: list[str] = []
    seconds = table.in_turns({name: lambda name=name: order.append(name) for name in "ab"}, rounds=3)
    assert "".join(order) == "ba" + "ab" + "ba" + "ab"
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3}


def test_rounds_that_would_end_too_late_are_left_out_but_one_counts():
    now = [0.0]

    def work():
        now[0] += 10

    def rounds(within):
        return len(table.in_turns({"a": work, "b": work}, 9, clock=lambda: now[0], within=within)["a"])

    assert [rounds(within) for within in (0, 59, 61, 100, 1e9)] == [1, 1, 2, 4, 9]


def test_a_busy_neighbour_ends_with_the_benchmark_that_was_killed():
    """What burns a core on purpose must not go on for ever."""
    program = "import sys; from benchmarks.busy import neighbour; print(neighbour().pid, flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    benchmark = subprocess.Popen([sys.executable, "-c", program], cwd=table.ROOT, stdin=pipe, stdout=pipe, text=True)
    started = int(benchmark.stdout.readline())
    benchmark.kill()
    try:
        benchmark.communicate(timeout=100)  # both write into the pipe, so it is at its end when both are
    except subprocess.TimeoutExpired:
        os.kill(started, signal.SIGTERM)
        pytest.fail("it goes on")


def test_a_drift_of_the_machine_leaves_the_ratio_alone():
    slow = [1.0, 2.0, 4.0, 80.0]
    assert table.ratio([2 * seconds for seconds in slow], slow) == 2
    assert table.ratio(slow, slow) == 1


def test_rows_with_the_same_keys_form_one_table():
    rows = [{"case": "a", "speed": 1.5}, {"case": "b", "gb": 2}, {"case": "c", "speed": None}]
    assert list(table.tables(rows)) == [(["case", "speed"], [["a", "1.50"], ["c", ""]]), (["case", "gb"], [["b", "2"]])]


def measure(options: argparse.Namespace):
    """Two rows, whose figure is the --figure."""
    yield {"case": "a|b", "figure": options.figure}
    yield {"case": "c", "figure": 1234.5}


def test_a_run_writes_rows_and_replaces_its_own_section(tmp_path, capsys):
    file, document = tmp_path / "rows.json", tmp_path / "performance.md"
    document.write_text("# Mine\n\nMy words.\n", encoding="utf-8")
    for figure in ("1.5", "2.5"):
        flags = ["--json", str(file), "--markdown", str(document), "--quick", "--figure", figure]
        table.main(measure, lambda parser: parser.add_argument("--figure", type=float), flags)
    rows = json.loads(file.read_text(encoding="utf-8"))
    assert rows[0] == {"benchmark": "test_benchmarks", "case": "a|b", "figure": 2.5}
    text = document.read_text(encoding="utf-8")
    assert text.startswith("# Mine\n\nMy words.\n")
    assert "| a\\|b | 2.50 |" in text
    assert "1.50" not in text
    assert text.count("## benchmarks.test_benchmarks") == 1
    assert "`python -m benchmarks.test_benchmarks --figure 2.5` with --quick" in text
    assert "only show that it runs" in text  # a quick run is no measurement
    assert "a|b     2.50" in capsys.readouterr().out


@pytest.mark.parametrize("name", names())
def test_every_benchmark_stands_in_the_frame(name, capsys):
    """Its module measures, and its --help shows the flags that benchmarks.all passes on."""
    module = importlib.import_module(f"benchmarks.{name}")
    assert table.identity(module.measure)[0] == name
    with pytest.raises(SystemExit) as ended:
        table.main(module.measure, getattr(module, "add_flags", lambda parser: None), ["--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(flag in shown for flag in ("--quick", "--json", "--markdown", f"python -m benchmarks.{name}"))


def test_the_bench_of_a_gpu_does_all_of_its_parts_on_a_cpu(tmp_path, monkeypatch):
    """So that it cannot rot where no GPU is to be had: 32 px, two cases, no whole run."""
    from benchmarks import gpu

    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: False)
    file = tmp_path / "rows.json"
    table.main(gpu.measure, gpu.add_flags, ["--quick", "--json", str(file)])
    rows = json.loads(file.read_text(encoding="utf-8"))
    said = [row for row in rows if "said" in row]
    assert [(row["part"], row["said"]) for row in said] == [("a whole run", "no --data")]
    found = {next(key for key in row if key != "benchmark") for row in rows} - {"part"}
    assert found == {"contest's_network", "stopped_and_resumed", "out_of_memory", "prediction", "ladder"}
    resumed = next(row for row in rows if "stopped_and_resumed" in row)
    assert resumed["equal"] == resumed["tensors"] > 50
    memory = next(row for row in rows if "out_of_memory" in row)
    assert (memory["pictures_per_pass_before"], memory["after"]) == (4, 2)


def test_a_part_that_fails_leaves_a_row_and_the_next_one_goes_on(monkeypatch, tmp_path):
    from benchmarks import gpu

    def broken(bench):
        raise RuntimeError("CUDA error: an illegal memory access\nand more")
        yield

    bench = gpu.Bench(gpu.SMALL, tmp_path, 60.0, None)
    assert list(gpu._whatever_happens(broken, bench)) == [
        {"part": "broken", "said": "RuntimeError: CUDA error: an illegal memory access"}
    ]
    over = gpu.Bench(gpu.SMALL, tmp_path, -1.0, None)
    assert list(gpu._whatever_happens(broken, over)) == [{"part": "broken", "said": "no time left"}]
