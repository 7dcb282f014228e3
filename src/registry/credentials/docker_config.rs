//! Reads a docker config file.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hyper::header::HeaderValue;
use serde_json::{Map, Value};

use super::{Credential, CredentialsError, pattern::Pattern};
use crate::excerpt::{MAX_VALUE_BYTES, excerpt};

/// Base64 with or without padding: docker writes it, other programs do not always.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Maximum number of problems that are named.
const MAX_PROBLEMS: usize = 10;

/// The entries of a file, and the problems for which it is not refused.
type Parsed = (Vec<(Pattern, Credential)>, Vec<String>);

/// Parses a docker config file.
pub(super) fn parse(text: &[u8]) -> Result<Parsed, CredentialsError> {
    // Not into a type: errors of serde quote values.
    let file: Value = serde_json::from_slice(text)
        .map_err(|error| CredentialsError::Json { line: error.line(), column: error.column() })?;
    let file = object(&file, || "the file".to_owned())?;
    let mut problems = unsupported(file);
    let mut entries = Vec::new();
    let none = Value::Object(Map::new());
    let auths = file.get("auths").filter(|auths| !auths.is_null()).unwrap_or_else(|| {
        problems.push("auths: missing, so there are no credentials".to_owned());
        &none
    });
    for (key, entry) in object(auths, || "auths".to_owned())? {
        let Some(pattern) = Pattern::parse(key) else {
            // The key is not quoted, because it may name a user with a password.
            problems.push(
                "auths: a key is not a registry such as registry.example.com; its entry is ignored"
                    .to_owned(),
            );
            continue;
        };
        let place = format!("auths[\"{}\"]", excerpt(key, MAX_VALUE_BYTES));
        match credential(object(entry, || place.clone())?, &place)? {
            Some(credential) => entries.push((pattern, credential)),
            None => {
                problems.push(format!(
                    "{place}: no credential, because auth, username, identitytoken and registrytoken are empty"
                ));
                entries.push((pattern, Credential::Unusable));
            }
        }
    }
    // After the others, which count more.
    let helpers = file.get("credHelpers").and_then(Value::as_object).into_iter().flatten();
    let patterns = helpers.filter_map(|(key, _)| Pattern::parse(key));
    entries.extend(patterns.map(|pattern| (pattern, Credential::Unusable)));
    problems.truncate(MAX_PROBLEMS);
    Ok((entries, problems))
}

/// Returns problems about fields that name programs with credentials.
fn unsupported(file: &Map<String, Value>) -> Vec<String> {
    let is_set = |field: &&str| match file.get(*field) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        Some(_) => true,
    };
    let fields = ["credHelpers", "credsStore"].into_iter().filter(is_set);
    let problem = |field| {
        format!(
            "{field}: credential helpers are not supported; write the credentials to auths, for example by `kubectl create secret docker-registry`"
        )
    };
    fields.map(problem).collect()
}

fn object(
    value: &Value,
    field: impl FnOnce() -> String,
) -> Result<&Map<String, Value>, CredentialsError> {
    let error = || CredentialsError::Field { field: field(), expected: "an object" };
    value.as_object().ok_or_else(error)
}

/// Returns the credential of an entry. As in docker, a token counts more than a password, and `auth` more than
/// `username` and `password`.
fn credential(
    entry: &Map<String, Value>,
    place: &str,
) -> Result<Option<Credential>, CredentialsError> {
    let text = |field: &str| match entry.get(field) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err(error(place, field, "a string")),
    };
    let token = |field: &str| {
        let token = text(field)?;
        HeaderValue::from_str(token)
            .map_err(|_| error(place, field, "a token of visible ASCII"))?;
        Ok(token.to_owned())
    };
    let (auth, username, password) = (text("auth")?, text("username")?, text("password")?);
    let (identity, registry) = (token("identitytoken")?, token("registrytoken")?);
    if !registry.is_empty() {
        return Ok(Some(Credential::RegistryToken { token: registry }));
    }
    if !identity.is_empty() {
        return Ok(Some(Credential::IdentityToken { token: identity }));
    }
    if !auth.is_empty() {
        let decoded =
            decode(auth).ok_or_else(|| error(place, "auth", "base64 of user:password"))?;
        return Ok(Some(decoded));
    }
    if username.is_empty() {
        return Ok(None);
    }
    if username.contains(':') {
        return Err(error(place, "username", "a name without a colon"));
    }
    Ok(Some(Credential::Basic { username: username.into(), password: password.into() }))
}

fn error(place: &str, field: &str, expected: &'static str) -> CredentialsError {
    CredentialsError::Field { field: format!("{place}.{field}"), expected }
}

/// Decodes `user:password`.
fn decode(auth: &str) -> Option<Credential> {
    let text = String::from_utf8(BASE64.decode(auth.trim()).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    if username.is_empty() {
        return None;
    }
    // Some clients of docker fill the password with zeros.
    let password = password.trim_matches('\0');
    Some(Credential::Basic { username: username.into(), password: password.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Parsed, String> {
        parse(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_kind_of_credential_is_read() {
        let basic = |username: &str, password: &str| {
            Some(Credential::Basic { username: username.into(), password: password.into() })
        };
        for (entry, expected) in [
            (r#"{"auth": "dTpw"}"#, basic("u", "p")),
            (r#"{"auth": "dTpwOnE="}"#, basic("u", "p:q")),
            (r#"{"auth": "dTpwOnE"}"#, basic("u", "p:q")),
            (r#"{"auth": "dTpwAAA="}"#, basic("u", "p")),
            (r#"{"auth": "dTpw", "username": "v", "password": "q"}"#, basic("u", "p")),
            (r#"{"auth": "", "username": "v", "password": "q"}"#, basic("v", "q")),
            (r#"{"username": "v", "email": "e"}"#, basic("v", "")),
            (
                r#"{"auth": "dTo=", "identitytoken": "t"}"#,
                Some(Credential::IdentityToken { token: "t".into() }),
            ),
            (
                r#"{"registrytoken": "t", "identitytoken": "i"}"#,
                Some(Credential::RegistryToken { token: "t".into() }),
            ),
            ("{}", Some(Credential::Unusable)),
            (r#"{"auth": null}"#, Some(Credential::Unusable)),
        ] {
            let (entries, problems) = parsed(&format!(r#"{{"auths": {{"h": {entry}}}}}"#)).unwrap();
            assert_eq!(
                problems.len(),
                usize::from(expected == Some(Credential::Unusable)),
                "{entry}"
            );
            assert_eq!(entries.into_iter().next().map(|(_, found)| found), expected, "{entry}");
        }
    }

    #[test]
    fn an_error_names_the_place_and_quotes_nothing() {
        for (text, expected) in [
            ("", "line 1, column 0: not valid JSON"),
            ("{\"auths\":\n secret}", "line 2, column 2: not valid JSON"),
            ("\"secret\"", "the file: expected an object"),
            (r#"{"auths": "secret"}"#, "auths: expected an object"),
            (r#"{"auths": {"h": "secret"}}"#, r#"auths["h"]: expected an object"#),
            (
                r#"{"auths": {"h": {"auth": "secret!"}}}"#,
                r#"auths["h"].auth: expected base64 of user:password"#,
            ),
            (
                r#"{"auths": {"h": {"auth": "c2VjcmV0"}}}"#,
                r#"auths["h"].auth: expected base64 of user:password"#,
            ),
            (
                r#"{"auths": {"h": {"username": ["secret"]}}}"#,
                r#"auths["h"].username: expected a string"#,
            ),
            (
                r#"{"auths": {"h": {"username": "se:cret"}}}"#,
                r#"auths["h"].username: expected a name without a colon"#,
            ),
            (
                r#"{"auths": {"h": {"registrytoken": "secret\nX-Header: 1"}}}"#,
                r#"auths["h"].registrytoken: expected a token of visible ASCII"#,
            ),
        ] {
            assert_eq!(parsed(text).unwrap_err(), expected, "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(parsed(&deep).unwrap_err().ends_with("not valid JSON"));
    }

    #[test]
    fn the_rest_of_a_file_with_problems_is_used() {
        let (entries, problems) = parsed(
            r#"{"credHelpers": {"a.io": "ecr-login"}, "credsStore": "desktop", "HttpHeaders": {},
                "auths": {"h.io": {"auth": "dTpw"}, "https://user:secret@h.io": {"auth": "dTpw"}}}"#,
        )
        .unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1].1, Credential::Unusable, "of the credential helper");
        let text = problems.join("\n");
        assert!(text.contains("credHelpers: credential helpers are not supported; "), "{text}");
        assert!(text.contains("credsStore: credential helpers are not supported; "), "{text}");
        assert!(text.contains("auths: a key is not a registry such as"), "{text}");
        assert!(!text.contains("secret@"), "{text}");
        let (_, problems) = parsed("{}").unwrap();
        assert_eq!(problems, ["auths: missing, so there are no credentials"]);
    }

    #[test]
    fn no_damage_to_a_file_makes_an_error_quote_a_secret() {
        let file = r#"{"credsStore": "SECRET", "auths": {
            "h.io": {"auth": "U0VDUkVUOlNFQ1JFVA==", "email": "SECRET"},
            "https://i.io/v1/": {"username": "SECRET", "password": "SECRET"},
            "j.io:5000/a": {"identitytoken": "SECRET", "registrytoken": "SECRET"}
        }}"#;
        for start in 0..file.len() {
            for removed in [0, 1, 2, 3, 8, 12, 17] {
                let end = (start + removed).min(file.len());
                for added in ["", "\"", "\\", ":", ",", "{", "}", "[", "0", "\n"] {
                    let damaged = format!("{}{added}{}", &file[..start], &file[end..]);
                    let shown = match parsed(&damaged) {
                        Ok((entries, problems)) => format!("{entries:?} {problems:?}"),
                        Err(error) => error,
                    };
                    let is_quoted = shown.contains("SECRET") || shown.contains("U0VD");
                    assert!(!is_quoted, "{shown}\n{damaged}");
                }
            }
        }
    }
}
