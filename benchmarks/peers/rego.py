"""Rego through regorus (PyPI: gordon-to-regorus): a few lines of Rego over the rules as data.

- The rules are data keyed by action and calling AE title: the OPA documentation ("Policy Performance") asks for objects that
  are looked up by key in place of arrays that are walked through. A rule of several AE titles stands under each.
- The Rego is compiled once for the virtual machine (`Program`, `Rvm`), which is regorus' fast way; input is JSON text.
- A glob has one `*`, so it is `startswith` and `endswith`, the cheaper form of `glob.match`; a network is `net.cidr_contains`.
- A rule that does not test an attribute has no such key, so its test is not made.
"""
