//! The images of the object of a review, in a pod or at the sites of a custom resource.

use std::collections::HashSet;

use super::{
    ImageName, Kind, Location, Operation, Review,
    pod::{Pod, PodImage},
    review::{Metadata, ResourceImages, Workload},
    sites::{SiteImage, TooManyImages},
};

/// Returns all images of the object of a review, also those that no plan would change.
///
/// There are none if the object has no place for images, or too many of them.
#[must_use]
pub fn images_of<'r>(review: &'r Review<'_>) -> Vec<&'r str> {
    let object = review.request().object.get();
    match object.and_then(|object| Images::of(review, object, kind_of(review))) {
        Some(Images::Pod(pod)) => pod.images().map(|image| image.text).collect(),
        Some(Images::Sites(Ok(images))) => images.new.iter().map(|image| &*image.text).collect(),
        Some(Images::Sites(Err(TooManyImages))) | None => Vec::new(),
    }
}

/// Returns all images of the object before an update; none unless the review is about an update.
pub(super) fn stored_images_of<'r>(review: &'r Review<'_>) -> HashSet<&'r str> {
    let request = review.request();
    if Operation::parse(request.operation()) != Operation::Update {
        return HashSet::new();
    }
    if let Some(Ok(images)) = &review.resource {
        return images.old.iter().map(|image| &*image.text).collect();
    }
    let object = request.old_object.get();
    let pod = object.and_then(|object| Pod::of(object, kind_of(review)));
    pod.into_iter().flat_map(Pod::images).map(|image| image.text).collect()
}

/// Returns the kind of the object of a review.
pub(super) fn kind_of(review: &Review<'_>) -> Kind {
    match review.resource {
        // A custom resource may have the kind `Pod` or `Job` of another group.
        Some(_) => Kind::Other,
        None => Kind::parse(review.request().kind()),
    }
}

/// The images of an object.
#[derive(Clone, Copy)]
pub(super) enum Images<'r> {
    Pod(Pod<'r, 'r>),
    Sites(Result<&'r ResourceImages<'r>, TooManyImages>),
}

/// An image of an object.
#[derive(Clone, Copy)]
pub(super) struct Image<'r> {
    pub(super) location: Location<'r>,
    pub(super) name: ImageName<'r>,
    pub(super) text: &'r str,
    /// True if the pull policy is `Never`: the node uses the image that it has under this name.
    pub(super) is_never_pulled: bool,
}

impl<'r> Images<'r> {
    /// Returns the images of the object of a review; `None` if it has no place for images.
    pub(super) fn of(review: &'r Review<'_>, object: &'r Workload<'_>, kind: Kind) -> Option<Self> {
        match &review.resource {
            Some(images) => Some(Self::Sites(images.as_ref().map_err(|error| *error))),
            None => Pod::of(object, kind).map(Self::Pod),
        }
    }

    /// Returns the metadata that may exclude images: those of the object, and of the templates in it.
    pub(super) fn described_by(
        self,
        object: Option<&'r Metadata<'r>>,
    ) -> impl Iterator<Item = &'r Metadata<'r>> + Clone {
        let templates = match self {
            Self::Pod(pod) => [pod.template_metadata, pod.job_metadata],
            Self::Sites(_) => [None, None],
        };
        [object].into_iter().chain(templates).flatten()
    }
}

impl<'r> From<PodImage<'r>> for Image<'r> {
    fn from(image: PodImage<'r>) -> Self {
        let (name, PodImage { location, text, is_never_pulled, .. }) = (image.name(), image);
        Self { location: Location::Pod(location), name, text, is_never_pulled }
    }
}

impl<'r> From<&'r SiteImage<'_>> for Image<'r> {
    fn from(image: &'r SiteImage<'_>) -> Self {
        let SiteImage { pointer, text, is_never_pulled, .. } = image;
        let (location, name) = (Location::Site(pointer), ImageName::Site(pointer));
        Self { location, name, text, is_never_pulled: *is_never_pulled }
    }
}
