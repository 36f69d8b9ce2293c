"""Facts: what a request reaches and what surrounds it, looked up only when a rule still needs it.

    names       does the request carry only what its action has?
    consistent  can it be read in two ways?
    deadline    a call that answers in time, or LookupFailed
    cache       answers of look-ups, few and for seconds
    lookups     one look-up: what it found, or why not, and what it cost
    reads       which paths do rules read?
    disclosed   what do they need of a data set that is about to leave?

Rule: a fact that could not be had is unknown, with the reason in the record; it is never absent.
"""

from hirules.facts.deadline import LookupFailed
from hirules.facts.lookups import Answer, Lookups

__all__ = ["Answer", "LookupFailed", "Lookups"]
