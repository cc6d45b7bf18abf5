//! Whether a token lets its bearer in: a pure function of the token, the keys, the issuer, the rules and the time.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use sumu_contract::limits::USER_ID_BYTES_MAX;
use sumu_contract::settings::Issuer;

use super::keys::KeySet;
use super::token::{Signed, Token};

/// The largest date that is understood: the largest whole number that every JSON reader keeps exact (2^53 - 1).
const DATE_MAX: u64 = (1 << 53) - 1;

/// What is asked of a token beside its signature.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Whether `exp` must be there and in the future.
    pub verify_expiration: bool,
    /// Allowed difference between the issuer's clock and ours, in seconds.
    pub leeway_seconds: u64,
    /// The claim that names the user.
    pub principal_claim: &'a str,
}

/// Who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The user.
    pub user_id: String,
    /// When the token expires (epoch seconds).
    pub expires_at: Option<u64>,
    /// Who issued the token.
    pub issuer: Option<String>,
}

/// Why a token was refused. The client is not told; the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Over the size limit.
    TokenTooLong,
    /// Not a JWS of JSON objects with unique names.
    Malformed,
    /// The header wants an extension understood.
    CriticalExtension,
    /// `none`, a symmetric or an unknown algorithm, or one that the key is not for.
    AlgorithmRefused,
    /// No configured issuer has this `iss`.
    IssuerUnknown,
    /// The issuer has no such key.
    KeyUnknown,
    /// The signature is not that key's.
    SignatureInvalid,
    /// `exp` is required and missing.
    ExpirationMissing,
    /// `exp` is past.
    Expired,
    /// `nbf` is to come.
    NotYetValid,
    /// `iat` is to come.
    IssuedInFuture,
    /// `exp`, `nbf` or `iat` is no date.
    DateInvalid,
    /// `aud`, or `client_id` in a token without it, names none of the audiences.
    AudienceRefused,
    /// The principal claim is missing or not a text.
    PrincipalMissing,
    /// The principal claim is empty, too long or has control characters.
    PrincipalInvalid,
}

impl Refusal {
    /// The word in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenTooLong => "TokenTooLong",
            Self::Malformed => "Malformed",
            Self::CriticalExtension => "CriticalExtension",
            Self::AlgorithmRefused => "AlgorithmRefused",
            Self::IssuerUnknown => "IssuerUnknown",
            Self::KeyUnknown => "KeyUnknown",
            Self::SignatureInvalid => "SignatureInvalid",
            Self::ExpirationMissing => "ExpirationMissing",
            Self::Expired => "Expired",
            Self::NotYetValid => "NotYetValid",
            Self::IssuedInFuture => "IssuedInFuture",
            Self::DateInvalid => "DateInvalid",
            Self::AudienceRefused => "AudienceRefused",
            Self::PrincipalMissing => "PrincipalMissing",
            Self::PrincipalInvalid => "PrincipalInvalid",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a token may come from this issuer, to judge by its unverified `iss`: chooses whose keys are asked.
#[must_use]
pub fn may_be_of(token: &Token<'_>, issuer: &Issuer) -> bool {
    match &issuer.issuer {
        Some(issuer) => token.claims.get("iss").and_then(Value::as_str) == Some(issuer),
        None => true,
    }
}

/// Judges a token by one issuer's keys. `now` is in epoch seconds.
pub fn verdict(
    token: &Token<'_>,
    keys: &KeySet,
    issuer: &Issuer,
    rules: Rules<'_>,
    now: u64,
) -> Result<Principal, Refusal> {
    if !may_be_of(token, issuer) {
        return Err(Refusal::IssuerUnknown);
    }
    verify_signature(&token.signed, keys)?;
    let expires_at = verify_dates(&token.claims, rules, now)?;
    verify_audience(&token.claims, &issuer.audiences)?;
    let user_id = principal(&token.claims, rules.principal_claim)?;
    let issuer = token.claims.get("iss").and_then(Value::as_str).map(str::to_owned);
    Ok(Principal { user_id, expires_at, issuer })
}

/// Looks for the key that signed.
pub fn verify_signature(token: &Signed<'_>, keys: &KeySet) -> Result<(), Refusal> {
    let mut refusal = Refusal::KeyUnknown;
    for key in keys.meant_by(token) {
        let Some(verifier) = key.verifier(token.algorithm) else {
            refusal = Refusal::AlgorithmRefused;
            continue;
        };
        if verifier.verify(token.text.as_bytes(), &token.signature) {
            return Ok(());
        }
        refusal = Refusal::SignatureInvalid;
    }
    Err(refusal)
}

/// Checks all dates and returns `exp`.
fn verify_dates(claims: &BTreeMap<String, Value>, rules: Rules<'_>, now: u64) -> Result<Option<u64>, Refusal> {
    let expires_at = date(claims, "exp")?;
    let latest = now.saturating_add(rules.leeway_seconds);
    if rules.verify_expiration {
        let expires_at = expires_at.ok_or(Refusal::ExpirationMissing)?;
        if expires_at.saturating_add(rules.leeway_seconds) <= now {
            return Err(Refusal::Expired);
        }
    }
    if date(claims, "nbf")?.is_some_and(|date| date > latest) {
        return Err(Refusal::NotYetValid);
    }
    if date(claims, "iat")?.is_some_and(|date| date > latest) {
        return Err(Refusal::IssuedInFuture);
    }
    Ok(expires_at)
}

/// A `NumericDate` (RFC 7519, 2), which may have a fraction.
fn date(claims: &BTreeMap<String, Value>, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = match value.as_u64() {
        Some(seconds) => Some(seconds),
        None => value.as_f64().and_then(whole_seconds),
    };
    seconds.filter(|seconds| *seconds <= DATE_MAX).map(Some).ok_or(Refusal::DateInvalid)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the range is checked first, and dropping the fraction is the purpose"
)]
fn whole_seconds(seconds: f64) -> Option<u64> {
    // Before 1970 every token is as expired as at its beginning.
    let seconds = seconds.max(0.0);
    (seconds <= DATE_MAX as f64).then_some(seconds as u64)
}

fn verify_audience(claims: &BTreeMap<String, Value>, audiences: &[String]) -> Result<(), Refusal> {
    if audiences.is_empty() {
        return Ok(());
    }
    let accepted = |audience: &Value| audience.as_str().is_some_and(|name| audiences.iter().any(|own| own == name));
    // Access tokens of Amazon Cognito have no audience; the client that they were issued to is in its place there.
    let named = match claims.get("aud").or_else(|| claims.get("client_id")) {
        Some(Value::Array(audience)) => audience.iter().any(accepted),
        Some(audience) => accepted(audience),
        None => false,
    };
    if named { Ok(()) } else { Err(Refusal::AudienceRefused) }
}

fn principal(claims: &BTreeMap<String, Value>, claim: &str) -> Result<String, Refusal> {
    let user_id = claims.get(claim).and_then(Value::as_str).ok_or(Refusal::PrincipalMissing)?;
    // SQS and SNS refuse attributes with control characters: such a user could connect, but never send.
    if user_id.is_empty() || user_id.len() > USER_ID_BYTES_MAX || user_id.chars().any(char::is_control) {
        return Err(Refusal::PrincipalInvalid);
    }
    Ok(user_id.to_owned())
}
