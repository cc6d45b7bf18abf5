//! What attackers try.

use serde_json::{Value, json};

use super::super::signature::Algorithm;
use super::super::testing::{ed25519, encode, hs256, other_rsa, p256, rsa};
use super::super::verdict::Refusal;
use super::{NOW, URI, authorizer, claims, event, issuer, judge, judge_with, refused, settings, signed, usual, with};
use crate::fakes::{Cloud, run};
use crate::ports::KeyDocument;

const HEADER: &str = r#"{"alg":"RS256","kid":"rsa"}"#;

/// The three parts of a good token.
fn parts() -> (String, String, String) {
    let good = signed(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    (parts[0].into(), parts[1].into(), parts[2].into())
}

/// A token signed by the issuer whose header and claims are these texts.
fn signed_text(header: &str, claims: &str) -> Result<String, Refusal> {
    judge(&rsa().sign_text(Algorithm::Rs256, header, claims))
}

#[test]
fn what_is_no_token_is_refused_without_a_panic() {
    let (header, payload, signature) = parts();
    let good = signed(&claims());
    let forms = [
        "x".to_owned(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        ".".repeat(16 * 1024),
        format!("{good}.more"),
        format!("{good}."),
        format!(".{good}"),
        format!("{header}.{payload}"),
        format!("{payload}.{signature}"),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}=.{signature}"),
        format!("{good}="),
        format!("{good}=="),
        format!("{header}.{payload}.!!"),
        format!("{header}.{payload}.+/"),
        format!(" {good}"),
        format!("{good} "),
        format!("{good}\n"),
        format!("{header} .{payload}.{signature}"),
        format!("{header}\n.{payload}.{signature}"),
        format!("{good}\0"),
        format!("{}.{payload}.{signature}", encode(b"[]")),
        format!("{}.{payload}.{signature}", encode(b"{\"alg\":\"RS256\"} x")),
        format!("{}.{payload}.{signature}", encode(&[0xff, 0xfe])),
        format!("{}.{payload}.{signature}", encode(b"\xef\xbb\xbf{\"alg\":\"RS256\"}")),
        format!("{header}.{}.{signature}", encode(b"\"text\"")),
        format!("{header}.{}.{signature}", encode(b"{\"sub\":\"\xff\"}")),
        format!("{header}.{}.{signature}", encode(b"{\"sub\":\"\\ud800\"}")),
        format!("{header}.{}.{signature}", encode(b"{\"sub\":\"user\"} {}")),
        "\u{1f600}.\u{1f600}.\u{1f600}".to_owned(),
        // The JSON form of a JWS.
        json!({"protected": header, "payload": payload, "signature": signature}).to_string(),
    ];
    for form in forms {
        assert_eq!(judge(&form), Err(Refusal::Malformed), "{form}");
    }
    assert_eq!(judge(&"a".repeat(16 * 1024 + 1)), Err(Refusal::TokenTooLong));
    for signature in [String::new(), format!("{signature}A"), format!("{signature}AAAA"), signature[4..].to_owned()] {
        assert_eq!(judge(&format!("{header}.{payload}.{signature}")), Err(Refusal::SignatureInvalid));
    }
}

#[test]
fn a_text_that_is_signed_but_not_as_utf_8_or_json_is_refused() {
    for claims in
        [&b"{\"sub\":\"\xff\"}"[..], b"{\"sub\":\"\xc0\xaf\"}", b"\xff\xfe{\0}\0", b"", b"null", b"{\"a\":01}"]
    {
        let text = format!("{}.{}", encode(HEADER.as_bytes()), encode(claims));
        let token = format!("{text}.{}", encode(&rsa().signature(Algorithm::Rs256, text.as_bytes())));
        assert_eq!(judge(&token), Err(Refusal::Malformed), "{claims:?}");
    }
}

#[test]
fn base64_has_one_form_so_that_no_two_texts_are_one_token() {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // A text whose last character holds bits that no byte is made of.
    let other_ending = |part: &str| {
        assert_ne!(part.len() % 4, 0);
        let last = ALPHABET.iter().position(|byte| *byte == part.as_bytes()[part.len() - 1]).unwrap();
        format!("{}{}", &part[..part.len() - 1], char::from(ALPHABET[last ^ 1]))
    };
    // Parts of which none ends with a whole group, and a signature with a character of its own alphabet.
    let sign = |spaces: usize| {
        let claims = format!("{}{}", claims(), " ".repeat(spaces));
        rsa().sign_text(Algorithm::Rs256, r#"{"alg":"RS256", "kid":"rsa"}"#, &claims)
    };
    let suits = |token: &String| {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        signed.split('.').all(|part| part.len() % 4 != 0) && signature.contains(['-', '_'])
    };
    let token = (0..100).map(sign).find(suits).unwrap();
    assert_eq!(judge(&token), Ok("user".into()));
    let parts: Vec<&str> = token.split('.').collect();
    for (at, part) in parts.iter().enumerate() {
        let mut parts = parts.clone();
        let changed = other_ending(part);
        parts[at] = &changed;
        assert_eq!(judge(&parts.join(".")), Err(Refusal::Malformed), "part {at}");
    }
    let signature = parts[2].replace('-', "+").replace('_', "/");
    assert_eq!(judge(&format!("{}.{}.{signature}", parts[0], parts[1])), Err(Refusal::Malformed), "the other alphabet");
}

#[test]
fn a_claim_or_header_that_occurs_twice_is_refused() {
    let twice = |name: &str| claims().to_string().replacen('{', &format!(r#"{{"{name}":"admin","#), 1);
    for name in ["sub", "aud", "iss", "exp", "iat", "nbf", r"s\u0075b", r"\u0073\u0075\u0062", r"\u0061ud"] {
        assert_eq!(signed_text(HEADER, &twice(name)), Err(Refusal::Malformed), "{name}");
    }
    let headers = [
        r#"{"alg":"none","alg":"RS256","kid":"rsa"}"#,
        r#"{"alg":"RS256","kid":"rsa","alg":"none"}"#,
        r#"{"alg":"RS256","kid":"rsa","\u0061lg":"none"}"#,
        r#"{"alg":"RS256","kid":"evil","kid":"rsa"}"#,
        r#"{"alg":"RS256","kid":"rsa","x":1,"x":1}"#,
    ];
    for header in headers {
        assert_eq!(signed_text(header, &claims().to_string()), Err(Refusal::Malformed), "{header}");
    }
    let escaped = claims().to_string().replace(r#""sub""#, r#""\u0073ub""#);
    assert_eq!(signed_text(HEADER, &escaped), Ok("user".into()), "an escape alone is no harm");
}

#[test]
fn a_token_without_a_signature_is_refused_however_none_is_written() {
    for name in ["none", "None", "NONE", "nOnE", "", " none", "none\u{0}", "rs256", "RS256 ", "HS256", "ES256K", "RS1"]
    {
        let header = json!({"alg": name, "kid": "rsa"}).to_string();
        let token = format!("{}.{}.", encode(header.as_bytes()), encode(claims().to_string().as_bytes()));
        assert_eq!(judge(&token), Err(Refusal::AlgorithmRefused), "{name}");
        let (.., signature) = parts();
        assert_eq!(judge(&format!("{token}{signature}")), Err(Refusal::AlgorithmRefused), "{name}");
    }
    for header in
        [json!({"kid": "rsa"}), json!({"alg": 5, "kid": "rsa"}), json!({"alg": null}), json!({"alg": ["RS256"]})]
    {
        assert_eq!(judge(&rsa().sign(Algorithm::Rs256, &header, &claims())), Err(Refusal::Malformed), "{header}");
    }
}

#[test]
fn a_public_key_is_no_shared_secret() {
    for (key, kid) in [(rsa(), "rsa"), (p256(), "p256"), (ed25519(), "ed")] {
        let pem = pem(&key.public_der);
        let jwk = key.jwk_with(&json!({"kid": kid})).to_string();
        let number = key.jwk.get("n").or(key.jwk.get("x")).and_then(Value::as_str).unwrap();
        let secrets: [&[u8]; 8] = [
            &key.public_der,
            key.certificate.as_bytes(),
            pem.as_bytes(),
            pem.trim_end().as_bytes(),
            jwk.as_bytes(),
            number.as_bytes(),
            b"",
            kid.as_bytes(),
        ];
        for secret in secrets {
            for name in ["HS256", "HS384", "HS512", "hs256"] {
                let token = hs256(secret, &json!({"alg": name, "kid": kid}), &claims());
                assert_eq!(judge(&token), Err(Refusal::AlgorithmRefused), "{name}");
            }
            for algorithm in Algorithm::ALL {
                let token = hs256(secret, &json!({"alg": algorithm.name(), "kid": kid}), &claims());
                let refusal = judge(&token).unwrap_err();
                assert!(matches!(refusal, Refusal::SignatureInvalid | Refusal::AlgorithmRefused), "{refusal}");
            }
        }
    }
    // Nor is a secret that an issuer publishes, or what an attacker takes for one.
    let cloud = Cloud::at(NOW * 1000);
    issuer(&cloud, URI, &json!({"keys": [{"kty": "oct", "kid": "rsa", "k": encode(b"s"), "alg": "HS256"}]}));
    let token = hs256(b"s", &json!({"alg": "HS256", "kid": "rsa"}), &claims());
    assert_eq!(judge_with(&cloud, settings(), &token), Err(Refusal::AlgorithmRefused));
}

/// A public key as files hold it.
fn pem(public_der: &[u8]) -> String {
    let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, public_der);
    let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

#[test]
fn a_key_id_is_a_name_and_nothing_else() {
    let long = "k".repeat(10_000);
    let ids = [
        "",
        "RSA",
        "Rsa",
        "rsa ",
        " rsa",
        "rsa\u{0}",
        "../rsa",
        "../../../dev/null",
        "/dev/null",
        "rsa' OR '1'='1",
        "https://evil.test/jwks",
        "file:///etc/passwd",
        "0",
        "null",
        "*",
        "rs\u{430}",
        "${jndi:ldap://evil.test}",
        &long,
    ];
    for kid in ids {
        for key in [rsa(), other_rsa()] {
            let token = key.sign(Algorithm::Rs256, &json!({"alg": "RS256", "kid": kid}), &claims());
            assert_eq!(judge(&token), Err(Refusal::KeyUnknown), "{kid}");
        }
    }
    for kid in [json!(5), json!(null), json!(["rsa"]), json!({"rsa": 1}), json!(true)] {
        let token = rsa().sign(Algorithm::Rs256, &json!({"alg": "RS256", "kid": kid}), &claims());
        assert_eq!(judge(&token), Err(Refusal::Malformed), "{kid}");
    }
}

#[test]
fn an_unknown_key_id_is_looked_for_where_the_issuer_is_configured_and_nowhere_else() {
    let cloud = usual();
    let authorizer = authorizer(&cloud, settings());
    for kid in ["https://evil.test/jwks", "../jwks", "rsa?x=1"] {
        let token = other_rsa().sign(Algorithm::Rs256, &json!({"alg": "RS256", "kid": kid}), &claims());
        run(authorizer.handle(event(&token))).unwrap();
    }
    assert_eq!(cloud.state().fetches, 1, "the issuer's document, once for all of them");
}

#[test]
fn keys_that_a_token_brings_along_are_not_asked() {
    let cloud = usual();
    let theirs = json!({"keys": [other_rsa().jwk_with(&json!({"kid": "rsa"}))]});
    issuer(&cloud, "https://evil.test/jwks", &theirs);
    let lures = [
        json!({"jwk": other_rsa().jwk}),
        json!({"jwk": other_rsa().jwk_with(&json!({"kid": "rsa"}))}),
        json!({"jku": "https://evil.test/jwks"}),
        json!({"x5u": "https://evil.test/jwks"}),
        json!({"x5c": [other_rsa().certificate]}),
        json!({"x5t": "AAAA", "x5t#S256": "AAAA", "typ": "at+jwt", "cty": "JWT"}),
    ];
    for lure in lures {
        let header = with(json!({"alg": "RS256", "kid": "rsa"}), &lure);
        let token = other_rsa().sign(Algorithm::Rs256, &header, &claims());
        assert_eq!(judge_with(&cloud, settings(), &token), Err(Refusal::SignatureInvalid), "{lure}");
        let header = with(json!({"alg": "RS256", "kid": "other"}), &lure);
        let token = other_rsa().sign(Algorithm::Rs256, &header, &claims());
        assert_eq!(judge_with(&cloud, settings(), &token), Err(Refusal::KeyUnknown), "{lure}");
        let header = with(json!({"alg": "RS256", "kid": "rsa"}), &lure);
        let honest = rsa().sign(Algorithm::Rs256, &header, &claims());
        assert_eq!(judge_with(&cloud, settings(), &honest), Ok("user".into()), "an honest issuer may send {lure}");
    }
}

#[test]
fn an_extension_that_must_be_understood_is_refused_and_any_other_changes_nothing() {
    for crit in [json!(["b64"]), json!(["exp"]), json!([]), json!(null), json!("b64"), json!({})] {
        let header = json!({"alg": "RS256", "kid": "rsa", "b64": false, "crit": crit});
        let token = rsa().sign(Algorithm::Rs256, &header, &claims());
        assert_eq!(judge(&token), Err(Refusal::CriticalExtension), "{crit}");
    }
    // Without `crit`, `b64` and `zip` mean nothing in a JWS: the payload is what it always is.
    let header = json!({"alg": "RS256", "kid": "rsa", "b64": false, "zip": "DEF"}).to_string();
    assert_eq!(signed_text(&header, &claims().to_string()), Ok("user".into()));
    let plain = format!("{}.{}", encode(header.as_bytes()), claims());
    let token = format!("{plain}.{}", encode(&rsa().signature(Algorithm::Rs256, plain.as_bytes())));
    assert_eq!(judge(&token), Err(Refusal::Malformed), "a payload that is not encoded");
    // `{}` deflated.
    let text = format!("{}.{}", encode(header.as_bytes()), encode(&[0xab, 0xae, 0x05, 0x00]));
    let token = format!("{text}.{}", encode(&rsa().signature(Algorithm::Rs256, text.as_bytes())));
    assert_eq!(judge(&token), Err(Refusal::Malformed), "a payload that is compressed");
}

#[test]
fn an_encrypted_token_is_refused() {
    let header = encode(br#"{"alg":"RSA-OAEP","enc":"A256GCM","kid":"rsa"}"#);
    let five = format!("{header}.{}.{}.{}.{}", encode(&[1; 256]), encode(&[2; 12]), encode(&[3; 40]), encode(&[4; 16]));
    assert_eq!(judge(&five), Err(Refusal::AlgorithmRefused));
    let header = encode(br#"{"alg":"RS256","enc":"A256GCM","kid":"rsa"}"#);
    let five = format!("{header}.{}.{}.{}.{}", encode(&[1; 256]), encode(&[2; 12]), encode(&[3; 40]), encode(&[4; 16]));
    assert_eq!(judge(&five), Err(Refusal::Malformed));
}

#[test]
fn a_token_that_is_nested_to_overflow_a_stack_is_refused() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let depth = 5_000 / open.len();
        let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let claims = claims().to_string().replacen('{', &format!(r#"{{"x":{nested},"#), 1);
        assert_eq!(signed_text(HEADER, &claims), Err(Refusal::Malformed), "in the claims");
        let header = HEADER.replacen('{', &format!(r#"{{"x":{nested},"#), 1);
        assert_eq!(signed_text(&header, &self::claims().to_string()), Err(Refusal::Malformed), "in the header");
    }
    let open = r#"{"x":"#.to_owned() + &"[".repeat(11_000);
    assert_eq!(signed_text(HEADER, &open), Err(Refusal::Malformed), "without an end");
}

#[test]
fn a_key_document_that_is_nested_to_overflow_a_stack_is_a_fault_and_no_crash() {
    let cloud = Cloud::at(NOW * 1000);
    let body = format!(r#"{{"keys":{}"#, "[".repeat(500_000)).into_bytes();
    cloud.state().documents.insert(URI.into(), KeyDocument { body, cache_control: None });
    assert!(run(authorizer(&cloud, settings()).handle(event(&signed(&claims())))).is_err());
}

#[test]
fn a_date_that_is_none_is_refused() {
    let dates = [
        json!("1900000000"),
        json!("never"),
        json!(""),
        json!(null),
        json!(true),
        json!([1]),
        json!({}),
        json!(u64::MAX),
        json!(1e300),
        json!(9_007_199_254_740_992_u64),
        json!(1.8e19),
    ];
    for date in dates {
        for claim in ["exp", "nbf", "iat"] {
            assert_eq!(refused(&with(claims(), &json!({claim: date}))), Refusal::DateInvalid, "{claim} {date}");
        }
    }
    for past in [json!(-1), json!(i64::MIN), json!(-1e300), json!(-0.5), json!(0), json!(1e-300)] {
        assert_eq!(refused(&with(claims(), &json!({"exp": past}))), Refusal::Expired, "{past}");
    }
    let good = (NOW + 60).to_string();
    for number in ["1e400", "1e999", "-1e400", "01", "+1", "1.", ".5", "0x7fffffff", "NaN", "Infinity", "1_0"] {
        let claims = claims().to_string().replace(&good, number);
        assert_eq!(signed_text(HEADER, &claims), Err(Refusal::Malformed), "{number}");
    }
    for number in [format!("{good}.0"), format!("{}e0", NOW + 60), "1.80000006e9".into()] {
        assert_eq!(signed_text(HEADER, &claims().to_string().replace(&good, &number)), Ok("user".into()), "{number}");
    }
}

#[test]
fn an_issuer_or_audience_that_is_no_text_is_not_the_configured_one() {
    for issuer in
        [json!(["https://issuer.test/"]), json!({"https://issuer.test/": 1}), json!(null), json!(5), json!("")]
    {
        assert_eq!(refused(&with(claims(), &json!({"iss": issuer}))), Refusal::IssuerUnknown, "{issuer}");
    }
    for audience in [json!([5, null, ["sumu"], {"sumu": "sumu"}]), json!({"sumu": 1}), json!(5), json!(null), json!("")]
    {
        assert_eq!(refused(&with(claims(), &json!({"aud": audience}))), Refusal::AudienceRefused, "{audience}");
    }
    let mixed = with(claims(), &json!({"aud": [5, null, "sumu"]}));
    assert_eq!(judge(&signed(&mixed)), Ok("user".into()), "what is no text names nobody");
}

#[test]
fn a_user_that_no_queue_or_key_could_name_is_refused() {
    let names = [
        String::new(),
        "u".repeat(1025),
        "م".repeat(513),
        "a\u{0}b".into(),
        "a\nb".into(),
        "\u{7f}".into(),
        "\u{85}".into(),
    ];
    for name in names {
        assert_eq!(refused(&with(claims(), &json!({"sub": name}))), Refusal::PrincipalInvalid, "{name:?}");
    }
    for name in [json!(5), json!(null), json!(["user"]), json!({"user": 1}), json!(true)] {
        assert_eq!(refused(&with(claims(), &json!({"sub": name}))), Refusal::PrincipalMissing, "{name}");
    }
}

#[test]
fn no_byte_of_a_token_can_be_changed() {
    let token = p256().sign(Algorithm::Es256, &json!({"alg": "ES256", "kid": "p256"}), &claims());
    let cloud = usual();
    let authorizer = authorizer(&cloud, settings());
    for at in 0..token.len() {
        for bit in [1, 2, 32] {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= bit;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let policy: Value = run(authorizer.handle(event(&changed))).unwrap();
            assert_eq!(policy["policyDocument"]["Statement"][0]["Effect"], "Deny", "byte {at}, bit {bit}");
        }
    }
}
