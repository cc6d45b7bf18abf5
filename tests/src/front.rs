//! A front before API Gateway's management API that treats chosen connections badly.
//!
//! The emulator takes every post at once and keeps it for as long as a client does not read. AWS does not: there a post
//! may take long, be throttled or fail. Who posts through this front meets all of that, for the connections that a test
//! names; everything else is passed on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::aws::Aws;
use crate::{Context, Result, ensure};

/// What becomes of the posts to one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No answer, for as long as the caller waits.
    Hang,
    /// 429, as for a client that does not read or an account that posts too much.
    Throttle,
    /// 500.
    Fail,
    /// The caller's connection breaks.
    HangUp,
    /// The post is made, and its answer lost.
    LoseAnswer,
}

/// A running front.
#[derive(Debug)]
pub struct Front {
    authority: String,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    client: reqwest::Client,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    faults: HashMap<String, Fault>,
    posts: HashMap<String, usize>,
    callers: usize,
}

/// One request.
struct Request {
    method: String,
    path: String,
    body: Vec<u8>,
}

impl Front {
    /// Starts a front on a free port, in the runtime that calls.
    pub async fn start(aws: &Aws) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let authority = listener.local_addr()?.to_string();
        let client = reqwest::Client::builder().build()?;
        let shared = Arc::new(Shared { upstream: aws.endpoint(), client, state: Mutex::default() });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { authority, shared, server })
    }

    /// Where the pusher posts to connections, with `{apiId}` and `{stage}` to fill in.
    #[must_use]
    pub fn management_template(&self) -> String {
        format!("http://{}/_aws/execute-api/{{apiId}}/{{stage}}", self.authority)
    }

    /// Treats the posts to a connection so from now on.
    pub fn set(&self, connection_id: &str, fault: Fault) {
        self.shared.state().faults.insert(connection_id.to_owned(), fault);
    }

    /// Passes everything on from now on.
    pub fn mend(&self) {
        self.shared.state().faults.clear();
    }

    /// How often was posted to a connection.
    #[must_use]
    pub fn posts_to(&self, connection_id: &str) -> usize {
        self.shared.state().posts.get(connection_id).copied().unwrap_or(0)
    }

    /// How often was posted.
    #[must_use]
    pub fn posts(&self) -> usize {
        self.shared.state().posts.values().sum()
    }

    /// Over how many connections of their own the posts came.
    #[must_use]
    pub fn callers(&self) -> usize {
        self.shared.state().callers
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a post and says what is to become of it.
    fn fault(&self, path: &str) -> Option<Fault> {
        let connection_id = path.rsplit('/').next().unwrap_or_default();
        let mut state = self.state();
        *state.posts.entry(connection_id.to_owned()).or_default() += 1;
        state.faults.get(connection_id).copied()
    }
}

/// Answers until it is dropped. What goes wrong with a caller is the caller's to tell.
async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((caller, _)) = listener.accept().await {
        shared.state().callers += 1;
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _ = answer(BufReader::new(caller), &shared).await;
        });
    }
}

/// Answers one request after the other.
async fn answer(mut caller: BufReader<TcpStream>, shared: &Shared) -> Result<()> {
    while let Some(request) = read(&mut caller).await? {
        let (status, kind, body) = match shared.fault(&request.path) {
            None => pass_on(request, shared).await?,
            Some(Fault::Throttle) => (429, "LimitExceededException".to_owned(), "{}".to_owned()),
            Some(Fault::Fail) => (500, String::new(), "{}".to_owned()),
            Some(Fault::HangUp) => return Ok(()),
            Some(Fault::LoseAnswer) => return pass_on(request, shared).await.map(|_| ()),
            // Until the caller has had enough and closes, or sends what is no business of ours.
            Some(Fault::Hang) => return caller.read_u8().await.map(|_| ()).map_err(Into::into),
        };
        let retry = if status == 429 { "Retry-After: 1\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nx-amzn-ErrorType: {kind}\r\n{retry}Content-Length: {}\r\n\r\n",
            body.len()
        );
        caller.write_all(head.as_bytes()).await?;
        caller.write_all(body.as_bytes()).await?;
    }
    Ok(())
}

async fn pass_on(request: Request, shared: &Shared) -> Result<(u16, String, String)> {
    let url = format!("{}{}", shared.upstream, request.path);
    let answer = shared.client.request(request.method.parse()?, url).body(request.body).send().await?;
    let kind = answer.headers().get("x-amzn-errortype").and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().to_owned();
    Ok((answer.status().as_u16(), kind, answer.text().await?))
}

/// The next request; nothing when the caller has closed.
async fn read(caller: &mut BufReader<TcpStream>) -> Result<Option<Request>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if caller.read_line(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    let mut words = head.split_ascii_whitespace();
    let method = words.next().context("no method")?.to_owned();
    let path = words.next().context("no path")?.to_owned();
    let header = |name: &str| {
        let headers = head.lines().filter_map(|line| line.split_once(':'));
        headers.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    };
    ensure!(header("transfer-encoding").is_none(), "a body in chunks is not understood here");
    let mut body = vec![0; header("content-length").map_or(Ok(0), str::parse)?];
    caller.read_exact(&mut body).await?;
    Ok(Some(Request { method, path, body }))
}
