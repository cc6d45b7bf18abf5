//! The authorizer: decides who may connect.
//!
//! Event → [`token`] → [`keys`] from the [`cache`] → [`verdict`], by [`signature`] and claims → [`policy`].
//!
//! | what | answer | client sees |
//! |---|---|---|
//! | no token | function error `Unauthorized` | 401 |
//! | a token that does not convince | a policy that denies | 403 |
//! | our fault or the issuer's | function error | 500 |
//! | a good token | a policy that allows this method | 101 |

pub mod cache;
pub mod keys;
pub mod policy;
pub mod signature;
pub mod token;
pub mod verdict;

use std::time::Instant;

use lambda_runtime::Diagnostic;
use serde_json::Value;
use sumu_contract::function::Function;
use sumu_contract::settings::AuthorizerSettings;

use self::cache::{KeyCache, KeysUnavailable};
use self::token::Token;
use self::verdict::{Principal, Refusal, Rules};
use crate::ports::{Clock, Keys};
use crate::telemetry::metric::{ALLOWED, JWKS_AGE, JWKS_FETCH_FAILURES, JWKS_FETCHES, REFUSALS, VERDICT_FAILURES};
use crate::telemetry::{Line, elapsed_ms};

/// The authorizer with its settings and its cache.
#[derive(Debug)]
pub struct Authorizer<K, C> {
    settings: AuthorizerSettings,
    cache: KeyCache<K>,
    clock: C,
}

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizerError {
    /// There is no token. API Gateway turns a function error with exactly this text into 401.
    #[error("Unauthorized")]
    Unauthorized,
    /// The event is not that of a REQUEST authorizer.
    #[error("the event has no methodArn")]
    NoMethod,
    /// A key could not be had, so nobody can say whether the token is good.
    #[error("the token cannot be checked")]
    Unchecked(#[source] KeysUnavailable),
}

impl From<AuthorizerError> for Diagnostic {
    fn from(error: AuthorizerError) -> Self {
        let error_type = match error {
            AuthorizerError::Unauthorized => "Unauthorized",
            AuthorizerError::NoMethod => "NoMethod",
            AuthorizerError::Unchecked(_) => "Unchecked",
        };
        Self { error_type: error_type.into(), error_message: error.to_string() }
    }
}

enum Judged {
    Allowed(Principal),
    Refused(Refusal),
}

impl<K: Keys, C: Clock> Authorizer<K, C> {
    /// An authorizer with an empty cache.
    pub fn new(settings: AuthorizerSettings, keys: K, clock: C) -> Self {
        let cache = KeyCache::new(keys, settings.issuers.iter().map(|issuer| issuer.jwks_uri.clone()));
        Self { settings, cache, clock }
    }

    /// Answers one event of a REQUEST authorizer.
    pub async fn handle(&self, event: Value) -> Result<Value, AuthorizerError> {
        let started = Instant::now();
        let mut line = Line::of(Function::Authorizer);
        line.note("connection_id", event["requestContext"]["connectionId"].as_str());
        let answer = self.answer(&event).await;
        match &answer {
            Ok((_, None)) => line.note("outcome", "allowed").count(ALLOWED, 1_u64),
            Ok((_, Some(refusal))) => {
                let reason = refusal.as_str();
                line.note("outcome", "refused").note("reason", reason).count_one_by(REFUSALS, reason)
            }
            Err(AuthorizerError::Unauthorized) => line.note("outcome", "no token").count_one_by(REFUSALS, "NoToken"),
            Err(error) => {
                line.note("outcome", "fault").note("reason", error.to_string()).count(VERDICT_FAILURES, 1_u64)
            }
        };
        let used = self.cache.take_use();
        line.count(JWKS_FETCHES, used.fetches).count(JWKS_FETCH_FAILURES, used.fetch_failures);
        line.value(JWKS_AGE, used.age_seconds).note("ms", elapsed_ms(started));
        line.log(self.clock.now());
        answer.map(|(policy, _)| policy)
    }

    async fn answer(&self, event: &Value) -> Result<(Value, Option<Refusal>), AuthorizerError> {
        let method = event["methodArn"].as_str().ok_or(AuthorizerError::NoMethod)?;
        let token = token::find(event, &self.settings.token_sources).ok_or(AuthorizerError::Unauthorized)?;
        match self.judge(&token).await? {
            Judged::Allowed(principal) => Ok((policy::allow(&principal, method), None)),
            Judged::Refused(refusal) => Ok((policy::deny(method), Some(refusal))),
        }
    }

    /// Asks every issuer that the token may be of; one that lets it in is enough.
    async fn judge(&self, token: &str) -> Result<Judged, AuthorizerError> {
        let token = match Token::parse(token) {
            Ok(token) => token,
            Err(refusal) => return Ok(Judged::Refused(refusal)),
        };
        let rules = Rules {
            verify_expiration: self.settings.verify_expiration,
            leeway_seconds: self.settings.leeway_seconds,
            principal_claim: &self.settings.principal_claim,
        };
        let mut refusal = Refusal::IssuerUnknown;
        let mut unavailable = None;
        for issuer in self.settings.issuers.iter().filter(|issuer| verdict::may_be_of(&token, issuer)) {
            let suits = |keys: &keys::KeySet| keys.meant_by(&token.signed).next().is_some();
            let keys = match self.cache.keys(&issuer.jwks_uri, &self.clock, suits).await {
                Ok(keys) => keys,
                Err(error) => {
                    unavailable = Some(error);
                    continue;
                }
            };
            match verdict::verdict(&token, &keys, issuer, rules, self.clock.now() / 1000) {
                Ok(principal) => return Ok(Judged::Allowed(principal)),
                // The issuer whose key it is knows best what is wrong with a token.
                Err(found) if matches!(refusal, Refusal::IssuerUnknown | Refusal::KeyUnknown) => refusal = found,
                Err(_) => {}
            }
        }
        match unavailable {
            // The issuer that could not be asked might have let it in.
            Some(error) => Err(AuthorizerError::Unchecked(error)),
            None => Ok(Judged::Refused(refusal)),
        }
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
