//! One connection to AWS for each account, region and role, shared by all stacks there.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Mutex, OnceCell};

use crate::arguments::Pacing;
use crate::cloud::CloudError;
use crate::cloud::aws::Aws;
use crate::stack::Location;

pub(super) struct Clouds {
    endpoint_url: Option<String>,
    pacing: Pacing,
    /// A cell each, so that a place that does not answer holds up nobody else.
    places: Mutex<HashMap<Location, Arc<OnceCell<Arc<Aws>>>>>,
}

impl Clouds {
    pub(super) fn new(endpoint_url: Option<String>, pacing: Pacing) -> Self {
        Self { endpoint_url, pacing, places: Mutex::default() }
    }

    pub(super) async fn get(&self, location: &Location) -> Result<Arc<Aws>, CloudError> {
        let place = Arc::clone(self.places.lock().await.entry(location.clone()).or_default());
        let connect =
            || async { Aws::connect(location, self.endpoint_url.as_deref(), self.pacing).await.map(Arc::new) };
        place.get_or_try_init(connect).await.cloned()
    }
}
