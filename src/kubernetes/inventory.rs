//! The objects of a cluster that have images, and the labels of namespaces.
//!
//! Deliberately absent: watches, writes and Secrets.

use std::collections::BTreeMap;

use kube::{
    Client,
    api::{GetParams, ListParams, Request},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};
use serde_json::value::RawValue;

use super::{ClusterError, Resource, call_within};

/// Labels or annotations of an object.
pub type Labels = BTreeMap<String, String>;

/// An object with images.
#[derive(Debug)]
pub struct Object {
    /// Name, namespace, labels and owners.
    pub metadata: ObjectMetadata,
    /// The whole object in JSON.
    pub text: Box<RawValue>,
}

/// The metadata of an object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ObjectMetadata {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Labels.
    #[serde(deserialize_with = "or_default")]
    pub labels: Labels,
    /// Owners.
    #[serde(deserialize_with = "or_default")]
    pub owner_references: Vec<Owner>,
}

/// An owner of an object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Owner {
    /// API group and version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// True if the owner manages the object.
    #[serde(deserialize_with = "or_default")]
    pub controller: bool,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Head {
            metadata: ObjectMetadata,
        }
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let head: Head = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        Ok(Self { metadata: head.metadata, text })
    }
}

/// Objects to list.
#[derive(Clone, Debug, Default)]
pub struct ObjectFilter<'a> {
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

/// Lists the objects of a resource, and calls `each` with every one. Pods that have ended are left out.
///
/// # Errors
/// If the API server refuses a call or does not answer. The error says how many objects were read before.
pub async fn for_each_object(
    client: &Client,
    resource: &Resource,
    filter: &ObjectFilter<'_>,
    each: impl FnMut(Listed<Object>),
) -> Result<(), ClusterError> {
    /// Pods that have ended are not created again.
    const RUNNING: &str = "status.phase!=Succeeded,status.phase!=Failed";
    let parameters = ListParams {
        field_selector: (*resource == Resource::pods()).then(|| RUNNING.to_owned()),
        label_selector: filter.selector.map(str::to_owned),
        ..ListParams::default()
    };
    let path = resource.path(filter.namespace);
    for_each(client, &path, &resource.name(), parameters, each).await
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
