"""Pod fields that a Model hands on to Kubernetes.

Their meaning is Kubernetes'. Only what Driftline must be able to say about them is spelled out
here: bounds, what would break the serving itself, and the fields that `kubectl explain` shows.
Everything else the API server judges when the Deployment is applied.
"""

from typing import Annotated, Any, Final

from driftline_api.schema import (
    INT_OR_STRING,
    PRESERVE,
    VALIDATIONS,
    Extension,
    Rule,
    choice,
    handed_on,
    keyed_by,
    list_of,
    map_of,
    object_of,
    text,
)

_LABEL_VALUE = text(63)
_SELECTOR = {"type": "object", PRESERVE: True, "description": "A Kubernetes label selector."}

_AMOUNT: Final = {
    INT_OR_STRING: True,
    "maxLength": 32,
    VALIDATIONS: [
        Rule(
            "isQuantity(string(self)) && !quantity(string(self)).isLessThan(quantity('0'))",
            "write a Kubernetes quantity that is not negative, such as 500m, 2 or 1Gi",
        ).as_schema()
    ],
}

_ROOM = (
    "!has(self.requests) || !has(self.limits) || self.requests.all(k, !(k in self.limits) || "
    "!isQuantity(string(self.requests[k])) || !isQuantity(string(self.limits[k])) || "
    "!quantity(string(self.requests[k])).isGreaterThan(quantity(string(self.limits[k]))))"
)

#: `requests` and `limits` of the container that serves.
Resources = Annotated[
    dict[str, Any],
    handed_on(
        object_of(
            {
                "requests": {
                    **map_of(_AMOUNT, 16),
                    "description": "What the scheduler sets aside for each pod.",
                },
                "limits": {
                    **map_of(_AMOUNT, 16),
                    "description": "What a pod may use at most. The CPU limit also decides how "
                    "many threads and workers the model server starts.",
                },
            },
            Rule(_ROOM, "no request may be above its limit: lower the request or raise the limit"),
        )
    ),
]

NodeSelector = Annotated[dict[str, str], handed_on(map_of(_LABEL_VALUE, 32))]

Tolerations = Annotated[
    list[dict[str, Any]],
    handed_on(
        list_of(
            object_of(
                {
                    "key": text(316),
                    "operator": choice("Exists", "Equal"),
                    "value": _LABEL_VALUE,
                    "effect": choice("NoSchedule", "PreferNoSchedule", "NoExecute"),
                    "tolerationSeconds": {"type": "integer", "format": "int64"},
                },
                Rule(
                    "!has(self.operator) || self.operator != 'Exists' || !has(self.value)",
                    "remove value, or use operator Equal: Exists tolerates any value",
                ),
            ),
            32,
            **{"x-kubernetes-list-type": "atomic"},
        )
    ),
]

Affinity = Annotated[
    dict[str, Any],
    handed_on(
        object_of(
            {
                kind: {"type": "object", PRESERVE: True}
                for kind in ("nodeAffinity", "podAffinity", "podAntiAffinity")
            }
        )
    ),
]

TopologySpreadConstraints = Annotated[
    list[dict[str, Any]],
    handed_on(
        list_of(
            object_of(
                {
                    "maxSkew": {"type": "integer", "format": "int32", "minimum": 1},
                    "topologyKey": text(316, minLength=1),
                    "whenUnsatisfiable": choice("DoNotSchedule", "ScheduleAnyway"),
                    "labelSelector": _SELECTOR,
                    "matchLabelKeys": list_of(
                        text(316), 16, **{"x-kubernetes-list-type": "atomic"}
                    ),
                    "minDomains": {"type": "integer", "format": "int32", "minimum": 1},
                    "nodeAffinityPolicy": choice("Honor", "Ignore"),
                    "nodeTaintsPolicy": choice("Honor", "Ignore"),
                },
                required=("maxSkew", "topologyKey", "whenUnsatisfiable"),
            ),
            8,
        )
    ),
    keyed_by("topologyKey", "whenUnsatisfiable"),
]

Environment = Annotated[
    list[dict[str, Any]],
    handed_on(
        list_of(
            object_of(
                {
                    "name": {
                        **text(256, minLength=1),
                        VALIDATIONS: [
                            Rule(
                                "!self.startsWith('DRIFTLINE_')",
                                "choose a name that does not begin with DRIFTLINE_: "
                                "those are set by Driftline",
                            ).as_schema()
                        ],
                    },
                    "value": text(16_384),
                    "valueFrom": {"type": "object", PRESERVE: True},
                },
                Rule(
                    "!(has(self.value) && has(self.valueFrom))",
                    "set value or valueFrom, not both",
                ),
                required=("name",),
            ),
            128,
        )
    ),
    keyed_by("name"),
]

_OURS = (
    "self.all(k, !k.startsWith('driftline.dev/') && "
    "k != 'app.kubernetes.io/managed-by' && k != 'app.kubernetes.io/component')"
)


def _named(limit: int, what: str, *given: Rule) -> dict[str, Any]:
    """Return the schema of a list of open-ended objects that are known by name."""
    item = object_of({"name": text(63, minLength=1)}, *given, required=("name",), open_ended=True)
    listed = list_of(item, limit, description=what)
    return listed | dict(keyed_by("name").keywords)


_POD_METADATA = object_of(
    {
        "labels": {
            **map_of(
                _LABEL_VALUE,
                64,
                Rule(
                    _OURS,
                    "choose labels outside driftline.dev/ and other than "
                    "app.kubernetes.io/managed-by and component: Driftline selects pods by those",
                ),
            ),
            "description": "Labels added to the pods.",
        },
        "annotations": {
            **map_of(text(65_536), 64),
            "description": "Annotations added to the pods.",
        },
    },
    description="Labels and annotations of the pods.",
)

_POD_SPEC = object_of(
    {
        "containers": _named(
            16,
            "Merged by name: `server` is the container that serves, others stand beside it.",
            Rule(
                "self.name != 'fetcher'",
                "choose another name, or move it to initContainers: "
                "fetcher is the init container that brings the artifact",
            ),
        ),
        "initContainers": _named(
            16,
            "Merged by name: `fetcher` brings the artifact, others run before it.",
            Rule(
                "self.name != 'server'",
                "choose another name, or move it to containers: server is what serves",
            ),
        ),
        "volumes": _named(64, "Further volumes of the pods, merged by name."),
        "hostNetwork": {
            "type": "boolean",
            VALIDATIONS: [
                Rule(
                    "!self",
                    "remove hostNetwork: two revisions on one node would fight for the same port",
                ).as_schema()
            ],
        },
        "restartPolicy": choice("Always"),
    },
    open_ended=True,
    maxProperties=64,
    description="A PodSpec, of which any field may be given.",
)

#: Anything of a pod that has no field of its own.
PodTemplate = Annotated[
    dict[str, Any],
    handed_on(object_of({"metadata": _POD_METADATA, "spec": _POD_SPEC})),
]

#: Text of a command line, each argument at most this long.
Arguments = Annotated[
    list[Annotated[str, Extension({"maxLength": 8192})]],
    Extension({"maxItems": 128, "x-kubernetes-list-type": "atomic"}),
]
