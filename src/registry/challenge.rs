//! The challenge of a registry that wants credentials.

use http_auth::{ChallengeRef, ParamValue, parser::ChallengeParser};
use hyper::{
    HeaderMap,
    header::{HeaderValue, WWW_AUTHENTICATE},
};

/// Maximum length of a parameter of a challenge in bytes. URLs of token servers have about a hundred.
const MAX_PARAMETER_BYTES: usize = 2048;

/// The way in which a registry wants to be authenticated to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Challenge {
    /// By user and password.
    Basic,
    /// By a token of a token server.
    Bearer {
        /// The URL of the token server.
        realm: String,
        /// The name of the registry at the token server, if it has one.
        service: Option<String>,
    },
}

impl Challenge {
    /// Returns the challenge of an answer that the client can answer; of several, the one for a token.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut basic = None;
        for value in headers.get_all(WWW_AUTHENTICATE).iter().filter_map(text) {
            // A challenge after a syntax error is not read.
            for challenge in ChallengeParser::new(value).map_while(Result::ok) {
                match Self::known(&challenge) {
                    Some(bearer @ Self::Bearer { .. }) => return Some(bearer),
                    Some(Self::Basic) => basic = Some(Self::Basic),
                    None => {}
                }
            }
        }
        basic
    }

    fn known(challenge: &ChallengeRef<'_>) -> Option<Self> {
        if challenge.scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !challenge.scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let parameter = |name: &str| {
            let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found
                .map(|(_, value)| value)
                .filter(|value| is_short(value))
                .map(ParamValue::to_unescaped)
        };
        Some(Self::Bearer { realm: parameter("realm")?, service: parameter("service") })
    }
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

fn is_short(value: &ParamValue<'_>) -> bool {
    value.as_escaped().len() <= MAX_PARAMETER_BYTES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_challenge_for_a_token_comes_first() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.into(), service: service.map(str::to_owned) })
        };
        let long = format!("Bearer realm=\"https://{}\"", "a".repeat(MAX_PARAMETER_BYTES));
        for (values, expected) in [
            (&[][..], None),
            (&["Basic realm=\"r\""], Some(Challenge::Basic)),
            (&["BASIC"], Some(Challenge::Basic)),
            (
                &[
                    "Bearer realm=\"https://a.io/token\",service=\"s\",scope=\"repository:a:pull,push\"",
                ],
                bearer("https://a.io/token", Some("s")),
            ),
            (
                &["bearer REALM=\"https://a.io/t?x=\\\"1\\\"\""],
                bearer("https://a.io/t?x=\"1\"", None),
            ),
            (&["Bearer realm=token"], bearer("token", None)),
            (&["Basic realm=\"r\", Bearer realm=\"https://a.io\""], bearer("https://a.io", None)),
            (&["Basic realm=\"r\"", "Bearer realm=\"https://a.io\""], bearer("https://a.io", None)),
            (&["Negotiate", "Basic"], Some(Challenge::Basic)),
            // Without a realm, there is no token server.
            (&["Bearer service=\"s\""], None),
            (&["Bearer"], None),
            (&["Digest realm=\"r\", nonce=\"n\""], None),
            (&["", ",,,", "=", "\"", "Bearer realm=\"https://a.io"], None),
            (&["Bearer realm=\"a\\"], None),
            (&["Bearer realm=https://a.io/token"], None),
            (&[&long], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
            }
            assert_eq!(Challenge::of(&headers), expected, "{values:?}");
        }
    }

    #[test]
    fn a_value_that_is_no_text_is_no_challenge() {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(b"Basic realm=\"\xff\"").unwrap();
        headers.append(WWW_AUTHENTICATE, value);
        assert_eq!(Challenge::of(&headers), None);
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "Bearer", "Basic", " ", ",", "=", "\"", "\\", "realm", "service", "https://h.io/t", "\t", "é", "a",
                ]),
                0..30,
            ),
        ) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(pieces.concat().as_bytes()) {
                headers.append(WWW_AUTHENTICATE, value);
                if let Some(Challenge::Bearer { realm, .. }) = Challenge::of(&headers) {
                    prop_assert!(pieces.concat().contains("realm"), "{realm}");
                }
            }
        }
    }
}
