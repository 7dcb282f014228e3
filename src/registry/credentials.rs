//! Credentials for registries, from a docker config file.
//!
//! Nothing here shows a credential: types that hold one have a `Debug` without it, and errors name fields only.

mod docker_config;
mod pattern;

use std::fmt;

use self::{docker_config::parse, pattern::Pattern};

/// Credentials for registries. Without any, registries are asked anonymously.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// In the order in which they are compared: the longest pattern first.
    entries: Vec<(Pattern, Credential)>,
}

/// An error for which a docker config file is refused. It quotes nothing of the file but names of registries.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CredentialsError {
    /// A field has a value that cannot be used.
    #[error("{field}: expected {expected}")]
    Field {
        /// The path of the field.
        field: String,
        /// The values that the field can have.
        expected: &'static str,
    },
    /// The text is not valid JSON.
    #[error("line {line}, column {column}: not valid JSON")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// The file is too large.
    #[error("larger than {} KiB", Credentials::MAX_BYTES / 1024)]
    Size,
}

/// A credential for a registry.
#[derive(Clone, Eq, PartialEq)]
pub(super) enum Credential {
    /// A user and a password.
    Basic {
        /// The name of the user.
        username: String,
        /// The password.
        password: String,
    },
    /// A token from which a token server makes others.
    IdentityToken {
        /// The token.
        token: String,
    },
    /// A token for the registry itself.
    RegistryToken {
        /// The token.
        token: String,
    },
    /// There is one, but it cannot be used, for example because a credential helper has it. The registry could say to an
    /// anonymous client that it does not have an image.
    Unusable,
}

impl Credentials {
    /// Maximum size of a docker config file in bytes. It is that of a Secret in Kubernetes.
    pub const MAX_BYTES: usize = 1024 * 1024;

    /// Parses a docker config file. Also returns the problems for which the file is not refused.
    ///
    /// # Errors
    /// If the text is too large, is not valid JSON, or has not the shape of a docker config file.
    pub fn parse(text: &[u8]) -> Result<(Self, Vec<String>), CredentialsError> {
        if text.len() > Self::MAX_BYTES {
            return Err(CredentialsError::Size);
        }
        let (mut entries, problems) = parse(text)?;
        // The sort is stable, so of equal patterns the first one is used.
        entries.sort_by_key(|(pattern, _)| pattern.order());
        Ok((Self { entries }, problems))
    }

    /// Returns the number of credentials.
    #[must_use]
    pub fn len(&self) -> usize {
        let is_usable = |entry: &&(Pattern, Credential)| entry.1 != Credential::Unusable;
        self.entries.iter().filter(is_usable).count()
    }

    /// Returns true if there are no credentials.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the credential for a repository of a registry. Of several, it is that with the longest pattern.
    pub(super) fn find(&self, registry: &str, repository: &str) -> Option<&Credential> {
        let found = self.entries.iter().find(|(pattern, _)| pattern.matches(registry, repository));
        found.map(|(_, credential)| credential)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Basic { .. } => "Basic",
            Self::IdentityToken { .. } => "IdentityToken",
            Self::RegistryToken { .. } => "RegistryToken",
            Self::Unusable => "Unusable",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Credential {
        Credential::Basic { username: name.into(), password: "p".into() }
    }

    #[test]
    fn the_longest_pattern_wins() {
        let config = br#"{"auths": {
            "h.io": {"username": "host", "password": "p"},
            "https://h.io/team/": {"username": "team", "password": "p"},
            "h.io/team/app": {"username": "app", "password": "p"},
            "*.h.io": {"username": "glob", "password": "p"},
            "a.h.io": {"username": "a", "password": "p"},
            "https://v1.io:5000/v1/": {"username": "v1", "password": "p"},
            "https://index.docker.io/v1/": {"username": "hub", "password": "p"}
        }}"#;
        let (credentials, problems) = Credentials::parse(config).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(credentials.len(), 7);
        for (registry, repository, expected) in [
            ("h.io", "app", Some("host")),
            ("h.io", "team/other", Some("team")),
            ("h.io", "team/app", Some("app")),
            ("a.h.io", "x", Some("a")),
            ("b.h.io", "x", Some("glob")),
            ("b.c.h.io", "x", None),
            ("h.io:443", "x", None),
            ("v1.io:5000", "x", Some("v1")),
            ("v1.io", "x", None),
            ("docker.io", "library/nginx", Some("hub")),
            ("other.io", "x", None),
        ] {
            let found = credentials.find(registry, repository).cloned();
            assert_eq!(found, expected.map(user), "{registry}/{repository}");
        }
    }

    #[test]
    fn a_large_file_is_refused() {
        let text = vec![b' '; Credentials::MAX_BYTES + 1];
        let error = Credentials::parse(&text).unwrap_err();
        assert_eq!(error.to_string(), "larger than 1024 KiB");
    }
}
