"""Running the application under uvicorn."""

from __future__ import annotations

import gc
import json
import logging
import signal
import socket
import sys
import time
from types import FrameType

from achievement_collector.api.addresses import is_loopback
from achievement_collector.config import Settings
from achievement_collector.errors import CollectorError
from achievement_collector.ledger.store import open_ledger
from achievement_collector.services.tokens import has_tokens
from achievement_collector.workflows.supervisor import Worker

_GRACE = 8  # seconds that running requests have when the server is told to end


def serve(settings: Settings, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT. Raises :class:`CollectorError` where it must not or cannot be started."""
    gc.disable()  # importing makes what stays; collecting meanwhile takes a fifth of the time until the server is ready
    ledger = open_ledger(settings.database)
    is_open = is_loopback(host)
    if not is_open and not settings.api_token and not has_tokens(ledger):
        raise CollectorError(
            f"{host} can be reached from other machines, so a token is needed: set ACHIEVEMENT_COLLECTOR_TOKEN, or make one"
            " with: achievement-collector token create NAME"
        )
    try:
        listener = _listen(host, port)
    except OSError as error:
        raise CollectorError(f"{host}:{port} cannot be listened on: {error.strerror or error}") from None
    _log_to(sys.stderr.isatty())
    sys.setswitchinterval(0.0005)  # answering must not wait 5 ms for each thread that is at work
    ledger.checkpoint_apart()  # the worker does it
    worker = Worker(ledger)
    worker.start()  # before the rest is imported: the two get ready side by side
    import uvicorn

    from achievement_collector.api.app import create_app

    app = create_app(ledger, settings, is_open=is_open, worker=worker)
    gc.collect()
    gc.freeze()  # what is here stays; looking through it again would hold up answers
    gc.enable()
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_GRACE,
        server_header=False,
        lifespan="on",
    )
    server = uvicorn.Server(config)

    def end(_signal: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # until uvicorn takes the signals, and when it raises them again after it has shut down
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    shown = f"[{host}]" if ":" in host else host
    logging.getLogger(__name__).info(
        "listening on http://%s:%s (docs at /docs)", shown, listener.getsockname()[1]
    )
    try:
        server.run(sockets=[listener])
    finally:
        ledger.close()


def _listen(host: str, port: int) -> socket.socket:
    """A socket bound to the address; taken before anything is started, so that a port in use is told in a sentence."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    # named as TCP, else asyncio leaves Nagle's algorithm on, and every answer waits 40 ms for the sender's acknowledgement
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(
        2048
    )  # from now on nobody else has the port, and whoever calls is answered once all has started
    listener.set_inheritable(False)
    return listener


class _Json(logging.Formatter):
    """One JSON object a line, for programs that collect logs."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


def _log_to(is_terminal: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
    handler.setFormatter(plain if is_terminal else _Json())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("httpx", "httpcore", "dbos", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
