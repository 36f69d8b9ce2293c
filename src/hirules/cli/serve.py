"""Run the gateway in front of a PACS, until it is told to stop."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
from contextlib import ExitStack

import msgspec
import pydicom.config

from hirules.assemble.serving import Serving, serving
from hirules.cli.notify import notify
from hirules.settings import AuditSettings, DimseSettings, Settings, address, endpoint, read_settings


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments. A flag wins over the configuration."""
    parser.add_argument("--config", metavar="FILE", help="the configuration file")
    parser.add_argument("--policies", metavar="DIR", help="the policy set's folder")
    parser.add_argument("--dimse", metavar="AET@HOST:PORT", help="where to listen, and as whom; port 0 takes a free one")
    parser.add_argument("--upstream", metavar="AET@HOST:PORT", help="the PACS; `embedded:DIR` serves the DICOM files of a folder instead")
    parser.add_argument("--audit", metavar="FILE", help="where the record goes; without it nothing is recorded")
    parser.add_argument("--destination", metavar="AET@HOST:PORT", action="append", default=[], help="a move destination of the embedded upstream")
    parser.add_argument("--no-reload", action="store_true", help="do not watch the policies: a changed set is put into force only on SIGHUP")
    parser.add_argument("--http", metavar="HOST:PORT", help="where /livez, /readyz and /metrics are; an address that only operators reach")
    parser.add_argument("--verbose", action="store_true", help="log associations too")
    parser.epilog = (
        "prints `listening on AET@HOST:PORT` when ready; SIGTERM or SIGINT stop it cleanly, SIGHUP reloads the policies. "
        "exit: 0 stopped, 1 could not start, 2 usage"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    # which policies decide is told in any case
    logging.getLogger("hirules" if arguments.verbose else "hirules.assemble.reload").setLevel(logging.INFO)
    # its warnings about malformed values quote them, and they would be patients'
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    try:
        settings = _settings(arguments)
    except ValueError as error:
        return _usage(str(error))
    with ExitStack() as stack:
        stopped = _signals(stack)
        parts = serving(settings)
        stack.callback(parts.close)
        # what was imported and compiled until here stays: the garbage collector need not go through it again and again, while requests wait
        gc.collect()
        gc.freeze()
        # a full collection comes when a quarter has been added to what the last one kept: without this the first would wait for a quarter of it all
        gc.collect()
        try:
            health = parts.health.start() if parts.health is not None else None
            host, port = _start(parts, stack)
        except OSError as error:
            print(f"hirules: cannot listen: {(error.strerror or str(error)).lower()}", file=sys.stderr)
            return 1
        notify("READY=1")
        print(f"listening on {parts.options.ae_title}@{_shown(host)}:{port}", flush=True)
        if health is not None:
            print(f"health and metrics on http://{_shown(health[0])}:{health[1]}", flush=True)
        while os.read(stopped, 1)[0] == signal.SIGHUP:
            parts.reload()
    return 0


def _signals(stack: ExitStack) -> int:
    """A pipe from which a byte can be read, the signal's number, once SIGTERM, SIGINT or SIGHUP came.

    The interpreter's own handler writes it, in whichever thread the signal arrives. A Python handler that sets
    an Event or fills a queue runs in the main thread only, which may already be asleep on that Event.
    """
    reader, writer = os.pipe()
    stack.callback(os.close, reader)
    stack.callback(os.close, writer)
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    stack.callback(signal.set_wakeup_fd, before)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return reader


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _start(parts: Serving, stack: ExitStack) -> tuple[str, int]:
    stack.callback(parts.gateway.stop)
    stack.callback(notify, "STOPPING=1")
    return parts.start()


def _settings(arguments: argparse.Namespace) -> Settings:
    settings = read_settings(arguments.config) if arguments.config else Settings()
    if arguments.no_reload:
        settings = msgspec.structs.replace(settings, reload=False)
    if arguments.policies:
        settings = msgspec.structs.replace(settings, policies=arguments.policies)
    if arguments.audit:
        identifying = settings.audit.identifying_values if settings.audit is not None else False
        settings = msgspec.structs.replace(settings, audit=AuditSettings(file=arguments.audit, identifying_values=identifying))
    if arguments.http:
        address(arguments.http)
        settings = msgspec.structs.replace(settings, http=arguments.http)
    settings = msgspec.structs.replace(settings, dimse=_dimse(arguments, settings.dimse))
    if settings.policies is None:
        raise ValueError("`--policies DIR` is missing, here or in the configuration")
    return settings


def _dimse(arguments: argparse.Namespace, given: DimseSettings | None) -> DimseSettings:
    listen = arguments.dimse or (given.listen if given is not None else None)
    upstream = arguments.upstream or (given.upstream if given is not None else None)
    if listen is None or upstream is None:
        raise ValueError(f"`{'--dimse' if listen is None else '--upstream'} AET@HOST:PORT` is missing, here or in the configuration")
    for peer in (listen, *([] if upstream.startswith("embedded:") else [upstream]), *arguments.destination):
        endpoint(peer)
    destinations = {peer.partition("@")[0]: peer for peer in arguments.destination}
    if given is None:
        return DimseSettings(listen=listen, upstream=upstream, destinations=destinations)
    return msgspec.structs.replace(given, listen=listen, upstream=upstream, destinations={**given.destinations, **destinations})


def _usage(message: str) -> int:
    print(f"hirules serve: {message}", file=sys.stderr)
    return 2
