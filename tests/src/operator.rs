//! The operator as a process: the program that is shipped, started as it is in a cluster but for the addresses.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::guard::{Guarded, Program};
use crate::image::Image;
use crate::poll::within;
use crate::testbed::Testbed;
use crate::{Context, Result, workspace};

/// How long a command that only tells something may take.
const TOLD_WITHIN: Duration = Duration::from_secs(90);

/// How to start the operator. The default looks after all namespaces with the operator's own defaults.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The only namespace to look after.
    pub namespace: Option<String>,
    /// How often everything is looked at again.
    pub resync_seconds: Option<u32>,
    /// More arguments.
    pub arguments: Vec<String>,
    /// What its log is called, when it runs beside another one for the same namespace.
    pub log: Option<String>,
    /// Another identity than the administrator's.
    pub kubeconfig: Option<PathBuf>,
    /// Another access key for AWS than the testbed's, by which its calls are told from others'.
    pub key: Option<String>,
    /// Where its credentials for AWS come from when it has no access keys.
    pub identity: Option<Vec<(String, String)>>,
    /// The image to run it from, with the packages of that.
    pub image: Option<Image>,
}

impl Settings {
    /// An operator for one namespace.
    #[must_use]
    pub fn namespace(namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..Self::default() }
    }

    /// The same with another resync interval.
    #[must_use]
    pub const fn resync_seconds(mut self, seconds: u32) -> Self {
        self.resync_seconds = Some(seconds);
        self
    }
}

/// A running operator; dropping it ends it.
#[derive(Debug)]
pub struct Operator {
    process: Guarded,
}

/// One look at one stack, as the operator logged it.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Namespace and name of the stack.
    pub stack: String,
    /// Whether nothing was left to do or to wait for.
    pub settled: bool,
    /// How many calls read from AWS.
    pub aws_reads: u64,
    /// How many calls changed something in AWS.
    pub aws_writes: u64,
    /// The whole log line.
    pub line: Value,
}

impl Operator {
    /// Starts the operator; it is not ready yet when this returns.
    ///
    /// Operators for the same namespace write one log, one after the other.
    pub fn start(testbed: &Testbed, settings: &Settings) -> Result<Self> {
        let name = settings.log.as_deref().or(settings.namespace.as_deref()).unwrap_or("all");
        let name = format!("operator-{name}");
        let kubeconfig = settings.kubeconfig.clone().unwrap_or_else(|| testbed.kubernetes().kubeconfig());
        let mut variables = testbed.aws().variables();
        if let Some(identity) = &settings.identity {
            variables.retain(|name, _| !name.starts_with("AWS_ACCESS_KEY") && !name.starts_with("AWS_SECRET"));
            variables.extend(identity.iter().cloned());
        }
        let (program, functions) = match &settings.image {
            Some(image) => (image.operator(&name)?, image.functions()),
            None => (Program::new(name, workspace::program("sumu-operator")?), testbed.functions()?),
        };
        let mut program = program
            .arguments(["run", "--log-format", "json", "--metrics-address", "127.0.0.1:0"])
            .arguments(["--region", testbed.aws().region()])
            .arguments(addresses(testbed))
            .argument("--functions-dir")
            .argument(functions)
            .arguments(&settings.arguments)
            // Clean, so that what the developer has set for AWS or a cluster reaches neither.
            .clean_environment()
            .variables(variables)
            .variable("KUBECONFIG", kubeconfig)
            // As in its image: glibc otherwise keeps the tens of megabytes that an upload needs for a second.
            .variable("MALLOC_MMAP_THRESHOLD_", "131072")
            .variable("RUST_BACKTRACE", "1");
        // A real account has keys of its own.
        let has_keys = testbed.aws().account().is_none() && settings.identity.is_none();
        if let Some(key) = settings.key.as_deref().filter(|_| has_keys) {
            program = program.variable("AWS_ACCESS_KEY_ID", key);
        }
        if let Some(namespace) = &settings.namespace {
            program = program.arguments(["--namespaces", namespace]);
        }
        if let Some(seconds) = settings.resync_seconds {
            program = program.argument("--resync-seconds").argument(seconds.to_string());
        }
        if let Ok(filter) = std::env::var("SUMU_TEST_LOG") {
            program = program.variable("SUMU_LOG", filter);
        }
        Ok(Self { process: testbed.folder().start(&program)? })
    }

    /// Kills it at once, as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Asks it to end, as a cluster does, and says how it ended.
    pub fn terminate(&mut self) -> Result<std::process::ExitStatus> {
        self.process.terminate()
    }

    /// Fails with the end of its log when it has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        self.process.ensure_running()
    }

    /// Its process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Every JSON line that it has logged so far. What is no JSON (a panic, say) is left out.
    pub fn log(&self) -> Result<Vec<Value>> {
        let text = std::fs::read_to_string(self.process.log())?;
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Every pass that it has finished so far, oldest first.
    pub fn passes(&self) -> Result<Vec<Pass>> {
        let log = self.log()?;
        Ok(log.into_iter().filter(|line| field(line, "message") == Some(&"pass finished".into())).map(pass).collect())
    }

    /// How often it has logged this message.
    pub fn said(&self, message: &str) -> Result<usize> {
        Ok(self.log()?.iter().filter(|line| field(line, "message") == Some(&message.into())).count())
    }

    /// Asks it over HTTP for `/metrics` and the like, and returns status and text.
    pub async fn ask(&self, path: &str) -> Result<(u16, String)> {
        let log = self.log()?;
        let serving = log.iter().rfind(|line| field(line, "message") == Some(&"serving metrics".into()));
        let address = serving.and_then(|line| field(line, "address")?.as_str()).context("it serves no metrics yet")?;
        let answer = reqwest::get(format!("http://{address}{path}")).await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// How much memory it holds for itself, in KiB: without the pages of its executable, which a debug build fills with
    /// forty megabytes of its own and the system can take back at any time.
    pub fn memory_kib(&self) -> Result<u64> {
        self.status_kib("RssAnon")
    }

    /// The most memory that it has had at once, in KiB, the pages of its executable too.
    pub fn peak_memory_kib(&self) -> Result<u64> {
        self.status_kib("VmHWM")
    }

    fn status_kib(&self, name: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(line.with_context(|| format!("no {name}"))?.trim().trim_end_matches("kB").trim().parse()?)
    }
}

/// What a command of the operator's has told.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs a command of the operator's that ends by itself, such as `plan`, with `input` on its standard input.
///
/// `settings` say with which kubeconfig, access key and further arguments.
pub async fn tell(testbed: &Testbed, settings: &Settings, arguments: &[&str], input: &str) -> Result<Told> {
    let kubeconfig = settings.kubeconfig.clone().unwrap_or_else(|| testbed.kubernetes().kubeconfig());
    let what = format!("sumu-operator {}", arguments.join(" "));
    within(TOLD_WITHIN, &what, async {
        let mut command = Command::new(workspace::program("sumu-operator")?);
        command
            .args(arguments)
            .args(&settings.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(testbed.aws().variables())
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // A real account has keys of its own.
        if let Some(key) = settings.key.as_deref().filter(|_| testbed.aws().account().is_none()) {
            command.env("AWS_ACCESS_KEY_ID", key);
        }
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().context("it has no input")?;
        // One that does not read its input has closed it.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await?;
        Ok(Told {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    })
    .await
}

/// What the operator must know to look at stacks as [`Operator::start`] does.
pub fn provision(testbed: &Testbed) -> Result<Vec<String>> {
    let functions = testbed.functions()?.to_string_lossy().into_owned();
    let fixed = ["--region", testbed.aws().region(), "--functions-dir", &functions].map(ToOwned::to_owned);
    Ok(fixed.into_iter().chain(addresses(testbed)).collect())
}

/// Where AWS and its WebSockets are; AWS's own addresses are the operator's defaults.
fn addresses(testbed: &Testbed) -> Vec<String> {
    if testbed.aws().account().is_some() {
        return vec![];
    }
    let (front, aws) = (testbed.front(), testbed.aws());
    let addresses = [
        ("--aws-endpoint-url", aws.endpoint()),
        ("--aws-pacing", "off".to_owned()),
        ("--websocket-endpoint", front.websocket_template()),
        ("--management-endpoint", front.management_template()),
    ];
    addresses.into_iter().flat_map(|(argument, address)| [argument.to_owned(), address]).collect()
}

fn pass(line: Value) -> Pass {
    let number = |name| field(&line, name).and_then(Value::as_u64).unwrap_or_default();
    Pass {
        stack: field(&line, "stack").and_then(Value::as_str).unwrap_or_default().to_owned(),
        settled: field(&line, "settled").and_then(Value::as_bool).unwrap_or_default(),
        aws_reads: number("aws_reads"),
        aws_writes: number("aws_writes"),
        line,
    }
}

/// A field of a log line, wherever the format puts it.
fn field<'a>(line: &'a Value, name: &str) -> Option<&'a Value> {
    line.get(name).or_else(|| line.get("fields")?.get(name))
}
