{{- define "sumu.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 45 characters: each name that is made of it stays a label, also that of a pod of a Job. A release may have dots in its
name, and a Service may not. */}}
{{- define "sumu.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "sumu.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | replace "." "-" | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | replace "." "-" | trunc 45 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "sumu.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sumu.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name must be set when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "sumu.selectorLabels" -}}
app.kubernetes.io/name: {{ include "sumu.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sumu.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "sumu.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: sumu
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The labels of an object, and more that win over them: `list . more`. */}}
{{- define "sumu.labelsAnd" -}}
{{- mergeOverwrite (include "sumu.labels" (first .) | fromYaml) (last .) | toYaml -}}
{{- end -}}

{{- define "sumu.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The namespaces to watch, each once and in alphabetical order, as the operator has them. */}}
{{- define "sumu.watched" -}}
{{- .Values.watchNamespaces | uniq | sortAlpha | join "," -}}
{{- end -}}

{{/* The Lease's name, as operator/src/leader.rs makes it. */}}
{{- define "sumu.leaseName" -}}
{{- $name := join "." (prepend (.Values.watchNamespaces | uniq | sortAlpha) "sumu-operator") -}}
{{- if gt (len $name) 253 -}}
{{- printf "sumu-operator.%s" (sha256sum $name | trunc 32) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}

{{/* What the operator may do with stacks and what belongs to them; a test compares it with what it does. */}}
{{- define "sumu.rules" -}}
- apiGroups: [sumu.live]
  resources: [sumustacks]
  verbs: [get, list, watch, patch]
- apiGroups: [sumu.live]
  resources: [sumustacks/status]
  verbs: [patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
{{- end -}}

{{/* What all pods of the chart have in common: how they are pulled and where they run. */}}
{{- define "sumu.pod" -}}
serviceAccountName: {{ include "sumu.serviceAccountName" . }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* What the containers of the chart's own questions have in common. */}}
{{- define "sumu.question" -}}
image: {{ include "sumu.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: {{- toYaml .Values.securityContext | nindent 2 }}
# Its last words become the pod's message.
terminationMessagePolicy: FallbackToLogsOnError
resources:
  requests: { cpu: 10m, memory: 16Mi }
  limits: { memory: 64Mi }
{{- end -}}

{{/* What cannot be said in the schema. */}}
{{- define "sumu.check" -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository must be set: no image is published yet; build it with the Dockerfile and push it" -}}
{{- end -}}
{{- if and .Values.crds.enabled (not .Values.crds.keep) .Values.watchNamespaces -}}
{{- fail "crds.keep=false does not go with watchNamespaces: uninstalling this release would delete the stacks of all other namespaces too" -}}
{{- end -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.leaderElection.enabled) -}}
{{- fail "replicas above 1 need leaderElection.enabled: without it all of them would work at once" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.service.enabled) -}}
{{- fail "metrics.serviceMonitor.enabled needs metrics.service.enabled; a PodMonitor needs no Service" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitor.enabled -}}
{{- fail "metrics.serviceMonitor.enabled and metrics.podMonitor.enabled would count everything twice: choose one" -}}
{{- end -}}
{{- end -}}
