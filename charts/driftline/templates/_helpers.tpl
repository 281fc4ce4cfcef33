{{/* What all objects begin with. */}}
{{- define "driftline.fullname" -}}
{{- .Values.fullnameOverride | default .Chart.Name -}}
{{- end -}}

{{- define "driftline.operator" -}}
{{- printf "%s-operator" (include "driftline.fullname" .) -}}
{{- end -}}

{{- define "driftline.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "driftline.operator" .) -}}
{{- else -}}
{{- required "serviceAccount.name is needed where serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Never changes: a Deployment's selector cannot. */}}
{{- define "driftline.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "driftline.labels" -}}
{{- $labels := merge (dict
  "app.kubernetes.io/name" .Chart.Name
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/part-of" "driftline"
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version)
) .Values.commonLabels -}}
{{- toYaml $labels -}}
{{- end -}}

{{- define "driftline.operatorLabels" -}}
{{ include "driftline.labels" . }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* Of the operator's pods. Nothing in them changes with the chart's version alone, so that such an
upgrade restarts nothing. */}}
{{- define "driftline.podLabels" -}}
{{- $labels := merge (include "driftline.selectorLabels" . | fromYaml)
  (dict "app.kubernetes.io/part-of" "driftline")
  .Values.operator.podLabels
  .Values.commonLabels -}}
{{- toYaml $labels -}}
{{- end -}}

{{/* An image reference; takes a list of the root and the image's values. */}}
{{- define "driftline.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := $root.Values.global.imageRegistry | default $image.registry -}}
{{- with $registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest -}}
@{{ $image.digest }}
{{- else -}}
:{{ $image.tag | default $root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* What the operator does in each namespace that it watches. No rule is there on suspicion: the
test of the chart compares them with the kinds that the operator knows. */}}
{{- define "driftline.operatorRules" -}}
- apiGroups: [driftline.dev]
  resources: [models]
  verbs: [get, list, watch]
- apiGroups: [driftline.dev]
  resources: [models/status]
  verbs: [patch]
# Where the API server enforces it, owning an object that blocks its owner's deletion takes this.
- apiGroups: [driftline.dev]
  resources: [models/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [controllerrevisions, deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [get, list, watch, create, patch, delete]
# Drift state is written whole, over exactly what was read.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
# The keys of receipts, and no other Secret. That `create` can be held to a name rests on the
# operator making it by server-side apply, which names it in its path.
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [driftline-keys]
  verbs: [get, create, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [get, create, update]
{{- end -}}
