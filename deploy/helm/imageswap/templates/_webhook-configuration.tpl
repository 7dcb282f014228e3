{{- /* Returns `true` if the values change the template of the webhook configuration, and otherwise nothing. */ -}}
{{- define "imageswap.hasTemplate" -}}
{{- with .Values.webhookConfiguration -}}
{{- if or .template .clusterWide .excludeOperators .failurePolicy .timeoutSeconds .namespaceMatchExpressions .objectMatchExpressions }}true{{ end -}}
{{- end -}}
{{- end }}

{{- /* Template of the webhook configuration. Without changes it is the built-in one, config/imageswap-mwc.yaml. */ -}}
{{- define "imageswap.template" -}}
{{- $values := .Values.webhookConfiguration -}}
{{- if $values.template -}}
{{- toYaml $values.template -}}
{{- else -}}
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata:
  name: imageswap-webhook
  labels:
    {{- include "imageswap.labels" "mutatingwebhookconfiguration" | nindent 4 }}
    admissions.enforcer/disabled: "true"
webhooks:
  - name: imageswap.webhook.k8s.twr.io
    rules:
      - operations: [CREATE, UPDATE]
        apiGroups: [""]
        apiVersions: [v1]
        resources: [pods, pods/ephemeralcontainers]
    matchPolicy: Equivalent
    failurePolicy: {{ $values.failurePolicy | default "Fail" }}
    reinvocationPolicy: IfNeeded
    timeoutSeconds: {{ $values.timeoutSeconds | default 5 }}
    sideEffects: None
    admissionReviewVersions: [v1]
    namespaceSelector:
      {{- if not $values.clusterWide }}
      matchLabels:
        k8s.twr.io/imageswap: enabled
      {{- end }}
      {{- if or $values.clusterWide $values.namespaceMatchExpressions }}
      matchExpressions:
        {{- if $values.clusterWide }}
        - key: kubernetes.io/metadata.name
          operator: NotIn
          values: [kube-system, {{ .Release.Namespace }}]
        - key: k8s.twr.io/imageswap
          operator: NotIn
          values: [disabled]
        - key: control-plane
          operator: NotIn
          values: ["true"]
        - key: kubernetes.azure.com/managedby
          operator: NotIn
          values: [aks]
        {{- end }}
        {{- with $values.namespaceMatchExpressions }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
    {{- if or $values.excludeOperators $values.objectMatchExpressions }}
    objectSelector:
      matchExpressions:
        {{- if $values.excludeOperators }}
        - key: cnpg.io/cluster
          operator: DoesNotExist
        - key: application
          operator: NotIn
          values: [spilo]
        - key: aerospike.com/cr
          operator: DoesNotExist
        - key: nifi_cr
          operator: DoesNotExist
        - key: olm.catalogSource
          operator: DoesNotExist
        {{- end }}
        {{- with $values.objectMatchExpressions }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- end }}
{{- end -}}
{{- end }}
