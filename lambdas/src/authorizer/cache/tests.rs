//! The cache's rules, with time in the test's hand.

use serde_json::json;

use super::super::keys::KeySet;
use super::super::testing::{p256, rsa};
use super::{FRESH_MAX, FRESH_MIN, HOUR, KeyCache, SECOND, Use, freshness, place};
use crate::fakes::{Cloud, run};
use crate::ports::KeyDocument;

const URI: &str = "http://127.0.0.1/jwks";

fn publish(cloud: &Cloud, keys: usize, cache_control: Option<&str>) {
    let keys = &[rsa().jwk.clone(), p256().jwk.clone()][..keys];
    let document = KeyDocument {
        body: json!({ "keys": keys }).to_string().into_bytes(),
        cache_control: cache_control.map(str::to_owned),
    };
    cloud.state().documents.insert(URI.into(), document);
}

fn cache(cloud: &Cloud) -> KeyCache<Cloud> {
    KeyCache::new(cloud.clone(), [URI.to_owned()])
}

/// How many keys the cache gives to someone who needs `needed`, and how often it fetched so far.
fn ask(cloud: &Cloud, cache: &KeyCache<Cloud>, needed: usize) -> (Option<usize>, u32) {
    let keys = run(cache.keys(URI, cloud, |keys: &KeySet| keys.len() >= needed));
    (keys.ok().map(|keys| keys.len()), cloud.state().fetches)
}

fn advance(cloud: &Cloud, milliseconds: u64) {
    cloud.state().now += milliseconds;
}

#[test]
fn max_age_is_honoured_within_bounds() {
    let cases = [
        (None, FRESH_MIN),
        (Some("no-store"), FRESH_MIN),
        (Some("public, max-age=1"), FRESH_MIN),
        (Some("public, Max-Age=3600, must-revalidate"), HOUR),
        (Some("max-age=\"3600\""), HOUR),
        (Some("s-maxage=60, max-age=7200"), 2 * HOUR),
        (Some("max-age=99999999999999999999"), FRESH_MIN),
        (Some("max-age=9999999999"), FRESH_MAX),
        (Some("max-age=-1"), FRESH_MIN),
    ];
    for (header, expected) in cases {
        assert_eq!(freshness(header), expected, "{header:?}");
    }
}

#[test]
fn fresh_keys_are_not_fetched_again() {
    let cloud = Cloud::at(1_000_000);
    publish(&cloud, 1, Some("max-age=600"));
    let cache = cache(&cloud);
    assert_eq!(ask(&cloud, &cache, 1), (Some(1), 1));
    advance(&cloud, 600 * SECOND - 1);
    assert_eq!(ask(&cloud, &cache, 1), (Some(1), 1));
    advance(&cloud, 1);
    assert_eq!(ask(&cloud, &cache, 1), (Some(1), 2));
}

#[test]
fn an_unknown_key_fetches_again_once_in_thirty_seconds() {
    let cloud = Cloud::at(1_000_000);
    publish(&cloud, 1, Some("max-age=86400"));
    let cache = cache(&cloud);
    assert_eq!(ask(&cloud, &cache, 1), (Some(1), 1));
    assert_eq!(ask(&cloud, &cache, 2), (Some(1), 1), "just fetched");
    advance(&cloud, 30 * SECOND);
    assert_eq!(ask(&cloud, &cache, 2), (Some(1), 2));
    assert_eq!(ask(&cloud, &cache, 2), (Some(1), 2), "forged ids do not hammer the issuer");
    publish(&cloud, 2, None);
    advance(&cloud, 30 * SECOND);
    assert_eq!(ask(&cloud, &cache, 2), (Some(2), 3), "a rotation is noticed");
}

#[test]
fn old_keys_serve_for_a_day_while_the_issuer_is_down() {
    let cloud = Cloud::at(1_000_000);
    publish(&cloud, 1, None);
    let cache = cache(&cloud);
    assert_eq!(ask(&cloud, &cache, 1), (Some(1), 1));
    cloud.fail("fetch", u32::MAX);
    advance(&cloud, FRESH_MIN);
    assert_eq!(ask(&cloud, &cache, 1).0, Some(1));
    let tries = cloud.state().calls.len();
    assert_eq!(ask(&cloud, &cache, 1).0, Some(1));
    assert_eq!(cloud.state().calls.len(), tries, "an issuer that is down is not asked by every client");
    advance(&cloud, 30 * SECOND);
    assert_eq!(ask(&cloud, &cache, 1).0, Some(1));
    assert_eq!(cloud.state().calls.len(), tries + 1);
    advance(&cloud, 24 * HOUR - 30 * SECOND - 1);
    assert_eq!(ask(&cloud, &cache, 1).0, Some(1));
    advance(&cloud, 1);
    assert_eq!(ask(&cloud, &cache, 1).0, None, "then nobody can say any more");
    cloud.fail("fetch", 0);
    assert_eq!(ask(&cloud, &cache, 1).0, Some(1), "and recovery is immediate");
}

#[test]
fn an_answer_that_is_no_key_document_does_not_displace_keys() {
    let cloud = Cloud::at(1_000_000);
    publish(&cloud, 1, None);
    let cache = cache(&cloud);
    assert_eq!(ask(&cloud, &cache, 1).0, Some(1));
    for body in ["<html>", "[]", "{}", "{\"error\":\"busy\"}", "null"] {
        let document = KeyDocument { body: body.into(), cache_control: None };
        cloud.state().documents.insert(URI.into(), document);
        advance(&cloud, FRESH_MIN);
        assert_eq!(ask(&cloud, &cache, 1).0, Some(1), "{body}");
    }
}

#[test]
fn an_issuer_that_withdraws_all_keys_is_believed() {
    let cloud = Cloud::at(1_000_000);
    publish(&cloud, 1, None);
    let cache = cache(&cloud);
    assert_eq!(ask(&cloud, &cache, 1).0, Some(1));
    publish(&cloud, 0, None);
    advance(&cloud, FRESH_MIN);
    assert_eq!(ask(&cloud, &cache, 1).0, Some(0));
}

#[test]
fn those_who_miss_at_the_same_time_share_one_fetch() {
    let cloud = Cloud::at(1_000_000);
    publish(&cloud, 1, None);
    let cache = cache(&cloud);
    let ask = || cache.keys(URI, &cloud, |keys: &KeySet| !keys.is_empty());
    let all = run(async { futures::future::join_all((0..20).map(|_| ask())).await });
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(cloud.state().fetches, 1);
}

#[test]
fn those_who_miss_at_the_same_time_share_its_failure_too() {
    let cloud = Cloud::at(1_000_000);
    let cache = cache(&cloud);
    let ask = || cache.keys(URI, &cloud, |keys: &KeySet| !keys.is_empty());
    let all = run(async { futures::future::join_all((0..20).map(|_| ask())).await });
    assert!(all.iter().all(Result::is_err));
    assert_eq!(cloud.state().fetches, 1);
}

#[test]
fn its_use_is_told_once() {
    let cloud = Cloud::at(1_000_000);
    publish(&cloud, 1, None);
    let cache = cache(&cloud);
    let fetched = |fetches, fetch_failures, age_seconds| Use { fetches, fetch_failures, age_seconds };
    assert_eq!(cache.take_use(), fetched(0, 0, None));
    ask(&cloud, &cache, 1);
    assert_eq!(cache.take_use(), fetched(1, 0, Some(0)));
    advance(&cloud, 100 * SECOND);
    ask(&cloud, &cache, 1);
    assert_eq!(cache.take_use(), fetched(0, 0, Some(100)));
    cloud.state().documents.clear();
    advance(&cloud, HOUR);
    ask(&cloud, &cache, 1);
    assert_eq!(cache.take_use(), fetched(1, 1, Some(3_700)), "a fetch that failed does not make old keys young");
    advance(&cloud, 48 * HOUR);
    assert_eq!(ask(&cloud, &cache, 1).0, None);
    assert_eq!(cache.take_use(), fetched(1, 1, None));
}

#[test]
fn of_an_address_only_the_place_is_logged() {
    let cases = [
        ("https://issuer.test/jwks", "https://issuer.test/jwks"),
        ("https://issuer.test/jwks?key=s3cret#s3cret", "https://issuer.test/jwks"),
        ("https://user:s3cret@issuer.test/jwks", "issuer.test/jwks"),
        ("https://s3cret@", ""),
    ];
    for (uri, expected) in cases {
        assert_eq!(place(uri), expected);
    }
}
