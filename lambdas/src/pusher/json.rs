//! Compact JSON text without any other change. Pure.

/// Removes insignificant whitespace from a valid JSON text. The order of keys, the digits of numbers and the escapes
/// of texts stay as they are, which a detour over a value would not promise.
#[must_use]
pub fn compact(json: &str) -> String {
    let mut compact = String::with_capacity(json.len());
    let mut in_text = false;
    let mut escaped = false;
    for character in json.chars() {
        if in_text {
            in_text = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if matches!(character, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            in_text = character == '"';
        }
        compact.push(character);
    }
    compact
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn only_whitespace_between_tokens_goes() {
        let pairs = [
            (r#" { "b" : 1.50e+2 , "a" : [ true , null ] } "#, r#"{"b":1.50e+2,"a":[true,null]}"#),
            (r#""a b\" c \\" "#, r#""a b\" c \\""#),
            (r#"{"\\": " ", "م ر": "\u0627 😀"}"#, r#"{"\\":" ","م ر":"\u0627 😀"}"#),
            ("12345678901234567890.10\n", "12345678901234567890.10"),
        ];
        for (json, expected) in pairs {
            assert_eq!(compact(json), expected);
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_pretty_text_becomes_the_compact_one(value in json()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compact(&pretty), serde_json::to_string(&value).unwrap());
        }
    }
}
