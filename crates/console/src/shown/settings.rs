//! The settings of `sdocker.conf`.

use sdocker::config::{Setting, Source};
use serde_json::Value;

use crate::columns::align;

/// Every setting, a row each: its value, where that comes from, and what it means.
pub fn settings(settings: &[Setting]) -> String {
    let from = |source: Source| if source == Source::File { "sdocker.conf" } else { "default" };
    let rows = settings.iter().map(|setting| {
        [setting.key.to_owned(), value(&setting.value), from(setting.from).to_owned(), setting.about.to_owned()]
    });
    align(Some(["KEY", "VALUE", "FROM", "MEANS"].into()), rows)
}

/// A value, as it is written on a command line.
pub fn value(of: &Value) -> String {
    match of {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(value).collect::<Vec<_>>().join(" "),
        Value::Object(values) => {
            let pairs: Vec<String> = values.iter().map(|(key, of)| format!("{key}={}", value(of))).collect();
            pairs.join(" ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_as_on_a_command_line() {
        use serde_json::json;
        let shown = |of: Value| value(&of);
        assert_eq!(
            (shown(json!(null)), shown(json!("a")), shown(json!(1111))),
            ("-".into(), "a".into(), "1111".into())
        );
        assert_eq!(shown(json!([80, 6006])), "80 6006");
        assert_eq!(shown(json!({"a": "1", "b": "x"})), "a=1 b=x");
    }
}
