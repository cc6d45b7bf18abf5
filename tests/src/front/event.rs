//! The events that functions get, member by member as API Gateway's developer guide shows them. Pure.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use super::http::Request;
use super::upstream::Stage;

/// What is known of a connection from its handshake on.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its id.
    pub connection_id: String,
    /// The API.
    pub api: String,
    /// The stage.
    pub stage: String,
    /// The host name by which the client found it.
    pub domain: String,
    /// When the handshake began. It is the same in every event.
    pub connected_at: Timestamp,
    /// From where the client came.
    pub source_ip: String,
    /// What the client calls itself.
    pub user_agent: Option<String>,
}

/// An id as API Gateway makes them: fifteen letters of base64 for URLs, and `=`.
#[must_use]
pub fn new_id() -> String {
    let random = generate_key().replace('+', "-").replace('/', "_");
    format!("{}=", random.get(..15).unwrap_or_default())
}

/// What one request to a function is about.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// Whose.
    pub peer: &'a Peer,
    /// Its id.
    pub request_id: &'a str,
    /// When.
    pub now: Timestamp,
    /// What the authorizer has said.
    pub authorizer: Option<&'a Map<String, Value>>,
}

impl Occasion<'_> {
    fn context(&self, event_type: &str, route_key: &str) -> Value {
        let Self { peer, request_id, now, authorizer } = self;
        let mut context = json!({
            "routeKey": route_key,
            "eventType": event_type,
            "extendedRequestId": request_id,
            "requestTime": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "messageDirection": "IN",
            "stage": peer.stage,
            "connectedAt": peer.connected_at.as_millisecond(),
            "requestTimeEpoch": now.as_millisecond(),
            "identity": {"sourceIp": peer.source_ip},
            "requestId": request_id,
            "domainName": peer.domain,
            "connectionId": peer.connection_id,
            "apiId": peer.api,
        });
        if let Some(user_agent) = &peer.user_agent {
            context["identity"]["userAgent"] = user_agent.as_str().into();
        }
        if let Some(authorizer) = authorizer {
            context["authorizer"] = Value::Object((*authorizer).clone());
        }
        context
    }

    /// For the authorizer.
    #[must_use]
    pub fn for_authorizer(&self, handshake: &Request, stage: &Stage, method_arn: &str) -> Value {
        let mut event = self.with_handshake(handshake, stage);
        let empty = json!({});
        event["type"] = "REQUEST".into();
        event["methodArn"] = method_arn.into();
        // An authorizer gets them always, a function only when there are any.
        for name in ["queryStringParameters", "multiValueQueryStringParameters", "stageVariables"] {
            if event.get(name).is_none() {
                event[name].clone_from(&empty);
            }
        }
        if let Some(event) = event.as_object_mut() {
            event.remove("isBase64Encoded");
        }
        event
    }

    /// For `$connect`.
    #[must_use]
    pub fn connect(&self, handshake: &Request, stage: &Stage) -> Value {
        self.with_handshake(handshake, stage)
    }

    /// Without a body: a handshake has none.
    fn with_handshake(&self, handshake: &Request, stage: &Stage) -> Value {
        let headers = headers(handshake, self.peer);
        let mut event = json!({
            "headers": last_values(&headers),
            "multiValueHeaders": all_values(&headers),
            "requestContext": self.context("CONNECT", "$connect"),
            "isBase64Encoded": false,
        });
        if !handshake.query.is_empty() {
            event["queryStringParameters"] = last_values(&handshake.query);
            event["multiValueQueryStringParameters"] = all_values(&handshake.query);
        }
        with_variables(event, stage)
    }

    /// For a frame's route.
    #[must_use]
    pub fn message(&self, route_key: &str, body: &str, stage: &Stage) -> Value {
        let mut context = self.context("MESSAGE", route_key);
        context["messageId"] = new_id().into();
        with_variables(json!({"requestContext": context, "body": body, "isBase64Encoded": false}), stage)
    }

    /// For `$disconnect`, with the code and the reason of the end.
    #[must_use]
    pub fn disconnect(&self, code: u16, reason: &str, stage: &Stage) -> Value {
        let mut context = self.context("DISCONNECT", "$disconnect");
        context["disconnectStatusCode"] = code.into();
        context["disconnectReason"] = reason.into();
        let headers =
            [("Host", self.peer.domain.as_str()), ("x-api-key", ""), ("X-Forwarded-For", ""), ("x-restapi", "")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let event = json!({
            "headers": last_values(&headers),
            "multiValueHeaders": all_values(&headers),
            "requestContext": context,
            "isBase64Encoded": false,
        });
        with_variables(event, stage)
    }
}

/// The client's headers without those between it and its next hop, and with what the gateway adds.
fn headers(handshake: &Request, peer: &Peer) -> Vec<(String, String)> {
    let hop = ["connection", "upgrade"];
    let sent = handshake.headers.iter().filter(|(name, _)| !hop.iter().any(|hop| name.eq_ignore_ascii_case(hop)));
    let added = [
        ("X-Amzn-Trace-Id", format!("Root=1-{:08x}-{}", peer.connected_at.as_second(), "0".repeat(24))),
        ("X-Forwarded-For", peer.source_ip.clone()),
        ("X-Forwarded-Port", "443".to_owned()),
        ("X-Forwarded-Proto", "https".to_owned()),
    ];
    sent.cloned().chain(added.map(|(name, value)| (name.to_owned(), value))).collect()
}

fn last_values(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect::<Map<_, _>>().into()
}

fn all_values(pairs: &[(String, String)]) -> Value {
    let mut all = json!({});
    for (name, value) in pairs {
        match all[name.as_str()].as_array_mut() {
            Some(values) => values.push(value.as_str().into()),
            None => all[name.as_str()] = json!([value]),
        }
    }
    all
}

fn with_variables(mut event: Value, stage: &Stage) -> Value {
    if !stage.variables.is_empty() {
        event["stageVariables"] = json!(stage.variables);
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> Peer {
        Peer {
            connection_id: "c=".into(),
            api: "a".into(),
            stage: "live".into(),
            domain: "d".into(),
            connected_at: Timestamp::from_millisecond(1_707_502_303_419).unwrap(),
            source_ip: "1.2.3.4".into(),
            user_agent: None,
        }
    }

    #[test]
    fn an_id_ends_as_those_of_api_gateway_do() {
        let (one, other) = (new_id(), new_id());
        assert_eq!(one.len(), 16);
        assert!(one.ends_with('=') && !one.contains(['/', '+']), "{one}");
        assert_ne!(one, other);
    }

    #[test]
    fn a_message_has_a_body_and_no_headers_and_a_time_in_words() {
        let peer = peer();
        let now = Timestamp::from_millisecond(1_707_502_304_000).unwrap();
        let occasion = Occasion { peer: &peer, request_id: "r=", now, authorizer: None };
        let event = occasion.message("ping", "{}", &Stage::default());
        assert_eq!(event["body"], "{}");
        assert_eq!(event.get("headers"), None);
        assert_eq!(event.get("queryStringParameters"), None);
        let context = &event["requestContext"];
        assert_eq!(context["requestTime"], "09/Feb/2024:18:11:44 +0000");
        assert_eq!(context["connectedAt"], 1_707_502_303_419_u64);
        assert_eq!(context["requestTimeEpoch"], 1_707_502_304_000_u64);
        assert_eq!(context.get("authorizer"), None);
    }

    #[test]
    fn of_several_values_the_last_is_the_one_and_the_list_has_all() {
        let peer = peer();
        let occasion = Occasion { peer: &peer, request_id: "r=", now: peer.connected_at, authorizer: None };
        let handshake = Request::parse("GET /?a=1&a=2 HTTP/1.1\r\nX-A: 1\r\nX-A: 2\r\nUpgrade: websocket\r\n").unwrap();
        let event = occasion.connect(&handshake, &Stage::default());
        assert_eq!(event["queryStringParameters"], json!({"a": "2"}));
        assert_eq!(event["multiValueQueryStringParameters"], json!({"a": ["1", "2"]}));
        assert_eq!(event["headers"]["X-A"], "2");
        assert_eq!(event["multiValueHeaders"]["X-A"], json!(["1", "2"]));
        assert_eq!(event["headers"].get("Upgrade"), None);
        assert_eq!(event.get("body"), None);
    }
}
