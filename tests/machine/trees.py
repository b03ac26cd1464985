"""Made-up /proc and /sys trees."""

from pathlib import Path

V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


def v1_mount(controllers: str, root: str = "/") -> str:
    """Return the mountinfo line of a hierarchy of version 1, mounted from `root`."""
    return f"33 30 0:29 {root} /sys/fs/cgroup/{controllers} rw,nosuid shared:7 - cgroup cgroup rw,{controllers}\n"


def plant(root: Path, own: str, mounts: str, files: dict[str, str]) -> Path:
    """Write /proc/self/cgroup, /proc/self/mountinfo and files below /sys/fs/cgroup, and return the root."""
    contents = {
        "proc/self/cgroup": own,
        "proc/self/mountinfo": mounts,
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root
