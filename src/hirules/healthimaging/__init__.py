"""AWS HealthImaging: decide the calls of a boto3 client, before they are sent.

boto3 call ─▶ guard ─▶ translate ─▶ Request ─▶ gate ─▶ Decision ─▶ patch ─▶ sent (compared) ─▶ service
                          │                     │
              operations, document            lookup (facts, by a client of its own)

strict_json  JSON with one reading           operations  parameters of each operation: names, patterns
document     the two update documents        translate   parameters → Request        patch  and back
guard        botocore's events               refused     the exceptions of the caller's own client
sent         what may be sent, as bytes      lookup      GetImageSet, metadata, search
standin      a local stand-in of the service, for trials and tests
"""

from hirules.healthimaging.guard import guard, unguard

__all__ = ["guard", "unguard"]
