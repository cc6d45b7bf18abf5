//! AWS's signature of a request (Signature Version 4), by AWS's own crate, with credentials that are asked for once
//! while they last.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningError, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::identity::Identity;
use hyper::Request;

/// The service's name in a signature.
const SERVICE: &str = "execute-api";

/// How long before their end credentials are replaced.
const RENEWED_BEFORE: Duration = Duration::from_mins(5);

/// Why requests cannot be signed or sent.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// No region is configured.
    #[error("no region: the environment has no AWS_REGION")]
    NoRegion,
    /// No credentials are configured.
    #[error("no source of credentials")]
    NoCredentials,
    /// The system's certificate authorities could not be read.
    #[error("the system has no certificate authorities")]
    Authorities(#[source] io::Error),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The credentials' source gave none.
    #[error("the credentials cannot be had")]
    Credentials(#[from] CredentialsError),
    /// The signer refused.
    #[error("the signature cannot be made")]
    Signing(#[from] SigningError),
    /// The signer lacks a parameter.
    #[error("the signature lacks a parameter")]
    Parameters(#[from] aws_sigv4::sign::v4::signing_params::BuildError),
}

/// Signs requests to the management API.
#[derive(Clone, Debug)]
pub struct Signer {
    region: String,
    credentials: SharedCredentialsProvider,
    held: Arc<RwLock<Option<Held>>>,
}

/// Credentials, and until when they are used.
#[derive(Clone, Debug)]
struct Held {
    identity: Identity,
    until: Option<SystemTime>,
}

impl Signer {
    /// A signer with the region and the credentials of `aws`.
    pub fn new(aws: &SdkConfig) -> Result<Self, SignerError> {
        let region = aws.region().ok_or(SignerError::NoRegion)?.to_string();
        let credentials = aws.credentials_provider().ok_or(SignerError::NoCredentials)?;
        Ok(Self { region, credentials, held: Arc::default() })
    }

    /// Signs `request` to `uri` with this body.
    pub async fn sign<B>(
        &self,
        uri: &str,
        request: &mut Request<B>,
        body: &[u8],
        now: SystemTime,
    ) -> Result<(), SignerError> {
        let identity = self.identity(now).await?;
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(SERVICE)
            .time(now)
            .settings(SigningSettings::default())
            .build()?
            .into();
        let signable =
            SignableRequest::new(request.method().as_str(), uri, std::iter::empty(), SignableBody::Bytes(body))?;
        let (instructions, _) = sign(signable, &parameters)?.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }

    /// The credentials. Two callers may ask for them at once, which does no harm.
    async fn identity(&self, now: SystemTime) -> Result<Identity, SignerError> {
        if let Some(held) = &*self.held.read().unwrap_or_else(PoisonError::into_inner)
            && held.until.is_none_or(|until| now < until)
        {
            return Ok(held.identity.clone());
        }
        let credentials: Credentials = self.credentials.provide_credentials().await?;
        let until = credentials.expiry().map(|expiry| expiry.checked_sub(RENEWED_BEFORE).unwrap_or(expiry));
        let held = Held { identity: credentials.into(), until };
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held.clone());
        Ok(held.identity)
    }
}
