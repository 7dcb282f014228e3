//! The pods of a cluster with their images, and the labels of namespaces.
//!
//! Deliberately absent: watches, writes, Secrets, and the fields of a pod on which no decision about images depends.

use std::collections::BTreeMap;

use kube::{
    Client,
    api::{GetParams, ListParams, Request},
};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use super::{ClusterError, call_within};

/// Labels or annotations of an object.
pub type Labels = BTreeMap<String, String>;

/// A pod, as far as a review of its creation depends on it. It serializes to the JSON of Kubernetes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Pod {
    /// Name, namespace, labels and annotations.
    pub metadata: PodMetadata,
    /// Containers and volumes.
    pub spec: PodSpec,
}

/// The metadata of a pod.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct PodMetadata {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Labels.
    #[serde(deserialize_with = "or_default")]
    pub labels: Labels,
    /// Annotations.
    #[serde(deserialize_with = "or_default")]
    pub annotations: Labels,
}

/// The containers and volumes of a pod.
///
/// Ephemeral containers are not among them, because no pod is created with one.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    /// Init containers.
    #[serde(deserialize_with = "or_default")]
    pub init_containers: Vec<Container>,
    /// Containers.
    #[serde(deserialize_with = "or_default")]
    pub containers: Vec<Container>,
    /// Volumes, of which only those made from images matter.
    #[serde(deserialize_with = "or_default")]
    pub volumes: Vec<Volume>,
}

/// A container.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Container {
    /// Name.
    pub name: String,
    /// Image.
    pub image: String,
    /// Pull policy.
    pub image_pull_policy: String,
}

/// A volume.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Volume {
    /// Name.
    pub name: String,
    /// The image, if the volume is made from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageVolume>,
}

/// The image of a volume.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ImageVolume {
    /// Image.
    pub reference: String,
    /// Pull policy.
    pub pull_policy: String,
}

impl Pod {
    /// Returns all images.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        let containers = self.spec.init_containers.iter().chain(&self.spec.containers);
        let containers = containers.map(|container| &*container.image);
        let volumes = self.spec.volumes.iter().filter_map(|volume| volume.image.as_ref());
        containers.chain(volumes.map(|image| &*image.reference))
    }
}

/// Pods to list.
#[derive(Clone, Debug, Default)]
pub struct PodFilter<'a> {
    /// Their namespace; `None` for all.
    pub namespace: Option<&'a str>,
    /// A label selector, as kubectl accepts it.
    pub selector: Option<&'a str>,
}

/// An event of a list that is read page by page.
#[derive(Debug)]
pub enum Listed<T> {
    /// The next object.
    Object(T),
    /// The list begins anew, because the API server no longer has the revision of the first pages.
    Restarted,
}

/// Lists the pods that have not ended, and calls `each` with every pod.
///
/// # Errors
/// If the API server refuses a call or does not answer. The error says how many pods were read before.
pub async fn for_each_pod(
    client: &Client,
    filter: &PodFilter<'_>,
    each: impl FnMut(Listed<Pod>),
) -> Result<(), ClusterError> {
    /// Pods that have ended are not created again.
    const RUNNING: &str = "status.phase!=Succeeded,status.phase!=Failed";
    let path = match filter.namespace {
        Some(namespace) => format!("/api/v1/namespaces/{namespace}/pods"),
        None => "/api/v1/pods".to_owned(),
    };
    let parameters = ListParams {
        field_selector: Some(RUNNING.to_owned()),
        label_selector: filter.selector.map(str::to_owned),
        ..ListParams::default()
    };
    for_each(client, &path, "pods", parameters, each).await
}

/// Returns the labels of all namespaces, or of one.
///
/// # Errors
/// If the API server refuses the call or does not answer.
pub async fn namespace_labels(
    client: &Client,
    namespace: Option<&str>,
) -> Result<BTreeMap<String, Labels>, ClusterError> {
    const PATH: &str = "/api/v1/namespaces";
    let mut found = BTreeMap::new();
    if let Some(name) = namespace {
        let action = format!("get Namespace {name}");
        let request = Request::new(PATH).get(name, &GetParams::default());
        let request = request.map_err(|error| ClusterError::content(&action, error))?;
        let Namespace { metadata } =
            call_within(PAGE_TIMEOUT, action, client.request(request)).await?;
        found.insert(metadata.name, metadata.labels);
        return Ok(found);
    }
    let add = |listed| match listed {
        Listed::Object(Namespace { metadata }) => {
            found.insert(metadata.name, metadata.labels);
        }
        Listed::Restarted => found.clear(),
    };
    for_each(client, PATH, "namespaces", ListParams::default(), add).await?;
    Ok(found)
}

/// Number of objects in an answer of the API server, as kubectl has it.
const PAGE: u32 = 500;

/// Timeout for a page. The API server itself gives up on a list after a minute, and nobody repeats this call.
const PAGE_TIMEOUT: std::time::Duration = std::time::Duration::from_mins(1);

/// Maximum number of times that a list begins anew.
const MAX_RESTARTS: usize = 3;

/// The status of an answer if the API server no longer has the revision of a list.
const GONE: u16 = 410;

#[derive(Deserialize)]
struct Page<T> {
    metadata: PageMetadata,
    items: Option<Vec<T>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PageMetadata {
    /// Token for the next page; empty or missing on the last one.
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Namespace {
    metadata: NamespaceMetadata,
}

#[derive(Deserialize)]
struct NamespaceMetadata {
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    labels: Labels,
}

/// Lists the objects at a path page by page, and calls `each` with every object.
async fn for_each<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    what: &str,
    mut parameters: ListParams,
    mut each: impl FnMut(Listed<T>),
) -> Result<(), ClusterError> {
    parameters.limit = Some(PAGE);
    let (mut read, mut restarts) = (0_usize, 0);
    loop {
        let action = match read {
            0 => format!("list {what}"),
            read => format!("list {what} after the first {read}"),
        };
        let request = Request::new(path).list(&parameters);
        let request = request.map_err(|error| ClusterError::content(&action, error))?;
        let page: Page<T> = match call_within(PAGE_TIMEOUT, action, client.request(request)).await {
            Ok(page) => page,
            // The API server removes old revisions every five minutes.
            Err(ClusterError::Call { status: Some(GONE), .. })
                if parameters.continue_token.is_some() && restarts < MAX_RESTARTS =>
            {
                (read, restarts, parameters.continue_token) = (0, restarts + 1, None);
                each(Listed::Restarted);
                continue;
            }
            Err(error) => return Err(error),
        };
        for object in page.items.into_iter().flatten() {
            read += 1;
            each(Listed::Object(object));
        }
        let next = page.metadata.next.filter(|token| !token.is_empty());
        if next.is_some() && next == parameters.continue_token {
            let page = format!("list of {what}");
            return Err(ClusterError::content(page, "the API server repeats a page"));
        }
        match next {
            Some(token) => parameters.continue_token = Some(token),
            None => return Ok(()),
        }
    }
}

/// Reads `null` as the default value.
fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
