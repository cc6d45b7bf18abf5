//! Which route a frame takes, and what a function's answer means. Pure.

use serde_json::Value;

use super::upstream::{Api, Invoked, Route};

/// Routes that no frame can take, whatever it names.
const LIFECYCLE: [&str; 2] = ["$connect", "$disconnect"];

/// The route of a frame, by its key; nothing when there is neither one for it nor a `$default`.
#[must_use]
pub fn route<'a>(api: &'a Api, frame: &str) -> Option<(&'a str, &'a Route)> {
    let named = selected(&api.selection, frame).filter(|key| !LIFECYCLE.contains(&key.as_str()));
    let named = named.and_then(|key| api.routes.get_key_value(&key));
    named.or_else(|| api.routes.get_key_value("$default")).map(|(key, route)| (key.as_str(), route))
}

/// What `$request.body.<path>` selects of a frame: nothing of one that is no JSON.
fn selected(selection: &str, frame: &str) -> Option<String> {
    let frame: Value = serde_json::from_str(frame).ok()?;
    let path = selection.strip_prefix("$request.body.")?;
    match path.split('.').try_fold(&frame, |value, name| value.get(name))? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The subprotocol that `$connect` has chosen, or the status with which the handshake fails.
///
/// A function's own status is passed on; its failure is 502, and a function that is not there 500.
pub fn connected(invoked: &Invoked) -> Result<Option<String>, u16> {
    let answer = match invoked {
        Invoked::Answer(answer) => answer,
        Invoked::Error(_) => return Err(502),
        Invoked::Unreachable => return Err(500),
    };
    match status(answer) {
        Some(200..=299) => {}
        Some(own @ 400..=599) => return Err(own),
        _ => return Err(502),
    }
    let headers = answer["headers"].as_object();
    let chosen = headers.into_iter().flatten().find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-protocol"));
    Ok(chosen.and_then(|(_, value)| value.as_str()).map(ToOwned::to_owned))
}

/// An integration has failed, or answered what API Gateway does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer;

/// The body of a frame's answer, or that there is none that API Gateway takes.
pub fn replied(invoked: &Invoked) -> Result<Option<String>, NoAnswer> {
    let Invoked::Answer(answer) = invoked else { return Err(NoAnswer) };
    status(answer).ok_or(NoAnswer)?;
    match &answer["body"] {
        Value::Null => Ok(None),
        Value::String(body) => Ok(Some(body.clone()).filter(|body| !body.is_empty())),
        _ => Err(NoAnswer),
    }
}

fn status(answer: &Value) -> Option<u16> {
    let status = &answer["statusCode"];
    let number = status.as_u64().or_else(|| status.as_str()?.parse().ok())?;
    u16::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn api(routes: &[&str]) -> Api {
        let routes = routes.iter().map(|key| ((*key).to_owned(), Route::default())).collect();
        Api { selection: "$request.body.action".to_owned(), routes, authorizer: None }
    }

    fn key<'a>(api: &'a Api, frame: &str) -> Option<&'a str> {
        route(api, frame).map(|(key, _)| key)
    }

    #[test]
    fn a_frame_takes_the_route_of_its_action_or_the_default() {
        let all = api(&["$connect", "$default", "ping"]);
        assert_eq!(key(&all, r#"{"action":"ping"}"#), Some("ping"));
        for frame in [r#"{"action":"shout"}"#, r#"{"action":7}"#, "{}", "[1]", "no JSON", r#"{"action":"$connect"}"#] {
            assert_eq!(key(&all, frame), Some("$default"), "{frame}");
        }
        assert_eq!(key(&api(&["ping"]), "no JSON"), None);
    }

    #[test]
    fn a_connect_is_good_with_2xx_only_and_chooses_the_subprotocol() {
        let answer = |answer: Value| connected(&Invoked::Answer(answer));
        assert_eq!(answer(json!({"statusCode": 204})), Ok(None));
        let chooses = json!({"statusCode": 200, "headers": {"sec-websocket-protocol": "sumu"}});
        assert_eq!(answer(chooses), Ok(Some("sumu".to_owned())));
        assert_eq!(answer(json!({"statusCode": 429})), Err(429));
        assert_eq!(answer(json!({"statusCode": 302})), Err(502));
        assert_eq!(answer(json!({})), Err(502));
        assert_eq!(connected(&Invoked::Error(json!({}))), Err(502));
        assert_eq!(connected(&Invoked::Unreachable), Err(500));
    }

    #[test]
    fn an_answer_without_a_status_is_none() {
        let answer = |answer: Value| replied(&Invoked::Answer(answer));
        assert_eq!(answer(json!({"statusCode": 200, "body": "b"})), Ok(Some("b".to_owned())));
        assert_eq!(answer(json!({"statusCode": 200})), Ok(None));
        assert_eq!(answer(json!({"body": "b"})), Err(NoAnswer));
        assert_eq!(answer(json!({"statusCode": 200, "body": {}})), Err(NoAnswer));
        assert_eq!(replied(&Invoked::Error(json!({"statusCode": 200}))), Err(NoAnswer));
    }
}
