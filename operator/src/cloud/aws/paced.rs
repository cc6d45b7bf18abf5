//! Holds every attempt of every call back until its turn, below the SDK's retries: no call is forgotten, and none counts
//! for less than it is.

use std::sync::Arc;

use aws_smithy_runtime::client::defaults::default_http_client_plugin_v2;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, Metadata};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;

use super::BEHAVIOR;
use super::pace::{HeldBack, Pace};
use super::rates::{is_global, rates};
use crate::stack::name::Account;

/// The SDK's own HTTP client, which it otherwise makes anew for each service.
pub(super) fn http_client() -> Option<SharedHttpClient> {
    let plugin = default_http_client_plugin_v2(BEHAVIOR())?;
    plugin.runtime_components(&RuntimeComponentsBuilder::new("http")).http_client()
}

/// The paces of an account and region, and how many times AWS's rates they are.
#[derive(Clone, Debug)]
struct Paces {
    here: Arc<Pace>,
    everywhere: Arc<Pace>,
    factor: f64,
}

impl Paces {
    async fn keep(&self, called: &Metadata) -> Result<(), HeldBack> {
        let pace = if is_global(called.service()) { &self.everywhere } else { &self.here };
        for rate in rates(called.service(), called.name()) {
            pace.keep(rate.times(self.factor)).await?;
        }
        Ok(())
    }
}

/// A client that keeps the pace of an account and region.
#[derive(Debug)]
pub(super) struct PacedClient {
    inner: SharedHttpClient,
    paces: Paces,
}

impl PacedClient {
    pub(super) fn new(inner: SharedHttpClient, account: &Account, factor: f64) -> Self {
        let everywhere = Pace::of(&Account { region: String::new(), ..account.clone() });
        Self { inner, paces: Paces { here: Pace::of(account), everywhere, factor } }
    }
}

impl HttpClient for PacedClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(PacedConnector { inner, paces: self.paces.clone() })
    }
}

#[derive(Debug)]
struct PacedConnector {
    inner: SharedHttpConnector,
    paces: Paces,
}

impl HttpConnector for PacedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, paces) = (self.inner.clone(), self.paces.clone());
        HttpConnectorFuture::new(async move {
            // Put there by the counter of calls.
            if let Some(called) = request.extension::<Metadata>() {
                // Without a kind it is not repeated by the SDK.
                paces.keep(called).await.map_err(|held_back| ConnectorError::other(held_back.into(), None))?;
            }
            inner.call(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use aws_config::Region;
    use aws_credential_types::Credentials;
    use aws_sdk_apigatewayv2::Client;
    use aws_smithy_runtime_api::client::http::http_client_fn;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    use super::*;
    use crate::cloud::Kind;
    use crate::cloud::aws::calls::CallCounter;
    use crate::cloud::aws::failed;

    /// Answers all with an empty object, and notes it.
    #[derive(Clone, Debug, Default)]
    struct Wire(Arc<Mutex<u32>>);

    impl HttpConnector for Wire {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            *self.0.lock().unwrap() += 1;
            let status = StatusCode::try_from(200).unwrap();
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from("{}"))))
        }
    }

    #[tokio::test]
    async fn a_call_that_would_wait_too_long_does_not_go_out_and_is_told_as_held_back() {
        let (wire, account) =
            (Wire::default(), Account { partition: "aws".into(), region: "r".into(), id: "1".into() });
        let inner = wire.clone();
        let inner = http_client_fn(move |_, _| SharedHttpConnector::new(inner.clone()));
        let config = aws_sdk_apigatewayv2::Config::builder()
            .behavior_version(BEHAVIOR())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(Credentials::for_tests())
            .http_client(PacedClient::new(inner, &account, 1.0))
            .interceptor(CallCounter)
            .build();
        let client = Client::from_conf(config);
        let delete = || async { client.delete_api().api_id("a").send().await.map_err(failed("DeleteApi", "a")) };
        assert!(delete().await.is_ok());
        let second = tokio::time::timeout(Duration::from_millis(50), delete()).await;
        assert!(second.is_err(), "it waits for its turn: {second:?}");
        // It would come after that one, which is too late.
        let third = delete().await.unwrap_err();
        assert_eq!((third.kind, third.code.as_str()), (Kind::Throttled, "HeldBack"), "{third}");
        assert_eq!(*wire.0.lock().unwrap(), 1, "what is held back does not go out");
    }
}
