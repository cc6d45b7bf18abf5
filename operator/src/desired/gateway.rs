//! The WebSocket API.

use sha2::{Digest, Sha256};
use sumu_contract::Function;
use sumu_contract::message::ROUTE_KEYS;
use sumu_contract::settings::TokenSource;

use super::access_logs::{self, AccessLogs};
use crate::stack::StackSpec;
use crate::stack::name::{Names, hex};

/// Chooses the route of a frame.
pub const ROUTE_SELECTION: &str = "$request.body.action";
/// The only key that API Gateway knows for route responses of a WebSocket API.
pub const RESPONSE_KEY: &str = "$default";
/// Name of the one authorizer.
pub const AUTHORIZER_NAME: &str = "authorizer";
/// Description of the one integration, by which it is found again.
pub const INTEGRATION_NAME: &str = "routes";

/// A WebSocket API with everything in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// Name of the stage.
    pub stage_name: String,
    /// Steady requests per second.
    pub rate_limit: f64,
    /// Requests at once.
    pub burst_limit: i32,
    /// How the authorizer is invoked.
    pub authorizer_uri: String,
    /// What a client must send before the authorizer is asked at all.
    pub identity_sources: Vec<String>,
    /// How the routes function is invoked.
    pub integration_uri: String,
    /// How long API Gateway waits for it.
    pub integration_timeout_ms: i32,
    /// What it writes of each request. No part of what a deployment captures.
    pub access_logs: Option<AccessLogs>,
}

/// One route of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its key.
    pub key: &'static str,
    /// Whether the authorizer decides about it. API Gateway allows that for `$connect` only.
    pub is_authorized: bool,
    /// Whether the function's answer goes back over the socket.
    pub replies: bool,
}

impl Gateway {
    /// The routes of every stack.
    pub fn routes() -> impl Iterator<Item = Route> {
        ROUTE_KEYS.into_iter().map(|key| Route {
            key,
            is_authorized: key == "$connect",
            replies: !matches!(key, "$connect" | "$disconnect"),
        })
    }

    /// What a deployment captures, as one short word: two deployments with the same word serve the same API.
    ///
    /// The ids are part of it, because a route that was made anew points to another integration.
    #[must_use]
    pub fn content_hash(&self, authorizer_id: &str, integration_id: &str) -> String {
        let Self { authorizer_uri, identity_sources, integration_uri, integration_timeout_ms, .. } = self;
        let routes: Vec<Route> = Self::routes().collect();
        let content = format!(
            "{authorizer_uri}|{identity_sources:?}|{integration_uri}|{integration_timeout_ms}|{authorizer_id}|{integration_id}|{routes:?}"
        );
        hex(&Sha256::digest(content)[..8])
    }
}

/// The API of a stack.
pub(super) fn of(spec: &StackSpec, names: &Names) -> Gateway {
    Gateway {
        stage_name: spec.stage_name.clone(),
        rate_limit: f64::from(spec.throttling.rate_limit),
        // The CRD allows at most 1,000,000.
        burst_limit: i32::try_from(spec.throttling.burst_limit).unwrap_or(i32::MAX),
        authorizer_uri: names.invocation_uri(Function::Authorizer),
        identity_sources: identity_sources(&spec.authorizer.token_sources),
        integration_uri: names.invocation_uri(Function::Routes),
        // A little more than the function has, so that its own answer is the one that arrives.
        integration_timeout_ms: Function::Routes.timeout_seconds() * 1000 + 2000,
        access_logs: access_logs::of(spec, names),
    }
}

/// API Gateway answers 401 by itself when an identity source is missing, but it wants *all* of them. With a
/// choice of places the authorizer must be asked every time, and answers 401 itself.
fn identity_sources(sources: &[TokenSource]) -> Vec<String> {
    match sources {
        [TokenSource::QueryString] => vec!["route.request.querystring.authorization".into()],
        [TokenSource::Header] => vec!["route.request.header.Authorization".into()],
        [TokenSource::Subprotocol] => vec!["route.request.header.Sec-WebSocket-Protocol".into()],
        _ => vec![],
    }
}
