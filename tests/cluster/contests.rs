//! The webhook configuration if replicas have different templates, or if another client keeps changing it.

use serde_json::{Value, json};

use crate::{
    Cluster, MAP, Step, eventually, expect,
    install::{CONFIGURATION, CONFIGURATIONS},
    webhook::Files,
};

/// The built-in template.
const BUILT_IN: &str = include_str!("../../config/imageswap-mwc.yaml");

/// The annotation with the template in force.
const TEMPLATE: &str = "k8s.twr.io/imageswap-template";

/// Number of repairs of a field after which it is left to another client.
const MAX_REPAIRS: u64 = 10;

pub(crate) const STEPS: &[Step<Cluster>] = &[
    ("the newest template of any replica stays in force", newest_template),
    ("a field that another client keeps changing is left to it", contested_field),
];

fn newest_template(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    let template = |file: &str, timeout: u32| {
        let timeout = format!("timeoutSeconds: {timeout}");
        files.write(file, &BUILT_IN.replace("timeoutSeconds: 5", &timeout));
    };
    let launch = |file: &str| {
        let launch = cluster.managed(&files);
        launch.with_path("IMAGESWAP_MWC_TEMPLATE_FILE", files.path(file))
    };
    // The kubelets bring a new template to one replica before the other.
    for file in ["slow.yaml", "quick.yaml", "stale.yaml"] {
        template(file, 5);
    }
    let mut webhooks = vec![launch("slow.yaml").start_ready(), launch("quick.yaml").start_ready()];
    cluster.await_timeout(5);
    cluster.await_stable(&webhooks);
    let since = cluster.api.now(CONFIGURATIONS);
    template("quick.yaml", 7);
    cluster.await_timeout(7);
    // Each replica reconciles with the template that it has, and so does one that starts with the old template.
    cluster.rotate_certificate();
    webhooks.push(launch("stale.yaml").start_ready());
    cluster.await_stable(&webhooks);
    cluster.rotate_certificate();
    cluster.await_stable(&webhooks);
    template("slow.yaml", 7);
    eventually("the new template", || {
        expect(webhooks[0].logged("webhook template loaded").len(), &2)
    });
    assert_eq!(cluster.timeouts(since), [7]);
    assert!(webhooks[0].logged("webhook configuration updated").is_empty());
    // A replica with the old template repairs the configuration to the newer one.
    webhooks.drain(..2);
    cluster.assert_repaired("Ignore");
    let found = cluster.api.get(CONFIGURATION).unwrap();
    assert_eq!(found["webhooks"][0]["timeoutSeconds"], 7);
    let mut other = found["webhooks"].clone();
    other[0]["clientConfig"]["caBundle"] = json!("");
    other[0]["timeoutSeconds"] = json!(8);
    let annotation = json!({ "annotations": { TEMPLATE: "{}" } });
    cluster.api.patch(CONFIGURATION, &json!({ "metadata": annotation, "webhooks": other }));
    eventually("the repair", || {
        let repaired = cluster.api.get(CONFIGURATION).unwrap();
        let annotations = |of: &Value| of["metadata"]["annotations"].clone();
        expect(annotations(&repaired), &annotations(&found)).map_err(|_| repaired.clone())?;
        expect(repaired["webhooks"].clone(), &found["webhooks"])
    });
    // The template is changed back.
    template("stale.yaml", 9);
    cluster.await_timeout(9);
    template("stale.yaml", 5);
    cluster.await_timeout(5);
    assert_eq!(cluster.timeouts(since), [7, 29, 7, 8, 7, 9, 5]);
    webhooks[0].assert_no_warnings();
}

fn contested_field(cluster: &Cluster) {
    cluster.clear_state();
    let files = Files::new(MAP);
    files.write("mwc.yaml", BUILT_IN);
    let launch = cluster.managed(&files);
    let launch = launch.with_path("IMAGESWAP_MWC_TEMPLATE_FILE", files.path("mwc.yaml"));
    let mut webhooks = vec![launch.start_ready()];
    let right = cluster.await_configuration()["webhooks"].clone();
    let mut theirs = right.clone();
    theirs[0]["namespaceSelector"]["matchExpressions"] =
        json!([{ "key": "control-plane", "operator": "NotIn", "values": ["true"] }]);
    let change =
        |webhooks: &Value| cluster.api.patch(CONFIGURATION, &json!({ "webhooks": webhooks }));
    let await_webhooks = |expected: &Value| {
        eventually("the webhooks", || {
            expect(cluster.api.get(CONFIGURATION).unwrap()["webhooks"].clone(), expected)
        });
    };
    for _ in 0..MAX_REPAIRS {
        change(&theirs);
        await_webhooks(&right);
    }
    let message = "webhook configuration field left to another client";
    webhooks[0].await_log(message);
    let log = &webhooks[0].warnings()[0];
    assert_eq!(log["field"], "webhooks[0].namespaceSelector.matchExpressions");
    assert_eq!(log["repairs"], MAX_REPAIRS);
    change(&theirs);
    // Other changes are still repaired.
    for timeout in [29, 5] {
        let mut other = theirs.clone();
        other[0]["clientConfig"]["caBundle"] = json!("");
        other[0]["timeoutSeconds"] = json!(timeout);
        change(&other);
        await_webhooks(&theirs);
    }
    let series = "imageswap_webhook_configuration_writes_total{result=\"left\"}";
    expect(webhooks[0].metric(series), &1.0).unwrap();
    webhooks[0].assert_no_warnings_except(&[message]);
    assert_eq!(webhooks[0].warnings().len(), 1);
    // A replica that starts repairs the field again. The first one then must not remove it.
    webhooks.push(launch.start_ready());
    await_webhooks(&right);
    cluster.rotate_certificate();
    cluster.await_stable(&webhooks);
    await_webhooks(&right);
    webhooks.pop();
    change(&theirs);
    cluster.rotate_certificate();
    cluster.await_stable(&webhooks);
    await_webhooks(&theirs);
    // Another template starts again.
    files.write("mwc.yaml", &BUILT_IN.replace("timeoutSeconds: 5", "timeoutSeconds: 6"));
    let mut changed = right;
    changed[0]["timeoutSeconds"] = json!(6);
    await_webhooks(&changed);
}

impl Cluster {
    /// Waits until the webhook configuration has this timeout.
    fn await_timeout(&self, timeout: u32) {
        eventually("the timeout of the template", || {
            let found = self.api.get(CONFIGURATION).ok_or_else(|| json!("none"))?;
            expect(found["webhooks"][0]["timeoutSeconds"].clone(), &json!(timeout))
        });
    }

    /// Returns the timeouts that the webhook configuration has had since a version of the list, without repetitions.
    fn timeouts(&self, since: u64) -> Vec<u64> {
        let history = self.api.history(CONFIGURATIONS, since);
        let timeouts =
            history.iter().map(|version| &version.object["webhooks"][0]["timeoutSeconds"]);
        let mut timeouts: Vec<_> = timeouts.map(|timeout| timeout.as_u64().unwrap()).collect();
        timeouts.dedup();
        timeouts
    }
}
