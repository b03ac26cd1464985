"""What the machine, or the part of it that this process may use, has: cores, memory, and how many workers fit."""

from hotplate.machine.cores import Cores, effective_cores
from hotplate.machine.memory import Memory, memory_limit, private, pss
from hotplate.machine.sizing import Decision

__all__ = ["Cores", "Decision", "Memory", "effective_cores", "memory_limit", "private", "pss"]
