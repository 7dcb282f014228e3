//! The resources of the API server whose objects have images, and the discovery of custom ones.

use kube::Client;

use super::{ClusterError, call};

/// A resource in namespaces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: String,
    /// Version of the group.
    pub version: String,
    /// Name in URLs, in the plural.
    pub plural: String,
    /// Kind.
    pub kind: String,
}

impl Resource {
    /// Creates a resource.
    #[must_use]
    pub fn new(group: &str, version: &str, plural: &str, kind: &str) -> Self {
        let [group, version, plural, kind] = [group, version, plural, kind].map(str::to_owned);
        Self { group, version, plural, kind }
    }

    /// Returns the pods.
    #[must_use]
    pub fn pods() -> Self {
        Self::new("", "v1", "pods", "Pod")
    }

    /// Returns the workloads that create pods from a template.
    #[must_use]
    pub fn workloads() -> Vec<Self> {
        let apps =
            ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"].map(|kind| ("apps", kind));
        let batch = ["Job", "CronJob"].map(|kind| ("batch", kind));
        let plural = |kind: &str| format!("{}s", kind.to_lowercase());
        let all = apps.into_iter().chain(batch);
        all.map(|(group, kind)| Self::new(group, "v1", &plural(kind), kind)).collect()
    }

    /// Returns the path of the list in one namespace, or in all.
    pub(super) fn path(&self, namespace: Option<&str>) -> String {
        let Self { group, version, plural, .. } = self;
        let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        match namespace {
            Some(namespace) => format!("{root}/{version}/namespaces/{namespace}/{plural}"),
            None => format!("{root}/{version}/{plural}"),
        }
    }

    /// Returns the name for messages, such as `pods` or `deployments.apps`.
    pub(super) fn name(&self) -> String {
        match &*self.group {
            "" => self.plural.clone(),
            group => format!("{}.{group}", self.plural),
        }
    }
}

/// Returns the resources in namespaces that the API server serves, of the kinds for which `is_wanted` returns true. It
/// is called with a group and a kind. Groups are asked only if `has_group` returns true.
///
/// # Errors
/// If the API server refuses a call or does not answer.
pub async fn discover(
    client: &Client,
    has_group: impl Fn(&str) -> bool,
    is_wanted: impl Fn(&str, &str) -> bool,
) -> Result<Vec<Resource>, ClusterError> {
    let groups = call("list API groups".to_owned(), client.list_api_groups()).await?;
    let mut found = Vec::new();
    for group in groups.groups.into_iter().filter(|group| has_group(&group.name)) {
        // Any version has all objects. The preferred one is the one that the operator recommends.
        let Some(version) = group.preferred_version.or_else(|| group.versions.into_iter().next())
        else {
            continue;
        };
        let name = version.group_version;
        let action = format!("list resources of {name}");
        let listed = call(action, client.list_api_group_resources(&name)).await?;
        let is_listed = |verbs: &[String]| verbs.iter().any(|verb| verb == "list");
        // A subresource has a slash in its name.
        let resources = listed.resources.into_iter().filter(|resource| {
            resource.namespaced
                && is_listed(&resource.verbs)
                && !resource.name.contains('/')
                && is_wanted(&group.name, &resource.kind)
        });
        found.extend(resources.map(|resource| {
            Resource::new(&group.name, &version.version, &resource.name, &resource.kind)
        }));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_has_a_path_and_a_name() {
        let workloads = Resource::workloads();
        let paths: Vec<_> = workloads.iter().map(|resource| resource.path(None)).collect();
        let expected = [
            "/apis/apps/v1/deployments",
            "/apis/apps/v1/statefulsets",
            "/apis/apps/v1/daemonsets",
            "/apis/apps/v1/replicasets",
            "/apis/batch/v1/jobs",
            "/apis/batch/v1/cronjobs",
        ];
        assert_eq!(paths, expected);
        assert_eq!(Resource::pods().path(Some("shop")), "/api/v1/namespaces/shop/pods");
        assert_eq!(
            (Resource::pods().name(), workloads[0].name()),
            ("pods".into(), "deployments.apps".into())
        );
    }
}
