//! Each setting of the program has a value in the chart, which reaches the program.

use std::collections::BTreeSet;

use imageswap::settings::SETTINGS;
use serde_json::Value;

use crate::{CHART, HELM, objects, program, read, render, repository, yaml};

/// Values with a key for each setting.
const EVERYTHING: &str = "tests/helm/values/everything.yaml";

/// The setting that the chart itself sets, to the namespace of the release. The Service, the rights and the Secrets are
/// there, so the webhook would not work with another namespace.
const SET_BY_THE_CHART: &str = "namespaceName";

#[test]
fn every_setting_has_a_value_in_the_chart() {
    let chart = repository(CHART);
    let values = yaml(&read(&chart.join("values.yaml")));
    let schema: Value = serde_json::from_str(&read(&chart.join("values.schema.json"))).unwrap();
    let mut expected: BTreeSet<_> =
        SETTINGS.iter().map(|setting| camel_case(setting.variable())).collect();
    assert!(expected.remove(SET_BY_THE_CHART));
    let keys = |object: &Value| object.as_object().unwrap().keys().cloned().collect();
    let of_values: BTreeSet<String> = keys(&values["settings"]);
    assert_eq!(of_values, expected, "the keys of `settings` in {CHART}/values.yaml");
    let of_schema: BTreeSet<String> = keys(&schema["properties"]["settings"]["properties"]);
    assert_eq!(of_schema, expected, "the keys of `settings` in {CHART}/values.schema.json");
    let everything = yaml(&read(&repository(EVERYTHING)));
    let of_everything: BTreeSet<String> = keys(&everything["settings"]);
    assert_eq!(of_everything, expected, "the keys of `settings` in {EVERYTHING}");
    // Another default would hide the value in the ConfigMap `imageswap-env`.
    for (setting, default) in values["settings"].as_object().unwrap() {
        assert!(default.is_null(), "{setting} has a default");
    }
}

#[test]
fn every_setting_reaches_the_program() {
    let Some(helm) = program(HELM) else { return };
    let rendered = objects(&render(&helm, &repository(EVERYTHING), &[]).unwrap());
    for (kind, name) in [("Deployment", "imageswap"), ("Job", "imageswap-uninstall")] {
        let object = &rendered[&(kind.to_owned(), name.to_owned())];
        let environment = &object["spec"]["template"]["spec"]["containers"][0]["env"];
        let variables = environment.as_array().unwrap().iter();
        let variables: BTreeSet<_> =
            variables.map(|variable| variable["name"].as_str().unwrap()).collect();
        for setting in SETTINGS {
            let variable = setting.variable();
            assert!(variables.contains(variable), "{variable} is not in {kind} {name}");
        }
    }
}

#[test]
fn every_value_is_in_the_schema_which_permits_no_others() {
    let chart = repository(CHART);
    let schema: Value = serde_json::from_str(&read(&chart.join("values.schema.json"))).unwrap();
    compare("", &yaml(&read(&chart.join("values.yaml"))), &schema);
}

/// Compares an object of the values with its schema, and the objects in it.
fn compare(path: &str, values: &Value, schema: &Value) {
    let Some(properties) = schema["properties"].as_object() else { return };
    assert_eq!(schema["additionalProperties"], false, "{path} permits other keys");
    for (key, value) in values.as_object().unwrap() {
        let path = format!("{path}/{key}");
        let schema = properties.get(key).unwrap_or_else(|| panic!("{path} is not in the schema"));
        if value.is_object() {
            compare(&path, value, schema);
        }
    }
}

/// Returns the key of a setting: `IMAGESWAP_LOG_LEVEL` is `logLevel`.
fn camel_case(variable: &str) -> String {
    let words = variable.strip_prefix("IMAGESWAP_").unwrap_or(variable).split('_');
    let words = words.enumerate().map(|(position, word)| match position {
        0 => word.to_lowercase(),
        _ => word[..1].to_owned() + &word[1..].to_lowercase(),
    });
    words.collect()
}
