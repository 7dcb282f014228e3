//! The Helm chart: its settings, and what the real Helm renders for the value sets in `values` and `refused`.
//!
//! `.ci/helm` provides Helm and kubectl. Without them, `cargo test` skips what needs them and says so. The cluster tests
//! apply the renderings in a dry run, and the node tests install the chart.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod post_renderer;
mod settings;

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

/// Environment variable with the path of Helm.
const HELM: &str = "IMAGESWAP_HELM";

/// Environment variable with the path of kubectl.
const KUBECTL: &str = "IMAGESWAP_KUBECTL";

const CHART: &str = "deploy/helm/imageswap";

/// The namespace of the base.
const NAMESPACE: &str = "imageswap-system";

/// Annotation with which Helm keeps an object that a release no longer contains.
const POLICY: &str = "helm.sh/resource-policy";

/// Objects by kind and name.
type Objects = BTreeMap<(String, String), Value>;

#[test]
fn the_version_of_the_chart_is_that_of_the_program() {
    let chart = yaml(&read(&repository(CHART).join("Chart.yaml")));
    for field in ["version", "appVersion"] {
        assert_eq!(chart[field], env!("CARGO_PKG_VERSION"), "{field} in {CHART}/Chart.yaml");
    }
}

#[test]
fn renderings_equal_the_kustomizations() {
    let Some(helm) = program(HELM) else { return };
    let kubectl = program(KUBECTL).unwrap();
    let mut compared = 0;
    for file in files("values") {
        let Some(kustomization) = directive(&file, "equals") else { continue };
        let mut rendered = objects(&render(&helm, &file, &["--no-hooks"]).unwrap());
        rendered.values_mut().for_each(remove_policy);
        let directory = repository(&kustomization);
        let mut expected = objects(&output(&mut kustomize(&kubectl, &directory)).unwrap());
        // Helm does not own the namespace.
        expected.remove(&("Namespace".to_owned(), NAMESPACE.to_owned())).unwrap();
        let names = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&rendered), names(&expected), "{}", file.display());
        for (name, object) in &rendered {
            let (found, wanted) = (format!("{object:#}"), format!("{:#}", expected[name]));
            assert_eq!(found, wanted, "{name:?} of {} and {kustomization}", file.display());
        }
        compared += 1;
    }
    assert!(compared >= 8, "{compared} value sets are compared");
}

#[test]
fn every_rendered_object_is_in_the_namespace_of_the_release() {
    let Some(helm) = program(HELM) else { return };
    let sets = files("values");
    assert!(sets.len() >= 10, "{} value sets", sets.len());
    for file in sets {
        let rendered = objects(&render(&helm, &file, &[]).unwrap());
        for ((kind, name), object) in rendered {
            let is_cluster_wide =
                kind.starts_with("ClusterRole") || kind == "MutatingWebhookConfiguration";
            let namespace = if is_cluster_wide { Value::Null } else { json!(NAMESPACE) };
            let found = &object["metadata"]["namespace"];
            assert_eq!(*found, namespace, "{kind} {name} of {}", file.display());
        }
    }
}

#[test]
fn only_pods_of_the_webhook_have_the_label_that_the_service_selects() {
    let Some(helm) = program(HELM) else { return };
    for ((kind, name), object) in objects(&render(&helm, &files("values")[0], &[]).unwrap()) {
        let labels = match &*kind {
            "Deployment" | "Job" => &object["spec"]["template"]["metadata"]["labels"],
            "Pod" => &object["metadata"]["labels"],
            _ => continue,
        };
        assert_eq!(labels["app"] == "imageswap", kind == "Deployment", "{kind} {name}");
    }
}

#[test]
fn helm_never_deletes_the_map() {
    let Some(helm) = program(HELM) else { return };
    let rendered = render(&helm, &files("values")[0], &["--set", "maps=default::"]).unwrap();
    let map = &objects(&rendered)[&("ConfigMap".to_owned(), "imageswap-maps".to_owned())];
    assert_eq!(map["metadata"]["annotations"], json!({ POLICY: "keep" }));
}

#[test]
fn hooks_run_on_the_same_nodes_as_the_webhook() {
    let Some(helm) = program(HELM) else { return };
    let file = repository("tests/helm/values/everything.yaml");
    let rendered = objects(&render(&helm, &file, &[]).unwrap());
    let object = |kind: &str, name: &str| &rendered[&(kind.to_owned(), name.to_owned())]["spec"];
    let webhook = &object("Deployment", "imageswap")["template"]["spec"];
    let affinity = json!({ "nodeAffinity": webhook["affinity"]["nodeAffinity"] });
    let hooks = [
        &object("Job", "imageswap-uninstall")["template"]["spec"],
        object("Pod", "imageswap-test"),
    ];
    for hook in hooks {
        assert_eq!(hook["affinity"], affinity);
        for field in [
            "imagePullSecrets",
            "nodeSelector",
            "priorityClassName",
            "securityContext",
            "tolerations",
        ] {
            assert!(!webhook[field].is_null(), "{field} has no value in {}", file.display());
            assert_eq!(hook[field], webhook[field], "{field}");
        }
    }
}

#[test]
fn only_the_pods_of_the_webhook_run_in_the_host_network() {
    let Some(helm) = program(HELM) else { return };
    let file = &files("values")[0];
    let rendered = objects(&render(&helm, file, &["--set", "hostNetwork=true"]).unwrap());
    for ((kind, name), object) in rendered {
        let pod = match &*kind {
            "Deployment" | "Job" => &object["spec"]["template"]["spec"],
            "Pod" => &object["spec"],
            _ => continue,
        };
        let expected = if kind == "Deployment" {
            json!([true, "ClusterFirstWithHostNet"])
        } else {
            json!([null, null])
        };
        assert_eq!(json!([pod["hostNetwork"], pod["dnsPolicy"]]), expected, "{kind} {name}");
    }
}

#[test]
fn the_pod_monitor_equals_that_of_the_manifests() {
    let Some(helm) = program(HELM) else { return };
    let file = &files("values")[0];
    let rendered = objects(&render(&helm, file, &["--set", "podMonitor.enabled=true"]).unwrap());
    let monitor = &rendered[&("PodMonitor".to_owned(), "imageswap".to_owned())];
    let expected = yaml(&read(&repository("deploy/observability/pod-monitor.yaml")));
    assert_eq!(monitor["metadata"]["name"], expected["metadata"]["name"]);
    assert_eq!(monitor["spec"], expected["spec"]);
}

#[test]
fn a_configuration_of_the_chart_is_the_built_in_template_with_its_service() {
    let Some(helm) = program(HELM) else { return };
    let file = repository("tests/helm/values/chart-managed.yaml");
    let rendered = objects(&render(&helm, &file, &[]).unwrap());
    let key = ("MutatingWebhookConfiguration".to_owned(), "imageswap-webhook".to_owned());
    let mut found = rendered[&key].clone();
    let client = found["webhooks"][0].as_object_mut().unwrap().remove("clientConfig").unwrap();
    let service = json!({ "name": "imageswap", "namespace": NAMESPACE, "path": "/" });
    assert_eq!(client, json!({ "service": service }));
    let annotations = found["metadata"].as_object_mut().unwrap().remove("annotations").unwrap();
    assert_eq!(annotations["cert-manager.io/inject-ca-from"], json!("imageswap-system/imageswap"));
    assert_eq!(found, normalized(yaml(&read(&repository("config/imageswap-mwc.yaml")))));
    let deployment = &rendered[&("Deployment".to_owned(), "imageswap".to_owned())];
    let environment = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let disabled = json!({ "name": "IMAGESWAP_DISABLE_AUTO_MWC", "value": "true" });
    assert!(environment.as_array().unwrap().contains(&disabled), "{environment:#}");
}

#[test]
fn wrong_values_are_refused() {
    let Some(helm) = program(HELM) else { return };
    let sets = files("refused");
    assert!(sets.len() >= 5, "{} value sets", sets.len());
    for file in sets {
        let expected = directive(&file, "refused").unwrap();
        match render(&helm, &file, &[]) {
            Err(error) => assert!(error.contains(&expected), "{}: {error}", file.display()),
            Ok(_) => panic!("{} is not refused", file.display()),
        }
    }
}

/// Returns the program that a variable names. Prints that the test is skipped if it is not set.
fn program(variable: &str) -> Option<PathBuf> {
    let program = env::var_os(variable);
    if program.is_none() {
        // Directly to the standard error, because the test harness hides the output of a test that passes.
        let written = writeln!(
            std::io::stderr(),
            "a test of the chart is SKIPPED: {variable} is not set; run .ci/helm, which builds Helm"
        );
        written.unwrap();
    }
    program.map(PathBuf::from)
}

/// Returns the path of a file of this repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Returns the files of a folder of value sets, in order.
fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository("tests/helm").join(folder)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Returns the text after `# NAME: ` in the comments of a value set.
fn directive(file: &Path, name: &str) -> Option<String> {
    let prefix = format!("# {name}: ");
    read(file).lines().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
}

/// Renders the chart with a value set. Returns the errors of Helm if it refuses the values.
fn render(helm: &Path, values: &Path, options: &[&str]) -> Result<String, String> {
    let mut command = Command::new(helm);
    command.args(["template", "imageswap"]).arg(repository(CHART));
    command.args(["--namespace", NAMESPACE, "--kube-version", "1.36.0"]).args(options);
    if let Some(with) = directive(values, "with") {
        command.arg("--values").arg(repository(&with));
    }
    output(command.arg("--values").arg(values))
}

fn kustomize(kubectl: &Path, directory: &Path) -> Command {
    let mut command = Command::new(kubectl);
    command.arg("kustomize").arg(directory);
    command
}

/// Runs a command, and returns its output, or its errors.
fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Parses the objects of a stream of YAML documents.
fn objects(documents: &str) -> Objects {
    let mut objects = Objects::new();
    for document in format!("\n{documents}").split("\n---\n") {
        if document.lines().all(|line| line.trim().is_empty() || line.starts_with('#')) {
            continue;
        }
        let object = normalized(yaml(document));
        let text =
            |value: &Value| value.as_str().unwrap_or_else(|| panic!("{document}")).to_owned();
        let name = (text(&object["kind"]), text(&object["metadata"]["name"]));
        assert!(objects.insert(name, object).is_none(), "twice:\n{document}");
    }
    objects
}

/// Removes the instruction for Helm to keep an object, which kubectl does not know.
fn remove_policy(object: &mut Value) {
    let metadata = object["metadata"].as_object_mut().unwrap();
    if metadata.get("annotations") == Some(&json!({ POLICY: "keep" })) {
        metadata.remove("annotations");
    }
}

fn yaml(document: &str) -> Value {
    serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}:\n{document}"))
}

/// Sorts lists whose order does not matter, and parses the manifest in a ConfigMap.
fn normalized(value: Value) -> Value {
    match value {
        Value::Array(mut elements) => {
            if elements.iter().all(|element| element["name"].is_string()) {
                elements.sort_by_key(|element| element["name"].as_str().map(str::to_owned));
            }
            elements.into_iter().map(normalized).collect()
        }
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, normalized(value))).collect()
        }
        Value::String(text) if text.contains("\nkind: ") => normalized(yaml(&text)),
        value => value,
    }
}
