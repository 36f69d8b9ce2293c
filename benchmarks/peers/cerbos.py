"""Cerbos: its server (the npm package `cerbos` carries the binary), asked over gRPC with its own Python client's messages.

- The calling AE title is the principal's one role, and a rule names the roles it is for: Cerbos keeps its rules by action and role. One
  role only, since a principal of several is allowed where one of them is (docs.cerbos.dev, "Resource policies"), and here a deny
  must win. A list file is the roles of its rule.
- Measured against principal policies (one for each AE title), and resource policies by action: this form was the fastest at 10,000.
- One channel that stays open, the message ready: what is timed is the call.
- `make bench` installs the npm package beside the virtual environment's own; its platform package has the binary itself, which is
  started without the package's Node wrapper, so that ending it ends the server.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import grpc
from cerbos.effect.v1 import effect_pb2
from cerbos.engine.v1 import engine_pb2
from cerbos.request.v1 import request_pb2
from cerbos.svc.v1 import svc_pb2_grpc
from google.protobuf.struct_pb2 import Value

from benchmarks.engines import NotAvailable, Opened
from benchmarks.machine import CERBOS
from benchmarks.peers.forms import common_expressions
from benchmarks.workload import Query, Rule, Workload

BINARIES = CERBOS.parent.parent / "@cerbos"
KIND = "archive"
SECONDS_TO_START = 180


def served(workload: Workload) -> Opened:
    """A server of its own on free ports, which ends with ``close``."""
    binary = next(BINARIES.glob("cerbos-*/cerbos-*"), None)
    if binary is None:
        raise NotAvailable("the binary of the npm package `cerbos` is not installed")
    folder = Path(tempfile.mkdtemp(prefix="hirules-bench-cerbos-"))
    (folder / "hospital.json").write_text(json.dumps(_policy(workload)))
    address = f"127.0.0.1:{_free_port()}"
    server = subprocess.Popen(
        [
            binary, "server", "--log-level=error", f"--set=server.grpcListenAddr={address}", f"--set=server.httpListenAddr=127.0.0.1:{_free_port()}",
            "--set=storage.driver=disk", f"--set=storage.disk.directory={folder}", "--set=telemetry.disabled=true",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    channel = grpc.insecure_channel(address)

    def close() -> None:
        channel.close()
        server.terminate()
        server.wait(timeout=30)
        shutil.rmtree(folder)

    try:
        grpc.channel_ready_future(channel).result(timeout=SECONDS_TO_START)
    except grpc.FutureTimeoutError as error:
        close()
        raise NotAvailable(f"the server did not answer within {SECONDS_TO_START} s") from error
    return Opened(_request, svc_pb2_grpc.CerbosServiceStub(channel).CheckResources, _allowed, close)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _policy(workload: Workload) -> dict[str, Any]:
    rules = [_rule(rule, workload.members(rule)) for rule in workload.rules]
    return {"apiVersion": "api.cerbos.dev/v1", "resourcePolicy": {"resource": KIND, "version": "default", "rules": rules}}


def _rule(rule: Rule, members: Iterable[str]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": rule.id,
        "actions": [rule.action],
        "roles": list(members) or ["*"],
        "effect": "EFFECT_ALLOW" if rule.effect == "allow" else "EFFECT_DENY",
    }
    conditions = [*common_expressions(rule, "R.attr."), *_network(rule)]
    if conditions:
        made["condition"] = {"match": {"expr": " && ".join(conditions)}}
    return made


def _network(rule: Rule) -> Iterable[str]:
    if rule.network:
        yield f'R.attr.address != "" && R.attr.address.inIPAddrRange("{rule.network}")'


def _request(query: Query) -> request_pb2.CheckResourcesRequest:
    attributes = {"study": query.study, "level": query.level or "", "destination": query.destination or "", "address": query.address or ""}
    resource = engine_pb2.Resource(kind=KIND, id=query.study, attr={name: Value(string_value=value) for name, value in attributes.items()})
    return request_pb2.CheckResourcesRequest(
        principal=engine_pb2.Principal(id=query.caller, roles=[query.caller]),
        resources=[request_pb2.CheckResourcesRequest.ResourceEntry(actions=[query.action], resource=resource)],
    )


def _allowed(answer: Any) -> bool:
    return all(effect == effect_pb2.EFFECT_ALLOW for result in answer.results for effect in result.actions.values())
