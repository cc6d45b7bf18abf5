//! What the front needs of AWS: the API as it was deployed, and the functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value;

use crate::Result;

/// AWS behind the front: the emulator, or a stub in a test of the front.
pub trait Upstream: std::fmt::Debug + Send + Sync + 'static {
    /// A stage as it is now: its settings take effect without a deployment.
    fn stage<'a>(&'a self, api: &'a str, stage: &'a str) -> BoxFuture<'a, Result<Option<Stage>>>;

    /// What a deployment has captured.
    fn deployed<'a>(&'a self, api: &'a str, deployment: &'a str) -> BoxFuture<'a, Result<Option<Arc<Api>>>>;

    /// The API as it is now, which a stage serves that deploys by itself.
    fn current<'a>(&'a self, api: &'a str) -> BoxFuture<'a, Result<Api>>;

    /// The API and the stage that a custom domain serves under a key.
    fn mapping<'a>(&'a self, domain: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<(String, String)>>>;

    /// Whom AWS names when it refuses something to the caller with an access key; nothing when the caller may do it.
    fn refused<'a>(&'a self, key: &'a str, action: &'a str, resource: &'a str)
    -> BoxFuture<'a, Result<Option<String>>>;

    /// Invokes a function on behalf of a route or of an authorizer, if its policy lets us, and waits for its answer.
    fn invoke<'a>(&'a self, function: &'a str, source_arn: &'a str, event: &'a Value) -> BoxFuture<'a, Invoked>;
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Invoked {
    /// With an answer.
    Answer(Value),
    /// With the function's error.
    Error(Value),
    /// The function could not be invoked: it is not there, was throttled, or its policy does not let API Gateway in.
    Unreachable,
}

/// A stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stage {
    /// The deployment that it serves.
    pub deployment: Option<String>,
    /// Whether it serves the API as it is, without deployments.
    pub deploys_itself: bool,
    /// Its variables.
    pub variables: BTreeMap<String, String>,
    /// How much it lets through, if there is a limit.
    pub throttle: Option<Throttle>,
}

/// A limit of connects and frames together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttle {
    /// How many a second in the long run.
    pub rate: f64,
    /// How many at once.
    pub burst: f64,
}

/// What a deployment captures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Api {
    /// What chooses the route of a frame.
    pub selection: String,
    /// The routes by their keys.
    pub routes: BTreeMap<String, Route>,
    /// Who decides about `$connect`.
    pub authorizer: Option<Authorizer>,
}

/// A route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Its function and how long that may take; none when its integration is gone.
    pub integration: Option<Integration>,
    /// Whether the function's answer goes to the client, which needs a selection expression and a route response.
    pub replies: bool,
}

/// An `AWS_PROXY` integration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Integration {
    /// The function's ARN.
    pub function: String,
    /// How many milliseconds it may take.
    pub timeout_ms: u64,
}

/// A REQUEST authorizer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorizer {
    /// Its id.
    pub id: String,
    /// The function's ARN.
    pub function: String,
    /// What a client must send before it is asked.
    pub identity_sources: Vec<String>,
}
