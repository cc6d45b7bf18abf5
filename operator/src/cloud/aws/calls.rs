//! Counts the calls that one pass makes, as they go out.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

tokio::task_local! {
    static CALLS: Arc<Calls>;
}

/// How many calls went out.
#[derive(Debug, Default)]
pub struct Calls {
    reads: AtomicU32,
    writes: AtomicU32,
}

impl Calls {
    /// Calls that change nothing.
    #[must_use]
    pub fn reads(&self) -> u32 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Calls that change something.
    #[must_use]
    pub fn writes(&self) -> u32 {
        self.writes.load(Ordering::Relaxed)
    }
}

/// Runs a future and counts the calls that it makes, retries of the SDK included.
pub async fn counted<T>(future: impl Future<Output = T>) -> (T, Arc<Calls>) {
    let calls = Arc::new(Calls::default());
    let result = CALLS.scope(Arc::clone(&calls), future).await;
    (result, calls)
}

/// Put into every client.
#[derive(Debug)]
pub(super) struct CallCounter;

#[dyn_dispatch_hint]
impl Intercept for CallCounter {
    fn name(&self) -> &'static str {
        "CallCounter"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = config.load::<Metadata>().map_or("", Metadata::name);
        // Calls outside a pass (credentials, tests) are counted by nobody.
        let _ = CALLS.try_with(|calls| {
            let count = if is_read(operation) { &calls.reads } else { &calls.writes };
            count.fetch_add(1, Ordering::Relaxed);
        });
        Ok(())
    }
}

fn is_read(operation: &str) -> bool {
    ["Get", "List", "Describe"].iter().any(|verb| operation.starts_with(verb))
}
