{{- /* The labels of an object: imageswap.labels (list of the kind in lower case) */ -}}
{{- define "imageswap.labels" -}}
app: imageswap
resource: {{ . }}
{{- end }}

{{- define "imageswap.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* The port of an address such as [::]:5000: imageswap.port (list address default) */ -}}
{{- define "imageswap.port" -}}
{{- regexFind "[0-9]+$" (first . | default "") | default (last .) -}}
{{- end }}

{{- define "imageswap.webhookPort" -}}
{{- include "imageswap.port" (list .Values.settings.listen "5000") -}}
{{- end }}

{{- define "imageswap.adminPort" -}}
{{- include "imageswap.port" (list .Values.settings.adminListen "8080") -}}
{{- end }}

{{- /* Non-empty if another party than the controller manages the webhook configuration. */ -}}
{{- define "imageswap.isManagedByChart" -}}
{{- if eq .Values.webhookConfiguration.managedBy "chart" }}true{{ end -}}
{{- end }}

{{- define "imageswap.isLegacy" -}}
{{- if eq (.Values.settings.mode | default "") "LEGACY" }}true{{ end -}}
{{- end }}

{{- define "imageswap.mapsConfigMap" -}}
{{- .Values.existingMapsConfigMap | default "imageswap-maps" -}}
{{- end }}

{{- /* Non-empty if the pods start without the ConfigMap of the map. */ -}}
{{- define "imageswap.isMapOptional" -}}
{{- if or (include "imageswap.isLegacy" .) (not .Values.mapRequired) }}true{{ end -}}
{{- end }}

{{- /* The environment of the program, for all pods of the chart: the settings, and what they need of the pod. */ -}}
{{- define "imageswap.env" -}}
{{- $settings := .Values.settings -}}
{{- if include "imageswap.isManagedByChart" . -}}
{{- $settings = merge (dict "disableAutoMwc" true) $settings -}}
{{- end -}}
{{- if $settings.namespaceName | kindIs "invalid" }}
- name: IMAGESWAP_NAMESPACE_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- end }}
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

{{- /* Container and pod fields that Pod Security demands of the profile `restricted`. */ -}}
{{- define "imageswap.podSecurityContext" -}}
runAsNonRoot: true
{{- if not .Values.openshift.enabled }}
runAsUser: 1898
runAsGroup: 1898
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "imageswap.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* Fields of the pods of hooks, which run the same image on the same nodes. */ -}}
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
{{- end }}

{{- define "imageswap.hookResources" -}}
requests:
  cpu: 10m
  memory: 32Mi
limits:
  memory: 128Mi
{{- end }}
