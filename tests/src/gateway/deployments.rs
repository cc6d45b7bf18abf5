//! What each deployment has captured: the API as it was at `CreateDeployment`, which the emulator does not keep.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::call::{Call, Service};
use super::wire::Answer;
use crate::front::emulator::api_now;
use crate::front::upstream::Api;

/// The captures, by API and deployment.
#[derive(Debug, Default)]
pub struct Deployments(Mutex<HashMap<(String, String), Arc<Api>>>);

impl Deployments {
    /// What a deployment has captured; nothing when no such deployment has passed here.
    #[must_use]
    pub fn of(&self, api: &str, deployment: &str) -> Option<Arc<Api>> {
        let key = (api.to_owned(), deployment.to_owned());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    /// Captures an API that was deployed, before anybody hears of it.
    pub(super) async fn capture(
        &self,
        call: &Call,
        answer: &Answer,
        client: &aws_sdk_apigatewayv2::Client,
    ) -> crate::Result<()> {
        if call.service != Service::ApiGateway || !answer.is_good() {
            return Ok(());
        }
        let api = call.id(0);
        match call.operation.as_str() {
            "CreateDeployment" => {
                let deployment = answer.json()["deploymentId"].as_str().unwrap_or_default().to_owned();
                let captured = Arc::new(api_now(client, api).await?);
                let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                all.insert((api.to_owned(), deployment), captured);
            }
            "DeleteDeployment" => self.keep(|(of, deployment)| of != api || deployment != call.id(1)),
            "DeleteApi" => self.keep(|(of, _)| of != api),
            _ => {}
        }
        Ok(())
    }

    fn keep(&self, is_kept: impl Fn(&(String, String)) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| is_kept(key));
    }
}
