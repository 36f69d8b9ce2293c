"""Hooks: what a plugin may add. All of them stand in ``spec``; ``plugins`` loads the plugins that are allowed and asks each apart.

configuration (allow-list) ─▶ plugins: import, register, check ─▶ vocabulary, operators, edits ─▶ the policies
                                                              └▶ verdicts, facts, notifications ─▶ the gate
failure: how it is told that one of them failed, without a value of a patient
"""

from hirules.hooks.plugins import PluginError, Plugins
from hirules.hooks.spec import Facts, hookimpl

__all__ = ["Facts", "PluginError", "Plugins", "hookimpl"]
