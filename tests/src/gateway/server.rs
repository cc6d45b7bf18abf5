//! The proxy: takes a request, lets faults and rules have their say, passes it on and answers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use futures::{FutureExt, StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::CONTENT_LENGTH;
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::Settings;
use super::call::{Call, Service};
use super::deployments::Deployments;
use super::facts::{Facts, last};
use super::fault::{self, Faults};
use super::history::History;
use super::rule::{Act, RuleSet};
use super::wire::{Answer, Refusal};
use crate::aws::{KEY, REGION};
use crate::delivery::held::{Held, queue_of};
use crate::poll::pass;
use crate::{Error, Result};

/// Shorter than the emulator keeps a connection, so that none is used that it is about to close.
const IDLE: Duration = Duration::from_secs(20);

/// Headers that are about one connection and not about the request.
const OF_A_CONNECTION: [&str; 7] =
    ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "expect"];

type Body = BoxBody<Bytes, std::io::Error>;

/// What all requests share.
#[derive(Debug)]
pub(super) struct Shared {
    emulator: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    pub(super) facts: Arc<Facts>,
    /// What rules know of other regions than the testbed's.
    elsewhere: Mutex<HashMap<String, Arc<Facts>>>,
    pub(super) faults: Faults,
    pub(super) held: Arc<Held>,
    pub(super) deployments: Arc<Deployments>,
    holds: bool,
    pub(super) history: History,
    pub(super) rules: RuleSet,
    /// One write a service at a time while rules look, so that what they have seen still holds when it is done.
    turns: BTreeMap<Service, tokio::sync::Mutex<()>>,
    /// APIs with a write on its way.
    busy: Mutex<HashSet<String>>,
    log: Option<Mutex<File>>,
}

/// A request in whole.
struct Asked {
    parts: Parts,
    body: Bytes,
}

impl Shared {
    pub(super) async fn new(emulator: SocketAddr, settings: &Settings) -> Result<Self> {
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(format!("http://{emulator}"))
            .region(Region::from_static(REGION))
            .credentials_provider(Credentials::new(KEY, KEY, None, None, "gateway"))
            .load()
            .await;
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_idle_timeout(IDLE).pool_timer(TokioTimer::new()).http1_preserve_header_case(true);
        let ruled = [Service::Lambda, Service::DynamoDb, Service::Sqs, Service::Iam, Service::Sns];
        let open = |path| File::options().create(true).append(true).open(path);
        let log = settings.log.as_ref().map(open).transpose()?.map(Mutex::new);
        Ok(Self {
            emulator,
            client: client.build(HttpConnector::new()),
            facts: Arc::new(Facts::new(settings.pace, &sdk)),
            elsewhere: Mutex::default(),
            faults: Faults::default(),
            held: Arc::new(Held::with_pace(settings.pace.source)),
            holds: settings.holds,
            deployments: settings.deployments.clone().unwrap_or_default(),
            history: History::default(),
            rules: RuleSet::without(&settings.off),
            turns: ruled.into_iter().map(|service| (service, tokio::sync::Mutex::default())).collect(),
            busy: Mutex::default(),
            log,
        })
    }

    /// What rules know of the region that a call is for.
    fn facts_of(&self, call: &Call) -> Arc<Facts> {
        let is_at_home = call.region == self.facts.region || call.region.is_empty();
        if is_at_home || [Service::Iam, Service::Route53, Service::Sts].contains(&call.service) {
            return Arc::clone(&self.facts);
        }
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        let facts = elsewhere.entry(call.region.clone());
        Arc::clone(facts.or_insert_with(|| Arc::new(self.facts.of_region(&call.region))))
    }

    /// Tells of a refusal: a line that cannot be written is missed by nobody but its reader.
    fn tell(&self, call: &Call, rule: &str, refusal: &Refusal) {
        if let Some(log) = &self.log {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writeln!(log, "{} {} {rule}: {}", call.service.name(), call.operation, refusal.code);
        }
    }

    /// What comes back for a request; an error breaks its connection.
    async fn answer(&self, asked: Asked) -> Result<Response<Body>> {
        let Some(call) = Call::recognise(&asked.parts, &asked.body) else {
            return Ok(whole(self.pass_on(asked).await?));
        };
        let at = Instant::now();
        let answer = match self.faults.act_on(&call) {
            Some(act) => self.badly(act, &call, asked).await,
            None => self.strictly(&call, asked).await.map(whole),
        };
        self.history.note(&call, at, answer.as_ref().map_or(0, |answer| answer.status().as_u16()));
        answer
    }

    /// What comes back for a call that a fault hits.
    async fn badly(&self, act: fault::Act, call: &Call, asked: Asked) -> Result<Response<Body>> {
        match act {
            fault::Act::Drop => Err(Error::new("a fault drops the call")),
            fault::Act::Hang => std::future::pending().await,
            fault::Act::Refuse(refusal) => Ok(whole(refusal.answer(call.service))),
            fault::Act::Reply(answer) => Ok(whole(answer)),
            fault::Act::Stale => match self.history.last(call) {
                Some(answer) => Ok(whole(answer)),
                None => self.strictly(call, asked).await.map(whole),
            },
            fault::Act::Late(hold) => {
                hold.keep().await;
                self.strictly(call, asked).await.map(whole)
            }
            fault::Act::Delay(time) => {
                pass(time).await;
                self.strictly(call, asked).await.map(whole)
            }
            act => after(act, self.strictly(call, asked).await?).await,
        }
    }

    /// Passes a call on unless a rule refuses it, and puts right what comes back.
    async fn strictly(&self, call: &Call, asked: Asked) -> Result<Answer> {
        let facts = self.facts_of(call);
        let is_checked = self.rules.of(call).any(|(rule, _)| matches!(rule.act, Act::Refuse(_)));
        let turn = self.turns.get(&call.service).filter(|_| is_checked);
        let _turn = if let Some(turn) = turn { Some(turn.lock().await) } else { None };
        let mut alone = None;
        for (rule, count) in self.rules.of(call) {
            let refusal = match rule.act {
                // A rule that cannot look must be heard: the message is what a failed test shows.
                Act::Refuse(check) | Act::RefuseBeside(check) => check(call, &facts).await.unwrap_or_else(|error| {
                    Some(Refusal::new(500, "InternalFailure", error.within(rule.name).to_string()))
                }),
                Act::OneWriteAtATime => match Alone::with(&self.busy, call.id(0)) {
                    Some(held) => {
                        alone = Some(held);
                        None
                    }
                    None => Some(concurrent()),
                },
                Act::RefuseAtOnce(look) => look(call, &facts),
                Act::Ask(_) | Act::Do(_) | Act::Mend(_) => None,
            };
            if let Some(refusal) = refusal {
                count.fetch_add(1, Ordering::SeqCst);
                self.tell(call, rule.name, &refusal);
                return Ok(refusal.answer(call.service));
            }
        }
        let asked = self.asked(call, &facts, asked)?;
        let answer = match self.done(call, &facts).await? {
            Some(answer) => answer,
            None if self.holds => self.hold(call, &facts, asked).await?,
            None => self.pass_on(asked).await?,
        };
        self.deployments.capture(call, &answer, &facts.gateway).await?;
        drop(alone);
        facts.learn(call, &answer);
        if answer.is_good() {
            self.faults.saw(call);
        }
        let answer = self.mended(call, &facts, answer).await?;
        if !self.faults.freezes(call) {
            self.history.keep(call, &answer);
        }
        Ok(answer)
    }

    /// What the emulator is asked for.
    fn asked(&self, call: &Call, facts: &Facts, mut asked: Asked) -> Result<Asked> {
        for (rule, count) in self.rules.of(call) {
            let Act::Ask(asking) = rule.act else { continue };
            let (query, body) = asking(call, facts);
            count.fetch_add(1, Ordering::SeqCst);
            asked.parts.uri = Uri::try_from(format!("{}?{query}", asked.parts.uri.path()))?;
            asked.parts.headers.insert(CONTENT_LENGTH, body.len().into());
            asked.body = body;
        }
        Ok(asked)
    }

    /// What a rule has done in the emulator's place.
    async fn done(&self, call: &Call, facts: &Facts) -> Result<Option<Answer>> {
        for (rule, count) in self.rules.of(call) {
            let Act::Do(doing) = rule.act else { continue };
            if let Some(answer) = doing(call, facts).await.map_err(|error| error.within(rule.name))? {
                count.fetch_add(1, Ordering::SeqCst);
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    /// Lets the emulator hold what is asked for, in a form in which it does not work on it.
    async fn hold(&self, call: &Call, facts: &Facts, mut asked: Asked) -> Result<Answer> {
        if let Some(queue) = Held::notified(call).and_then(queue_of) {
            facts.sqs.create_queue().queue_name(last(&queue)).send().await?;
        }
        if let Some(body) = self.held.before(call, &asked.body) {
            asked.parts.headers.insert(CONTENT_LENGTH, body.len().into());
            asked.body = body;
        }
        Ok(self.held.after(call, self.pass_on(asked).await?))
    }

    async fn mended(&self, call: &Call, facts: &Facts, mut answer: Answer) -> Result<Answer> {
        for (rule, count) in self.rules.of(call) {
            let Act::Mend(mending) = rule.act else { continue };
            let (status, body) = (answer.status, answer.body.clone());
            answer = mending(call, facts, answer).await.map_err(|error| error.within(rule.name))?;
            note(count, (status, &body) != (answer.status, &answer.body));
        }
        Ok(answer)
    }

    async fn pass_on(&self, asked: Asked) -> Result<Answer> {
        let Asked { mut parts, body } = asked;
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = Uri::try_from(format!("http://{}{path}", self.emulator))?;
        without_connection(&mut parts.headers);
        let answer = self.client.request(Request::from_parts(parts, Full::new(body))).await?;
        let (mut parts, body) = answer.into_parts();
        without_connection(&mut parts.headers);
        let body = body.collect().await?.to_bytes();
        let (status, headers) = (parts.status.as_u16(), parts.headers);
        Ok(Answer { status, headers, body, extensions: parts.extensions })
    }
}

/// What comes back although AWS has given an answer.
async fn after(act: fault::Act, answer: Answer) -> Result<Response<Body>> {
    match act {
        fault::Act::LoseAnswer => Err(Error::new("a fault loses the answer")),
        fault::Act::LoseSuccess if answer.is_good() => Err(Error::new("a fault loses the answer")),
        fault::Act::Replace(instead) => Ok(whole(instead)),
        fault::Act::CutAnswer => Ok(half(answer)),
        fault::Act::Trickle(pause) => Ok(trickling(answer, pause)),
        fault::Act::Hold(hold) => {
            hold.keep().await;
            Ok(whole(answer))
        }
        fault::Act::Rewrite(change) if answer.is_good() => {
            let mut body = answer.json();
            change(&mut body);
            Ok(whole(answer.with_json(&body)))
        }
        fault::Act::RewriteText(change) if answer.is_good() => {
            let text = change(String::from_utf8_lossy(&answer.body).into_owned());
            Ok(whole(answer.with_text(text)))
        }
        _ => Ok(whole(answer)),
    }
}

/// The right to write to one API.
struct Alone<'a>(&'a Mutex<HashSet<String>>, String);

impl<'a> Alone<'a> {
    fn with(busy: &'a Mutex<HashSet<String>>, api: &str) -> Option<Self> {
        let is_free = busy.lock().unwrap_or_else(PoisonError::into_inner).insert(api.to_owned());
        is_free.then(|| Self(busy, api.to_owned()))
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

fn concurrent() -> Refusal {
    let message = "Unable to complete operation due to concurrent modification. Please try again later.";
    Refusal::new(409, "ConflictException", message)
}

fn note(count: &AtomicU64, is_changed: bool) {
    count.fetch_add(u64::from(is_changed), Ordering::SeqCst);
}

fn without_connection(headers: &mut HeaderMap) {
    for name in OF_A_CONNECTION {
        headers.remove(name);
    }
}

fn whole(answer: Answer) -> Response<Body> {
    let length = answer.body.len();
    response(answer, length, |body| Full::new(body).map_err(|never| match never {}).boxed())
}

/// An answer that ends in the middle, although its header says more.
fn half(answer: Answer) -> Response<Body> {
    let length = answer.body.len();
    response(answer, length, |body| {
        let cut = Err(std::io::Error::other("a fault cuts the answer"));
        BodyExt::boxed(StreamBody::new(stream::iter([Ok(Frame::data(body.slice(..body.len() / 2))), cut])))
    })
}

/// An answer that comes a byte at a time.
fn trickling(answer: Answer, pause: Duration) -> Response<Body> {
    let length = answer.body.len();
    response(answer, length, |body| {
        let bytes = stream::iter(0..body.len()).then(move |at| {
            let byte = body.slice(at..=at);
            pass(pause).map(|()| Ok(Frame::data(byte)))
        });
        BodyExt::boxed(StreamBody::new(Box::pin(bytes)))
    })
}

fn response(answer: Answer, length: usize, body: impl FnOnce(Bytes) -> Body) -> Response<Body> {
    let mut response = Response::new(body(answer.body));
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or_default();
    *response.headers_mut() = answer.headers;
    *response.extensions_mut() = answer.extensions;
    // HTTP forbids a length where there is no body.
    if response.status() != hyper::StatusCode::NO_CONTENT {
        response.headers_mut().insert("content-length", length.into());
    }
    response
}

/// Answers until it is dropped. What goes wrong with a caller is the caller's to tell.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut callers = JoinSet::new();
    while let Ok((caller, _)) = listener.accept().await {
        while callers.try_join_next().is_some() {}
        let shared = Arc::clone(&shared);
        callers.spawn(async move {
            let service = service_fn(move |request| take(Arc::clone(&shared), request));
            let mut server = http1::Builder::new();
            server.preserve_header_case(true);
            let _ = server.serve_connection(TokioIo::new(caller), service).await;
        });
    }
}

async fn take(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Broken> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|error| Broken(error.to_string()))?.to_bytes();
    // A task of its own: a request that was taken is carried out, also when its caller is gone before the answer.
    let answered = tokio::spawn(async move { shared.answer(Asked { parts, body }).await });
    answered.await.map_err(|error| Broken(error.to_string()))?.map_err(|error| Broken(error.to_string()))
}

/// Why a connection is broken.
#[derive(Debug)]
struct Broken(String);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}
