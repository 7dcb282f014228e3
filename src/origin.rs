//! The origin of a value, for log and error messages.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// The origin of a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// A default in the program.
    BuiltIn,
    /// A file or directory.
    File(PathBuf),
    /// A value that the program generated at run time, such as a self-signed certificate.
    Generated,
    /// A Secret, or a key of a Secret.
    Secret {
        /// The namespace of the Secret.
        namespace: String,
        /// The name of the Secret.
        name: &'static str,
        /// The key; `None` for the Secret as a whole.
        key: Option<&'static str>,
    },
    /// The answer to a CertificateSigningRequest.
    SignedRequest,
}

impl Origin {
    /// Returns the origin of an entry: a file in a directory, or a key of a Secret.
    #[must_use]
    pub fn entry(&self, entry: &'static str) -> Self {
        match self {
            Self::File(directory) => Self::File(directory.join(entry)),
            Self::Secret { namespace, name, .. } => {
                Self::Secret { namespace: namespace.clone(), name, key: Some(entry) }
            }
            Self::BuiltIn | Self::Generated | Self::SignedRequest => self.clone(),
        }
    }

    /// Returns the file or directory; `None` for other origins.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(file) => Some(file),
            _ => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => formatter.write_str("built-in"),
            Self::File(file) => file.display().fmt(formatter),
            Self::Generated => formatter.write_str("generated"),
            Self::Secret { namespace, name, key: None } => {
                write!(formatter, "Secret {namespace}/{name}")
            }
            Self::Secret { namespace, name, key: Some(key) } => {
                write!(formatter, "Secret {namespace}/{name}, {key}")
            }
            Self::SignedRequest => formatter.write_str("the signed request"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_names_its_file_or_key() {
        let secret =
            Origin::Secret { namespace: "ns".to_owned(), name: "imageswap-tls", key: None };
        assert_eq!(secret.to_string(), "Secret ns/imageswap-tls");
        assert_eq!(secret.entry("cert.pem").to_string(), "Secret ns/imageswap-tls, cert.pem");
        let directory = Origin::File("/tls".into());
        assert_eq!(directory.entry("cert.pem").to_string(), "/tls/cert.pem");
    }
}
