"""python -m vehicle_api: serve until SIGTERM or SIGINT, then finish what is in flight and exit 0."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from typing import Any, Final

from aiohttp import web
from psycopg2 import extensions

from vehicle_api.app import make_app
from vehicle_api.logs import LineHandler, configure_logs
from vehicle_api.service import SERVICE
from vehicle_api.settings import HELP, Settings, SettingsError, read_settings

# After SIGTERM: how long to go on serving, each answer asking its caller to connect anew (elsewhere, where the Service
# no longer names this Pod), and then how long what is in flight may take. Far inside 30 s less 5 s of preStop.
LINGER_SECONDS: Final = 1.0
FINISH_SECONDS: Final = 10.0

_log = logging.getLogger("vehicle_api")


def _note_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what the loop reports, but for statements that the server cancelled: their callers were told already."""
    if not isinstance(context.get("exception"), extensions.QueryCanceledError):
        loop.default_exception_handler(context)


async def serve(settings: Settings, log: LineHandler) -> None:
    """Serve until a signal says to stop; `log` gets a line for each request, if the level is low enough.

    Raises:
        SettingsError: the address to listen on cannot be had.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_note_loop_error)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = make_app(settings, log if settings.log_level <= logging.INFO else None)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=FINISH_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.listen_host, settings.listen_port)
        try:
            await site.start()
        except OSError as error:
            where = f"{settings.listen_host}:{settings.listen_port}"
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            raise SettingsError(f"cannot listen on {where} ({reason}): set LISTEN_HOST and LISTEN_PORT") from None
        _log.info("serving on port %d", runner.addresses[0][1])
        await stop.wait()
        app[SERVICE].readiness.is_draining = True
        _log.info("stopping")
        await asyncio.sleep(LINGER_SECONDS)
    finally:
        await runner.cleanup()
    _log.info("stopped")


def main(arguments: list[str]) -> int:
    """Serve as the environment says; 0 after a signal, 2 for a setting that cannot be right."""
    parser = argparse.ArgumentParser(
        prog="python -m vehicle_api",
        description="Serve the vehicle API. Settings come from the environment:",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(arguments)
    try:
        settings = read_settings(os.environ)
        log = configure_logs(settings.log_level, settings.pod)
        asyncio.run(serve(settings, log))
    except SettingsError as error:
        sys.stderr.write(f"vehicle_api: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
