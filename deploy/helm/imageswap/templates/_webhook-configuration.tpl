{{- /* Returns `true` if the values change the template of the webhook configuration, and otherwise nothing. */ -}}
{{- define "imageswap.hasTemplate" -}}
{{- with .Values.webhookConfiguration -}}
{{- if or .template .clusterWide .excludeOperators .operatorsSites .failurePolicy .timeoutSeconds .namespaceMatchExpressions .objectMatchExpressions }}true{{ end -}}
{{- end -}}
{{- end }}

{{- /* Fields that all webhooks of the template have in common. */ -}}
{{- define "imageswap.webhookFields" -}}
{{- $values := .Values.webhookConfiguration -}}
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
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end }}

{{- /* Template of the webhook configuration. Without changes it is the built-in one, config/imageswap-mwc.yaml. */ -}}
{{- define "imageswap.template" -}}
{{- $values := .Values.webhookConfiguration -}}
{{- $leavesOperators := or $values.excludeOperators $values.operatorsSites -}}
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
    {{- include "imageswap.webhookFields" . | nindent 4 }}
    {{- if or $leavesOperators $values.objectMatchExpressions }}
    objectSelector:
      matchExpressions:
        {{- if $leavesOperators }}
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
  {{- if $values.operatorsSites }}
  - name: imageswap-sites.webhook.k8s.twr.io
    rules:
      - operations: [CREATE, UPDATE]
        apiGroups: [postgresql.cnpg.io]
        apiVersions: ["*"]
        resources: [clusters, imagecatalogs, poolers]
        scope: Namespaced
      - operations: [CREATE, UPDATE]
        apiGroups: [acid.zalan.do]
        apiVersions: ["*"]
        resources: [postgresqls, operatorconfigurations]
        scope: Namespaced
      - operations: [CREATE, UPDATE]
        apiGroups: [asdb.aerospike.com]
        apiVersions: ["*"]
        resources: [aerospikeclusters, aerospikebackupservices]
        scope: Namespaced
      - operations: [CREATE, UPDATE]
        apiGroups: [nifi.konpyutaika.com]
        apiVersions: ["*"]
        resources: [nificlusters]
        scope: Namespaced
      - operations: [CREATE, UPDATE]
        apiGroups: [operators.coreos.com]
        apiVersions: ["*"]
        resources: [catalogsources]
        scope: Namespaced
      - operations: [CREATE, UPDATE]
        apiGroups: [tekton.dev]
        apiVersions: ["*"]
        resources: [tasks, stepactions, pipelines]
        scope: Namespaced
      - operations: [CREATE, UPDATE]
        apiGroups: [argoproj.io]
        apiVersions: ["*"]
        resources: [workflowtemplates, cronworkflows]
        scope: Namespaced
      - operations: [CREATE]
        apiGroups: [tekton.dev]
        apiVersions: ["*"]
        resources: [taskruns, pipelineruns]
        scope: Namespaced
      - operations: [CREATE]
        apiGroups: [argoproj.io]
        apiVersions: ["*"]
        resources: [workflows]
        scope: Namespaced
      {{- with $values.sitesRules }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- include "imageswap.webhookFields" . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end }}
