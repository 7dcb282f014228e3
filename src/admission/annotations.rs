//! The annotations of an object that admission reads and writes.

use super::json::{self, Read, Reader, Result, Text};

/// The annotation by which the kubelet marks the API server's copy of a static pod
/// (<https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-config-mirror>).
const MIRROR: &[u8] = b"kubernetes.io/config.mirror";

/// The annotation with the containers whose images stay unchanged: their names, separated by commas. An image volume is
/// written as `volumes/NAME`.
pub const SKIP_ANNOTATION: &str = "k8s.twr.io/imageswap-skip";

/// The annotation with the images before they were swapped: a JSON object from the name of a container, or
/// `volumes/NAME`, to its image.
pub const ORIGINAL_ANNOTATION: &str = "k8s.twr.io/imageswap-original";

/// Maximum size of all annotations of an object, in bytes. The API server refuses an object with more
/// (`TotalAnnotationSizeLimitB` in `k8s.io/apimachinery/pkg/api/validation`).
pub(super) const MAX_ANNOTATION_BYTES: usize = 256 * 1024;

/// The annotations of an object, as far as admission needs them.
#[derive(Debug, Default)]
pub(super) struct Annotations<'a> {
    /// True if the object has a JSON object of annotations, even an empty one.
    pub(super) is_present: bool,
    /// True if the object is a mirror pod.
    pub(super) is_mirror_pod: bool,
    /// The value of [`ORIGINAL_ANNOTATION`].
    pub(super) original: Text<'a>,
    /// Size of all annotations in the JSON, in bytes. The API server counts fewer.
    pub(super) bytes: usize,
    /// The value of [`SKIP_ANNOTATION`].
    pub(super) skip: Text<'a>,
}

impl<'a> Read<'a> for Annotations<'a> {
    fn read(&mut self, reader: &mut Reader<'a>, rest: &'a [u8]) -> Result<&'a [u8]> {
        *self = Self { is_present: json::is_at(rest, b'{'), ..Self::default() };
        let after = reader.object(rest, |name, reader, rest| {
            if name == SKIP_ANNOTATION.as_bytes() {
                return self.skip.read(reader, rest);
            }
            if name == ORIGINAL_ANNOTATION.as_bytes() {
                return self.original.read(reader, rest);
            }
            self.is_mirror_pod |= name == MIRROR;
            reader.skip(rest)
        })?;
        self.bytes = rest.len() - after.len();
        Ok(after)
    }
}
