//! Settings of a resolver.

/// Settings of a [`Resolver`](super::Resolver), with defaults for all of them.
#[derive(Clone, Debug)]
pub struct ResolverSettings {
    /// Registries that are never asked: `host`, which stands for all of its ports, or `host:port`. None by default.
    pub except: Vec<String>,
    /// Maximum number of answers in the cache; 10,000 by default. That is more than most clusters have images, and takes
    /// some 2 MB. With a lower number, registries are asked more often.
    pub answers: usize,
    /// Maximum number of checks that run at the same time; 128 by default. Each takes a file descriptor or two. Sixteen
    /// slow registries would have to use all of them before another one waits.
    pub checks: usize,
    /// Maximum number of checks of one registry that run at the same time; 8 by default. A pod has a few images, and a
    /// registry limits its clients.
    pub checks_per_registry: usize,
    /// Maximum number of checks that run or wait; 1,024 by default, each some 1 KB. Beyond it, images are unknown.
    pub flights: usize,
    /// Maximum number of checks of one registry that run or wait; 256 by default, so that a slow registry does not take
    /// the places of the others.
    pub flights_per_registry: usize,
    /// Maximum number of registries whose state is kept; 1,024 by default. They come from the map.
    pub registries: usize,
    /// Maximum number of images that are remembered for a warm-up; 2,000 by default, with their namespaces.
    pub images: usize,
}

impl Default for ResolverSettings {
    fn default() -> Self {
        Self {
            except: Vec::new(),
            answers: 10_000,
            checks: 128,
            checks_per_registry: 8,
            flights: 1_024,
            flights_per_registry: 256,
            registries: 1_024,
            images: 2_000,
        }
    }
}
