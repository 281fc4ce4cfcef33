"""The public contract of Driftline: resource types, label names and conditions.

Everything here is data. It imports pydantic and nothing else, so that the operator, the
serving images, the tests and the generated CRDs all speak of one and the same thing.
"""

GROUP = "driftline.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

#: The release of all parts. Said here, because images hold sources and no package metadata.
RELEASE = "0.1.0"
