//! A function's real program, run as Lambda runs it: it polls the Runtime API for events, and that API is ours.

use std::collections::BTreeMap;
use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};

use super::stand_in::StandIn;
use super::stand_in::http::{self, Handler, Request, Response};

/// The time that an invocation has: as much as the operator gives the pusher.
const INVOCATION_TIME: Duration = Duration::from_mins(2);

/// One execution environment.
#[derive(Debug)]
pub struct Function {
    process: Child,
    events: mpsc::Sender<Value>,
    answers: mpsc::Receiver<Value>,
    /// How long it took from its start to its first poll.
    pub start_time: Duration,
}

/// The Runtime API of one execution environment.
struct RuntimeApi {
    events: Mutex<mpsc::Receiver<Value>>,
    answers: mpsc::Sender<Value>,
    polls: mpsc::Sender<Instant>,
}

impl Function {
    /// Starts a program with these settings, and waits for its first poll.
    pub async fn start(program: &str, arguments: &[&str], environment: &BTreeMap<String, String>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (events, to_hand_out) = mpsc::channel(1);
        let (answered, answers) = mpsc::channel(1);
        let (polled, mut polls) = mpsc::channel(64);
        let api = RuntimeApi { events: Mutex::new(to_hand_out), answers: answered, polls: polled };
        tokio::spawn(http::serve(listener, Arc::new(api)));
        let started = Instant::now();
        let process = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(environment)
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let first = tokio::time::timeout(Duration::from_secs(10), polls.recv()).await.ok().flatten();
        let first = first.ok_or_else(|| io::Error::other(format!("{program} does not poll")))?;
        Ok(Self { process, events, answers, start_time: first - started })
    }

    /// Hands out one event and waits for its answer; an error when the program dies.
    pub async fn invoke(&mut self, event: Value) -> io::Result<Value> {
        self.events.send(event).await.map_err(io::Error::other)?;
        tokio::select! {
            answer = self.answers.recv() => answer.ok_or_else(|| io::Error::other("no answer")),
            ended = self.process.wait() => Err(io::Error::other(format!("the program ended: {}", ended?))),
        }
    }

    /// Kills it: it gets no time to say or do anything.
    pub async fn kill(mut self) -> io::Result<()> {
        self.process.kill().await
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.process.id().unwrap_or_default()
    }
}

impl Handler for RuntimeApi {
    async fn answer(&self, request: Request) -> Response {
        if request.method == "GET" {
            let _ = self.polls.try_send(Instant::now());
            let Some(event) = self.events.lock().await.recv().await else { return Response::new(500, "") };
            let deadline = SystemTime::now() + INVOCATION_TIME;
            let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
            let headers = vec![
                ("lambda-runtime-aws-request-id", "00000000-0000-4000-8000-000000000000".to_owned()),
                ("lambda-runtime-deadline-ms", deadline.to_string()),
                ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:0:function:bench".to_owned()),
                ("content-type", "application/json".to_owned()),
            ];
            return Response { status: 200, headers, body: event.to_string().into_bytes() };
        }
        let answer = if request.path.ends_with("/response") {
            serde_json::from_slice(&request.body).unwrap_or_default()
        } else {
            json!({"error": String::from_utf8_lossy(&request.body)})
        };
        let _ = self.answers.send(answer).await;
        Response::new(202, "{}")
    }
}

/// What every program of ours finds in its environment on Lambda.
pub fn environment(stand_in: &StandIn) -> BTreeMap<String, String> {
    let variables = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
    ];
    let mut environment: BTreeMap<String, String> =
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    // As long as those of a role are: it is signed and sent with each call.
    environment.insert("AWS_SESSION_TOKEN".into(), "T".repeat(900));
    environment.insert("AWS_ENDPOINT_URL".into(), stand_in.endpoint.clone());
    environment
}
