from __future__ import annotations

from hirules.dimse.association import Context
from hirules.dimse.message import parse_command
from hirules.dimse.outputs import Abort, Answer, Decide, Forward, Message, Refused, Ruling
from tests.dimse.wire import FIND, IDENTIFIER, IMPLICIT, ON, command


def test_no_repr_shows_what_a_message_says() -> None:
    message = Message(parse_command(command(0x21, MoveDestination="DEST")), Context(ON[FIND], FIND, IMPLICIT), IDENTIFIER, False)
    ruling = Ruling(command=b"DEST", data=IDENTIFIER)
    outputs = [Decide(message), Refused(message, 0x0110, "why"), Forward([IDENTIFIER], True), Answer(IDENTIFIER), Abort(6, "why")]
    shown = repr(outputs) + repr(ruling) + repr(Ruling(answer=IDENTIFIER, status=0x0124))
    assert not any(value in shown for value in ("DEST", "STUDY", "1.2.3"))
    assert "0x0124" in shown
