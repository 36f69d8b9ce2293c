"""Which archive an association goes to, where there are several.

called AE title ─▶ upstream_called ─▶ `request.upstream` of `associate` ─ a rule may set another ─▶ toward ─▶ Options of the association
"""

from __future__ import annotations

import msgspec

from hirules.dimse.association import Association
from hirules.dimse.options import Options


def upstream_called(association: Association, options: Options) -> str | None:
    """The name of the upstream for which the gateway answers under the called AE title; ``None``: it is nobody's."""
    called = association.called_ae_title.upper()
    for upstream in options.upstreams:
        if called in (title.strip().upper() for title in upstream.called):
            return upstream.name
    return options.upstream if called == options.ae_title.strip().upper() else None


def toward(options: Options, name: object) -> Options | None:
    """``options`` as they are for the upstream ``name``; ``None``: there is none of that name."""
    if name == options.upstream:
        return options
    for upstream in options.upstreams:
        if upstream.name == name:
            return msgspec.structs.replace(
                options,
                upstream=upstream.name,
                upstream_ae_title=upstream.ae_title,
                upstream_host=upstream.host,
                upstream_port=upstream.port,
                calling_ae_title=upstream.calling_ae_title or options.calling_ae_title,
                lookup_nodes=upstream.lookup_nodes,
            )
    return None
