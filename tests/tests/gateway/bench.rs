//! One emulator for all tests of this file, and a gateway for each.

use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use sumu_tests::aws::{Aws, KEY, REGION};
use sumu_tests::certificate;
use sumu_tests::folder::Folder;
use sumu_tests::gateway::{Gateway, Pace, Settings};
use sumu_tests::{Context, Error, Result, ensure, ensure_eq};

/// Nothing takes any time.
pub const AT_ONCE: Pace = Pace {
    role: Duration::ZERO,
    policy: Duration::ZERO,
    function: Duration::ZERO,
    source: Duration::ZERO,
    table: Duration::ZERO,
    queue_name: Duration::ZERO,
    time_to_live: Duration::ZERO,
    domain: Duration::ZERO,
    page: 25,
    rate: None,
};
/// Nothing that takes time is done before the test is over.
pub const NEVER: Pace = Pace {
    role: Duration::from_hours(1),
    policy: Duration::from_hours(1),
    function: Duration::from_hours(1),
    source: Duration::from_hours(1),
    table: Duration::from_hours(1),
    queue_name: Duration::from_hours(1),
    time_to_live: Duration::from_hours(1),
    domain: Duration::from_hours(1),
    page: 2,
    rate: None,
};

/// A gateway before the emulator.
pub struct Bench {
    pub gateway: Gateway,
    /// Settings for clients that go through it and do not try again.
    pub sdk: SdkConfig,
}

/// A gateway of a pace.
pub async fn bench(pace: Pace) -> Result<Bench> {
    strict(Settings { pace, ..Settings::default() }).await
}

pub async fn strict(settings: Settings) -> Result<Bench> {
    let gateway = Gateway::start((Ipv4Addr::LOCALHOST, 0).into(), emulator()?.emulator(), settings).await?;
    let sdk = sdk(&format!("http://{}", gateway.address()), KEY).await;
    Ok(Bench { gateway, sdk })
}

/// The gateway that functions call, and settings for clients that go through it.
pub async fn of_functions() -> Result<(&'static Aws, SdkConfig)> {
    let aws = emulator()?;
    Ok((aws, sdk(&aws.endpoint(), KEY).await))
}

/// An issued certificate for a name.
pub async fn certificate(name: &str) -> Result<String> {
    certificate::issue(&format!("http://{}", emulator()?.emulator()), name).await
}

/// Settings for clients that go past every gateway.
pub async fn beside() -> Result<SdkConfig> {
    Ok(sdk(&format!("http://{}", emulator()?.emulator()), KEY).await)
}

async fn sdk(url: &str, key: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::from_static(REGION))
        .credentials_provider(Credentials::new(key, KEY, None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .load()
        .await
}

/// The emulator, whose runtime stays when the test that came first is over.
fn emulator() -> Result<&'static Aws> {
    static SHARED: OnceLock<Result<(Folder, Aws), String>> = OnceLock::new();
    let start = || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            runtime.block_on(async {
                let folder = Folder::new();
                let started = match folder {
                    Ok(folder) => Aws::start(&folder).await.map(|aws| (folder, aws)),
                    Err(error) => Err(error),
                };
                if sender.send(started).is_ok() {
                    std::future::pending::<()>().await;
                }
            });
        });
        receiver.recv().context("the thread of the emulator ended")?
    };
    let shared = SHARED.get_or_init(|| start().map_err(|error: Error| error.to_string()));
    shared.as_ref().map(|(_, aws)| aws).map_err(Error::new)
}

impl Bench {
    /// Settings for clients that are a function with a role, as far as the gateway can tell.
    pub async fn function(&self, role: &str, name: &str) -> SdkConfig {
        self.caller(&format!("assumed-role:{role}:{name}")).await
    }

    /// Settings for clients with an access key.
    pub async fn caller(&self, key: &str) -> SdkConfig {
        sdk(&format!("http://{}", self.gateway.address()), key).await
    }

    /// Fails unless a call was refused by a rule with a status, a code and a part of the message.
    pub fn refused<T: Debug, E>(
        &self,
        rule: &str,
        answer: Result<T, SdkError<E, HttpResponse>>,
        (status, code, message): (u16, &str, &str),
    ) -> Result<()>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let error = answer.err().with_context(|| format!("{rule}: it was accepted"))?;
        let SdkError::ServiceError(told) = &error else { return Err(Error::from(error).within(rule)) };
        let (found, said) = (told.err().code().unwrap_or_default(), told.err().message().unwrap_or_default());
        ensure_eq!((told.raw().status().as_u16(), found), (status, code), "{rule}, which says {said}");
        ensure!(said.contains(message), "{rule} says {said:?} without {message:?}");
        ensure!(self.gateway.count(rule) > 0, "it was not {rule} that refused");
        Ok(())
    }
}
