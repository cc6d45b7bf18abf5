//! Where a token is in the event, and what it says before anybody has checked it. Pure.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use sumu_contract::message::SUBPROTOCOL;
use sumu_contract::settings::TokenSource;

use super::signature::Algorithm;
use super::verdict::Refusal;

/// The longest token that is looked at. API Gateway's limit for all headers together is below it.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// The query parameter that carries a token.
const QUERY_PARAMETER: &str = "authorization";

/// Finds the token in a REQUEST authorizer's event: the first of `sources` that has one.
#[must_use]
pub fn find(event: &Value, sources: &[TokenSource]) -> Option<String> {
    sources.iter().find_map(|source| {
        let token = match source {
            TokenSource::QueryString => event["queryStringParameters"][QUERY_PARAMETER].as_str().map(str::to_owned),
            TokenSource::Header => header(event, "authorization").as_deref().and_then(bearer).map(str::to_owned),
            TokenSource::Subprotocol => {
                header(event, "sec-websocket-protocol").as_deref().and_then(behind_subprotocol).map(str::to_owned)
            }
        };
        token.filter(|token| !token.is_empty())
    })
}

/// A header's value; several lines of it make one list. HTTP does not tell upper from lower case in a name.
pub fn header(event: &Value, name: &str) -> Option<String> {
    let named = |headers: &Value| {
        let headers = headers.as_object()?;
        headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    };
    if let Some(Value::Array(lines)) = named(&event["multiValueHeaders"]) {
        let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
        return Some(lines.join(", "));
    }
    named(&event["headers"])?.as_str().map(str::to_owned)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The entry behind `sumu` in a list of subprotocols.
fn behind_subprotocol(value: &str) -> Option<&str> {
    let mut entries = value.split(',').map(str::trim);
    entries.find(|entry| *entry == SUBPROTOCOL)?;
    entries.next()
}

/// Something signed, in the compact form of a JWS (RFC 7515). Nothing in it may be believed before its signature was
/// verified.
#[derive(Clone, Debug)]
pub struct Signed<'a> {
    /// What was signed: header and payload as they came.
    pub text: &'a str,
    /// The payload, still encoded.
    pub payload: &'a str,
    /// The signature.
    pub signature: Vec<u8>,
    /// The algorithm that the header names. The key decides whether it may be used.
    pub algorithm: Algorithm,
    /// The key that the header names.
    pub key_id: Option<String>,
}

impl<'a> Signed<'a> {
    /// Reads a compact JWS.
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::TokenTooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Refusal::Malformed)?;
        let header = object(header)?;
        // An extension that must be understood, and we understand none (RFC 7515, 4.1.11).
        if header.contains_key("crit") {
            return Err(Refusal::CriticalExtension);
        }
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(Refusal::Malformed),
        };
        let name = header.get("alg").and_then(Value::as_str).ok_or(Refusal::Malformed)?;
        let algorithm = Algorithm::named(name).ok_or(Refusal::AlgorithmRefused)?;
        Ok(Self { text: signed, payload, signature: decode(signature)?, algorithm, key_id })
    }
}

/// A token that can be read.
#[derive(Clone, Debug)]
pub struct Token<'a> {
    /// What its signature vouches for.
    pub signed: Signed<'a>,
    /// The claims.
    pub claims: BTreeMap<String, Value>,
}

impl<'a> Token<'a> {
    /// Reads a compact JWS with a JSON object of claims.
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        let signed = Signed::parse(text)?;
        let claims = object(signed.payload)?;
        Ok(Self { signed, claims })
    }
}

/// Base64 in the one form that RFC 7515 allows: no padding, no whitespace, no bits that nothing is made of.
fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed)
}

fn object(part: &str) -> Result<BTreeMap<String, Value>, Refusal> {
    let object: UniqueObject = serde_json::from_slice(&decode(part)?).map_err(|_| Refusal::Malformed)?;
    Ok(object.0)
}

/// A JSON object in which no name occurs twice. Of two claims with one name, readers take different ones, and an
/// attacker would choose who takes which.
struct UniqueObject(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for UniqueObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = BTreeMap<String, Value>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(de::Error::custom("a name occurs twice"));
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Members).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ALL: [TokenSource; 3] = [TokenSource::QueryString, TokenSource::Header, TokenSource::Subprotocol];

    #[test]
    fn the_first_configured_source_that_has_a_token_wins() {
        let event = json!({
            "queryStringParameters": {"authorization": "q"},
            "headers": {"Authorization": "Bearer h", "Sec-WebSocket-Protocol": "sumu, s"},
        });
        assert_eq!(find(&event, &ALL).as_deref(), Some("q"));
        assert_eq!(find(&event, &[TokenSource::Subprotocol, TokenSource::Header]).as_deref(), Some("s"));
        assert_eq!(find(&event, &[TokenSource::Header]).as_deref(), Some("h"));
    }

    #[test]
    fn an_absent_null_or_empty_source_gives_way_to_the_next() {
        for query in [json!(null), json!({}), json!({"authorization": ""}), json!({"authorization": null})] {
            let event = json!({"queryStringParameters": query, "headers": {"authorization": "bearer   h "}});
            assert_eq!(find(&event, &ALL).as_deref(), Some("h"));
        }
        assert_eq!(find(&json!({"queryStringParameters": null, "headers": null}), &ALL), None);
        assert_eq!(find(&json!({}), &ALL), None);
        assert_eq!(find(&json!(null), &ALL), None);
    }

    #[test]
    fn header_names_and_the_scheme_are_case_insensitive() {
        for (name, value) in
            [("AUTHORIZATION", "BEARER t"), ("authorization", "bearer t"), ("Authorization", "Bearer t")]
        {
            assert_eq!(find(&json!({"headers": {name: value}}), &ALL).as_deref(), Some("t"));
        }
        assert_eq!(find(&json!({"headers": {"authorization": "Basic abc"}}), &ALL), None);
        assert_eq!(find(&json!({"headers": {"authorization": "Bearer "}}), &ALL), None);
    }

    #[test]
    fn the_subprotocol_token_stands_behind_ours_in_one_or_several_lines() {
        let event = json!({"multiValueHeaders": {"sec-websocket-protocol": ["other", "sumu", "t"]}});
        assert_eq!(find(&event, &ALL).as_deref(), Some("t"));
        for value in ["sumu", "t, sumu", "other, t", "SUMU, t", ""] {
            assert_eq!(find(&json!({"headers": {"Sec-WebSocket-Protocol": value}}), &ALL), None, "{value}");
        }
    }
}
