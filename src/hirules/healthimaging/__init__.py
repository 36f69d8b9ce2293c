"""AWS HealthImaging: decide the calls of a boto3 client, before they are sent.

    boto3 call ─▶ calls ─▶ translate ─▶ Request ─▶ gate ─▶ Decision ─▶ patch ─▶ sent (compared) ─▶ service
                               │                     │
                   operations, document            lookup (facts, by a client of its own)

    strict_json  JSON with one reading           operations  parameters of each operation: names, patterns
    document     the two update documents        translate   parameters → Request        patch  and back
    guard        clients and sessions            calls       the handlers on botocore's events
    refused      the caller's own exceptions     sent        what may be sent, as bytes
    lookup       GetImageSet, metadata, search   standin     a local stand-in of the service, for trials and tests:
                                                 standin_store its image sets, standin_search its search

Rule: nothing is sent that was not decided, and only as it was decided.
"""

from hirules.healthimaging.guard import guard, unguard

__all__ = ["guard", "unguard"]
