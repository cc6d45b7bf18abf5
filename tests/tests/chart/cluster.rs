//! A Kubernetes with the chart installed, and the chart's pods as processes.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use sumu_tests::folder::Folder;
use sumu_tests::guard::{Guarded, Program};
use sumu_tests::helm::{Helm, arguments, find, with_image};
use sumu_tests::kubernetes::{Answer, Kubernetes};
use sumu_tests::poll::{PATIENCE, within};
use sumu_tests::{Context, Error, Result, ensure, eventually, workspace};
use tokio::process::Command;

/// The release that all tests of this program share, and its namespace.
pub const RELEASE: &str = "sumu-operator";
pub const NAMESPACE: &str = "sumu-system";

const PROCESS_WITHIN: Duration = Duration::from_mins(1);

/// A Kubernetes of its own.
pub struct Cluster {
    pub kubernetes: Kubernetes,
    pub helm: Helm,
    folder: Folder,
}

/// A pod of the operator as a process.
pub struct Running(Guarded);

impl Cluster {
    /// Starts one, with nothing in it.
    pub async fn start() -> Result<Self> {
        // An error means that it is decided already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = Folder::new()?;
        let kubernetes = Kubernetes::start(&folder).await.inspect_err(|_| folder.keep())?;
        let helm = Helm::of(&kubernetes)?;
        Ok(Self { kubernetes, helm, folder })
    }

    /// The one that all tests of this process share, with the chart installed in a restricted namespace and everything
    /// turned on that needs no other custom resources.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            let installed = run(async {
                let cluster = Self::start().await?;
                cluster.restricted_namespace(NAMESPACE).await?;
                cluster.install(RELEASE, NAMESPACE, &values()).await?;
                let served = ["wait", "--for=condition=Established", "--timeout=60s", "crd/sumustacks.sumu.live"];
                cluster.kubernetes.kubectl_ok(&served, "").await?;
                Ok(cluster)
            });
            installed.map_err(|error| error.to_string())
        });
        shared.as_ref().map_err(|error| Error::new(error).within("the chart was not installed"))
    }

    /// A namespace that admits only pods that are restricted as the Pod Security Standards say.
    pub async fn restricted_namespace(&self, name: &str) -> Result<()> {
        self.kubernetes.kubectl_ok(&["create", "namespace", name], "").await?;
        let label = "pod-security.kubernetes.io/enforce=restricted";
        self.kubernetes.kubectl_ok(&["label", "namespace", name, label], "").await?;
        Ok(())
    }

    /// Installs the chart, and returns what Helm has to say.
    pub async fn install(&self, release: &str, namespace: &str, values: &Value) -> Result<String> {
        self.apply("install", &workspace::chart(), release, namespace, values).await
    }

    /// Installs or upgrades a chart.
    pub async fn apply(
        &self,
        verb: &str,
        chart: &Path,
        release: &str,
        namespace: &str,
        values: &Value,
    ) -> Result<String> {
        let file = self.folder.data("values")?.join(format!("{namespace}-{release}.json"));
        std::fs::write(&file, with_image(values).to_string())?;
        let (chart, file) = (text(chart)?, text(&file)?);
        self.helm.ok(&[verb, release, chart, "--namespace", namespace, "--values", file]).await
    }

    /// Everything that a release consists of.
    pub async fn objects(&self, release: &str, namespace: &str) -> Result<Vec<Value>> {
        self.helm.objects(release, namespace).await
    }

    /// Whether somebody may do something, as the API server decides it.
    pub async fn may(&self, user: &str, groups: &[&str], question: &[&str]) -> Result<bool> {
        let groups: Vec<String> = groups.iter().map(|group| format!("--as-group={group}")).collect();
        let who = format!("--as={user}");
        let mut asked = vec!["auth", "can-i"];
        asked.extend(question);
        asked.push(&who);
        asked.extend(groups.iter().map(String::as_str));
        let answer = self.kubernetes.kubectl(&asked, "").await?;
        match answer.stdout.lines().last().unwrap_or_default() {
            "yes" => Ok(true),
            // It adds why, if it knows.
            no if no.starts_with("no") => Ok(false),
            other => Err(Error::new(format!("{asked:?} was answered with {other:?} {}", answer.stderr))),
        }
    }

    /// Runs the operator's program to its end, as a pod of the release would: with its service account's token and nothing
    /// else.
    pub async fn run_as(&self, namespace: &str, account: &str, arguments: &[String]) -> Result<Answer> {
        let kubeconfig = self.kubernetes.kubeconfig_of(namespace, account).await?;
        let program = workspace::program("sumu-operator")?;
        within(PROCESS_WITHIN, &format!("sumu-operator {}", arguments.join(" ")), async {
            let output = Command::new(program)
                .env_clear()
                .env("KUBECONFIG", kubeconfig)
                .args(arguments)
                .kill_on_drop(true)
                .output()
                .await?;
            Ok(Answer {
                success: output.status.success(),
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            })
        })
        .await
    }

    /// Starts the operator with the arguments of the release's Deployment and its service account's token; `more` win over
    /// them. It makes no call to AWS until there is a stack.
    pub async fn operate(&self, release: &str, namespace: &str, more: &[&str]) -> Result<Running> {
        let objects = self.objects(release, namespace).await?;
        let deployment = find(&objects, "Deployment", "")?;
        let account = deployment["spec"]["template"]["spec"]["serviceAccountName"].as_str().context("no account")?;
        let kubeconfig = self.kubernetes.kubeconfig_of(namespace, account).await?;
        let program = Program::new(format!("operator-{namespace}"), workspace::program("sumu-operator")?)
            .arguments(arguments(&deployment["spec"]["template"])?)
            .arguments(["--metrics-address", "127.0.0.1:0", "--functions-dir", "none"])
            .arguments(more)
            .clean_environment()
            .variable("KUBECONFIG", kubeconfig);
        Ok(Running(self.folder.start(&program)?))
    }
}

impl Running {
    /// Where it serves health and metrics, from when it is ready.
    pub async fn ready(&self) -> Result<String> {
        eventually(PATIENCE, "the operator to be ready", async || {
            let log = std::fs::read_to_string(self.0.log())?;
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let address = lines
                .filter_map(|line| {
                    line["address"].as_str().or(line["fields"]["address"].as_str()).map(ToOwned::to_owned)
                })
                .next_back()
                .context("it serves nothing yet")?;
            let status = reqwest::get(format!("http://{address}/readyz")).await?.status();
            ensure!(status.is_success(), "it answered {status}");
            Ok(address)
        })
        .await
    }

    /// What it has logged, once it has ended by itself.
    pub async fn ended(&mut self) -> Result<String> {
        eventually(PATIENCE, "the operator to end", async || {
            ensure!(self.0.ended()?.is_some(), "it runs");
            Ok(std::fs::read_to_string(self.0.log())?)
        })
        .await
    }
}

/// The values of the shared release.
pub fn values() -> Value {
    json!({"replicas": 2, "metrics": {"dashboard": {"enabled": true}}, "networkPolicy": {"enabled": true}})
}

/// Runs a test to its end.
pub fn run<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(work)
}

/// A copy of the chart with other versions and changes of its files, each a path, a text and what is in its place.
pub fn copy(version: &str, changes: &[(&str, &str, &str)]) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    copy_folder(&workspace::chart(), folder.path())?;
    let current = env!("CARGO_PKG_VERSION");
    let versions = [
        ("Chart.yaml", format!("version: {current}"), format!("version: {version}")),
        ("Chart.yaml", format!("appVersion: {current}"), format!("appVersion: {version}")),
    ];
    let changes = changes.iter().map(|(file, old, new)| (*file, (*old).to_owned(), (*new).to_owned()));
    for (file, old, new) in versions.into_iter().chain(changes) {
        let path = folder.path().join(file);
        let text = std::fs::read_to_string(&path)?;
        ensure!(text.contains(&old), "{file} has no {old:?}");
        std::fs::write(&path, text.replacen(&old, &new, 1))?;
    }
    Ok(folder)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from)? {
        let path: PathBuf = entry?.path();
        let target = to.join(path.file_name().context("no name")?);
        if path.is_dir() {
            std::fs::create_dir(&target)?;
            copy_folder(&path, &target)?;
        } else {
            std::fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

pub fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}
