//! The images of an object: their locations, and those that a request introduces.

use std::{collections::HashMap, fmt};

use foldhash::fast::RandomState;

use super::{
    ImageName,
    json::List,
    review::{Container, LocalReference, Metadata, Volume, Workload},
};
use crate::closed_enum::closed_enum;

closed_enum! {
    /// The kind of a workload, as far as the location of its pod and the metrics depend on it.
    pub enum Kind {
        /// `batch` CronJob.
        CronJob => "CronJob",
        /// `apps` DaemonSet.
        DaemonSet => "DaemonSet",
        /// `apps` Deployment.
        Deployment => "Deployment",
        /// `batch` Job.
        Job => "Job",
        /// Any other kind. Its images, if any, are in `spec.template.spec`, as in an Argo Rollout.
        Other => "other",
        /// Core Pod.
        Pod => "Pod",
        /// Core PodTemplate.
        PodTemplate => "PodTemplate",
        /// `apps` ReplicaSet.
        ReplicaSet => "ReplicaSet",
        /// Core ReplicationController.
        ReplicationController => "ReplicationController",
        /// `apps` StatefulSet.
        StatefulSet => "StatefulSet",
    }
}

impl Kind {
    pub(super) fn parse(name: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).unwrap_or(Self::Other)
    }

    /// Returns the JSON Pointer to the pod's spec in an object of this kind.
    #[must_use]
    pub fn pod_spec_pointer(self) -> &'static str {
        match self {
            Self::CronJob => "/spec/jobTemplate/spec/template/spec",
            Self::Pod => "/spec",
            Self::PodTemplate => "/template/spec",
            _ => "/spec/template/spec",
        }
    }
}

/// The pod in an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pod<'r, 'a> {
    containers: &'r List<Container<'a>>,
    init_containers: &'r List<Container<'a>>,
    ephemeral_containers: &'r List<Container<'a>>,
    volumes: &'r List<Volume<'a>>,
    /// The pull secrets; `None` for a pod template.
    pub(super) pull_secrets: Option<&'r List<LocalReference<'a>>>,
    /// The metadata of the pod template; `None` for a Pod, which has no template.
    pub(super) template_metadata: Option<&'r Metadata<'a>>,
    /// The metadata of the job template; `None` unless the object is a CronJob.
    pub(super) job_metadata: Option<&'r Metadata<'a>>,
    pointer: &'static str,
}

/// The location of an image in a pod, or in the pod template of an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PodLocation {
    pointer: &'static str,
    field: Field,
    index: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Field {
    Containers,
    EphemeralContainers,
    InitContainers,
    Volumes,
}

impl PodLocation {
    /// Appends the JSON Pointer (RFC 6901) to the image.
    pub(super) fn append_to(&self, text: &mut String) {
        let (list, image) = match self.field {
            Field::Containers => ("/containers/", "/image"),
            Field::EphemeralContainers => ("/ephemeralContainers/", "/image"),
            Field::InitContainers => ("/initContainers/", "/image"),
            Field::Volumes => ("/volumes/", "/image/reference"),
        };
        let mut index = itoa::Buffer::new();
        for piece in [self.pointer, list, index.format(self.index), image] {
            text.push_str(piece);
        }
    }
}

impl fmt::Display for PodLocation {
    /// Writes the JSON Pointer (RFC 6901) to the image.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.append_to(&mut text);
        formatter.write_str(&text)
    }
}

/// An image of a pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct PodImage<'r> {
    pub(super) location: PodLocation,
    /// The name of the container or volume.
    name: &'r str,
    pub(super) text: &'r str,
    /// True if the pull policy is `Never`: the node uses the image that it has under this name.
    pub(super) is_never_pulled: bool,
}

impl<'r> PodImage<'r> {
    /// Returns the name of the container or volume.
    pub(super) fn name(&self) -> ImageName<'r> {
        match self.location.field.group() {
            Group::Containers | Group::EphemeralContainers => ImageName::Container(self.name),
            Group::Volumes => ImageName::Volume(self.name),
        }
    }
}

impl<'r, 'a> Pod<'r, 'a> {
    /// Returns the pod of an object; `None` if the object contains no pod.
    pub(super) fn of(workload: &'r Workload<'a>, kind: Kind) -> Option<Self> {
        let pointer = kind.pod_spec_pointer();
        let mut job_metadata = None;
        let template = match kind {
            Kind::Pod => {
                let spec = workload.spec.get()?;
                return Some(Self {
                    containers: &spec.containers,
                    init_containers: &spec.init_containers,
                    ephemeral_containers: &spec.ephemeral_containers,
                    volumes: &spec.volumes,
                    pull_secrets: Some(&spec.pull_secrets),
                    template_metadata: None,
                    job_metadata: None,
                    pointer,
                });
            }
            Kind::CronJob => {
                let job = workload.spec.get()?.job_template.get()?;
                job_metadata = job.metadata.get();
                &job.spec.get()?.template
            }
            Kind::PodTemplate => &workload.template,
            _ => &workload.spec.get()?.template,
        };
        let template = template.get()?;
        let spec = template.spec.get()?;
        Some(Self {
            containers: &spec.containers,
            init_containers: &spec.init_containers,
            ephemeral_containers: &spec.ephemeral_containers,
            volumes: &spec.volumes,
            pull_secrets: None,
            template_metadata: template.metadata.get(),
            job_metadata,
            pointer,
        })
    }

    /// Returns the images that a request introduces.
    ///
    /// Without an `old` pod, these are all images. Otherwise they are the images that differ from the image of the
    /// container or volume of the same name in the old pod. An ephemeral container cannot change, so only new names
    /// count.
    pub(super) fn introduced(self, old: Option<Pod<'r, 'a>>) -> impl Iterator<Item = PodImage<'r>> {
        let mut old = old.map(OldImages::new);
        self.images().filter(move |image| old.as_mut().is_none_or(|old| !old.has(image)))
    }

    /// Returns all images.
    pub(super) fn images(self) -> impl Iterator<Item = PodImage<'r>> {
        let containers = [
            (Field::InitContainers, self.init_containers),
            (Field::Containers, self.containers),
            (Field::EphemeralContainers, self.ephemeral_containers),
        ];
        let containers = containers.into_iter().flat_map(move |(field, list)| {
            list.iter().filter_map(move |(index, container)| {
                let name = container.name.get().unwrap_or_default();
                let text = container.image.get()?;
                let location = PodLocation { pointer: self.pointer, field, index };
                let is_never_pulled = container.pull_policy.is_set();
                Some(PodImage { location, name, text, is_never_pulled })
            })
        });
        let volumes = self.volumes.iter().filter_map(move |(index, volume)| {
            let name = volume.name.get().unwrap_or_default();
            let image = volume.image.get()?;
            let text = image.reference.get()?;
            let location = PodLocation { pointer: self.pointer, field: Field::Volumes, index };
            Some(PodImage { location, name, text, is_never_pulled: image.pull_policy.is_set() })
        });
        containers.chain(volumes)
    }
}

/// The images of the pod before an update.
struct OldImages<'r, 'a> {
    pod: Pod<'r, 'a>,
    /// The images by group and name. Created when the first container or volume has another position than before.
    by_name: Option<HashMap<(Group, &'r str), &'r str, RandomState>>,
}

/// A group of lists with unique names. A container may move from one list of its group to another.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
enum Group {
    Containers,
    EphemeralContainers,
    Volumes,
}

impl Field {
    fn group(self) -> Group {
        match self {
            Self::Containers | Self::InitContainers => Group::Containers,
            Self::EphemeralContainers => Group::EphemeralContainers,
            Self::Volumes => Group::Volumes,
        }
    }
}

impl<'r, 'a> OldImages<'r, 'a> {
    fn new(pod: Pod<'r, 'a>) -> Self {
        Self { pod, by_name: None }
    }

    /// Returns true if the pod had the image before.
    fn has(&mut self, image: &PodImage<'r>) -> bool {
        let group = image.location.field.group();
        self.text(image, group)
            .is_some_and(|text| text == image.text || group == Group::EphemeralContainers)
    }

    fn text(&mut self, image: &PodImage<'r>, group: Group) -> Option<&'r str> {
        if let Some((name, text)) = self.in_same_position(image.location)
            && name == image.name
        {
            return Some(text);
        }
        let pod = self.pod;
        let by_name = self.by_name.get_or_insert_with(|| {
            pod.images()
                .map(|image| ((image.location.field.group(), image.name), image.text))
                .collect()
        });
        by_name.get(&(group, image.name)).copied()
    }

    fn in_same_position(&self, location: PodLocation) -> Option<(&'r str, &'r str)> {
        let list = match location.field {
            Field::Containers => self.pod.containers,
            Field::EphemeralContainers => self.pod.ephemeral_containers,
            Field::InitContainers => self.pod.init_containers,
            Field::Volumes => {
                let volume = self.pod.volumes.at(location.index)?;
                return Some((volume.name.get()?, volume.image.get()?.reference.get()?));
            }
        };
        let container = list.at(location.index)?;
        Some((container.name.get()?, container.image.get()?))
    }
}
