"""How a Model is watched: the part of its spec that reaches the monitors as configuration.

Nothing here is part of a revision: a change of it restarts no pod.
"""

from typing import Annotated

from pydantic import Field

from driftline_api.base import ApiType
from driftline_api.schema import AS_SET, Extension, Rule, keyed_by, rules
from driftline_api.signature import Label

_INT32 = Extension({"format": "int32"})

#: The chi-square distance that does not matter, as its square root.
Tolerance = Annotated[float, Field(ge=0, le=10)]


class Baseline(ApiType):
    """What live traffic is compared with."""

    model_config = rules(
        Rule(
            "!has(self.digest) || has(self.uri)",
            "give uri, or remove digest: it is that of the profile at uri",
            field=".digest",
        )
    )

    uri: (
        Annotated[
            str,
            Field(min_length=1, max_length=1024),
            Rule(
                r"self.matches('^(s3|https)://[^/?#]+/.')",
                "write s3://bucket/path or https://host/path of a profile that "
                "`driftline profile build` wrote",
            ),
            Rule(
                r"!self.matches('^[a-z0-9]+://[^/]*@')",
                "take the user and the password out of the URI and put them into the Secret "
                "that artifact.secretRef names",
            ),
            Rule(
                r"!self.matches('[\\s\\x00-\\x1f#]')",
                "write the URI without white space, control characters and '#'; "
                "percent-encode them where they are part of the path",
            ),
        ]
        | None
    ) = None
    """Where the profile of the training data lies. By default it is `driftline-profile.json`
    beside the model; it is fetched with the artifact's own credentials."""

    digest: (
        Annotated[
            str,
            Field(max_length=71),
            Rule(
                "self.matches('^sha256:[0-9a-f]{64}$')",
                "write sha256: and 64 lowercase hexadecimal digits, as sha256sum prints",
            ),
        ]
        | None
    ) = None
    """What the profile at `uri` must contain."""

    rows: Annotated[int, Field(ge=1_000, le=10_000_000), _INT32] = 10_000
    """How many of the first live rows become the baseline where there is no profile, or where
    somebody accepted them."""

    accept: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Name of a revision whose first live rows are right although they differ from its training
    data: from then on drift is watched for against them."""


class WatchedFeature(ApiType):
    """What is different for one feature."""

    name: Label
    """Name of the feature in the signature."""

    tolerance: Tolerance
    """The effect that does not matter, for this feature."""


class Monitoring(ApiType):
    """How drift is watched for. Every default works; there are no thresholds to choose."""

    baseline: Baseline = Baseline()
    """What live traffic is compared with."""

    expected_false_alarms_per_year: Annotated[float, Field(gt=0, le=365)] = 1.0
    """How often a false alarm is acceptable. The measured traffic makes rows of it."""

    tolerance: Tolerance = 0.1
    """The effect that does not matter, about the shift of a mean in standard deviations."""

    features: Annotated[list[WatchedFeature], Field(max_length=256), keyed_by("name")] = []
    """Features with a tolerance of their own."""

    exclude: Annotated[list[Label], Field(max_length=256), AS_SET] = []
    """Features that are not watched. Their values are dropped before anything is kept."""
