//! The settings of each function and their form in its environment.
//!
//! The operator calls [`Settings::environment`], the function calls [`Settings::from_environment`]. Everything is
//! written as JSON, but a text that could not be taken for JSON stays as it is.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Settings that travel through a function's environment.
///
/// Each field `some_field` is the variable `SUMU_SOME_FIELD`. A field that is `None` has no variable.
pub trait Settings: Serialize + DeserializeOwned {
    /// The variables that carry these settings.
    #[must_use]
    fn environment(&self) -> BTreeMap<String, String> {
        // A struct of texts, numbers and lists always serialises to an object.
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else { return BTreeMap::new() };
        fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(field, value)| {
                let text = match value {
                    // A text that looks like JSON is quoted, so that `true` stays a text and `true` a boolean.
                    Value::String(text) if parse(text.clone()) == Value::String(text.clone()) => text,
                    other => other.to_string(),
                };
                (variable(&field), text)
            })
            .collect()
    }

    /// Reads the settings back.
    ///
    /// # Errors
    /// When a variable is missing or has a value that its setting cannot have; the message names the setting.
    fn from_environment(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, SettingsError> {
        let fields = variables
            .into_iter()
            .filter_map(|(name, text)| {
                let field = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
                Some((field, parse(text)))
            })
            .collect();
        serde_json::from_value(Value::Object(fields)).map_err(SettingsError)
    }
}

/// A function's environment does not hold its settings.
#[derive(Debug, thiserror::Error)]
#[error("the environment does not hold this function's settings (variables {PREFIX}*)")]
pub struct SettingsError(#[source] serde_json::Error);

const PREFIX: &str = "SUMU_";

fn variable(field: &str) -> String {
    format!("{PREFIX}{}", field.to_ascii_uppercase())
}

fn parse(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// Settings of the authorizer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizerSettings {
    /// Whose tokens are accepted. Never empty.
    pub issuers: Vec<Issuer>,
    /// Whether an expired token is refused.
    pub verify_expiration: bool,
    /// Allowed difference between the issuer's clock and ours, for `exp`, `nbf` and `iat`.
    pub leeway_seconds: u64,
    /// The claim that names the user.
    pub principal_claim: String,
    /// Where a token may be.
    pub token_sources: Vec<TokenSource>,
}
impl Settings for AuthorizerSettings {}

/// One issuer of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuer {
    /// Where its public keys are: a JWK set (RFC 7517) or a map from key id to X.509 certificate (Firebase).
    pub jwks_uri: String,
    /// The `iss` that its tokens must carry; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// One of these must be in a token's `aud`, or be its `client_id` when it has no `aud`; any when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
}

/// A place where a client may put its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TokenSource {
    /// The query parameter `authorization`.
    QueryString,
    /// The header `Authorization: Bearer <token>`.
    Header,
    /// The header `Sec-WebSocket-Protocol: sumu, <token>`.
    Subprotocol,
}

/// Settings of the routes function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutesSettings {
    /// Name of the connections table.
    pub connections_table: String,
    /// How long a connection's row lives when nothing deletes it before.
    pub connection_ttl_seconds: u64,
    /// Where `send` sends.
    pub messages_queue_url: String,
    /// Where `publish` publishes.
    pub messages_topic_arn: String,
}
impl Settings for RoutesSettings {}

/// Settings of the pusher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PusherSettings {
    /// Name of the connections table.
    pub connections_table: String,
    /// Base address of API Gateway's management API of this stage, without `/@connections`.
    pub management_endpoint: String,
    /// The pusher's own queue: pages of broadcasts, and retry items, delayed.
    pub pushes_queue_url: String,
    /// Where what was on the pusher's own queue goes when it comes to nothing, with its reason.
    pub pushes_dead_letter_queue_url: String,
    /// Where a request goes that can never be served, with its reason.
    pub dead_letter_queue_url: String,
    /// What an empty or missing `users` means in the short form.
    pub empty_users: EmptyUsers,
    /// How often one post is tried over all retry items before it goes to the dead-letter queue.
    pub max_attempts: u32,
    /// Posts a second over all workers.
    pub max_rate: u32,
    /// How many workers there may be at once.
    pub max_concurrency: u32,
}
impl Settings for PusherSettings {}

/// What an empty or missing `users` means in the short form of a push request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EmptyUsers {
    /// Everyone, as the original documents.
    Broadcast,
    /// An error: only the explicit form may address everyone.
    Reject,
}

/// Settings of the watchdog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchdogSettings {
    /// Name of the connections table.
    pub connections_table: String,
    /// Name of the presence table.
    pub presence_table: String,
    /// Where presence events go.
    pub presence_source: PresenceSource,
    /// The messages queue.
    pub messages_queue_url: String,
    /// The messages topic.
    pub messages_topic_arn: String,
    /// How `OFFLINE` waits; it does not when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub departures: Option<DepartureSettings>,
}
impl Settings for WatchdogSettings {}

/// How `OFFLINE` waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepartureSettings {
    /// The internal queue that gives each departure back when its time is over.
    pub queue_url: String,
    /// How long a user who has lost the last connection still counts as online; 1 to 900, which is how long SQS can
    /// delay a message.
    pub grace_period_seconds: u32,
}

/// Where presence events go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PresenceSource {
    /// The messages queue.
    Queue,
    /// The messages topic.
    Topic,
    /// Both.
    Both,
    /// Neither: whoever wants presence reads the connections table's stream.
    Stream,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorizer() -> AuthorizerSettings {
        AuthorizerSettings {
            issuers: vec![Issuer {
                jwks_uri: "https://a/jwks".into(),
                issuer: Some("https://a/".into()),
                audiences: vec!["x,y".into()],
            }],
            verify_expiration: true,
            leeway_seconds: 30,
            principal_claim: "sub".into(),
            token_sources: vec![TokenSource::QueryString, TokenSource::Subprotocol],
        }
    }

    #[test]
    fn what_the_operator_writes_the_function_reads() {
        let written = authorizer();
        assert_eq!(AuthorizerSettings::from_environment(written.environment()).unwrap(), written);
        let written = PusherSettings {
            connections_table: "t".into(),
            management_endpoint: "https://x/live".into(),
            pushes_queue_url: "https://q".into(),
            pushes_dead_letter_queue_url: "https://p".into(),
            dead_letter_queue_url: "https://d".into(),
            empty_users: EmptyUsers::Reject,
            max_attempts: 5,
            max_rate: 7000,
            max_concurrency: 10,
        };
        assert_eq!(PusherSettings::from_environment(written.environment()).unwrap(), written);
        for departures in [None, Some(DepartureSettings { queue_url: "https://d".into(), grace_period_seconds: 30 })] {
            let written = WatchdogSettings {
                connections_table: "c".into(),
                presence_table: "p".into(),
                presence_source: PresenceSource::Queue,
                messages_queue_url: "https://m".into(),
                messages_topic_arn: "arn:t".into(),
                departures,
            };
            assert_eq!(WatchdogSettings::from_environment(written.environment()).unwrap(), written);
        }
    }

    #[test]
    fn a_text_that_looks_like_json_stays_a_text() {
        for claim in ["5", "true", "[]", "null", "\"quoted\"", "{\"a\":1}"] {
            let written = AuthorizerSettings { principal_claim: claim.into(), ..authorizer() };
            assert_eq!(AuthorizerSettings::from_environment(written.environment()).unwrap(), written);
        }
    }

    #[test]
    fn audiences_that_are_not_set_are_none_and_no_error() {
        for issuers in [r#"[{"jwks_uri":"https://a"}]"#, r#"[{"jwks_uri":"https://a","audiences":[]}]"#] {
            let mut variables = authorizer().environment();
            variables.insert("SUMU_ISSUERS".into(), issuers.into());
            let read = AuthorizerSettings::from_environment(variables).unwrap();
            assert_eq!(read.issuers[0].audiences, Vec::<String>::new());
        }
    }

    #[test]
    fn a_missing_variable_is_named() {
        let mut variables = authorizer().environment();
        variables.remove("SUMU_PRINCIPAL_CLAIM");
        let error = AuthorizerSettings::from_environment(variables).unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("principal_claim"));
    }

    #[test]
    fn variables_of_others_are_left_alone() {
        let mut variables = authorizer().environment();
        variables.insert("AWS_REGION".into(), "us-east-1".into());
        assert_eq!(AuthorizerSettings::from_environment(variables).unwrap(), authorizer());
    }
}
