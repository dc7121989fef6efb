//! A form of JSON in which equal values have equal texts.
//!
//! Keys are in order whatever order they were read in, and white space is gone; numbers are as
//! `serde_json` writes them. Never changes a value.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// A JSON value whose objects are ordered by key.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Canonical<'a> {
    /// Null, a truth value, a number or a text.
    Leaf(&'a Value),
    /// A list.
    List(Vec<Canonical<'a>>),
    /// An object.
    Object(BTreeMap<&'a str, Canonical<'a>>),
}

/// The canonical form of `value`. As deep as `value` is, which the parser bounds at 128.
pub(super) fn of(value: &Value) -> Canonical<'_> {
    match value {
        Value::Array(items) => Canonical::List(items.iter().map(of).collect()),
        Value::Object(entries) => {
            Canonical::Object(entries.iter().map(|(key, item)| (key.as_str(), of(item))).collect())
        }
        leaf => Canonical::Leaf(leaf),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_and_white_space_do_not_count() {
        let text = |json: &str| {
            serde_json::to_string(&of(&serde_json::from_str::<Value>(json).unwrap())).unwrap()
        };
        let expected = r#"{"a":[1,{"c":null,"d":0.1}],"b":"x"}"#;
        assert_eq!(text(r#"{ "b": "x", "a": [1, {"d": 0.1, "c": null}] }"#), expected);
        assert_ne!(text(r#"{"a":[{"c":null,"d":0.1},1],"b":"x"}"#), expected);
    }
}
