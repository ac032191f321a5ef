//! Holds what a node answers against the OpenRPC document that it serves, by JSON Schema: the keywords that ours are made of, and no
//! others. (The usual libraries for it change how serde_json reads numbers, for the product too, as all is built together.)

use jsonrpsee::core::client::ClientT;
use jsonrpsee::rpc_params;
use regex::Regex;
use serde_json::{Value, json};

/// The OpenRPC document that a node serves.
pub(crate) struct Document(Value);

impl Document {
    pub(crate) async fn of(client: &impl ClientT) -> Self {
        let mut document: Value = client.request("rpc.discover", rpc_params![]).await.unwrap();
        close(&mut document["components"]["schemas"]);
        Self(document)
    }

    pub(crate) fn methods(&self) -> impl Iterator<Item = &Value> {
        self.0["methods"].as_array().unwrap().iter()
    }

    pub(crate) fn method(&self, name: &str) -> &Value {
        self.methods().find(|method| method["name"] == name).unwrap()
    }

    pub(crate) fn fits(&self, what: &str, schema: &Value, value: &Value) {
        if let Err(fault) = fits(&self.0, schema, value) {
            panic!("{what} answers what the document does not say: {fault}; it answers {value}");
        }
    }

    /// What a method answers.
    pub(crate) fn result_fits(&self, method: &str, result: &Value) {
        self.fits(method, &self.method(method)["result"]["schema"], result);
    }

    /// What an error's code stands for in the catalogue, which its data must fit.
    pub(crate) fn error_fits(&self, what: &str, code: i64, data: &Value) {
        let errors = self.0["components"]["errors"].as_object().unwrap();
        let error = errors.values().find(|error| error["code"] == code).unwrap_or_else(|| panic!("{what}: {code}"));
        if !data.is_null() {
            self.fits(what, &error["data"]["schema"], data);
        }
    }
}

/// Lets objects have no fields but those that are described.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.contains_key("properties") {
                map.entry("additionalProperties").or_insert(json!(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        _ => {}
    }
}

/// Where and how a value is not as described, if it is not. `root` is where references point into.
fn fits(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let keywords = match schema {
        Value::Bool(true) => return Ok(()),
        Value::Object(keywords) => keywords,
        other => return Err(format!("{value} fits no schema such as {other}")),
    };
    keywords.iter().try_for_each(|(keyword, wanted)| {
        let fault = || Err(format!("{value} is not as {keyword} says: {wanted}"));
        let holds = |holds: bool| if holds { Ok(()) } else { fault() };
        match keyword.as_str() {
            "$schema" | "title" | "description" | "default" | "format" => Ok(()),
            "$ref" => {
                let pointer = wanted.as_str().and_then(|text| text.strip_prefix('#')).expect("a reference within");
                fits(root, root.pointer(pointer).expect("a reference to what is there"), value)
            }
            "type" => match wanted {
                Value::Array(types) => holds(types.iter().any(|one| is(one, value))),
                one => holds(is(one, value)),
            },
            "enum" => holds(wanted.as_array().expect("a list").contains(value)),
            "const" => holds(wanted == value),
            "pattern" => {
                let pattern = Regex::new(wanted.as_str().expect("a text")).expect("a pattern");
                holds(value.as_str().is_none_or(|text| pattern.is_match(text)))
            }
            "minimum" => holds(integer(value).is_none_or(|number| Some(number) >= integer(wanted))),
            "maximum" => holds(integer(value).is_none_or(|number| Some(number) <= integer(wanted))),
            "allOf" => wanted.as_array().expect("a list").iter().try_for_each(|all| fits(root, all, value)),
            "anyOf" => holds(fitting(root, wanted, value) > 0),
            "oneOf" => holds(fitting(root, wanted, value) == 1),
            "minItems" => holds(!value.is_array() || Some(elements(value).count() as u64) >= wanted.as_u64()),
            "maxItems" => holds(!value.is_array() || Some(elements(value).count() as u64) <= wanted.as_u64()),
            "items" => elements(value).try_for_each(|element| fits(root, wanted, element)),
            "required" => {
                let names = wanted.as_array().expect("a list").iter().filter_map(Value::as_str);
                holds(names.into_iter().all(|name| value.as_object().is_none_or(|object| object.contains_key(name))))
            }
            "properties" => {
                let described = wanted.as_object().expect("fields");
                fields(value).try_for_each(|(name, field)| {
                    let schema = described.get(name).unwrap_or(&Value::Bool(true));
                    fits(root, schema, field).map_err(|fault| format!("{name}: {fault}"))
                })
            }
            "additionalProperties" => {
                let described = keywords.get("properties").and_then(Value::as_object);
                let mut others =
                    fields(value).filter(|(name, _)| described.is_none_or(|described| !described.contains_key(*name)));
                others.try_for_each(|(name, field)| {
                    fits(root, wanted, field).map_err(|fault| format!("{name} is not described: {fault}"))
                })
            }
            other => Err(format!("nobody knows how to hold a value against {other}")),
        }
    })
}

fn is(name: &Value, value: &Value) -> bool {
    match name.as_str().expect("the name of a type") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("our answers have no {other}"),
    }
}

fn integer(value: &Value) -> Option<i128> {
    value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from))
}

fn fitting(root: &Value, schemas: &Value, value: &Value) -> usize {
    schemas.as_array().expect("a list").iter().filter(|schema| fits(root, schema, value).is_ok()).count()
}

fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

#[test]
fn a_value_that_is_not_as_described_is_told_from_one_that_is() {
    use serde_json::json;

    let root = json!({ "schemas": { "Level": {
        "type": "object", "required": ["price"], "additionalProperties": false,
        "properties": { "price": { "type": "string", "pattern": "^[0-9]+$" }, "orders": { "type": ["integer", "null"], "minimum": 0 } },
    } } });
    let list = json!({ "type": "array", "items": { "$ref": "#/schemas/Level" } });
    for good in
        [json!([]), json!([{ "price": "7" }]), json!([{ "price": "7", "orders": null }, { "price": "0", "orders": 3 }])]
    {
        assert_eq!(fits(&root, &list, &good), Ok(()));
    }
    for bad in [
        json!({}),
        json!([7]),
        json!([{}]),
        json!([{ "price": 7 }]),
        json!([{ "price": "-7" }]),
        json!([{ "price": "7", "orders": -1 }]),
        json!([{ "price": "7", "orders": "1" }]),
        json!([{ "price": "7", "size": "1" }]),
    ] {
        assert!(fits(&root, &list, &bad).is_err(), "{bad}");
    }
    let pair = json!({ "type": "array", "minItems": 2, "maxItems": 2 });
    assert_eq!(
        [json!([1]), json!([1, 2]), json!([1, 2, 3])].map(|list| fits(&root, &pair, &list).is_ok()),
        [false, true, false]
    );
    let kinds =
        json!({ "oneOf": [{ "const": "a" }, { "type": "object", "properties": { "b": true }, "required": ["b"] }] });
    assert_eq!(
        [json!("a"), json!({ "b": 1 }), json!("b"), json!({})].map(|value| fits(&root, &kinds, &value).is_ok()),
        [true, true, false, false]
    );
    assert!(
        fits(&root, &json!({ "contains": {} }), &json!([])).is_err(),
        "a keyword that is not known is not passed over"
    );
}
