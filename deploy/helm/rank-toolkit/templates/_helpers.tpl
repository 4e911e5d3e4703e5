{{- define "rank.name" -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "rank.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rank.meta" -}}
{{ include "rank.labels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "rank.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "rank.account" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "rank.name" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- define "rank.tritonUrl" -}}
{{- if .Values.triton.enabled -}}
{{ include "rank.name" . }}-triton:8001
{{- else -}}
{{ required "triton.url: where is Triton? (or triton.enabled: true)" .Values.triton.url }}
{{- end -}}
{{- end -}}

{{/* Environment of every rank-cli: a dict with `root` and `secret`, which holds the API key of its role. */}}
{{- define "rank.env" -}}
- name: ELASTICSEARCH_API_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: api-key
{{- if .root.Values.elasticsearch.caSecret }}
- name: ELASTICSEARCH_CA_CERTS
  value: /etc/rank/ca/ca.crt
{{- end }}
{{- end -}}

{{- define "rank.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .Values.elasticsearch.caSecret }}
- name: ca
  mountPath: /etc/rank/ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "rank.volumes" -}}
- name: tmp
  emptyDir: {}
{{- if .Values.elasticsearch.caSecret }}
- name: ca
  secret:
    secretName: {{ .Values.elasticsearch.caSecret }}
    items: [{key: ca.crt, path: ca.crt}]
{{- end }}
{{- end -}}

{{/* What every pod of ours has in common. */}}
{{- define "rank.pod" -}}
serviceAccountName: {{ include "rank.account" . }}
automountServiceAccountToken: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
