//! One emulator for all tests of this program, and functions whose answers a test decides.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{DeadLetterConfig, Environment, FunctionCode, Runtime, State};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;
use sumu_tests::aws::Aws;
use sumu_tests::folder::Folder;
use sumu_tests::front::http::{Answer, Request};
use sumu_tests::poll::{PATIENCE, pass};
use sumu_tests::{Context, Error, Result, ensure, eventually, workspace};
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};

/// Asks the test what to do with each event.
const PROGRAM: &str = r#"
import json, os, sys, urllib.request
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(api + "next", timeout=None) as next:
        id, event = next.headers["Lambda-Runtime-Aws-Request-Id"], next.read()
    with urllib.request.urlopen(os.environ["STUB"], event) as said:
        told = json.loads(said.read())
    if told["verb"] == "die":
        os._exit(1)
    urllib.request.urlopen(api + id + "/" + told["verb"], json.dumps(told["body"]).encode())
"#;

const TRUST: &str = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},
    "Action":"sts:AssumeRole"}]}"#;
const POLICY: &str = r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

/// What a function does with an event.
#[derive(Clone, Debug)]
pub enum Does {
    /// It answers.
    Answer(Value),
    /// It fails with an error.
    Fail,
    /// Its process ends in the middle.
    Die,
}

type Decide = Box<dyn Fn(&Value) -> Does + Send>;

/// A function of the test.
pub struct Stub {
    pub name: String,
    pub arn: String,
    events: Arc<Mutex<Vec<Value>>>,
    most: Arc<AtomicUsize>,
    server: tokio::task::JoinHandle<()>,
}

/// What a function's copies share.
struct Copies {
    events: Arc<Mutex<Vec<Value>>>,
    decide: Mutex<Decide>,
    /// How long each event takes.
    takes: Duration,
    running: AtomicUsize,
    most: Arc<AtomicUsize>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Stub {
    /// The events so far, in the order in which they came.
    pub fn events(&self) -> Vec<Value> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many copies have worked at once.
    pub fn most_at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    /// A text of each record of each event, by its JSON pointer.
    pub fn told(&self, pointer: &str) -> Vec<Vec<String>> {
        let text = |record: &Value| record.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let records = |event: &Value| event["Records"].as_array().into_iter().flatten().map(text).collect();
        self.events().iter().map(records).collect()
    }

    /// Waits until there were so many events.
    pub async fn after(&self, count: usize) -> Result<Vec<Value>> {
        eventually(PATIENCE, &format!("{count} events of {}", self.name), async || {
            let events = self.events();
            ensure!(events.len() >= count, "there were {}: {events:?}", events.len());
            Ok(events)
        })
        .await
    }
}

/// AWS, and what a test makes in it.
pub struct Bench {
    pub aws: &'static Aws,
    pub sdk: SdkConfig,
}

pub async fn bench() -> Result<Bench> {
    let aws = aws()?;
    Ok(Bench { aws, sdk: aws.sdk().await })
}

impl Bench {
    pub fn lambda(&self) -> aws_sdk_lambda::Client {
        aws_sdk_lambda::Client::new(&self.sdk)
    }

    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.sdk)
    }

    /// A function that does with each event what the test decides.
    pub async fn function(&self, name: &str, decide: impl Fn(&Value) -> Does + Send + 'static) -> Result<Stub> {
        self.function_with(name, None, Duration::ZERO, Box::new(decide)).await
    }

    /// The same with a queue for what it cannot handle, and the time that each event takes.
    pub async fn function_with(
        &self,
        name: &str,
        dead_letters: Option<&str>,
        takes: Duration,
        decide: Decide,
    ) -> Result<Stub> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let (events, most) = (Arc::new(Mutex::new(Vec::new())), Arc::default());
        let (running, decide) = (AtomicUsize::new(0), Mutex::new(decide));
        let copies = Copies { events: Arc::clone(&events), decide, takes, running, most: Arc::clone(&most) };
        let server = tokio::spawn(serve(listener, Arc::new(copies)));
        let iam = aws_sdk_iam::Client::new(&self.sdk);
        let role = iam.create_role().role_name(name).assume_role_policy_document(TRUST).send().await?;
        let role = role.role.context("no role")?.arn;
        iam.put_role_policy().role_name(name).policy_name("all").policy_document(POLICY).send().await?;
        let client = self.lambda();
        let made = eventually(PATIENCE, "the role to spread", async || {
            let environment = Environment::builder().variables("STUB", &url).build();
            let code = FunctionCode::builder().zip_file(Blob::new(package()?)).build();
            let letters = dead_letters.map(|arn| DeadLetterConfig::builder().target_arn(arn).build());
            let call = client.create_function().function_name(name).role(&role).environment(environment).timeout(10);
            let call = call.runtime(Runtime::Providedal2023).handler("b").code(code).set_dead_letter_config(letters);
            Ok(call.send().await?)
        })
        .await?;
        eventually(PATIENCE, "the function to be active", async || {
            let found = client.get_function_configuration().function_name(name).send().await?;
            ensure!(found.state == Some(State::Active), "{found:?}");
            Ok(())
        })
        .await?;
        Ok(Stub { name: name.to_owned(), arn: made.function_arn.unwrap_or_default(), events, most, server })
    }

    /// Takes all rights from a function's role.
    pub async fn disarm(&self, stub: &Stub) -> Result<()> {
        let iam = aws_sdk_iam::Client::new(&self.sdk);
        iam.delete_role_policy().role_name(&stub.name).policy_name("all").send().await?;
        Ok(())
    }

    /// Waits until Lambda would have sent to a queue what its URL shows that it has not.
    pub async fn lacks_the_right_to_send(&self, stub: &Stub, (url, arn): &(String, String)) -> Result<()> {
        eventually(PATIENCE, "a right to be lacked", async || {
            let lacked = self.aws.gateway().lacked(&stub.name);
            ensure!(lacked == [format!("{}: sqs:SendMessage on {arn}", stub.name)], "{lacked:?}");
            Ok(())
        })
        .await?;
        let found = self.messages(url).await?;
        ensure!(found == ("0".to_owned(), "0".to_owned()), "it was sent all the same: {found:?}");
        Ok(())
    }

    /// A queue; its URL and its ARN.
    pub async fn queue(&self, name: &str, attributes: &[(QueueAttributeName, &str)]) -> Result<(String, String)> {
        let mut call = self.sqs().create_queue().queue_name(name);
        for (attribute, value) in attributes {
            call = call.attributes(attribute.clone(), *value);
        }
        let url = call.send().await?.queue_url.context("no URL")?;
        Ok((url, format!("arn:aws:sqs:us-east-1:000000000000:{name}")))
    }

    /// The next message of a queue, which is deleted.
    pub async fn message(&self, url: &str) -> Result<aws_sdk_sqs::types::Message> {
        let sqs = self.sqs();
        let message = eventually(PATIENCE, "a message", async || {
            let call = sqs.receive_message().queue_url(url).message_attribute_names("All").wait_time_seconds(1);
            call.send().await?.messages.unwrap_or_default().pop().context("there is none")
        })
        .await?;
        let handle = message.receipt_handle().unwrap_or_default();
        sqs.delete_message().queue_url(url).receipt_handle(handle).send().await?;
        Ok(message)
    }

    /// How many messages a queue has: visible ones, and those that somebody works on.
    pub async fn messages(&self, url: &str) -> Result<(String, String)> {
        let (visible, hidden) = (
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        );
        let call = self.sqs().get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
        let mut found = call.send().await?.attributes.unwrap_or_default();
        Ok((found.remove(&visible).unwrap_or_default(), found.remove(&hidden).unwrap_or_default()))
    }
}

/// The program as a package. Its first line names the testbed's own Python.
fn package() -> Result<Vec<u8>> {
    let mut package = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    package.start_file("bootstrap", zip::write::SimpleFileOptions::default().unix_permissions(0o755))?;
    write!(package, "#!{}\n{PROGRAM}", workspace::python()?.display())?;
    Ok(package.finish()?.into_inner())
}

async fn serve(listener: TcpListener, copies: Arc<Copies>) {
    while let Ok((caller, _)) = listener.accept().await {
        let copies = Arc::clone(&copies);
        tokio::spawn(async move { told(caller, &copies).await });
    }
}

async fn told(caller: TcpStream, copies: &Copies) -> Result<()> {
    let mut caller = BufReader::new(caller);
    let request = Request::read(&mut caller).await?.context("no request")?;
    let event: Value = serde_json::from_slice(&request.body(&mut caller).await?)?;
    copies.events.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
    copies.most.fetch_max(copies.running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    pass(copies.takes).await;
    let does = copies.decide.lock().unwrap_or_else(PoisonError::into_inner)(&event);
    copies.running.fetch_sub(1, Ordering::SeqCst);
    let told = match does {
        Does::Answer(body) => serde_json::json!({"verb": "response", "body": body}),
        Does::Fail => serde_json::json!({"verb": "error", "body": {"errorType": "Oh", "errorMessage": "no way"}}),
        Does::Die => serde_json::json!({"verb": "die"}),
    };
    Answer::ok(200, &told.to_string()).write(&mut caller).await
}

/// The emulator, whose runtime stays when the test that came first is over.
fn aws() -> Result<&'static Aws> {
    static SHARED: OnceLock<Result<(Folder, Aws), String>> = OnceLock::new();
    let start = || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            runtime.block_on(async {
                let started = async {
                    let folder = Folder::new()?;
                    Aws::start(&folder).await.map(|aws| (folder, aws))
                };
                if sender.send(started.await).is_ok() {
                    std::future::pending::<()>().await;
                }
            });
        });
        receiver.recv().context("the thread of the emulator ended")?
    };
    let shared = SHARED.get_or_init(|| start().map_err(|error: Error| error.to_string()));
    shared.as_ref().map(|(_, aws)| aws).map_err(Error::new)
}
