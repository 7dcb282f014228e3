//! A MutatingAdmissionPolicy with its binding: the map in CEL, which the API server evaluates without a webhook.
//!
//! `tables` turns the rules into literals of CEL, and `policy` has the expressions that search them. The expressions are
//! the same for every map.
//!
//! The policy makes no records: it has no metrics, warnings or annotations. It knows no maps of namespaces.

mod cel;
mod policy;
mod tables;

use self::tables::Tables;
use super::{Exported, ExportedFile, Remark, shown};
use crate::{
    admission::Scope,
    closed_enum::closed_enum,
    rules::{PullSecret, RuleSet},
};

/// Maximum number of rules.
///
/// In the worst case an image is compared with each rule, and with each target. With these maximums, pods of
/// [`MAX_CONTAINERS`] containers stay within the limits of the API server, which `tests/cluster` shows. Otherwise they
/// may exceed the 1,000,000 units for an expression (`PerCallLimit` in `k8s.io/apiserver/pkg/apis/cel`).
pub const MAX_RULES: usize = 500;

/// Maximum number of `[REPLACE]` rules.
pub const MAX_GLOBS: usize = 50;

/// Maximum size of the regular expressions of all globs in bytes.
///
/// Matching costs a fortieth of the product of both lengths: 800,000 for 64 images of 250 characters.
pub const MAX_GLOB_BYTES: usize = 2000;

/// Maximum number of substrings of `noswap_wildcards`.
pub const MAX_SUBSTRINGS: usize = 100;

/// Maximum size of all substrings of `noswap_wildcards` in bytes.
///
/// Searching costs a hundredth of the product of both lengths.
pub const MAX_SUBSTRING_BYTES: usize = 2000;

/// Number of containers and image volumes of a pod that a map of the maximum size leaves room for, if the images have
/// up to 250 characters.
pub const MAX_CONTAINERS: usize = 64;

/// Maximum length of an expression in characters (`expressionSizeCodePointLimit` in `github.com/google/cel-go/parser`).
const MAX_EXPRESSION_CHARACTERS: usize = 100_000;

closed_enum! {
    /// The version of the API of a MutatingAdmissionPolicy.
    pub enum ApiVersion {
        /// Since Kubernetes 1.36.
        V1 => "v1",
        /// In Kubernetes 1.33 to 1.35, behind a feature gate. The policy needs 1.33.
        V1Alpha1 => "v1alpha1",
        /// In Kubernetes 1.34 and 1.35, behind a feature gate.
        V1Beta1 => "v1beta1",
    }
}

closed_enum! {
    /// The consequence of an expression that fails, as when a pod has too many images.
    pub enum FailurePolicy {
        /// The request is refused.
        Fail => "Fail",
        /// The object keeps its images.
        Ignore => "Ignore",
    }
}

/// The settings of a policy, besides the map.
#[derive(Clone, Debug)]
pub struct PolicySettings {
    /// The version of the API.
    pub api_version: ApiVersion,
    /// The consequence of an expression that fails.
    pub failure_policy: FailurePolicy,
    /// The settings that decide which images of a pod are rewritten.
    pub scope: Scope,
}

/// The reason why no policy can express a map.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A list of the map has too many entries.
    #[error(
        "the map has {found} {what}, and a policy has room for {maximum}: the API server limits the cost of expressions"
    )]
    TooMany {
        /// The kind of the entries.
        what: &'static str,
        /// Their number.
        found: usize,
        /// The maximum number.
        maximum: usize,
    },
    /// An expression is too long.
    #[error(
        "the variable `{variable}` of the policy has {characters} characters; CEL allows {MAX_EXPRESSION_CHARACTERS}"
    )]
    TooLong {
        /// The name of the variable.
        variable: &'static str,
        /// The length of its expression.
        characters: usize,
    },
}

/// Exports a map. `source` names it in a comment.
///
/// # Errors
/// If the map is too large for a policy.
pub fn export(
    rules: &RuleSet,
    source: &str,
    settings: &PolicySettings,
) -> Result<Exported, PolicyError> {
    let tables = Tables::new(rules);
    let [globs, glob_bytes] = tables.glob_sizes();
    let [substrings, substring_bytes] = tables.substrings();
    for (what, found, maximum) in [
        ("rules", rules.rules().len(), MAX_RULES),
        ("[REPLACE] rules", globs, MAX_GLOBS),
        ("bytes in the regular expressions of [REPLACE] rules", glob_bytes, MAX_GLOB_BYTES),
        ("substrings in noswap_wildcards", substrings, MAX_SUBSTRINGS),
        ("bytes in the substrings of noswap_wildcards", substring_bytes, MAX_SUBSTRING_BYTES),
    ] {
        if found > maximum {
            return Err(PolicyError::TooMany { what, found, maximum });
        }
    }
    let variables = policy::variables(&tables, &settings.scope);
    for variable in &variables {
        let characters = variable.expression.chars().count();
        if characters > MAX_EXPRESSION_CHARACTERS {
            return Err(PolicyError::TooLong { variable: variable.name, characters });
        }
    }
    let text = policy::manifest(&variables, &shown(source), settings);
    let file = ExportedFile { path: "imageswap-policy.yaml".to_owned(), text };
    let left_out = rules.pull_secrets().lines().iter().map(left_out_secret).collect();
    Ok(Exported { files: vec![file], left_out, notes: Vec::new() })
}

fn left_out_secret(secret: &PullSecret) -> Remark {
    Remark {
        line: secret.line,
        key: shown(&format!("{}{}", PullSecret::KEY, secret.prefix)),
        text: "the policy adds no pull secrets; add them to the service accounts".to_owned(),
    }
}
