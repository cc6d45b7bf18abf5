//! The real Helm, with the chart and a home of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::kubernetes::{Answer, Kubernetes};
use crate::poll::{patient, within};
use crate::{Context, Result, ensure, workspace};

const HELM_WITHIN: Duration = Duration::from_mins(2);

/// Where the image would be. The chart wants to know, and nothing here pulls it.
pub const IMAGE: &str = "registry.example/sumu-operator";

/// A Helm.
#[derive(Clone, Debug)]
pub struct Helm {
    path: PathBuf,
    home: PathBuf,
    kubeconfig: Option<PathBuf>,
}

impl Helm {
    /// One that knows no cluster; `home` is a folder for its files.
    pub fn offline(home: &Path) -> Result<Self> {
        Ok(Self { path: workspace::helm()?, home: home.to_owned(), kubeconfig: None })
    }

    /// One that is this Kubernetes' administrator.
    pub fn of(kubernetes: &Kubernetes) -> Result<Self> {
        let kubeconfig = Some(kubernetes.kubeconfig());
        Ok(Self { path: workspace::helm()?, home: kubernetes.home().to_owned(), kubeconfig })
    }

    /// Runs it.
    pub async fn run(&self, arguments: &[&str]) -> Result<Answer> {
        let what = format!("helm {}", arguments.join(" "));
        within(patient(HELM_WITHIN), &what, async {
            let mut command = Command::new(&self.path);
            // What the developer has set for Helm or a cluster must not reach it.
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &self.home);
            command.args(arguments).kill_on_drop(true);
            if let Some(kubeconfig) = &self.kubeconfig {
                command.env("KUBECONFIG", kubeconfig);
            }
            let output = command.output().await?;
            Ok(Answer {
                success: output.status.success(),
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            })
        })
        .await
    }

    /// Runs it; it must succeed, and what it printed is returned.
    pub async fn ok(&self, arguments: &[&str]) -> Result<String> {
        let answer = self.run(arguments).await?;
        ensure!(answer.success, "helm {} failed: {}", arguments.join(" "), answer.stderr.trim());
        Ok(answer.stdout)
    }

    /// What a release consists of, hooks too.
    pub async fn objects(&self, release: &str, namespace: &str) -> Result<Vec<Value>> {
        let mut objects = manifests(&self.ok(&["get", "manifest", release, "--namespace", namespace]).await?)?;
        objects.extend(manifests(&self.ok(&["get", "hooks", release, "--namespace", namespace]).await?)?);
        Ok(objects)
    }
}

/// These values with `IMAGE`, unless they name an image of their own.
#[must_use]
pub fn with_image(values: &Value) -> Value {
    let mut values = values.clone();
    let image = &mut values["image"];
    if image["repository"].is_null() {
        image["repository"] = IMAGE.into();
    }
    values
}

/// The objects of a YAML text.
pub fn manifests(text: &str) -> Result<Vec<Value>> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(text).context("no YAML")?;
    // A template that renders to nothing leaves a comment.
    Ok(objects.into_iter().filter(|object| !object.is_null()).collect())
}

/// The one object of this kind whose name ends so.
pub fn find<'a>(objects: &'a [Value], kind: &str, end: &str) -> Result<&'a Value> {
    let is_it = |object: &&Value| {
        object["kind"] == kind && object["metadata"]["name"].as_str().is_some_and(|name| name.ends_with(end))
    };
    let mut found = objects.iter().filter(is_it);
    let first = found.next().with_context(|| format!("there is no {kind} …{end}"))?;
    ensure!(found.next().is_none(), "there are several {kind} …{end}");
    Ok(first)
}

/// The arguments of a pod's only container.
pub fn arguments(pod: &Value) -> Result<Vec<String>> {
    let containers = pod["spec"]["containers"].as_array().context("no containers")?;
    ensure!(containers.len() == 1, "there are {} containers", containers.len());
    let arguments = containers[0]["args"].as_array().context("no arguments")?;
    Ok(arguments.iter().filter_map(|argument| argument.as_str().map(ToOwned::to_owned)).collect())
}
