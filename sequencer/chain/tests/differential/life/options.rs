//! Which values every option of every configuration has had: a life in which one never changes says nothing about it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use xos_types::InboxPayload;

/// More values than that of one option are not kept.
const ENOUGH: usize = 2;
/// What cannot change here, and why.
const FIXED: [(&str, &str); 6] = [
    ("SpotListed.config.terms.curve", "fees on a curve are for outcomes; the gateway refuses them elsewhere"),
    ("PerpetualSet.config.terms.curve", "the same"),
    ("AssetSet.config.feed.source", "one stand-in says all prices; what a source says is not its address"),
    ("PerpetualSet.config.feed.source", "the same"),
    ("EventOpened.config.resolver", "the gateway asks who resolves; the engine does not know"),
    ("PerpetualSet.config.title", "a text; those of events and spot markets change"),
];

/// By option, as `EventOpened.config.terms.curve`, some of its values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options(BTreeMap<String, BTreeSet<String>>);

impl Options {
    /// Takes note of a configuration that reaches the engine and the contract.
    pub(crate) fn note(&mut self, payload: &InboxPayload) {
        match payload {
            InboxPayload::EventOpened { .. }
            | InboxPayload::SignerSet { .. }
            | InboxPayload::VenueSet { .. }
            | InboxPayload::FeeTiersSet { .. }
            | InboxPayload::AssetSet { .. }
            | InboxPayload::SpotListed { .. }
            | InboxPayload::PerpetualSet { .. }
            | InboxPayload::HoursSet { .. }
            | InboxPayload::TermsSet(_) => self.add_value(String::new(), &serde_json::to_value(payload).unwrap()),
            _ => {}
        }
    }

    fn add_value(&mut self, path: String, value: &Value) {
        if let Value::Object(fields) = value {
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                self.add_value(path, field);
            }
            return;
        }
        if let Value::Array(items) = value
            && items.iter().any(Value::is_object)
        {
            items.iter().for_each(|item| self.add_value(format!("{path}[]"), item));
            return self.add(path, items.len().to_string());
        }
        self.add(path, value.to_string());
    }

    fn add(&mut self, path: String, value: String) {
        let values = self.0.entry(path).or_default();
        if values.len() < ENOUGH {
            values.insert(value);
        }
    }

    /// What another life has seen, too.
    pub(crate) fn join(&mut self, other: &Self) {
        for (option, values) in &other.0 {
            self.0.entry(option.clone()).or_default().extend(values.iter().cloned());
        }
    }

    /// Options that have had one value only; and what is called fixed and is not.
    pub(crate) fn unexpected(&self) -> Vec<String> {
        let fixed: BTreeSet<&str> = FIXED.iter().map(|(option, _)| *option).collect();
        let constant: BTreeSet<&str> =
            self.0.iter().filter(|(_, values)| values.len() < ENOUGH).map(|(option, _)| option.as_str()).collect();
        fixed.symmetric_difference(&constant).map(|option| (*option).to_owned()).collect()
    }
}
