//! The manifest of the policy: its expressions, and the objects around them.
//!
//! Each variable is a step. The API server evaluates a variable once, when it is first used, and limits the cost of each.
//! Records have texts alone, because CEL in Kubernetes knows no maps of mixed types.

use super::{PolicySettings, cel::string, tables::Tables};
use crate::admission::{SKIP_ANNOTATION, Scope};

/// A variable of the policy.
#[derive(Debug)]
pub(super) struct Variable {
    /// The name.
    pub(super) name: &'static str,
    /// The purpose, for a comment.
    comment: &'static str,
    /// The expression.
    pub(super) expression: String,
}

/// The images before an update: the list, the name and the image of each. Ephemeral containers cannot change.
const OLD: &str = "\
oldObject == null ? [''] : (
  oldObject.spec.?initContainers.orValue([]).map(c, 'c/' + string(c.name) + '=' + string(c.?image.orValue(''))) +
  oldObject.spec.?containers.orValue([]).map(c, 'c/' + string(c.name) + '=' + string(c.?image.orValue(''))) +
  oldObject.spec.?ephemeralContainers.orValue([]).map(c, 'e/' + string(c.name)) +
  oldObject.spec.?volumes.orValue([]).map(v,
    'v/' + string(v.name) + '=' + string(v.?image.?reference.orValue('')))
)";

/// A valid reference of the distribution grammar.
const REFERENCE: &str = concat!(
    r"^(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*",
    r"|\[[a-fA-F0-9]*:[a-fA-F0-9:]*\])(?::[0-9]+)?/)?",
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*",
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?",
    r"(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,128})?$",
);

/// The parts of each image. The host and the registry are in lower case; `index.docker.io` is `docker.io`.
const PARTS: &str = r"variables.introduced.map(i, {
  'path': i.path,
  'image': i.image,
  'first': i.image.find('^(?:[^/]*[.:A-Z][^/]*|localhost)/')
}).map(i, {
  'path': i.path,
  'image': i.image,
  'lower': i.first.lowerAscii(),
  'written': i.image.substring(i.first.size())
}).map(i, {
  'path': i.path,
  'image': i.image,
  'text': i.lower + i.written + '/',
  'registry': i.lower == '' ? 'docker.io'
    : i.lower.matches('^index\\.docker\\.io[:/]') ? i.lower.substring(6, i.lower.size() - 1)
    : i.lower.substring(0, i.lower.size() - 1),
  'written': i.written,
  'repo': i.written.split('@')[0].split(':')[0]
}).map(i, {
  'path': i.path,
  'image': i.image,
  'text': i.text,
  'small': i.image.lowerAscii(),
  'bare': i.text.substring(0, i.text.size() - i.written.size() - 1) + i.repo + '/',
  'registry': i.registry,
  'host': i.registry.startsWith('[') ? i.registry.find('^[^\\]]*\\]') : i.registry.split(':')[0],
  'repo': i.repo,
  'suffix': i.written.substring(i.repo.size()),
  'name': (i.registry == 'docker.io' && !i.repo.contains('/') ? 'library/' : '') + i.repo + '/'
})";

/// Each image with the [EXACT] rule and the [REPLACE] rules that match it.
const FIRST: &str = "\
variables.parts.map(i, [i] +
  (i.image in variables.exact ? [variables.exact[i.image]] : []) +
  variables.globs.filter(rule, i.image.matches(rule.glob)))";

/// Each image with the rules that match it, up to those of registries.
const SECOND: &str = "\
variables.first.map(found, found.size() > 1 ? found : found +
  (found[0].registry in variables.registries
    ? variables.registries[found[0].registry].filter(rule, found[0].name.startsWith(rule.prefix)) : []) +
  (found[0].registry != found[0].host && found[0].host in variables.registries
    ? variables.registries[found[0].host].filter(rule, found[0].name.startsWith(rule.prefix)) : []) +
  variables.domains.filter(rule,
    (rule.port == '' ? found[0].host : found[0].registry).endsWith(rule.domain) &&
    (rule.port == '' ? found[0].host : found[0].registry) != rule.domain &&
    found[0].name.startsWith(rule.prefix)))";

/// The same with the rule that leaves images with a substring alone.
const THIRD: &str = "\
variables.second.map(found, found.size() > 1 ? found : found +
  (variables.noswap.exists(text, found[0].small.contains(text)) ? [variables.leave] : []))";

/// Each image with the rules that match it. The first rule decides.
const MATCHED: &str = "\
variables.third.map(found, found.size() > 1 ? found : found + [
  variables.targets.exists(target, found[0].text.startsWith(target)) ||
  variables.repositories.exists(target, found[0].bare.startsWith(target)) ||
  found[0].host in variables.targetHosts ||
  found[0].image in variables.targetImages
    ? variables.leave : variables.default])";

/// The new images with their paths in the pod; empty for an image that is left alone.
const RESULTS: &str = "\
variables.matched.map(found, {
  'path': found[0].path,
  'image': found[0].image,
  'added': found[1].to.contains('{') ? found[0].suffix : found[1].to,
  'rest': found[1].prefix == '' ? '/' + found[0].name.substring(0, found[0].name.size() - 1)
    : found[0].name.substring(found[1].prefix.size() - 1, found[0].name.size() - 1),
  'to': found[0].text.startsWith(found[1].under) ||
    found[0].text.startsWith(found[1].repository + ':') ||
    found[0].text.startsWith(found[1].repository + '@') ||
    found[0].host == found[1].host ||
    (found[0].host.startsWith('[') && (found[1].to.contains('{host}') || found[1].to.contains('{registry}')))
    ? '' : found[1].to
      .replace('{registry}', found[0].registry.replace(':', '-'))
      .replace('{host}', found[0].host)
      .replace('{port}', found[0].registry.substring(found[0].host.size()))
      .replace('{path}', found[0].name.substring(0, found[0].name.size() - 1))
      .replace('{repo}', found[0].repo)
      .replace('{last}', found[0].image.substring(found[0].image.lastIndexOf('/') + 1))
      .replace('{suffix}', found[0].suffix)
}).map(i, {
  'path': i.path,
  'image': i.image,
  'length': i.to.replace('{rest}', i.rest).size() - i.added.size() > 255 ? 'long' : '',
  'result': (i.rest == '' && !i.to.contains('/')) || i.to.matches('^[^/:]*_[^/:]*:[0-9]+/') ? ''
    : i.to.replace('{rest}', i.rest)
})";

const MUTATION: &str = "\
variables.results.filter(i, i.result != '' && i.result != i.image && i.length == '').map(i,
  JSONPatch{op: 'replace', path: i.path, value: i.result})";

/// Returns the variables of the policy, in an order in which each uses earlier ones only.
pub(super) fn variables(tables: &Tables, scope: &Scope) -> Vec<Variable> {
    let variable = |name, comment, expression| Variable { name, comment, expression };
    let [targets, repositories, hosts, images] = tables.targets();
    vec![
        variable("exact", "The [EXACT] rules, by image.", tables.exact()),
        variable("globs", "The [REPLACE] rules in the order of the map.", tables.globs()),
        variable(
            "registries",
            "The rules of registries, the longest paths first.",
            tables.registries(),
        ),
        variable(
            "domains",
            "The rules of wildcard hosts in the order in which they apply.",
            tables.domains(),
        ),
        variable("noswap", "The substrings of noswap_wildcards.", tables.noswap()),
        variable("default", "The rule for all other images.", tables.default_rule()),
        variable("leave", "The rule that leaves an image alone.", Tables::default().default_rule()),
        variable("targets", "The texts with which images that are at a target start.", targets),
        variable("repositories", "The same for targets that can be repositories.", repositories),
        variable("targetHosts", "The targets that are hosts.", hosts),
        variable("targetImages", "The targets of [EXACT] rules.", images),
        variable("skipped", "The containers that the annotation excludes.", skipped()),
        variable("old", "The images before an update.", OLD.to_owned()),
        variable(
            "introduced",
            "The images that the request introduces, with their paths.",
            introduced(scope),
        ),
        variable("parts", "The parts of each image.", PARTS.to_owned()),
        variable(
            "first",
            "Each image with the [EXACT] and [REPLACE] rules that match it.",
            FIRST.to_owned(),
        ),
        variable("second", "The same with the rules of registries.", SECOND.to_owned()),
        variable("third", "The same with the substrings.", THIRD.to_owned()),
        variable(
            "matched",
            "The same with the default. The first rule decides.",
            MATCHED.to_owned(),
        ),
        variable("results", "The new images.", RESULTS.to_owned()),
    ]
}

fn skipped() -> String {
    let annotation = string(SKIP_ANNOTATION);
    format!(
        "string(object.metadata.?annotations[?{annotation}].orValue(''))\
         .split(',').map(name, name.trim())"
    )
}

/// Returns the images that the request introduces, are not excluded, and are valid references.
fn introduced(scope: &Scope) -> String {
    let lists = [
        ("initContainers", "image", "'c/' + name + '=' + image", "?imagePullPolicy"),
        ("containers", "image", "'c/' + name + '=' + image", "?imagePullPolicy"),
        ("ephemeralContainers", "image", "'e/' + name", "?imagePullPolicy"),
        ("volumes", "image/reference", "'v/' + name + '=' + image", "?image.?pullPolicy"),
    ];
    let list = |(list, field, key, policy): (&str, &str, &str, &str)| {
        let image = format!("string(c.?{}.orValue(''))", field.replace('/', ".?"));
        let key = key.replace("name", "string(c.name)").replace("image", &image);
        let prefix = if list == "volumes" { "'volumes/' + " } else { "" };
        format!(
            "object.spec.?{list}.orValue([]).transformList(n, c, {{\n    \
             'path': '/spec/{list}/' + string(n) + '/{field}',\n    \
             'image': {image},\n    \
             'name': {prefix}string(c.name),\n    \
             'key': {key},\n    \
             'policy': string(c.{policy}.orValue(''))\n  }})"
        )
    };
    let never = if scope.swaps_never_pulled { "" } else { "i.policy != 'Never' && " };
    format!(
        "(\n  {}\n).filter(i, {never}!(i.key in variables.old) &&\n  \
         !(i.name in variables.skipped) &&\n  i.image.size() <= 4096 &&\n  i.image.matches(r'{REFERENCE}'))",
        lists.map(list).join(" +\n  "),
    )
}

/// Returns the manifest.
pub(super) fn manifest(variables: &[Variable], source: &str, settings: &PolicySettings) -> String {
    let PolicySettings { api_version, failure_policy, scope } = settings;
    let (version, failure_policy) = (api_version.as_str(), failure_policy.as_str());
    let label = &scope.disable_label;
    let disabled = string(label);
    let variables: String = variables.iter().map(yaml).collect();
    let mutation = block(MUTATION, 8);
    format!(
        "\
# A policy that rewrites images as the map {source} does, without the webhook.
# Written by `imageswap export --to kubernetes`. Do not edit: export the map again.
#
# It has no fallback: if the mirror does not have an image, the pod does not start.
# Namespaces opt in:  kubectl label namespace NAME {label}=enabled
apiVersion: admissionregistration.k8s.io/{version}
kind: MutatingAdmissionPolicy
metadata:
  name: imageswap
spec:
  # `Fail` refuses a request if an expression fails, as with a pod of too many images. `Ignore` leaves it unchanged.
  failurePolicy: {failure_policy}
  reinvocationPolicy: IfNeeded
  matchConstraints:
    matchPolicy: Equivalent
    resourceRules:
      - operations: [CREATE, UPDATE]
        apiGroups: [\"\"]
        apiVersions: [v1]
        resources: [pods, pods/ephemeralcontainers]
  matchConditions:
    # The pod has not the label that turns rewriting off.
    - name: not-disabled
      expression: |-
        object.metadata.?labels[?{disabled}].orValue('') != 'disabled'
    # The kubelet would create a changed mirror pod again and again.
    - name: no-mirror-pod
      expression: |-
        !('kubernetes.io/config.mirror' in object.metadata.?annotations.orValue({{}}))
  variables:
{variables}  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: |-
          {mutation}
{}",
        binding(version, label),
    )
}

/// Returns the manifest of the binding.
fn binding(version: &str, label: &str) -> String {
    format!(
        "\
---
apiVersion: admissionregistration.k8s.io/{version}
kind: MutatingAdmissionPolicyBinding
metadata:
  name: imageswap
spec:
  policyName: imageswap
  matchResources:
    namespaceSelector:
      matchLabels:
        \"{label}\": enabled
",
    )
}

/// Returns an item of the list of variables.
fn yaml(Variable { name, comment, expression }: &Variable) -> String {
    let expression = block(expression, 6);
    format!("    # {comment}\n    - name: {name}\n      expression: |-\n        {expression}\n")
}

/// Returns the lines of a literal block scalar, indented by two more than its key, without the first indentation.
fn block(text: &str, indentation: usize) -> String {
    text.replace('\n', &format!("\n{}", " ".repeat(indentation + 2)))
}
