//! A stub of what is behind the front: one API with two routes of frames, and functions that a test tells what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use sumu_tests::client::{Client, Credentials};
use sumu_tests::front::Front;
use sumu_tests::front::upstream::{Api, Authorizer, Integration, Invoked, Route, Stage, Throttle, Upstream};
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Result, ensure, eventually};
use tokio::sync::watch;

pub const AUTHORIZER: &str = "arn:aws:lambda:us-east-1:000000000000:function:authorizer";
pub const ROUTES: &str = "arn:aws:lambda:us-east-1:000000000000:function:routes";

/// What is behind the front.
#[derive(Debug)]
pub struct Stub {
    state: Mutex<State>,
    held: watch::Sender<BTreeSet<String>>,
}

#[derive(Debug)]
struct State {
    api: Api,
    deployments: BTreeMap<String, Arc<Api>>,
    barred: BTreeSet<String>,
    stage: Stage,
    answers: BTreeMap<&'static str, Invoked>,
    events: Vec<Value>,
}

/// A front before a stub.
pub struct Scene {
    pub front: Front,
    pub stub: Arc<Stub>,
}

/// Starts both.
pub fn scene() -> Result<Scene> {
    let stub = Arc::new(Stub::new());
    let front = Front::before(Arc::<Stub>::clone(&stub))?;
    Ok(Scene { front, stub })
}

impl Scene {
    pub fn url(&self) -> String {
        self.front.websocket_url("api", "live")
    }

    /// Connects with a token in the query, which the authorizer asks for.
    pub async fn connect(&self) -> Result<Client> {
        Client::connect(&self.url(), Credentials::Query("t")).await
    }

    /// Connects and says under which id.
    pub async fn connect_and_know(&self) -> Result<(Client, String)> {
        let client = self.connect().await?;
        Ok((client, self.stub.last("CONNECT")?["requestContext"]["connectionId"].as_str().context("no id")?.to_owned()))
    }
}

impl Stub {
    fn new() -> Self {
        let allow = json!({
            "principalId": "alice",
            "policyDocument": {"Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": "*"}]},
            "context": {"exp": 7},
        });
        let function = Integration { function: ROUTES.to_owned(), timeout_ms: 29_000 };
        let route = |replies| Route { integration: Some(function.clone()), replies };
        let routes = [("$connect", false), ("$disconnect", false), ("$default", true), ("ask", true), ("tell", false)];
        let api = Api {
            selection: "$request.body.action".to_owned(),
            routes: routes.map(|(key, replies)| (key.to_owned(), route(replies))).into(),
            authorizer: Some(Authorizer {
                id: "auth".to_owned(),
                function: AUTHORIZER.to_owned(),
                identity_sources: vec!["route.request.querystring.authorization".to_owned()],
            }),
        };
        let answers =
            [("authorizer", Invoked::Answer(allow)), ("$connect", Invoked::Answer(json!({"statusCode": 200})))];
        let stage = Stage { deployment: Some("first".to_owned()), ..Stage::default() };
        let deployments = BTreeMap::from([("first".to_owned(), Arc::new(api.clone()))]);
        let (answers, barred, events) = (answers.into(), BTreeSet::new(), Vec::new());
        let all = State { api, deployments, barred, stage, answers, events };
        Self { state: Mutex::new(all), held: watch::Sender::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the authorizer or a route answers from now on. By default a route answers with its key.
    pub fn answers(&self, whom: &'static str, answer: Invoked) {
        self.state().answers.insert(whom, answer);
    }

    /// Changes the API without a deployment.
    pub fn change(&self, change: impl FnOnce(&mut Api)) {
        change(&mut self.state().api);
    }

    /// Deploys the API as it is.
    pub fn capture(&self, deployment: &str) {
        let mut state = self.state();
        let captured = Arc::new(state.api.clone());
        state.deployments.insert(deployment.to_owned(), captured);
    }

    /// Lets the stage serve another deployment, or none.
    pub fn deploy(&self, deployment: Option<&str>) {
        self.state().stage.deployment = deployment.map(ToOwned::to_owned);
    }

    /// Lets the stage serve the API as it is, or not.
    pub fn deploy_by_itself(&self, is_on: bool) {
        self.state().stage.deploys_itself = is_on;
    }

    /// Lets policies allow no more what is on behalf of this, or done with this.
    pub fn bar(&self, arn: &str) {
        self.state().barred.insert(arn.to_owned());
    }

    pub fn throttle(&self, rate: f64, burst: f64) {
        self.state().stage.throttle = Some(Throttle { rate, burst });
    }

    /// Lets no function answer to events that have this in them.
    pub fn hold(&self, what: &str) {
        self.held.send_modify(|held| {
            held.insert(what.to_owned());
        });
    }

    /// Lets them answer again.
    pub fn release(&self, what: &str) {
        self.held.send_modify(|held| {
            held.remove(what);
        });
    }

    /// All events so far of one type: `REQUEST` for the authorizer's.
    pub fn events(&self, kind: &str) -> Vec<Value> {
        let is = |event: &&Value| match event.get("type") {
            Some(request) => request == kind,
            None => event["requestContext"]["eventType"] == kind,
        };
        self.state().events.iter().filter(is).cloned().collect()
    }

    pub fn last(&self, kind: &str) -> Result<Value> {
        self.events(kind).pop().with_context(|| format!("there was no {kind}"))
    }

    /// Waits for an event.
    pub async fn next(&self, kind: &str) -> Result<Value> {
        eventually(PATIENCE, kind, async || self.last(kind)).await
    }

    async fn answer(&self, function: &str, event: &Value) -> Invoked {
        self.state().events.push(event.clone());
        let text = event.to_string();
        let mut held = self.held.subscribe();
        // The sender lives as long as the stub.
        let _ = held.wait_for(|held| !held.iter().any(|what| text.contains(what))).await;
        let key = event["requestContext"]["routeKey"].as_str().unwrap_or_default();
        let whom = if function == AUTHORIZER { "authorizer" } else { key };
        let told = self.state().answers.get(whom).cloned();
        told.unwrap_or_else(|| Invoked::Answer(json!({"statusCode": 200, "body": format!("{key} {}", event["body"])})))
    }
}

impl Upstream for Stub {
    fn stage<'a>(&'a self, api: &'a str, stage: &'a str) -> BoxFuture<'a, Result<Option<Stage>>> {
        let found = ((api, stage) == ("api", "live")).then(|| self.state().stage.clone());
        async { Ok(found) }.boxed()
    }

    fn deployed<'a>(&'a self, _: &'a str, deployment: &'a str) -> BoxFuture<'a, Result<Option<Arc<Api>>>> {
        let captured = self.state().deployments.get(deployment).cloned();
        async { Ok(captured) }.boxed()
    }

    fn current<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Api>> {
        let api = self.state().api.clone();
        async { Ok(api) }.boxed()
    }

    fn mapping<'a>(&'a self, domain: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<(String, String)>>> {
        let mapped = ((domain, key) == ("ws.example", "v1")).then(|| ("api".to_owned(), "live".to_owned()));
        async { Ok(mapped) }.boxed()
    }

    fn refused<'a>(&'a self, key: &'a str, _: &'a str, resource: &'a str) -> BoxFuture<'a, Result<Option<String>>> {
        let is_barred = self.state().barred.contains(resource);
        async move { Ok(is_barred.then(|| format!("arn:aws:iam::000000000000:user/{key}"))) }.boxed()
    }

    fn invoke<'a>(&'a self, function: &'a str, source_arn: &'a str, event: &'a Value) -> BoxFuture<'a, Invoked> {
        if self.state().barred.contains(source_arn) {
            return async { Invoked::Unreachable }.boxed();
        }
        self.answer(function, event).boxed()
    }
}

/// Fails unless an object has exactly these members.
pub fn has_members(object: &Value, expected: &[&str]) -> Result<()> {
    let members: BTreeSet<&str> = object.as_object().context("no object")?.keys().map(String::as_str).collect();
    let expected: BTreeSet<&str> = expected.iter().copied().collect();
    ensure!(members == expected, "the members are {members:?}, not {expected:?}, of {object}");
    Ok(())
}
