"""How many cores may be used."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.machine.cores import effective_cores
from tests.machine.trees import V2_MOUNT, plant, v1_mount

UNIFIED = "0::/shop.slice/web.service\n"
CONTAINER = "/kubepods/pod1/c1"
CPU_V1 = f"4:memory:/other\n3:cpu,cpuacct:{CONTAINER}\n1:name=systemd:/x\n"
HYBRID = V2_MOUNT.replace("/sys/fs/cgroup ", "/sys/fs/cgroup/unified ") + v1_mount("cpu,cpuacct")

# What the tree holds: (/proc/self/cgroup, mountinfo, files, affinity, PYTHON_CPU_COUNT) -> the reason.
TREES: dict[str, tuple[str, str, dict[str, str], int, str, str]] = {
    "no quota": (UNIFIED, V2_MOUNT, {"shop.slice/web.service/cpu.max": "max 100000"}, 4, "", "4 cores: affinity 4"),
    "own quota": (
        UNIFIED,
        V2_MOUNT,
        {"shop.slice/web.service/cpu.max": "150000 100000\n"},
        4,
        "",
        "2 cores: affinity 4, cgroup quota 1.5",
    ),
    "half a core is one worker": (
        UNIFIED,
        V2_MOUNT,
        {"shop.slice/web.service/cpu.max": "50000 100000"},
        20,
        "",
        "1 core: affinity 20, cgroup quota 0.5",
    ),
    "an ancestor's quota": (
        UNIFIED,
        V2_MOUNT,
        {"shop.slice/cpu.max": "200000 100000", "shop.slice/web.service/cpu.max": "max 100000"},
        8,
        "",
        "2 cores: affinity 8, cgroup quota 2",
    ),
    "the tighter of own and ancestor's": (
        UNIFIED,
        V2_MOUNT,
        {"shop.slice/cpu.max": "100000 100000", "shop.slice/web.service/cpu.max": "300000 100000"},
        8,
        "",
        "1 core: affinity 8, cgroup quota 1",
    ),
    "a container that sees its own group as the top": (
        "0::/\n",
        V2_MOUNT,
        {"cpu.max": "250000 100000"},
        8,
        "",
        "3 cores: affinity 8, cgroup quota 2.5",
    ),
    "a path outside the cgroup namespace": (
        "0::/../../web.service\n",
        V2_MOUNT,
        {"cpu.max": "100000 100000"},
        8,
        "",
        "1 core: affinity 8, cgroup quota 1",
    ),
    "version 1": (
        CPU_V1,
        v1_mount("cpu,cpuacct"),
        {
            f"cpu,cpuacct{CONTAINER}/cpu.cfs_quota_us": "300000\n",
            f"cpu,cpuacct{CONTAINER}/cpu.cfs_period_us": "100000\n",
        },
        8,
        "",
        "3 cores: affinity 8, cgroup quota 3",
    ),
    "version 1 without quota": (
        CPU_V1,
        v1_mount("cpu,cpuacct"),
        {f"cpu,cpuacct{CONTAINER}/cpu.cfs_quota_us": "-1", f"cpu,cpuacct{CONTAINER}/cpu.cfs_period_us": "100000"},
        8,
        "",
        "8 cores: affinity 8",
    ),
    "version 1, mounted from the container's group": (
        CPU_V1,
        v1_mount("cpu,cpuacct", CONTAINER),
        {"cpu,cpuacct/cpu.cfs_quota_us": "100000", "cpu,cpuacct/cpu.cfs_period_us": "50000"},
        8,
        "",
        "2 cores: affinity 8, cgroup quota 2",
    ),
    "version 1, an ancestor's": (
        CPU_V1,
        v1_mount("cpu,cpuacct"),
        {
            f"cpu,cpuacct{CONTAINER}/cpu.cfs_quota_us": "-1",
            f"cpu,cpuacct{CONTAINER}/cpu.cfs_period_us": "100000",
            "cpu,cpuacct/kubepods/cpu.cfs_quota_us": "400000",
            "cpu,cpuacct/kubepods/cpu.cfs_period_us": "100000",
        },
        8,
        "",
        "4 cores: affinity 8, cgroup quota 4",
    ),
    "both versions": (
        CPU_V1 + "0::/x\n",
        HYBRID,
        {
            f"cpu,cpuacct{CONTAINER}/cpu.cfs_quota_us": "600000",
            f"cpu,cpuacct{CONTAINER}/cpu.cfs_period_us": "100000",
            "unified/x/cpu.max": "500000 100000",
        },
        8,
        "",
        "5 cores: affinity 8, cgroup quota 5",
    ),
    "PYTHON_CPU_COUNT": ("", "", {}, 8, "3", "3 cores: affinity 8, PYTHON_CPU_COUNT 3"),
    "PYTHON_CPU_COUNT=default": ("", "", {}, 8, "default", "8 cores: affinity 8"),
    "affinity below the quota": (
        UNIFIED,
        V2_MOUNT,
        {"shop.slice/cpu.max": "400000 100000"},
        2,
        "",
        "2 cores: affinity 2, cgroup quota 4",
    ),
    "nonsense in the file": (UNIFIED, V2_MOUNT, {"shop.slice/cpu.max": "many 100000"}, 2, "", "2 cores: affinity 2"),
    "an empty file": (UNIFIED, V2_MOUNT, {"shop.slice/cpu.max": ""}, 2, "", "2 cores: affinity 2"),
    "no proc at all": ("", "", {}, 6, "", "6 cores: affinity 6"),
}


@pytest.mark.parametrize(("own", "mounts", "files", "affinity", "asked", "reason"), TREES.values(), ids=TREES)
def test_cores(
    tmp_path: Path, own: str, mounts: str, files: dict[str, str], affinity: int, asked: str, reason: str
) -> None:
    """The smallest of affinity, quota at any level and PYTHON_CPU_COUNT counts, rounded up, and the reason says so."""
    cores = effective_cores(plant(tmp_path, own, mounts, files), {"PYTHON_CPU_COUNT": asked}, affinity)
    assert cores.reason == reason
    assert cores.count == int(reason.partition(" ")[0])


def test_a_mount_point_with_a_space(tmp_path: Path) -> None:
    """The kernel's escapes in mountinfo are undone."""
    mounts = V2_MOUNT.replace("/sys/fs/cgroup ", r"/sys/fs/cgroup/a\040b ")
    root = plant(tmp_path, "0::/\n", mounts, {"a b/cpu.max": "100000 100000"})
    assert effective_cores(root, {}, 4).count == 1


def test_this_machine() -> None:
    """On the machine at hand there is at least one core, and no more than the scheduler allows."""
    assert 1 <= effective_cores(environ={}).count <= 4096


@given(own=st.text(max_size=200), mounts=st.text(max_size=200))
def test_any_proc_is_survived(tmp_path_factory: pytest.TempPathFactory, own: str, mounts: str) -> None:
    """Whatever stands in /proc, there is an answer."""
    root = tmp_path_factory.mktemp("root")
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(own, "utf-8", errors="replace")
    (root / "proc/self/mountinfo").write_text(V2_MOUNT + mounts, "utf-8", errors="replace")
    assert effective_cores(root, {}, 3).count == 3
