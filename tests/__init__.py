"""The tests mirror ``src/hirules``; ``peers`` starts real DICOM programs, ``e2e`` runs ``hirules serve`` in front of them."""
