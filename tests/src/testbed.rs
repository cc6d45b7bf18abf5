//! Everything together: one Kubernetes API, one AWS, one issuer.

use std::path::PathBuf;
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use crate::aws::Aws;
use crate::backend::Backend;
use crate::folder::Folder;
use crate::front::Front;
use crate::issuer::Issuer;
use crate::kubernetes::Kubernetes;
use crate::poll::{self, within};
use crate::{Context, Error, Result, workspace};

const STORY_WITHIN: Duration = Duration::from_mins(5);

/// A running testbed.
#[derive(Debug)]
pub struct Testbed {
    // In the order in which they are to end.
    kubernetes: Kubernetes,
    front: Front,
    aws: Aws,
    issuer: Issuer,
    functions: OnceLock<PathBuf>,
    folder: Folder,
}

impl Testbed {
    /// Starts a testbed of one's own.
    pub async fn start() -> Result<Self> {
        // Whoever comes first decides for all of the process, so an error means that it is decided already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = Folder::new()?;
        match Self::parts(&folder).await {
            Ok((kubernetes, aws, issuer)) => {
                let issuer = match aws.account() {
                    Some(account) => issuer.published(account).await?,
                    None => issuer,
                };
                if aws.account().is_none() {
                    aws.give_log_role().await?;
                }
                let front = Front::start(&aws).await?;
                Ok(Self { kubernetes, front, aws, issuer, functions: OnceLock::new(), folder })
            }
            Err(error) => {
                folder.keep();
                Err(error)
            }
        }
    }

    async fn parts(folder: &Folder) -> Result<(Kubernetes, Aws, Issuer)> {
        tokio::try_join!(Kubernetes::start(folder), Aws::start(folder), Issuer::start())
    }

    /// The testbed that all tests of this process share, with the CRD installed.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Testbed, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Self::in_a_thread().map_err(|error| error.to_string()));
        shared.as_ref().map_err(|error| Error::new(error).within("the testbed did not start"))
    }

    /// Starts a testbed whose runtime stays when the test that happened to come first is over.
    fn in_a_thread() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (sender, receiver) = mpsc::channel();
        std::thread::Builder::new().name("testbed".to_owned()).spawn(move || {
            runtime.block_on(async {
                let started = async {
                    let testbed = Self::start().await?;
                    testbed.folder.keep_after_a_panic();
                    testbed.kubernetes.install_crd().await.inspect_err(|_| testbed.folder.keep())?;
                    Ok(testbed)
                };
                let done = sender.send(started.await).is_ok();
                if done {
                    std::future::pending::<()>().await;
                }
            });
        })?;
        receiver.recv().context("the thread of the testbed ended")?
    }

    /// Its Kubernetes API.
    #[must_use]
    pub const fn kubernetes(&self) -> &Kubernetes {
        &self.kubernetes
    }

    /// Its AWS.
    #[must_use]
    pub const fn aws(&self) -> &Aws {
        &self.aws
    }

    /// Its WebSockets: clients connect here, and functions post here.
    #[must_use]
    pub const fn front(&self) -> &Front {
        &self.front
    }

    /// Its token issuer.
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Its folder.
    #[must_use]
    pub const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// A backend: something that knows boto3 and nothing of us.
    pub fn backend(&self) -> Result<Backend> {
        Backend::new(self.aws.variables())
    }

    /// Keeps the logs of the run, those of the functions too, and says where they are.
    pub async fn keep_logs(&self) {
        self.folder.keep();
        // An emulator that is gone has no logs, and the failure at hand is the one to read.
        if let Ok(logs) = self.aws.function_logs("").await {
            let _ = std::fs::write(self.folder.logs().join("functions.log"), logs);
        }
    }

    /// The folder with the functions' packages, packed first when needed.
    pub fn functions(&self) -> Result<PathBuf> {
        // A second caller packs again at worst, and gets the same.
        if let Some(folder) = self.functions.get() {
            return Ok(folder.clone());
        }
        let folder = workspace::functions(self.aws.account().is_some())?;
        Ok(self.functions.get_or_init(|| folder).clone())
    }
}

/// Runs one test on the shared testbed, with a deadline; a failure keeps the logs and says where they are.
///
/// ```no_run
/// # use sumu_tests::{Result, story};
/// // #[test]
/// fn a_namespace_can_be_made() -> Result<()> {
///     story(async |testbed| {
///         testbed.kubernetes().namespace("empty").await?;
///         Ok(())
///     })
/// }
/// ```
pub fn story(tell: impl AsyncFnOnce(&'static Testbed) -> Result<()>) -> Result<()> {
    story_of(STORY_WITHIN, tell)
}

/// The same with another deadline, for a story of very much.
///
/// # Errors
/// When the story fails or takes longer.
pub fn story_of(length: Duration, tell: impl AsyncFnOnce(&'static Testbed) -> Result<()>) -> Result<()> {
    let testbed = Testbed::shared()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let told = within(poll::patient(length), "the story", tell(testbed)).await;
        if told.is_err() {
            testbed.keep_logs().await;
        }
        told
    })
}
