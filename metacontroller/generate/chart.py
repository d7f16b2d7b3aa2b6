"""The Helm chart. All templates come from trees; only ``NOTES.txt`` and the helpers are text."""

from __future__ import annotations

import adapter
from adapter.contract.formats import Json
from metacontroller.generate import helm
from metacontroller.generate.installation import FEATURES, HEADER, NAMESPACE_FILE, parts
from metacontroller.generate.objects import kinds, quickstart
from metacontroller.generate.schema import schema_json
from metacontroller.generate.tree import If, Tree
from metacontroller.generate.values import nested, values_yaml
from sources_cli.admission import yaml

KEEP = "helm.sh/resource-policy"
CHART: Json = {
    "apiVersion": "v2",
    "name": "sample-source",
    "version": adapter.__version__,
    "appVersion": adapter.__version__,
    "description": "Event sources for Kubernetes: the hook, and the kinds SampleSource, CronSource, PollSource and "
    "WebhookSource. Needs Metacontroller.",
    "type": "application",
    "kubeVersion": ">=1.30.0-0",
    "keywords": ["cloudevents", "eventing", "event-source", "metacontroller"],
}
# The labels that Helm's documentation recommends. The rule of `plural` is that of apimachinery.
HELPERS = """\
{{- define "sample-source.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "sample-source.plural" -}}
{{- $kind := last (splitList "/" .) | lower -}}
{{- if hasSuffix "endpoints" $kind -}}{{ $kind }}
{{- else if hasSuffix "s" $kind -}}{{ $kind }}es
{{- else if hasSuffix "y" $kind -}}{{ trimSuffix "y" $kind }}ies
{{- else -}}{{ $kind }}s
{{- end -}}
{{- end }}
"""

# Printed after each installation and upgrade. Helm does not show where it read the chart from, so it is CHART here.
NOTES = """\
{{- define "upgrade" -}}
helm upgrade {{ .Release.Name }} CHART --namespace {{ .Release.Namespace }} --reuse-values
{{- end -}}
The hook runs in the namespace {{ .Release.Namespace }} with the image {{ .Values.image }}.
Kinds: {{ join ", " .Values.kinds }}.
{{ if not .Values.quickstart.enabled }}
For a first source and a sink that prints its events:
  {{ template "upgrade" . }} --set quickstart.enabled=true
{{ else if SERVED }}
The source hello sends an event every second. Show the events:
  kubectl --namespace {{ .Values.quickstart.namespace }} logs --follow deployment/event-display
{{ else }}
The source hello is missing: Helm can create it only after the API server serves its kind. Run this command now:
  {{ template "upgrade" . }}
{{ end }}
Show all sources:
  kubectl get sources --all-namespaces
If kubectl does not know "sources" yet, use the full name of a kind, such as
{{ first .Values.kinds | lower }}s.samples.knative.dev.

If READY stays empty, one of these is the cause:
- Metacontroller does not run.
- Metacontroller has another ServiceAccount than {{ .Values.metacontroller.namespace }}/
{{- .Values.metacontroller.serviceAccount }}.
- Metacontroller has not noticed the new kind yet: it looks for new kinds every 30 s, or as often as its
  flag --discovery-interval says.
{{- if .Values.crds.keep }}

helm uninstall keeps the CRDs and all sources. docs/uninstall.md says how to delete them.
{{- end }}
"""


def templates() -> dict[str, list[Tree]]:
    """The trees of each template. Helm sorts the objects of all templates by their kind."""
    files = {name: part for name, part in parts().items() if name != NAMESPACE_FILE}
    for kind in kinds.kinds():
        files[f"{kind.kebab}-crd"] = [_kept(tree) for tree in kinds.crds(kind)]
        files[kind.kebab] = [*kinds.controllers(kind), *kinds.roles(kind)]
    return {**files, "quickstart": quickstart.trees()}


def files() -> dict[str, str]:
    """The text of each file of the chart."""
    return {
        "Chart.yaml": yaml.dump([CHART], header=HEADER),
        "values.yaml": values_yaml(HEADER),
        "values.schema.json": schema_json(),
        "templates/_helpers.tpl": f"{{{{- /*\n{HEADER}\n*/}}}}\n{HELPERS}",
        "templates/NOTES.txt": NOTES.replace(
            "SERVED", quickstart.served("samples.knative.dev/v1alpha1", "SampleSource").helm
        ),
        **{
            f"examples/{name}.yaml": yaml.dump([nested(feature.values.items())], header=f"{feature.title}\n{HEADER}")
            for name, feature in FEATURES.items()
        },
        **{f"templates/{name}.yaml": helm.template(trees, HEADER) for name, trees in templates().items()},
    }


def _kept(tree: If) -> Tree:
    """A CRD that `helm uninstall` keeps. A template, and not a file in ``crds/``, so that `helm upgrade` updates it."""
    document = tree.content
    metadata = document["metadata"]
    annotations = {**metadata["annotations"], KEEP: If("crds.keep", "keep")}
    return If(tree.condition, {**document, "metadata": {**metadata, "annotations": annotations}})
