"""How much memory there is, and what a process takes."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from hotplate.machine.memory import memory_limit, private, pss
from tests.machine.trees import V2_MOUNT, plant, v1_mount

GIB = 1024**3
UNIFIED = "0::/shop.slice/web.service\n"
V1 = "4:memory:/docker/c1\n"

TREES: dict[str, tuple[str, str, dict[str, str], int]] = {
    "no limit": (UNIFIED, V2_MOUNT, {"shop.slice/web.service/memory.max": "max\n"}, 4 * GIB),
    "own limit": (UNIFIED, V2_MOUNT, {"shop.slice/web.service/memory.max": f"{GIB}\n"}, GIB),
    "an ancestor's limit": (
        UNIFIED,
        V2_MOUNT,
        {"shop.slice/memory.max": f"{GIB}", "shop.slice/web.service/memory.max": f"{2 * GIB}"},
        GIB,
    ),
    "memory.high slows down before memory.max kills": (
        UNIFIED,
        V2_MOUNT,
        {"shop.slice/memory.max": f"{2 * GIB}", "shop.slice/memory.high": f"{GIB}"},
        GIB,
    ),
    "version 1": (V1, v1_mount("memory"), {"memory/docker/c1/memory.limit_in_bytes": f"{GIB}"}, GIB),
    "version 1 in a container": (
        V1,
        v1_mount("memory", "/docker/c1"),
        {"memory/memory.limit_in_bytes": f"{GIB}"},
        GIB,
    ),
    "version 1, its way of saying no limit": (
        V1,
        v1_mount("memory"),
        {"memory/docker/c1/memory.limit_in_bytes": "9223372036854771712"},
        4 * GIB,
    ),
    "a limit above the machine": (UNIFIED, V2_MOUNT, {"shop.slice/memory.max": f"{64 * GIB}"}, 4 * GIB),
    "no proc at all": ("", "", {}, 4 * GIB),
}


@pytest.mark.parametrize(("own", "mounts", "files", "limit"), TREES.values(), ids=TREES)
def test_limit(tmp_path: Path, own: str, mounts: str, files: dict[str, str], limit: int) -> None:
    """The lowest limit along the process's path counts, else the machine's memory, and the reason says which."""
    memory = memory_limit(plant(tmp_path, own, mounts, files), total=4 * GIB)
    assert memory.limit_bytes == limit
    assert memory.reason == ("4 GiB: machine" if limit == 4 * GIB else "1 GiB: cgroup limit, machine 4 GiB")


ROLLUP = """\
55d0-7ffd ---p 00000000 00:00 0                          [rollup]
Rss:               20000 kB
Pss:                9000 kB
Pss_Dirty:          5000 kB
Private_Clean:      1000 kB
Private_Dirty:      3000 kB
Private_Hugetlb:       0 kB
SwapPss:              96 kB
"""


def test_rollup_is_read(tmp_path: Path) -> None:
    """PSS and private memory come from the kernel's sums, in bytes; what was swapped out is private too."""
    (tmp_path / "proc/7").mkdir(parents=True)
    (tmp_path / "proc/7/smaps_rollup").write_text(ROLLUP)
    assert pss(7, tmp_path) == 9000 * 1024
    assert private(7, tmp_path) == 4096 * 1024


def test_without_rollup_it_is_the_resident_size(tmp_path: Path) -> None:
    """Where the kernel does not tell more, the resident size stands in."""
    assert pss(os.getpid(), tmp_path) > 1024**2
    assert private(os.getpid(), tmp_path) > 1024**2


def test_a_process_that_is_gone() -> None:
    """A process that is gone is an error of its own, not a size of nothing."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    with pytest.raises(psutil.NoSuchProcess):
        pss(process.pid)
    with pytest.raises(psutil.NoSuchProcess):
        private(process.pid)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the kernel has no smaps_rollup")
def test_private_is_part_of_pss() -> None:
    """What a process has for itself is counted in full in its proportional share."""
    assert 0 < private(os.getpid()) <= pss(os.getpid()) * 1.5
