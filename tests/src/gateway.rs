//! The strict gateway: an HTTP proxy before the AWS emulator, through which everything goes that calls AWS's API.
//!
//! The emulator stores almost anything, so a green end-to-end test could lie. The gateway refuses what AWS is
//! documented or was recorded to refuse, puts right what the emulator answers wrongly, and injects faults. What no rule
//! and no fault touches passes byte for byte. `docs/fidelity.md` lists the rules with their sources, and what neither
//! emulator nor gateway can show.
//!
//! | module | what it is |
//! |---|---|
//! | [`call`] | which operation of which service a request is |
//! | [`wire`] | answers, and errors in the form of each service |
//! | [`rule`] | what a rule is; the rules are in `rules`, one file a service |
//! | [`fault`] | faults: which calls they hit and what becomes of these |
//! | `deployments` | what each deployment of an API has captured |
//! | `history` | what has passed |
//! | `facts`, `learn` | what rules know: asked of the emulator, or remembered of what has passed |
//! | `server` | the proxy itself |

pub mod call;
mod deployments;
mod facts;
pub mod fault;
mod history;
mod learn;
pub mod rule;
mod rules;
mod server;
pub mod wire;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tokio::net::TcpListener;

pub use deployments::Deployments;
pub use facts::Pace;
pub use history::Seen;

use crate::delivery::held::Held;
use crate::{Result, ensure};
use facts::last;
use fault::{Fault, Injected};
use rules::callers::{executor, session};
use rules::rights::has;
use server::Shared;

/// How strict a gateway is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long AWS takes.
    pub pace: Pace,
    /// Names of the rules that are off.
    pub off: Vec<String>,
    /// Whether the emulator is not to work on event sources, subscriptions of functions and time to live, because
    /// somebody else does.
    pub holds: bool,
    /// Where another gateway before the same emulator keeps what deployments have captured, for a front behind that one.
    pub deployments: Option<Arc<Deployments>>,
    /// Where to write which call was refused by which rule, without anything that was said in it.
    pub log: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { pace: Pace::QUICK, off: Vec::new(), holds: false, deployments: None, log: None }
    }
}

/// What functions may do.
#[derive(Clone, Debug)]
pub struct Roles(Arc<Shared>);

impl Roles {
    /// Whom AWS names when it refuses something to the caller with an access key; nothing when the caller may do it. Who is
    /// no function may do everything.
    pub async fn refused(&self, key: &str, action: &str, resource: &str) -> Result<Option<String>> {
        let Some((role, function)) = executor(key) else { return Ok(None) };
        let has = has(&self.0.facts, role, &(action.to_owned(), resource.to_owned())).await?;
        Ok((!has).then(|| session(role, function)))
    }

    /// Whether the role of a function, named by its ARN, lets Lambda do something for it.
    pub async fn let_lambda(&self, function: &str, action: &str, resource: &str) -> Result<bool> {
        let facts = &self.0.facts;
        let found = facts.lambda.get_function_configuration().function_name(function).send().await?;
        has(facts, last(found.role().unwrap_or_default()), &(action.to_owned(), resource.to_owned())).await
    }
}

/// A running gateway; dropping it ends it.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

impl Gateway {
    /// Starts a gateway that listens on an address, before the emulator at another, in the runtime that calls.
    pub async fn start(listen: SocketAddr, emulator: SocketAddr, settings: Settings) -> Result<Self> {
        for name in &settings.off {
            ensure!(rule::all().any(|rule| rule.name == name), "there is no rule {name}");
        }
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(emulator, &settings).await?);
        let server = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, server })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the emulator does not work on.
    #[must_use]
    pub fn held(&self) -> Arc<Held> {
        Arc::clone(&self.shared.held)
    }

    /// What each deployment of an API that has passed here has captured.
    #[must_use]
    pub fn deployments(&self) -> Arc<Deployments> {
        Arc::clone(&self.shared.deployments)
    }

    /// Injects a fault from now on.
    pub fn inject(&self, fault: Fault) -> Injected {
        self.shared.faults.inject(fault)
    }

    /// Ends all faults.
    pub fn mend(&self) {
        self.shared.faults.clear();
    }

    /// The calls that were signed with an access key, in the order in which they were answered.
    #[must_use]
    pub fn seen(&self, caller: &str) -> Vec<Seen> {
        self.shared.history.of(caller)
    }

    /// Lets a caller, named by its access key, do from now on what an IAM policy allows, and nothing else.
    pub fn limit(&self, caller: &str, policy: Value) {
        self.shared.facts.limit(caller, policy);
    }

    /// The actions that a limited caller has needed so far and was allowed.
    #[must_use]
    pub fn needed(&self, caller: &str) -> BTreeSet<String> {
        self.shared.facts.needed(caller)
    }

    /// The rights, each an action and an ARN, that functions with a role have used so far and had.
    #[must_use]
    pub fn used(&self, role: &str) -> BTreeSet<(String, String)> {
        self.shared.facts.used(role)
    }

    /// The rights that functions have needed and lacked, if the names of their roles begin so, each as a sentence.
    #[must_use]
    pub fn lacked(&self, begins: &str) -> Vec<String> {
        let memory = self.shared.facts.memory();
        let roles = memory.lacked.iter().filter(|(role, _)| role.starts_with(begins));
        roles
            .flat_map(|(role, rights)| rights.iter().map(move |(action, on)| format!("{role}: {action} on {on}")))
            .collect()
    }

    /// What functions may do, for others who are AWS.
    #[must_use]
    pub fn roles(&self) -> Roles {
        Roles(Arc::clone(&self.shared))
    }

    /// How often a rule has changed the outcome of a call.
    #[must_use]
    pub fn count(&self, rule: &str) -> u64 {
        self.shared.rules.count(rule)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}
