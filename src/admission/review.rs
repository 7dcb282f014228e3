//! The AdmissionReview: only the fields that the webhook needs, read straight from the bytes.
//!
//! The types follow `admission.k8s.io/v1`
//! (<https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>).
//! Every other field is skipped; there is no tree of the whole document.

use super::{
    annotations::Annotations,
    json::{self, Fields, JsonError, List, Object, Read, Reader, Text, WithSource, fields},
    markers::{ControllerReference, DisabledLabels, NeverPulled},
    sites::{SiteImage, Sites, TooManyImages},
};
use crate::excerpt::{MAX_VALUE_BYTES, excerpt};

/// The supported versions of the AdmissionReview. The fields that are read are the same in both.
pub const API_VERSIONS: [&str; 2] = ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"];

/// A review with a request and a uid.
#[derive(Debug)]
pub struct Review<'a> {
    request: Request<'a>,
    api_version: &'static str,
    /// The images of a custom resource; `None` unless the kind of the object has sites.
    pub(super) resource: Option<Result<ResourceImages<'a>, TooManyImages>>,
}

/// The images of a custom resource.
#[derive(Debug)]
pub(super) struct ResourceImages<'a> {
    pub(super) new: Vec<SiteImage<'a>>,
    /// The images before an update.
    pub(super) old: Vec<SiteImage<'a>>,
}

/// The error in a body that cannot be answered as a review.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// The body is not valid JSON, or a list or a text in it is too large.
    #[error("the body cannot be read as a review: {0}")]
    Json(#[from] JsonError),
    /// The body has no `request` object.
    #[error("the body has no `request` object")]
    NoRequest,
    /// The request has no `uid`.
    #[error("request.uid is missing")]
    NoUid,
    /// The version is not one of [`API_VERSIONS`]; this is an excerpt of it.
    #[error("apiVersion `{0}` is not supported")]
    UnsupportedVersion(String),
}

impl ReviewError {
    /// Returns advice for the sender of the body.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Json(_) => "post an AdmissionReview as an API server sends it",
            Self::NoRequest => "post an AdmissionReview, not the bare object",
            Self::NoUid => "send the uid that the answer has to repeat",
            Self::UnsupportedVersion(_) => "use admission.k8s.io/v1 or admission.k8s.io/v1beta1",
        }
    }
}

impl<'a> Review<'a> {
    /// Reads a review, without images at sites of custom resources.
    ///
    /// # Errors
    /// If the body is not valid JSON, has no request or no uid, or has an unknown version. A body without a version is
    /// read as `v1`.
    pub fn from_slice(body: &'a [u8]) -> Result<Self, ReviewError> {
        Document::from_slice(body)?.into_review(None)
    }

    /// Reads a review, and the images at `sites` if it is about a custom resource.
    ///
    /// # Errors
    /// As [`from_slice`](Self::from_slice).
    pub fn with_sites(body: &'a [u8], sites: &Sites) -> Result<Self, ReviewError> {
        Document::from_slice(body)?.into_review(Some(sites))
    }

    /// Returns the request.
    #[must_use]
    pub fn request(&self) -> &Request<'a> {
        &self.request
    }

    /// Returns true if the kind of the object has sites, so that only these are images.
    #[must_use]
    pub fn has_sites(&self) -> bool {
        self.resource.is_some()
    }

    /// Returns the version of the review, which the answer has to use too.
    #[must_use]
    pub fn api_version(&self) -> &'static str {
        self.api_version
    }
}

/// A review that is not validated yet.
#[derive(Debug)]
pub struct Document<'a>(Object<Envelope<'a>>);

#[derive(Debug, Default)]
struct Envelope<'a> {
    api_version: Text<'a>,
    request: Object<Request<'a>>,
}

impl<'a> Document<'a> {
    /// Reads a document of any shape.
    ///
    /// # Errors
    /// If the body is not valid JSON.
    pub fn from_slice(body: &'a [u8]) -> Result<Self, JsonError> {
        json::from_slice(body).map(Self)
    }

    fn into_review(self, sites: Option<&Sites>) -> Result<Review<'a>, ReviewError> {
        let fields = self.0.into_inner().ok_or(ReviewError::NoRequest)?;
        let api_version = match fields.api_version.get() {
            None => API_VERSIONS[0],
            Some(found) => {
                API_VERSIONS.into_iter().find(|version| *version == found).ok_or_else(|| {
                    ReviewError::UnsupportedVersion(excerpt(found, MAX_VALUE_BYTES).into_owned())
                })?
            }
        };
        let request = fields.request.into_inner().ok_or(ReviewError::NoRequest)?;
        match request.uid.get() {
            None | Some("") => Err(ReviewError::NoUid),
            Some(_) => {
                let resource = sites.and_then(|sites| request.images_at(sites));
                Ok(Review { request, api_version, resource })
            }
        }
    }
}

/// The request of a review.
#[derive(Debug, Default)]
pub struct Request<'a> {
    pub(super) uid: Text<'a>,
    pub(super) kind: Object<GroupVersionKind<'a>>,
    pub(super) namespace: Text<'a>,
    pub(super) name: Text<'a>,
    pub(super) operation: Text<'a>,
    pub(super) object: WithSource<'a, Workload<'a>>,
    pub(super) old_object: WithSource<'a, Workload<'a>>,
}

impl<'a> Request<'a> {
    /// Returns the images at `sites`; `None` if the kind of the object has none, or the object is in no namespace.
    fn images_at(&self, sites: &Sites) -> Option<Result<ResourceImages<'a>, TooManyImages>> {
        // Pods have no group.
        let group = self.kind.get()?.group.get().filter(|group| !group.is_empty())?;
        let images = |object: &WithSource<'a, Workload<'a>>| {
            sites.images(group, self.kind(), object.source())
        };
        let new = images(&self.object)?;
        // The selector for namespaces does not apply to other objects, so nobody has asked for them.
        if self.namespace().is_empty() {
            return None;
        }
        let old = images(&self.old_object).unwrap_or(Ok(Vec::new()));
        Some(new.and_then(|new| Ok(ResourceImages { new, old: old? })))
    }
}

impl Request<'_> {
    /// Returns the request's uid, which the answer has to repeat.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.uid.get().unwrap_or_default()
    }

    /// Returns the namespace of the object; empty if it has none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.namespace.get().unwrap_or_default()
    }

    /// Returns the name of the object; empty if the API server generates it later.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.get().unwrap_or_default()
    }

    /// Returns the kind of the object, as in the request.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.kind.get().and_then(|kind| kind.kind.get()).unwrap_or_default()
    }

    /// Returns the operation, as in the request.
    #[must_use]
    pub fn operation(&self) -> &str {
        self.operation.get().unwrap_or_default()
    }
}

#[derive(Debug, Default)]
pub(super) struct GroupVersionKind<'a> {
    group: Text<'a>,
    kind: Text<'a>,
}

/// An object that may contain a pod: the union of all locations of pods.
#[derive(Debug, Default)]
pub(super) struct Workload<'a> {
    pub(super) metadata: Object<Metadata<'a>>,
    pub(super) spec: Object<WorkloadSpec<'a>>,
    /// The pod of a PodTemplate.
    pub(super) template: Object<PodTemplate<'a>>,
}

#[derive(Debug, Default)]
pub(super) struct Metadata<'a> {
    pub(super) labels: DisabledLabels,
    pub(super) annotations: Annotations<'a>,
    pub(super) controller: ControllerReference,
}

/// The `spec` of a pod, of a workload with a pod template, or of a cron job.
#[derive(Debug, Default)]
pub(super) struct WorkloadSpec<'a> {
    pub(super) containers: List<Container<'a>>,
    pub(super) init_containers: List<Container<'a>>,
    pub(super) ephemeral_containers: List<Container<'a>>,
    pub(super) volumes: List<Volume<'a>>,
    pub(super) pull_secrets: List<LocalReference<'a>>,
    pub(super) template: Object<PodTemplate<'a>>,
    pub(super) job_template: Object<JobTemplate<'a>>,
}

#[derive(Debug, Default)]
pub(super) struct JobTemplate<'a> {
    pub(super) metadata: Object<Metadata<'a>>,
    pub(super) spec: Object<JobSpec<'a>>,
}

#[derive(Debug, Default)]
pub(super) struct JobSpec<'a> {
    pub(super) template: Object<PodTemplate<'a>>,
}

#[derive(Debug, Default)]
pub(super) struct PodTemplate<'a> {
    pub(super) metadata: Object<Metadata<'a>>,
    pub(super) spec: Object<PodSpec<'a>>,
}

#[derive(Debug, Default)]
pub(super) struct PodSpec<'a> {
    pub(super) containers: List<Container<'a>>,
    pub(super) init_containers: List<Container<'a>>,
    pub(super) ephemeral_containers: List<Container<'a>>,
    pub(super) volumes: List<Volume<'a>>,
}

/// A reference to an object in the namespace of the pod.
#[derive(Debug, Default)]
pub(super) struct LocalReference<'a> {
    pub(super) name: Text<'a>,
}

#[derive(Debug, Default)]
pub(super) struct Container<'a> {
    pub(super) name: Text<'a>,
    pub(super) image: Text<'a>,
    pub(super) pull_policy: NeverPulled,
}

#[derive(Debug, Default)]
pub(super) struct Volume<'a> {
    pub(super) name: Text<'a>,
    pub(super) image: Object<ImageVolume<'a>>,
}

/// A volume made from an image (KEP-4639).
#[derive(Debug, Default)]
pub(super) struct ImageVolume<'a> {
    pub(super) reference: Text<'a>,
    pub(super) pull_policy: NeverPulled,
}

fields! {
    Envelope { b"apiVersion" => api_version, b"request" => request }
    Request {
        b"uid" => uid,
        b"kind" => kind,
        b"namespace" => namespace,
        b"name" => name,
        b"operation" => operation,
        b"object" => object,
        b"oldObject" => old_object,
    }
    GroupVersionKind { b"group" => group, b"kind" => kind }
    Workload { b"metadata" => metadata, b"spec" => spec, b"template" => template }
    Metadata {
        b"labels" => labels,
        b"annotations" => annotations,
        b"ownerReferences" => controller,
    }
    WorkloadSpec {
        b"containers" => containers,
        b"initContainers" => init_containers,
        b"ephemeralContainers" => ephemeral_containers,
        b"volumes" => volumes,
        b"imagePullSecrets" => pull_secrets,
        b"template" => template,
        b"jobTemplate" => job_template,
    }
    JobTemplate { b"metadata" => metadata, b"spec" => spec }
    JobSpec { b"template" => template }
    PodTemplate { b"metadata" => metadata, b"spec" => spec }
    PodSpec {
        b"containers" => containers,
        b"initContainers" => init_containers,
        b"ephemeralContainers" => ephemeral_containers,
        b"volumes" => volumes,
    }
    LocalReference { b"name" => name }
    Container { b"name" => name, b"image" => image, b"imagePullPolicy" => pull_policy }
    Volume { b"name" => name, b"image" => image }
    ImageVolume { b"reference" => reference, b"pullPolicy" => pull_policy }
}
