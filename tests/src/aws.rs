//! AWS, as far as an emulator can be it.
//!
//! Everything that talks to it gets its address from here and from nowhere else, so that something can be put
//! in front of the emulator without a change to anybody.

pub mod inventory;
mod logs;

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;

use crate::folder::Folder;
use crate::guard::{Guarded, Program};
use crate::poll::{eventually, free_ports};
use crate::{Result, ensure, workspace};

pub use inventory::Inventory;

const READY_WITHIN: Duration = Duration::from_mins(1);

/// The region of every test.
pub const REGION: &str = "us-east-1";
/// The key id and the secret of every test.
pub const KEY: &str = "test";

/// A running emulator.
#[derive(Debug)]
pub struct Aws {
    authority: String,
    emulator: Guarded,
}

impl Aws {
    /// Starts the emulator and waits until it is ready.
    pub async fn start(folder: &Folder) -> Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::attempt(folder).await {
                Err(error) if attempt < 3 && error.to_string().contains("in use") => attempt += 1,
                done => return done,
            }
        }
    }

    async fn attempt(folder: &Folder) -> Result<Self> {
        let [port] = free_ports()?;
        let authority = format!("127.0.0.1:{port}");
        let home = folder.data("aws")?;
        // Clean, because the emulator hands its whole environment on to the functions.
        let program = Program::new("aws", workspace::python()?)
            .arguments(["-m", "ministack"])
            .clean_environment()
            .variable("HOME", &home)
            .variable("TMPDIR", &home)
            .variable("GATEWAY_PORT", port.to_string())
            .variable("BIND_HOST", "127.0.0.1")
            // In queue URLs and in the events that functions get; `localhost` may be an IPv6 address.
            .variable("MINISTACK_HOST", "127.0.0.1")
            .variable("AWS_ENDPOINT_URL", format!("http://{authority}"));
        let mut emulator = folder.start(&program)?;
        let ready = format!("http://{authority}/_ministack/ready");
        eventually(READY_WITHIN, "the AWS emulator to be ready", async || match reqwest::get(&ready).await {
            Ok(answer) => {
                ensure!(answer.status().is_success(), "it answers {}", answer.status());
                Ok(Ok(()))
            }
            Err(not_yet) => emulator.ensure_running().map_or_else(|ended| Ok(Err(ended)), |()| Err(not_yet.into())),
        })
        .await??;
        Ok(Self { authority, emulator })
    }

    /// The address for every AWS client.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.authority)
    }

    /// The emulator's process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.emulator.pid()
    }

    /// Settings for clients of the AWS SDK.
    ///
    /// A client belongs to the runtime that uses it first, so each test makes its own.
    pub async fn sdk(&self) -> SdkConfig {
        aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(self.endpoint())
            .region(Region::from_static(REGION))
            .credentials_provider(Credentials::new(KEY, KEY, None, None, "testbed"))
            .load()
            .await
    }

    /// Everything that exists and has `needle` in its name or belongs to something that has.
    pub async fn inventory(&self, needle: &str) -> Result<Inventory> {
        inventory::take(&self.sdk().await, needle).await
    }
    /// What the functions with `needle` in their names have logged, which is lost with the emulator.
    pub async fn function_logs(&self, needle: &str) -> Result<String> {
        logs::read(&self.sdk().await, needle).await
    }
}
