"""kombu as its documentation has it: it ships no types, so here it is anything."""

from typing import Any

import kombu.asynchronous
import kombu.connection
import kombu.entity

Connection: Any = kombu.connection.Connection
Exchange: Any = kombu.entity.Exchange
Queue: Any = kombu.entity.Queue
Hub: Any = kombu.asynchronous.Hub
