//! The dashboard: its panels, variables and queries.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::read;

/// Number of columns of a dashboard.
const COLUMNS: u64 = 24;

/// A query of a panel.
pub(crate) struct Query {
    /// The title of the panel.
    pub(crate) panel: String,
    /// The expression, with variables.
    pub(crate) expression: String,
}

/// Reads the dashboard.
pub(crate) fn dashboard() -> Value {
    serde_json::from_str(&read("deploy/observability/dashboard.json")).unwrap()
}

/// Returns all panels, without the titles of rows.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
}

/// Returns the queries of all panels.
pub(crate) fn queries() -> Vec<Query> {
    let dashboard = dashboard();
    let mut queries = Vec::new();
    for panel in panels(&dashboard) {
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap().to_owned();
            queries.push(Query { panel: panel["title"].as_str().unwrap().to_owned(), expression });
        }
    }
    assert!(queries.len() > 30, "only {} queries", queries.len());
    queries
}

/// Returns the metric and the label of each variable whose values come from Prometheus.
pub(crate) fn variables() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let list = dashboard["templating"]["list"].as_array().unwrap();
    let queries = list.iter().filter_map(|variable| variable["query"]["query"].as_str());
    let parts = queries.map(|query| {
        let arguments = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
        let (metric, label) = arguments.rsplit_once(", ").unwrap();
        (metric.to_owned(), label.to_owned())
    });
    parts.collect()
}

#[test]
fn every_panel_has_a_title_a_description_a_unit_and_the_data_source_that_is_chosen() {
    let dashboard = dashboard();
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    let mut titles = BTreeSet::new();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        assert!(titles.insert(title), "two panels with the title {title}");
        let description = panel["description"].as_str().unwrap();
        assert!(description.len() > 20 && description.ends_with('.'), "{title}: {description}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title} has no unit");
        assert_eq!(panel["datasource"], source, "{title}");
        let mut references = BTreeSet::new();
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"], source, "{title}");
            assert!(references.insert(target["refId"].as_str().unwrap()), "{title}");
            let expression = target["expr"].as_str().unwrap();
            for variable in ["namespace=\"$namespace\"", "pod=~\"$pod\""] {
                assert!(expression.contains(variable), "{title}: {expression}");
            }
        }
    }
}

#[test]
fn panels_have_ids_of_their_own_and_do_not_overlap() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "the id of {} is taken", panel["title"]);
        let position = |field: &str| panel["gridPos"][field].as_u64().unwrap();
        let (x, y, width, height) = (position("x"), position("y"), position("w"), position("h"));
        assert!(x + width <= COLUMNS, "{} is too wide", panel["title"]);
        for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
            assert!(cells.insert(cell), "{} overlaps another panel", panel["title"]);
        }
    }
    // An import by the user gets an id from Grafana; the uid keeps links valid.
    assert_eq!((&dashboard["id"], &dashboard["uid"]), (&Value::Null, &json!("imageswap")));
}
