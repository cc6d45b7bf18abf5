//! Both forms of a request, and all that can be wrong with them.

use std::fmt::Write;

use sumu_contract::settings::EmptyUsers;

use super::{BadRequest, Notification, Recipient, Target};

fn parse(text: &str) -> Result<Notification, BadRequest> {
    Notification::parse(text, EmptyUsers::Broadcast)
}

fn users(names: &[&str]) -> Target {
    Target::Users(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn the_short_form_names_users_or_means_everyone() {
    assert_eq!(parse(r#"{"users":["a","b","a"],"data":1}"#).unwrap().target, users(&["a", "b"]));
    for everyone in [r#"{"data":1}"#, r#"{"users":[],"data":1}"#, r#"{"users":null,"data":1,"exclude_users":null}"#] {
        assert_eq!(parse(everyone).unwrap().target, Target::Everyone);
        let rejected = Notification::parse(everyone, EmptyUsers::Reject).unwrap_err();
        assert_eq!(rejected, BadRequest::UsersEmpty);
    }
}

#[test]
fn the_explicit_form_names_exactly_one_audience() {
    let target = |form: &str| parse(&format!(r#"{{"target":{form},"data":1}}"#)).map(|parsed| parsed.target);
    assert_eq!(target(r#"{"users":["a","a"]}"#), Ok(users(&["a"])));
    assert_eq!(target(r#"{"broadcast":true}"#), Ok(Target::Everyone));
    let connections = Target::Connections(vec![
        Recipient::Bare("c".into()),
        Recipient::Row { user_id: "u".into(), connection_id: "d".into(), connected_at: 7 },
    ]);
    let listed = r#"{"connections":["c",{"user_id":"u","connection_id":"d","connected_at":7},"c","d"]}"#;
    assert_eq!(target(listed), Ok(connections));
    for empty in [r#"{"users":[]}"#, r#"{"connections":[]}"#] {
        assert_eq!(target(empty), Err(BadRequest::TargetEmpty));
    }
    let invalid = [
        "{}",
        r#"{"broadcast":false}"#,
        r#"{"broadcast":1}"#,
        r#"{"users":["a"],"broadcast":true}"#,
        r#"{"user":["a"]}"#,
        r#"{"users":"a"}"#,
        r#"{"connections":[""]}"#,
        r#"{"connections":[5]}"#,
        r#"["a"]"#,
        "\"everyone\"",
        "true",
    ];
    for form in invalid {
        assert_eq!(target(form), Err(BadRequest::TargetInvalid), "{form}");
    }
}

#[test]
fn excludes_belong_to_their_form() {
    let short = parse(r#"{"users":["a","b"],"exclude_users":["b"],"data":1}"#).unwrap();
    assert!(short.exclude_users.contains("b"));
    let explicit = r#"{"target":{"broadcast":true},"exclude":{"users":["u"],"connections":["c"]},"data":1}"#;
    let explicit = parse(explicit).unwrap();
    let row = |user: &str, connection: &str| Recipient::Row {
        user_id: user.into(),
        connection_id: connection.into(),
        connected_at: 0,
    };
    let reached =
        [row("u", "x"), row("v", "c"), row("v", "d"), Recipient::Bare("c".into()), Recipient::Bare("d".into())]
            .map(|recipient| explicit.reaches(&recipient));
    assert_eq!(reached, [false, false, true, false, true]);
    for mixed in [
        r#"{"target":{"broadcast":true},"users":["a"],"data":1}"#,
        r#"{"target":{"broadcast":true},"exclude_users":["a"],"data":1}"#,
        r#"{"users":["a"],"exclude":{"users":["b"]},"data":1}"#,
    ] {
        assert_eq!(parse(mixed).unwrap_err(), BadRequest::FormsMixed);
    }
    for exclude in [r#"{"user":["b"]}"#, "[]", r#"{"users":"b"}"#, "5"] {
        let text = format!(r#"{{"target":{{"broadcast":true}},"exclude":{exclude},"data":1}}"#);
        assert_eq!(parse(&text).unwrap_err(), BadRequest::ExcludeInvalid, "{exclude}");
    }
}

#[test]
fn every_mistake_has_its_reason() {
    let cases = [
        ("", BadRequest::NotJson),
        ("{", BadRequest::NotJson),
        ("hello", BadRequest::NotJson),
        (r#"{"data":1} x"#, BadRequest::NotJson),
        ("[1]", BadRequest::NotAnObject),
        ("\"x\"", BadRequest::NotAnObject),
        (r#"{"data":1,"data":2}"#, BadRequest::NotAnObject),
        (r#"{"users":["a"]}"#, BadRequest::DataMissing),
        (r#"{"users":"bob","data":1}"#, BadRequest::UsersInvalid),
        (r#"{"users":[5],"data":1}"#, BadRequest::UsersInvalid),
        (r#"{"users":["a",""],"data":1}"#, BadRequest::UsersInvalid),
        (r#"{"users":{"a":1},"data":1}"#, BadRequest::UsersInvalid),
        (r#"{"exclude_users":"bob","data":1}"#, BadRequest::ExcludeUsersInvalid),
        (r#"{"id":5,"data":1}"#, BadRequest::IdInvalid),
        (r#"{"expiresAt":"soon","data":1}"#, BadRequest::ExpiresAtInvalid),
        (r#"{"expiresAt":-1,"data":1}"#, BadRequest::ExpiresAtInvalid),
        (r#"{"attempt":-1,"data":1}"#, BadRequest::AttemptInvalid),
    ];
    for (text, reason) in cases {
        assert_eq!(parse(text).unwrap_err(), reason, "{text}");
    }
    let long = format!(r#"{{"users":["{}"],"data":1}}"#, "u".repeat(1025));
    assert_eq!(parse(&long).unwrap_err(), BadRequest::UsersInvalid);
}

#[test]
fn data_is_any_json_and_stays_what_it_was_but_for_whitespace() {
    let data = r#"{"b" : 1.0, "a": [ "م 😀 \u0645", 12345678901234567890 ], "b": null }"#;
    let parsed = parse(&format!(r#"{{"data":{data}, "unknown": {{"x": 1}}}}"#)).unwrap();
    assert_eq!(parsed.data.get(), r#"{"b":1.0,"a":["م 😀 \u0645",12345678901234567890],"b":null}"#);
    for data in ["null", "false", "0", "\"\"", "[]"] {
        assert_eq!(parse(&format!(r#"{{"data":{data}}}"#)).unwrap().data.get(), data);
    }
}

#[test]
fn the_size_that_counts_is_that_of_the_compact_bytes() {
    let of = |characters: usize| format!("\"{}\"", "م".repeat(characters));
    let fits = of(64 * 1024 - 1);
    assert_eq!(fits.len(), 128 * 1024);
    assert!(parse(&format!(r#"{{"data":{}{fits}}}"#, " ".repeat(9999))).is_ok(), "whitespace does not count");
    assert_eq!(parse(&format!(r#"{{"data":{}}}"#, of(64 * 1024))).unwrap_err(), BadRequest::DataTooLarge);
}

#[test]
fn excludes_may_have_any_length() {
    let mut names = String::new();
    for n in 0..5000 {
        write!(names, "\"user{n}\",").unwrap();
    }
    let parsed = parse(&format!(r#"{{"exclude_users":[{}],"data":1}}"#, names.trim_end_matches(','))).unwrap();
    assert_eq!(parsed.exclude_users.len(), 5000);
}

#[test]
fn it_expires_after_its_second() {
    let parsed = parse(r#"{"data":1,"expiresAt":100.9}"#).unwrap();
    assert!(!parsed.is_expired(100_999));
    assert!(parsed.is_expired(101_000));
    assert!(!parse(r#"{"data":1,"expiresAt":1e300}"#).unwrap().is_expired(u64::MAX - 1));
    assert!(!parse(r#"{"data":1}"#).unwrap().is_expired(u64::MAX));
}
