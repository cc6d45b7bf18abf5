//! AWS, as far as an emulator behind the strict gateway can be it.
//!
//! Everything that talks to it gets its address from here and from nowhere else. The emulator and the gateway have the
//! same port at two addresses of this machine, and the emulator believes that it is at the gateway's: so the URLs of
//! queues and the address that functions find in their environment lead through the gateway too. There each function is
//! known by an access key of its own, which `tests/testbed/emulator.py` lets the emulator give it. What AWS does by itself
//! with streams, queues and topics is done by [`crate::delivery`], and its sockets are [`crate::front`]'s.

pub mod inventory;
mod log_role;
mod logs;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;

use crate::account::Account;
use crate::delivery::Delivery;
use crate::folder::Folder;
use crate::gateway::{Gateway, Settings};
use crate::guard::{Guarded, Program};
use crate::poll::{eventually, free_ports};
use crate::{Result, ensure, workspace};

pub use inventory::Inventory;

const READY_WITHIN: Duration = Duration::from_mins(1);

/// The region of every test.
pub const REGION: &str = "us-east-1";
/// The emulator's account.
pub const ACCOUNT: &str = "000000000000";
/// The key id and the secret of every test.
pub const KEY: &str = "test";

/// Where the gateway listens, and what everybody takes for AWS.
const GATEWAY: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Where the emulator listens. Linux has the whole of 127.0.0.0/8.
const EMULATOR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A running emulator with the gateway before it.
#[derive(Debug)]
pub struct Aws {
    port: u16,
    delivery: Delivery,
    gateway: Gateway,
    emulator: Guarded,
    account: Option<Account>,
}

impl Aws {
    /// Starts the emulator and waits until it is ready, or takes the account that the environment asks for.
    pub async fn start(folder: &Folder) -> Result<Self> {
        let account = Account::of_the_environment().await?;
        Ok(Self { account, ..Self::emulated(folder).await? })
    }

    async fn emulated(folder: &Folder) -> Result<Self> {
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
        let address = SocketAddr::from((EMULATOR, port));
        let log = Some(folder.logs().join("gateway.log"));
        let settings = Settings { log, holds: true, ..Settings::default() };
        let gateway = Gateway::start((GATEWAY, port).into(), address, settings).await?;
        let home = folder.data("aws")?;
        // Clean, because the emulator hands its whole environment on to the functions.
        let program = Program::new("aws", workspace::python()?)
            // Without the folder of the script, in which nothing is to be imported from.
            .arguments(["-P".into(), workspace::root().join("tests/testbed/emulator.py").into_os_string()])
            .clean_environment()
            .variable("HOME", &home)
            .variable("TMPDIR", &home)
            .variable("GATEWAY_PORT", port.to_string())
            .variable("BIND_HOST", EMULATOR.to_string())
            // In queue URLs and in the events that functions get; `localhost` may be an IPv6 address.
            .variable("MINISTACK_HOST", GATEWAY.to_string())
            .variable("AWS_ENDPOINT_URL", format!("http://{}", gateway.address()));
        let mut emulator = folder.start(&program)?;
        let ready = format!("http://{address}/_ministack/ready");
        eventually(READY_WITHIN, "the AWS emulator to be ready", async || match reqwest::get(&ready).await {
            Ok(answer) => {
                ensure!(answer.status().is_success(), "it answers {}", answer.status());
                Ok(Ok(()))
            }
            Err(not_yet) => emulator.ensure_running().map_or_else(|ended| Ok(Err(ended)), |()| Err(not_yet.into())),
        })
        .await??;
        let delivery = Delivery::start(&gateway, address).await;
        Ok(Self { port, delivery, gateway, emulator, account: None })
    }

    /// The address for every AWS client.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.gateway.address())
    }

    /// The real account that stands in the emulator's place, if one does.
    #[must_use]
    pub const fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// The region of everything.
    #[must_use]
    pub fn region(&self) -> &str {
        self.account.as_ref().map_or(REGION, Account::region)
    }

    /// The environment in which a program that uses AWS's libraries finds this AWS.
    #[must_use]
    pub fn variables(&self) -> BTreeMap<String, String> {
        if let Some(account) = &self.account {
            return account.variables();
        }
        let variables = [("AWS_DEFAULT_REGION", REGION), ("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", KEY)];
        let mut variables: BTreeMap<_, _> =
            variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        variables.insert("AWS_ENDPOINT_URL".to_owned(), self.endpoint());
        variables
    }

    /// Where the emulator itself is, for a gateway of one's own before it.
    #[must_use]
    pub fn emulator(&self) -> SocketAddr {
        (EMULATOR, self.port).into()
    }

    /// The gateway, to inject faults and to see what it has refused.
    #[must_use]
    pub const fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// What AWS does by itself with streams, queues, topics and expired items.
    #[must_use]
    pub const fn delivery(&self) -> &Delivery {
        &self.delivery
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
        if let Some(account) = &self.account {
            return account.sdk().clone();
        }
        aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(self.endpoint())
            .region(Region::from_static(REGION))
            .credentials_provider(Credentials::new(KEY, KEY, None, None, "testbed"))
            .load()
            .await
    }

    /// Gives the emulated account what most accounts have and some lack: a role with which API Gateway writes logs.
    pub async fn give_log_role(&self) -> Result<()> {
        log_role::give(self.emulator()).await
    }

    /// Everything that exists and has `needle` in its name or belongs to something that has.
    pub async fn inventory(&self, needle: &str) -> Result<Inventory> {
        inventory::take(&self.sdk().await, needle).await
    }

    /// The same of another region. Roles are in all of them.
    pub async fn inventory_in(&self, region: &'static str, needle: &str) -> Result<Inventory> {
        let sdk = self.sdk().await.to_builder().region(Region::from_static(region)).build();
        inventory::take(&sdk, needle).await
    }

    /// What the functions with `needle` in their names have logged, which is lost with the emulator.
    pub async fn function_logs(&self, needle: &str) -> Result<String> {
        logs::read(&self.sdk().await, needle).await
    }
}
