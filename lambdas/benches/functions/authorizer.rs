//! What a verdict costs, by algorithm, beside the library's own decoding with the key at hand.

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256};
use serde::Deserialize;
use serde_json::{Value, json};
use sumu_contract::settings::{AuthorizerSettings, Issuer, TokenSource};
use sumu_lambdas::adapters::SystemClock;
use sumu_lambdas::authorizer::Authorizer;
use sumu_lambdas::ports::{KeyDocument, Keys, PortError};

use super::process::CpuTime;
use super::table;

type Failure = Box<dyn Error + Send + Sync>;

/// How many verdicts are measured.
const VERDICTS: u32 = 10_000;

const ALGORITHMS: [(&str, Option<Algorithm>); 10] = [
    ("RS256", Some(Algorithm::RS256)),
    ("RS384", Some(Algorithm::RS384)),
    ("RS512", Some(Algorithm::RS512)),
    ("PS256", Some(Algorithm::PS256)),
    ("PS384", Some(Algorithm::PS384)),
    ("PS512", Some(Algorithm::PS512)),
    ("ES256", Some(Algorithm::ES256)),
    ("ES384", Some(Algorithm::ES384)),
    // The library does not know it.
    ("ES512", None),
    ("EdDSA", Some(Algorithm::EdDSA)),
];

/// Prints the table. All of it is this process's one thread: there is nothing to wait for.
pub async fn run() -> Result<(), Failure> {
    let mut lines = Vec::new();
    for (name, algorithm) in ALGORITHMS {
        let case = algorithm.map_or_else(Case::es512, Case::new)?;
        let decoded = algorithm.map(|algorithm| case.decode(algorithm)).transpose()?;
        let judged = case.judge().await?;
        let alone = decoded.map_or_else(String::new, |decoded| format!("{decoded:.1}"));
        let ratio = decoded.map_or_else(String::new, |decoded| table::ratio(judged, decoded));
        lines.push([name.to_owned(), format!("{judged:.1}"), format!("{:.0}", 1e6 / judged), alone, ratio]);
    }
    let columns = ["", "CPU a verdict (us)", "verdicts/s", "jsonwebtoken alone (us)", "of that"];
    table::print("The authorizer, warm", columns, &lines);
    Ok(())
}

/// A token and who is to judge it.
struct Case {
    jwk: Value,
    token: String,
}

/// An issuer that always answers the same.
struct Document(Vec<u8>);

impl Keys for Document {
    async fn fetch(&self, _uri: &str) -> Result<KeyDocument, PortError> {
        Ok(KeyDocument { body: self.0.clone(), cache_control: Some("max-age=86400".into()) })
    }
}

impl Case {
    fn new(algorithm: Algorithm) -> Result<Self, Failure> {
        let (key, jwk) = key(algorithm)?;
        let header = Header { kid: Some("k1".into()), ..Header::new(algorithm) };
        Ok(Self { jwk: serde_json::to_value(jwk)?, token: jsonwebtoken::encode(&header, &claims(), &key)? })
    }

    fn es512() -> Result<Self, Failure> {
        let key = EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING)?;
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        // A byte that says "uncompressed", and two coordinates.
        let (x, y) = key.public_key().as_ref()[1..].split_at(66);
        let jwk = json!({"kty": "EC", "crv": "P-521", "alg": "ES512", "kid": "k1", "x": encode(x), "y": encode(y)});
        let header = json!({"alg": "ES512", "kid": "k1", "typ": "JWT"});
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims().to_string().as_bytes()));
        let signature = key.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(Self { jwk, token: format!("{signed}.{}", encode(signature.as_ref())) })
    }

    /// Microseconds of processor time that the library takes, told everything.
    fn decode(&self, algorithm: Algorithm) -> Result<f64, Failure> {
        let key = DecodingKey::from_jwk(&Jwk::deserialize(&self.jwk)?)?;
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&["sumu-websocket"]);
        validation.set_issuer(&["https://issuer.example/"]);
        let once = || jsonwebtoken::decode::<Value>(&self.token, &key, &validation);
        once()?;
        let cpu = CpuTime::own()?;
        for _ in 0..VERDICTS {
            black_box(once()?);
        }
        Ok(micros(cpu.used()?))
    }

    /// Microseconds of processor time that the authorizer takes from event to policy.
    async fn judge(&self) -> Result<f64, Failure> {
        let issuer = Issuer {
            jwks_uri: "https://issuer.example/jwks.json".into(),
            issuer: Some("https://issuer.example/".into()),
            audiences: vec!["sumu-websocket".into()],
        };
        let settings = AuthorizerSettings {
            issuers: vec![issuer],
            verify_expiration: true,
            leeway_seconds: 30,
            principal_claim: "sub".into(),
            token_sources: vec![TokenSource::QueryString],
        };
        let document = serde_json::to_vec(&json!({"keys": [self.jwk]}))?;
        let authorizer = Authorizer::new(settings, Document(document), SystemClock);
        let event = json!({"type": "REQUEST", "methodArn": "arn:aws:execute-api:us-east-1:0:api/live/$connect",
                           "headers": {"Host": "api.execute-api.us-east-1.amazonaws.com"},
                           "queryStringParameters": {"authorization": self.token},
                           "requestContext": {"routeKey": "$connect", "eventType": "CONNECT", "connectionId": "c="}});
        let policy = authorizer.handle(event.clone()).await?;
        if policy["policyDocument"]["Statement"][0]["Effect"] != "Allow" {
            return Err(format!("the bearer was not let in: {policy}").into());
        }
        let cpu = CpuTime::own()?;
        for _ in 0..VERDICTS {
            black_box(authorizer.handle(event.clone()).await?);
        }
        Ok(micros(cpu.used()?))
    }
}

fn claims() -> Value {
    json!({"iss": "https://issuer.example/", "sub": "auth0|0123456789abcdef", "aud": ["sumu-websocket"],
           "iat": 1_700_000_000, "exp": 9_999_999_999_u64, "azp": "client", "scope": "openid profile"})
}

/// Microseconds a verdict.
fn micros(cpu: Duration) -> f64 {
    cpu.as_secs_f64() * 1e6 / f64::from(VERDICTS)
}

/// A new key pair: what signs, and what the issuer publishes.
fn key(algorithm: Algorithm) -> Result<(EncodingKey, Jwk), Failure> {
    let kind = match algorithm {
        Algorithm::ES256 => &PKCS_ECDSA_P256_SHA256,
        Algorithm::ES384 => &PKCS_ECDSA_P384_SHA384,
        Algorithm::EdDSA => &PKCS_ED25519,
        _ => &PKCS_RSA_SHA256,
    };
    let pair = KeyPair::generate_for(kind)?;
    let pem = pair.serialize_pem();
    let signing = match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem.as_bytes())?,
        Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes())?,
        _ => EncodingKey::from_rsa_pem(pem.as_bytes())?,
    };
    let mut jwk = if algorithm == Algorithm::EdDSA {
        // The library knows another form of these keys only.
        let x = URL_SAFE_NO_PAD.encode(pair.public_key_raw());
        serde_json::from_value(json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x}))?
    } else {
        Jwk::from_encoding_key(&signing, algorithm)?
    };
    jwk.common.key_id = Some("k1".into());
    Ok((signing, jwk))
}
