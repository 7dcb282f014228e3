{{- /* Labels of an object. The argument is its kind in lower case. */ -}}
{{- define "imageswap.labels" -}}
app: imageswap
resource: {{ . }}
{{- end }}

{{- /* Reference of the image, with its digest or its tag. */ -}}
{{- define "imageswap.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* Port of an address such as [::]:5000. The argument is a list of the address and the default port. */ -}}
{{- define "imageswap.port" -}}
{{- regexFind "[0-9]+$" (first . | default "") | default (last .) -}}
{{- end }}

{{- /* Port that the API server calls. */ -}}
{{- define "imageswap.webhookPort" -}}
{{- include "imageswap.port" (list .Values.settings.listen "5000") -}}
{{- end }}

{{- /* Port of the probes and metrics. */ -}}
{{- define "imageswap.adminPort" -}}
{{- include "imageswap.port" (list .Values.settings.adminListen "8080") -}}
{{- end }}

{{- /* Returns `true` if the chart contains the webhook configuration, and otherwise nothing. */ -}}
{{- define "imageswap.isManagedByChart" -}}
{{- if eq .Values.webhookConfiguration.managedBy "chart" }}true{{ end -}}
{{- end }}

{{- /* Returns `true` in the mode LEGACY, and otherwise nothing. */ -}}
{{- define "imageswap.isLegacy" -}}
{{- if eq (.Values.settings.mode | default "") "LEGACY" }}true{{ end -}}
{{- end }}

{{- /* Name of the ConfigMap with the map. */ -}}
{{- define "imageswap.mapsConfigMap" -}}
{{- .Values.existingMapsConfigMap | default "imageswap-maps" -}}
{{- end }}

{{- /* Returns `true` if the pods start without the ConfigMap of the map, and otherwise nothing. */ -}}
{{- define "imageswap.isMapOptional" -}}
{{- if or (include "imageswap.isLegacy" .) (not .Values.mapRequired) }}true{{ end -}}
{{- end }}

{{- /* Environment variables of the program: its settings, and the namespace and name of the pod. */ -}}
{{- define "imageswap.env" -}}
{{- $settings := .Values.settings -}}
{{- if include "imageswap.isManagedByChart" . -}}
{{- $settings = merge (dict "disableAutoMwc" true) $settings -}}
{{- end -}}
{{- /* The Service, the rights and the Secrets are in this namespace, so no value changes it. */}}
- name: IMAGESWAP_NAMESPACE_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- if $settings.podName | kindIs "invalid" }}
- name: IMAGESWAP_POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}
{{- if and (include "imageswap.isLegacy" .) (not $settings.imagePrefix) }}
- name: IMAGE_PREFIX
  valueFrom:
    configMapKeyRef:
      name: imageswap-env
      key: IMAGE_PREFIX
{{- end }}
{{- range $key, $value := $settings }}
{{- if not (kindIs "invalid" $value) }}
- name: {{ eq $key "imagePrefix" | ternary "IMAGE_PREFIX" (printf "IMAGESWAP_%s" (snakecase $key | upper)) }}
  {{- /* Numbers in files are floating-point numbers. */}}
  value: {{ kindIs "float64" $value | ternary (int64 $value) $value | toString | quote }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Security context of a pod, as the Pod Security Standard `restricted` requires it. */ -}}
{{- define "imageswap.podSecurityContext" -}}
runAsNonRoot: true
{{- if not .Values.openshift.enabled }}
runAsUser: 1898
runAsGroup: 1898
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- /* Security context of a container, as the Pod Security Standard `restricted` requires it. */ -}}
{{- define "imageswap.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* Fields of the pods of hooks, which run the same image on the same nodes as the webhook. */ -}}
{{- define "imageswap.hookPod" -}}
restartPolicy: Never
enableServiceLinks: false
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  {{- include "imageswap.podSecurityContext" . | nindent 2 }}
{{- with .Values.image.pullSecrets }}
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
{{- with (.Values.affinity).nodeAffinity }}
affinity:
  nodeAffinity:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}

{{- /* Resources of the containers of hooks. */ -}}
{{- define "imageswap.hookResources" -}}
requests:
  cpu: 10m
  memory: 32Mi
limits:
  memory: 128Mi
{{- end }}
