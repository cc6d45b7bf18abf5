//! A real Kubernetes API: etcd and kube-apiserver.
//!
//! There are no controllers, no scheduler and no kubelet: nothing collects what an owner left, a namespace that is
//! deleted stays, and a pod never starts.

pub mod proxy;
pub mod right;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio_tungstenite::tungstenite::http::Request;

use crate::folder::Folder;
use crate::guard::{Guarded, Program};
use crate::poll::{eventually, free_ports, within};
use crate::{Context, Result, account, ensure, workspace};

// A cold machine that builds something else at the same time needs tens of seconds.
const READY_WITHIN: Duration = Duration::from_mins(2);
const KUBECTL_WITHIN: Duration = Duration::from_secs(90);
const TOKEN: &str = "testbed-administrator";

/// A running Kubernetes API.
#[derive(Debug)]
pub struct Kubernetes {
    url: String,
    home: PathBuf,
    kubectl: PathBuf,
    namespaces: AtomicU32,
    // In the order in which they are to end.
    apiserver: Guarded,
    etcd: Guarded,
}

/// What `kubectl` answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Whether it exited with 0.
    pub success: bool,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Kubernetes {
    /// Starts both and waits until they are ready.
    pub async fn start(folder: &Folder) -> Result<Self> {
        let home = folder.data("kubernetes")?;
        write_credentials(&home)?;
        let mut attempt = 1;
        loop {
            // Only a port that somebody took in between is worth another attempt.
            match Self::attempt(folder, &home, attempt).await {
                Err(error) if attempt < 3 && error.to_string().contains("address already in use") => attempt += 1,
                done => return done,
            }
        }
    }

    async fn attempt(folder: &Folder, home: &Path, attempt: u32) -> Result<Self> {
        let [clients, peers, secure] = free_ports()?;
        let mut etcd = folder.start(&etcd(home, attempt, clients, peers)?)?;
        let mut apiserver = folder.start(&apiserver(home, clients, secure)?)?;
        let url = format!("https://127.0.0.1:{secure}");
        write_kubeconfig(&home.join("kubeconfig"), &url, "default", TOKEN)?;
        let client = client(&home.join("kubeconfig")).await?;
        eventually(READY_WITHIN, "the API server to be ready", async || {
            match client.request_text(Request::get("/readyz").body(Vec::new())?).await {
                Ok(_) => Ok(Ok(())),
                Err(not_yet) => match etcd.ensure_running().and_then(|()| apiserver.ensure_running()) {
                    Ok(()) => Err(not_yet.into()),
                    Err(ended) => Ok(Err(ended)),
                },
            }
        })
        .await??;
        let kubectl = workspace::kubernetes_program("kubectl")?;
        Ok(Self { url, home: home.to_owned(), kubectl, namespaces: AtomicU32::new(0), apiserver, etcd })
    }

    /// The API server's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A kubeconfig of an administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.home.join("kubeconfig")
    }

    /// A kubeconfig of a service account, with a fresh token of its own and nothing else.
    pub async fn kubeconfig_of(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        let token = self.kubectl_ok(&["create", "token", account, "--namespace", namespace], "").await?;
        let path = self.home.join(format!("kubeconfig-{namespace}-{account}"));
        write_kubeconfig(&path, &self.url, namespace, token.trim())?;
        Ok(path)
    }

    /// A folder for files of whoever talks to this API server.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The `kubectl` that belongs to this API server.
    #[must_use]
    pub fn kubectl_path(&self) -> &Path {
        &self.kubectl
    }

    /// The process ids of the API server and of etcd.
    #[must_use]
    pub const fn pids(&self) -> [u32; 2] {
        [self.apiserver.pid(), self.etcd.pid()]
    }

    /// A new client, an administrator's.
    ///
    /// A client belongs to the runtime that makes it, and each test has a runtime of its own.
    pub async fn client(&self) -> Result<kube::Client> {
        client(&self.kubeconfig()).await
    }

    /// Runs `kubectl`, with `input` on its standard input.
    pub async fn kubectl(&self, arguments: &[&str], input: &str) -> Result<Answer> {
        let what = format!("kubectl {}", arguments.join(" "));
        within(KUBECTL_WITHIN, &what, async {
            let mut child = Command::new(&self.kubectl)
                .args(arguments)
                .env("KUBECONFIG", self.kubeconfig())
                // Its cache of the API's types would otherwise be shared with every other cluster.
                .env("HOME", &self.home)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()?;
            let mut stdin = child.stdin.take().context("kubectl has no input")?;
            // A kubectl that does not read its input has closed it.
            let _ = stdin.write_all(input.as_bytes()).await;
            drop(stdin);
            let output = child.wait_with_output().await?;
            Ok(Answer {
                success: output.status.success(),
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            })
        })
        .await
    }

    /// Runs `kubectl`, which must succeed, and returns what it printed.
    pub async fn kubectl_ok(&self, arguments: &[&str], input: &str) -> Result<String> {
        let answer = self.kubectl(arguments, input).await?;
        ensure!(answer.success, "kubectl {} failed: {}", arguments.join(" "), answer.stderr.trim());
        Ok(answer.stdout)
    }

    /// Installs the `SumuStack` CRD and waits until it is served.
    pub async fn install_crd(&self) -> Result<()> {
        let path = workspace::root().join("crds/sumustacks.yaml");
        let manifest = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        // On the server: the client's way copies the whole CRD into an annotation, which has a limit.
        self.kubectl_ok(&["apply", "--server-side", "--filename=-"], &manifest).await?;
        let arguments = ["wait", "--for=condition=Established", "--timeout=60s", "crd/sumustacks.sumu.live"];
        self.kubectl_ok(&arguments, "").await?;
        // Established is said before the API server serves the objects.
        eventually(Duration::from_mins(1), "SumuStacks to be served", async || {
            self.kubectl_ok(&["get", "sumustacks", "--all-namespaces"], "").await.map(|_| ())
        })
        .await
    }

    /// A new namespace of this testbed, `<prefix>-<number>`, behind the name of the run that uses a real account.
    pub async fn namespace(&self, prefix: &str) -> Result<String> {
        let run = std::env::var(account::RUN).map(|run| format!("{run}-")).unwrap_or_default();
        let name = format!("{run}{prefix}-{}", self.namespaces.fetch_add(1, Ordering::Relaxed));
        self.kubectl_ok(&["create", "namespace", &name], "").await?;
        Ok(name)
    }
}

async fn client(kubeconfig: &Path) -> Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

fn etcd(home: &Path, attempt: u32, clients: u16, peers: u16) -> Result<Program> {
    let clients = format!("http://127.0.0.1:{clients}");
    let peers = format!("http://127.0.0.1:{peers}");
    let data = home.join(format!("etcd-{attempt}"));
    Ok(Program::new("etcd", workspace::kubernetes_program("etcd")?)
        .argument("--data-dir")
        .argument(data)
        .argument("--unsafe-no-fsync")
        .arguments(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
        .arguments(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
        .arguments(["--initial-cluster", &format!("default={peers}")]))
}

fn apiserver(home: &Path, etcd: u16, secure: u16) -> Result<Program> {
    let file = |flag: &str, name: &str| format!("--{flag}={}", home.join(name).display());
    Ok(Program::new("kube-apiserver", workspace::kubernetes_program("kube-apiserver")?)
        .argument(format!("--etcd-servers=http://127.0.0.1:{etcd}"))
        .argument(format!("--secure-port={secure}"))
        .arguments(["--bind-address=127.0.0.1", "--service-cluster-ip-range=10.0.0.0/24"])
        // The address of the machine's default route otherwise, and a machine may have none.
        .arguments(["--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"])
        .arguments(["--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc"])
        .arguments([file("cert-dir", "certificates"), file("token-auth-file", "tokens.csv")])
        .arguments([file("tls-cert-file", "server.crt"), file("tls-private-key-file", "server.key")])
        .argument(file("service-account-key-file", "service-account.pub"))
        .argument(file("service-account-signing-key-file", "service-account.key")))
}

/// The administrator's token, the service accounts' key and a server certificate with its own authority.
fn write_credentials(home: &Path) -> Result<()> {
    std::fs::write(home.join("tokens.csv"), format!("{TOKEN},administrator,administrator,\"system:masters\"\n"))?;
    let service_accounts = KeyPair::generate()?;
    std::fs::write(home.join("service-account.key"), service_accounts.serialize_pem())?;
    std::fs::write(home.join("service-account.pub"), service_accounts.public_key_pem())?;

    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    std::fs::write(home.join("authority.crt"), authority.self_signed(&authority_key)?.pem())?;

    let server = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    let server_key = KeyPair::generate()?;
    let certificate = server.signed_by(&server_key, &Issuer::from_params(&authority, &authority_key))?;
    std::fs::write(home.join("server.crt"), certificate.pem())?;
    std::fs::write(home.join("server.key"), server_key.serialize_pem())?;
    Ok(())
}

/// A kubeconfig with a token; the authority's certificate is beside it.
fn write_kubeconfig(path: &Path, url: &str, namespace: &str, token: &str) -> Result<()> {
    let authority = path.with_file_name("authority.crt");
    let context = json!({"cluster": "testbed", "user": "testbed", "namespace": namespace});
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "testbed",
        "contexts": [{"name": "testbed", "context": context}],
        "clusters": [{"name": "testbed", "cluster": {"server": url, "certificate-authority": authority}}],
        "users": [{"name": "testbed", "user": {"token": token}}],
    });
    Ok(std::fs::write(path, kubeconfig.to_string())?)
}
