"""What 1,000 more sources need, computed from results, and which costs are reported as not linear."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.bench.scale import flags
from tests.bench.scale.markdown import with_tables
from tests.bench.scale.needs import OF_CLUSTER, PAGE, RESULTS_PAGE, bends, cpu, memory, results, results_tables, tables
from tests.bench.scale.plot import PICTURE, picture
from tests.bench.scale.results import Run, published
from tests.bench.scale.scenario import Phase


def phase(n: int, name: str = "create") -> Phase:
    """A source costs 10 ms of each process, 3 syncs and 2 writes. A process has 50 MiB, and 0.1 MiB per source."""
    cpu_s, rss_mib = dict.fromkeys(OF_CLUSTER, n / 100), dict.fromkeys(OF_CLUSTER, 50 + n / 10)
    return Phase(name, {}, 0, cpu_s, rss_mib, {"sync": 3 * n}, {"update samplesources/status": 2 * n, "get x": 9 * n})


def run(n: int, *phases: Phase) -> Run:
    return Run(n, {}, {"hook": {each.name: each for each in phases or [phase(n)]}})


def test_memory_of_1000_more_sources_is_the_slope_between_the_smallest_and_the_largest_run() -> None:
    """Only the first phase is compared: the run with the most sources has fewer phases, and each one adds memory."""
    edited = replace(phase(1000, "edit"), rss_mib=dict.fromkeys(OF_CLUSTER, 400.0))
    rows = list(memory([run(100), run(1000, phase(1000), edited), run(5000)], "hook"))
    heads = "| 100 sources | 1,000 sources | 5,000 sources | each 1,000 more | at most, 1,000 sources |"
    assert rows[0].endswith(heads)
    assert set(rows[2:]) == {f"| {process} | 60 | 150 | 550 | 100 | 400 |" for process in OF_CLUSTER}
    assert next(row for row in memory([run(100)], "hook") if "hook" in row) == "| hook | 60 | unknown | 60 |"


def test_cpu_time_of_1000_sources_is_per_source_of_the_largest_run_that_has_the_phase() -> None:
    few = run(100, phase(100), phase(100, "edit"))
    rows = list(cpu([few, run(500, phase(500), phase(500, "idle"), phase(500, "delete"))], "hook"))
    assert rows[0] == "| CPU seconds per 1,000 sources | create, 500 | edit, 100 | delete, 500 |"
    assert rows[2] == f"| {OF_CLUSTER[0]} | 10 | 10 | 10 |"
    assert rows[-1] == "| all processes |" + f" {10 * len(OF_CLUSTER)} |" * 3


def test_cost_that_grows_with_the_number_of_sources_is_named() -> None:
    linear = phase(1000)
    assert list(bends([run(100), run(1000)]))[1:] == ["- none"]
    assert "only the result of 100 sources" in list(bends([run(100)]))[1]
    slower = replace(linear, cpu_s={**linear.cpu_s, "etcd": 13})
    [line] = list(bends([run(100), run(1000, slower)]))[1:]
    assert line == "- hook, create, etcd: 1.30 times (10.0 → 13.0 per 1,000), 100 → 1,000"
    chatty = replace(linear, calls={"sync": 4000}, requests={"update samplesources/status": 2600})
    found = list(bends([run(100), run(1000, chatty)]))[1:]
    assert [line.split(":")[0] for line in found] == ["- hook, create, syncs", "- hook, create, writes"]


def test_results_of_one_changed_source_are_not_divided() -> None:
    one = replace(phase(100, "edit-one"), marks_s={"100 %": 0.14}, calls={"sync": 3})
    rows = list(results([run(100, phase(100), one)], "hook"))
    assert rows[2].startswith("| create, until all are ready | 100 |  |  | 3.00 | 2.00 | 1.0 s |")
    assert rows[3].startswith("| edit one of them | 100 |  | 0.1 s | 3.00 | 200.00 | 1.0 s |")


def test_small_part_of_the_cpu_time_is_no_bend() -> None:
    small = {"kube-scheduler": 0.01}
    few, many = phase(100), phase(1000)
    few, many = replace(few, cpu_s={**few.cpu_s, **small}), replace(many, cpu_s={**many.cpu_s, "kube-scheduler": 1})
    assert list(bends([run(100, few), run(1000, many)]))[1:] == ["- none"]


def test_picture_has_a_bar_for_each_result_of_a_phase() -> None:
    drawn = picture([run(100), run(1000)])
    assert "create, 100<" in drawn
    assert "create, 1,000<" in drawn
    assert drawn.count("ms · 3.0<") == 2


def test_flags_are_compared_by_the_least_of_each_figure_over_the_passes() -> None:
    created = Phase("create", {"100 %": 8.4}, 0, {"hook": 3, "etcd": 4}, {"metacontroller": 60}, {"sync": 180}, {})
    slower = replace(created, marks_s={"100 %": 20}, cpu_s={"hook": 3, "etcd": 3}, calls={"sync": 200})
    results = [flags.result(60, 100, 10, [phase, replace(phase, name="edit")]) for phase in (created, slower)]
    assert list(flags.table(results))[2:] == ["| 100 | 10 | 8 s | 3.0 | 6 s | 8 s | 3.0 | 6 s |"]


def test_page_and_picture_show_the_committed_results() -> None:
    """If it fails: run tests.bench.scale.needs and tests.bench.scale.plot as modules, and read the pages again."""
    assert PAGE.read_text() == with_tables(PAGE, tables(published()))
    assert RESULTS_PAGE.read_text() == with_tables(RESULTS_PAGE, results_tables(published()))
    assert PICTURE.read_text() == picture(published())
    compared = flags.table(json.loads(flags.FILE.read_text()))
    assert flags.PAGE.read_text() == with_tables(flags.PAGE, {"flags": compared})
