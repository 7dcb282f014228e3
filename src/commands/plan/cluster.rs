//! Reads the objects of a cluster, and counts their images.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    PlanArguments,
    images::{self, ReviewedObject},
    submitted::PodTexts,
    tally::{Consequence, Counted, Row, Tally},
    worlds::Worlds,
};
use crate::{
    admission::ReviewError,
    controller::CONFIGURATION_NAME,
    kubernetes::{
        self, ClusterError, Connection, Labels, Listed, Object, ObjectFilter, Owner, Resource,
        Selected, Selection,
    },
};

/// Kinds whose objects are mostly created by another controller, which has the template.
const CREATED_KINDS: [&str; 2] = ["ReplicaSet", "Job"];

/// Reads the objects of the cluster, and counts their images.
///
/// # Errors
/// If the API server refuses a call or does not answer, or an object cannot be read.
pub(super) async fn read(
    arguments: &PlanArguments,
    worlds: &Worlds,
    errors: &mut impl Write,
) -> Result<Tally, ClusterError> {
    let (kubeconfig, context) = (arguments.kubeconfig.as_deref(), arguments.context.as_deref());
    let connection = kubernetes::connect(kubeconfig, context).await?;
    let tally = read_from(&connection, arguments, worlds, errors).await;
    tally.map_err(|error| match error {
        ClusterError::Call { action, status: status @ None, reason } => {
            let reason = format!("{reason}; the API server is {}", connection.server);
            ClusterError::Call { action, status, reason }
        }
        error => error,
    })
}

/// Reads the objects by a client.
async fn read_from(
    Connection { client, .. }: &Connection,
    arguments: &PlanArguments,
    worlds: &Worlds,
    errors: &mut impl Write,
) -> Result<Tally, ClusterError> {
    let namespace = arguments.namespace.as_deref();
    let labels = kubernetes::namespace_labels(client, namespace).await?;
    let selection = Selection::read(client, CONFIGURATION_NAME).await?;
    let mut resources = vec![Resource::pods()];
    if arguments.workloads {
        resources.extend(Resource::workloads());
    }
    if arguments.sites {
        let sites = &worlds.new.sites;
        let has_group = |group: &str| sites.has_group(group);
        let is_site = |group: &str, kind: &str| sites.contains(group, kind);
        resources.extend(kubernetes::discover(client, has_group, is_site).await?);
    }
    warn(selection.as_ref(), &resources, errors);
    let reading = Reading { worlds, selection, labels };
    let filter = ObjectFilter { namespace, selector: arguments.selector.as_deref() };
    let mut all = Tally::default();
    for resource in &resources {
        let (mut tally, mut unreadable) = (Tally::default(), None);
        kubernetes::for_each_object(client, resource, &filter, |listed| match listed {
            Listed::Restarted => tally = Tally::default(),
            Listed::Object(object) => {
                if let Err(error) = reading.add(&mut tally, resource, &object) {
                    let Object { metadata, .. } = &object;
                    let name =
                        format!("{} {}/{}", resource.kind, metadata.namespace, metadata.name);
                    unreadable.get_or_insert(ClusterError::content(name, error));
                }
            }
        })
        .await?;
        if let Some(error) = unreadable {
            return Err(error);
        }
        all.merge(tally);
    }
    Ok(all)
}

/// Warns if the webhook configuration does not tell which objects are selected.
fn warn(selection: Option<&Selection>, resources: &[Resource], errors: &mut impl Write) {
    let warning = match selection {
        None => "does not exist, so all objects count as selected",
        Some(selection) if selection.has_conditions_for(resources) => {
            "has matchConditions, which plan does not evaluate"
        }
        Some(_) => return,
    };
    // The result is valid even if the warning cannot be written.
    let _ = writeln!(errors, "warning: the webhook configuration {CONFIGURATION_NAME} {warning}");
}

/// Everything that decides about an object.
struct Reading<'a> {
    worlds: &'a Worlds,
    selection: Option<Selection>,
    /// Labels of the namespaces.
    labels: BTreeMap<String, Labels>,
}

/// A workload with a pod template.
#[derive(Deserialize)]
struct Workload {
    spec: WorkloadSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorkloadSpec {
    template: Option<Box<RawValue>>,
    job_template: Option<JobTemplate>,
}

#[derive(Deserialize)]
struct JobTemplate {
    spec: JobSpec,
}

#[derive(Deserialize)]
struct JobSpec {
    template: Option<Box<RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Template {
    metadata: Option<TemplateMetadata>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TemplateMetadata {
    labels: Option<Labels>,
}

impl Reading<'_> {
    fn add(
        &self,
        tally: &mut Tally,
        resource: &Resource,
        object: &Object,
    ) -> Result<(), ReviewError> {
        let metadata = &object.metadata;
        let namespace = &*metadata.namespace;
        if *resource == Resource::pods() {
            let selected = self.selects(resource, namespace, &metadata.labels);
            let rows = self.rows_of_pod(tally, namespace, &object.text, selected)?;
            let changes = |row: &Row| row.consequence == Consequence::Changes;
            if rows.iter().any(changes) {
                for owner in metadata.owner_references.iter().filter(|owner| owner.controller) {
                    self.note_owner(tally, owner);
                }
            }
            tally.add(Counted::Pod, namespace, rows);
            return Ok(());
        }
        let is_created = CREATED_KINDS.contains(&&*resource.kind)
            && metadata.owner_references.iter().any(|owner| owner.controller);
        if is_created {
            return Ok(());
        }
        let mut selected = self.selects(resource, namespace, &metadata.labels);
        let pods = Resource::pods();
        let mut reviewed = ReviewedObject { resource, namespace, text: &object.text };
        let template = pod_template(&object.text).filter(|_| !self.has_sites(resource));
        // The pods of a workload reach the webhook even if the workload itself does not.
        if let Some((template, labels)) = template.as_ref()
            && (self.selection.is_none() || selected != Selected::Yes)
        {
            let of_pods = self.selects(&pods, namespace, labels);
            if of_pods != Selected::NoRule {
                selected = of_pods;
                reviewed = ReviewedObject { resource: &pods, namespace, text: template };
            }
        }
        let rows = self.worlds.rows(&reviewed, selected)?;
        tally.add(Counted::Workload, namespace, rows.into_iter().collect());
        Ok(())
    }

    /// Returns the rows of a pod, and counts images without a record of their original.
    fn rows_of_pod(
        &self,
        tally: &mut Tally,
        namespace: &str,
        text: &RawValue,
        selected: Selected,
    ) -> Result<BTreeSet<Row>, ReviewError> {
        let pods = Resource::pods();
        let PodTexts { running, submitted } = PodTexts::of(text);
        let reviewed = |text| ReviewedObject { resource: &pods, namespace, text };
        let running = reviewed(running.as_deref().unwrap_or(text));
        let submitted = submitted.as_deref().map_or(running, reviewed);
        let as_running = images::of(&running, &self.worlds.new)?;
        let as_submitted = images::of(&submitted, &self.worlds.new)?;
        let is_recorded: Vec<_> = as_running
            .iter()
            .zip(&as_submitted)
            .map(|(running, submitted)| running.image != submitted.image)
            .collect();
        let mut rows = self.worlds.compared(&submitted, as_submitted, selected)?;
        for ((row, running), is_recorded) in rows.iter_mut().zip(as_running).zip(is_recorded) {
            if !is_recorded && row.is_unrecorded() {
                tally.unrecorded.insert(running.image);
            } else if is_recorded && row.against.is_none() {
                *row = Row::rewritten(running.image, row.planned.clone(), selected);
            }
        }
        Ok(rows.into_iter().collect())
    }

    fn selects(&self, resource: &Resource, namespace: &str, labels: &Labels) -> Selected {
        let none = Labels::new();
        let of_namespace = self.labels.get(namespace).unwrap_or(&none);
        match &self.selection {
            Some(selection) => selection.selects(resource, of_namespace, labels),
            None => Selected::Yes,
        }
    }

    fn has_sites(&self, resource: &Resource) -> bool {
        self.worlds.new.sites.contains(&resource.group, &resource.kind)
    }

    fn note_owner(&self, tally: &mut Tally, owner: &Owner) {
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        if self.worlds.new.sites.contains(group, &owner.kind) {
            *tally.owners.entry(format!("{group}/{}", owner.kind)).or_default() += 1;
        }
    }
}

/// Returns the pod template of a workload with its labels; `None` if it has none.
fn pod_template(object: &RawValue) -> Option<(Box<RawValue>, Labels)> {
    let Workload { spec } = serde_json::from_str(object.get()).ok()?;
    let template = match spec.job_template {
        Some(job) => job.spec.template?,
        None => spec.template?,
    };
    let Template { metadata } = serde_json::from_str(template.get()).ok()?;
    let labels = metadata.and_then(|metadata| metadata.labels).unwrap_or_default();
    Some((template, labels))
}
