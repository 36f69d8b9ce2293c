"""The language server that editors use for YAML, spoken to as an editor does (LSP 3.17: JSON-RPC, each message behind its length)."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from queue import Queue
from types import TracebackType
from typing import Any

PROGRAM = Path(__file__).parents[2] / ".venv" / "peers" / "node_modules" / "yaml-language-server" / "out" / "server" / "src" / "server.js"
TIMEOUT = 60.0


class LanguageServer:
    """For the files of one folder. ``positions`` are a line and a column, from 0."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._answers: dict[int, Queue[Any]] = {}
        self.diagnostics: Queue[tuple[str, list[dict[str, Any]]]] = Queue()

    def __enter__(self) -> LanguageServer:
        self._process = subprocess.Popen(["node", str(PROGRAM), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        threading.Thread(target=self._read, daemon=True).start()
        capabilities = {"textDocument": {"completion": {"completionItem": {"snippetSupport": True}}, "hover": {"contentFormat": ["markdown"]}}}
        self.ask("initialize", {"processId": None, "rootUri": self._folder.as_uri(), "capabilities": capabilities})
        self._tell("initialized", {})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()

    def open(self, name: str, text: str) -> list[dict[str, Any]]:
        """Open a file with ``text`` in place of what is on the disk; what is wrong with it."""
        uri = (self._folder / name).as_uri()
        self._tell("textDocument/didOpen", {"textDocument": {"uri": uri, "languageId": "yaml", "version": 1, "text": text}})
        while True:
            about, found = self.diagnostics.get(timeout=TIMEOUT)
            if about == uri:
                return found

    def completions(self, name: str, line: int, column: int) -> dict[str, str]:
        """What may be typed there, with its explanation."""
        answer = self.ask("textDocument/completion", self._place(name, line, column))
        items = answer["items"] if isinstance(answer, dict) else answer or []
        return {item["label"]: _text(item.get("documentation", "")) for item in items}

    def hover(self, name: str, line: int, column: int) -> str:
        """What is said about it."""
        answer = self.ask("textDocument/hover", self._place(name, line, column))
        return _text(answer["contents"]) if answer else ""

    def ask(self, method: str, parameters: dict[str, Any]) -> Any:
        """A request, and its result."""
        self._number += 1
        number, answer = self._number, Queue[Any]()
        self._answers[number] = answer
        self._send({"id": number, "method": method, "params": parameters})
        return answer.get(timeout=TIMEOUT)

    def _place(self, name: str, line: int, column: int) -> dict[str, Any]:
        return {"textDocument": {"uri": (self._folder / name).as_uri()}, "position": {"line": line, "character": column}}

    def _tell(self, method: str, parameters: dict[str, Any]) -> None:
        self._send({"method": method, "params": parameters})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        while True:
            length = 0
            while (line := self._process.stdout.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if not length:
                return
            message = json.loads(self._process.stdout.read(length))
            if message.get("method") == "textDocument/publishDiagnostics":
                self.diagnostics.put((message["params"]["uri"], message["params"]["diagnostics"]))
            elif "method" in message and "id" in message:  # it asks for settings: it has none but its own
                asked = message["params"].get("items", [None]) if isinstance(message.get("params"), dict) else [None]
                self._send({"id": message["id"], "result": [{} for _ in asked]})
            elif message.get("id") in self._answers:
                self._answers.pop(message["id"]).put(message.get("result"))


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(map(_text, value))
    return str(value["value"] if isinstance(value, dict) else value)
