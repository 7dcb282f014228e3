//! Each setting of the program has a value in the chart.

use std::collections::BTreeSet;

use imageswap::settings::SETTINGS;
use serde_json::Value;

use crate::{CHART, read, repository, yaml};

#[test]
fn every_setting_has_a_value_in_the_chart() {
    let chart = repository(CHART);
    let values = yaml(&read(&chart.join("values.yaml")));
    let schema: Value = serde_json::from_str(&read(&chart.join("values.schema.json"))).unwrap();
    let expected: BTreeSet<_> =
        SETTINGS.iter().map(|setting| camel_case(setting.variable())).collect();
    let keys = |object: &Value| object.as_object().unwrap().keys().cloned().collect();
    let of_values: BTreeSet<String> = keys(&values["settings"]);
    assert_eq!(of_values, expected, "the keys of `settings` in {CHART}/values.yaml");
    let of_schema: BTreeSet<String> = keys(&schema["properties"]["settings"]["properties"]);
    assert_eq!(of_schema, expected, "the keys of `settings` in {CHART}/values.schema.json");
    // Another default would hide the value in the ConfigMap `imageswap-env`.
    for (setting, default) in values["settings"].as_object().unwrap() {
        assert!(default.is_null(), "{setting} has a default");
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
