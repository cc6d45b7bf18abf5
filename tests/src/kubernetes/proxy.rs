//! A proxy between an operator and the API server, for tests that want something to happen between a write and its answer.
//!
//! It speaks plain HTTP, adds credentials, and passes on what it does not hold, watches too, as it comes. It knows which
//! rights each request has needed.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use kube::client::Body;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::Kubernetes;
use super::right::{Right, right};
use crate::Result;
use crate::gateway::fault::Hold;

/// What the path of a stack has in it, but not that of an event about one.
const STACKS: &str = "/sumustacks/";

/// Why a connection is broken.
type Broken = Box<dyn std::error::Error + Send + Sync>;

/// A running proxy; dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    kubeconfig: PathBuf,
    state: Arc<State>,
    server: tokio::task::JoinHandle<()>,
}

/// What the proxy holds, and what it has seen.
#[derive(Debug, Default)]
struct State {
    held: Mutex<Option<Arc<Armed>>>,
    rights: Mutex<BTreeSet<Right>>,
}

/// A write to a stack that is to be held.
#[derive(Debug)]
struct Armed {
    number: u64,
    only: Option<Write>,
    hold: Hold,
    is_held_back: bool,
    writes: Mutex<Vec<Write>>,
}

/// What of a stack a write changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Its status.
    Status,
    /// Its metadata or its spec: of an operator's writes, the finalizer.
    Object,
}

/// A hold that was set.
#[derive(Clone, Debug)]
pub struct HeldWrite(Arc<Armed>);

impl Proxy {
    /// Starts a proxy with the administrator's credentials in the runtime that calls; `name` is for its kubeconfig.
    pub async fn start(kubernetes: &Kubernetes, name: &str) -> Result<Self> {
        Self::start_as(kubernetes, name, &kubernetes.kubeconfig()).await
    }

    /// The same with the credentials and the namespace of a kubeconfig.
    pub async fn start_as(kubernetes: &Kubernetes, name: &str, identity: &Path) -> Result<Self> {
        let client = super::client(identity).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let kubeconfig = kubernetes.home.join(format!("kubeconfig-{name}"));
        std::fs::write(&kubeconfig, plain(listener.local_addr()?, client.default_namespace()))?;
        let state = Arc::<State>::default();
        let server = tokio::spawn(serve(listener, client, Arc::clone(&state)));
        Ok(Self { kubeconfig, state, server })
    }

    /// A kubeconfig that leads here.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig.clone()
    }

    /// Holds the answer of one write to a stack, in the place of an earlier hold. Writes, or only those of a kind, are
    /// counted from 1 and from now on.
    #[must_use]
    pub fn hold(&self, number: u64, only: Option<Write>) -> HeldWrite {
        self.arm(number, only, false)
    }

    /// The same, but the write itself is held, before the API server has it.
    #[must_use]
    pub fn hold_back(&self, number: u64, only: Option<Write>) -> HeldWrite {
        self.arm(number, only, true)
    }

    fn arm(&self, number: u64, only: Option<Write>, is_held_back: bool) -> HeldWrite {
        let armed = Arc::new(Armed { number, only, hold: Hold::default(), is_held_back, writes: Mutex::default() });
        *self.state.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&armed));
        HeldWrite(armed)
    }

    /// The rights that the requests so far have needed, granted or not.
    #[must_use]
    pub fn rights(&self) -> BTreeSet<Right> {
        self.state.rights.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl HeldWrite {
    /// What holds.
    #[must_use]
    pub fn hold(&self) -> &Hold {
        &self.0.hold
    }

    /// The write that is held, from when it has come.
    #[must_use]
    pub fn hit(&self) -> Option<Write> {
        let writes = self.0.writes.lock().unwrap_or_else(PoisonError::into_inner);
        writes.get(usize::try_from(self.0.number.checked_sub(1)?).ok()?).copied()
    }
}

impl Armed {
    /// Counts a write, and says whether it is the one.
    fn hits(&self, write: Write) -> bool {
        if self.only.is_some_and(|only| only != write) {
            return false;
        }
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        writes.push(write);
        u64::try_from(writes.len()).is_ok_and(|count| count == self.number)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn plain(address: SocketAddr, namespace: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "proxy",
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "nobody", "namespace": namespace}}],
        "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "nobody", "user": {}}],
    })
    .to_string()
}

async fn serve(listener: TcpListener, client: kube::Client, state: Arc<State>) {
    let mut callers = JoinSet::new();
    while let Ok((caller, _)) = listener.accept().await {
        while callers.try_join_next().is_some() {}
        let (client, state) = (client.clone(), Arc::clone(&state));
        callers.spawn(async move {
            let service = service_fn(move |request| take(request, client.clone(), Arc::clone(&state)));
            // What goes wrong with a caller is the caller's to tell.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(caller), service).await;
        });
    }
}

async fn take(request: Request<Incoming>, client: kube::Client, state: Arc<State>) -> Result<Response<Body>, Broken> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    without_connection(&mut parts.headers);
    let write = write(&parts.method, parts.uri.path());
    let needed = right(&parts.method, &parts.uri);
    state.rights.lock().unwrap_or_else(PoisonError::into_inner).extend(needed);
    let armed = state.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let armed = armed.filter(|armed| write.is_some_and(|write| armed.hits(write)));
    let request = Request::from_parts(parts, Body::from(body.to_vec()));
    // A task of its own: a write that was taken is carried out, also when its caller is gone before the answer.
    let answered = tokio::spawn(async move {
        if let Some(armed) = armed.as_ref().filter(|armed| armed.is_held_back) {
            armed.hold.keep().await;
        }
        let mut answer = client.send(request).await?;
        without_connection(answer.headers_mut());
        if let Some(armed) = armed.filter(|armed| !armed.is_held_back) {
            armed.hold.keep().await;
        }
        Ok::<_, kube::Error>(answer)
    });
    Ok(answered.await??)
}

fn write(method: &Method, path: &str) -> Option<Write> {
    let is_write = method != Method::GET && path.contains(STACKS);
    is_write.then(|| if path.ends_with("/status") { Write::Status } else { Write::Object })
}

fn without_connection(headers: &mut HeaderMap) {
    for name in [CONNECTION, HOST, TRANSFER_ENCODING] {
        headers.remove(name);
    }
}
