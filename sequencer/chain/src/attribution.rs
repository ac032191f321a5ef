//! Who brought a group's batches about, said behind their calldata as [ERC-8021](https://eips.ethereum.org/EIPS/eip-8021) has it.
//!
//! The contract does not read it, but its hash of a batch goes to the calldata's end, and so does the sequencer's signature: no
//! relayer can add, change or remove it. As every node, every audit and every standby must come to the same hash of the same
//! frame, it belongs to the group's deployment and stays as it is.

use serde::{Deserialize, Serialize};

/// Schema 0: the codes are those of the chain's own registry.
const SCHEMA: u8 = 0;
const MARKER: [u8; 16] =
    [0x80, 0x21, 0x80, 0x21, 0x80, 0x21, 0x80, 0x21, 0x80, 0x21, 0x80, 0x21, 0x80, 0x21, 0x80, 0x21];

/// Codes of whoever is to be told apart; none for a group whose batches say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Attribution(Vec<String>);

impl Attribution {
    /// Whether there are no codes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What comes behind the calldata; nothing without codes.
    #[must_use]
    pub fn suffix(&self) -> Vec<u8> {
        if self.is_empty() {
            return Vec::new();
        }
        let codes = self.0.join(",").into_bytes();
        let length = u8::try_from(codes.len()).expect("it was measured when it was made");
        [codes.as_slice(), &[length, SCHEMA], &MARKER].concat()
    }
}

impl TryFrom<Vec<String>> for Attribution {
    type Error = String;

    fn try_from(codes: Vec<String>) -> Result<Self, String> {
        let plain =
            |code: &String| !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
        if let Some(code) = codes.iter().find(|code| !plain(code)) {
            return Err(format!("`{code}` is no attribution code: printable ASCII without spaces and commas is"));
        }
        let length = codes.join(",").len();
        if length > usize::from(u8::MAX) {
            return Err(format!("attribution codes of {length} bytes are too long, 255 fit"));
        }
        Ok(Self(codes))
    }
}

impl From<Attribution> for Vec<String> {
    fn from(attribution: Attribution) -> Self {
        attribution.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(codes: &[&str]) -> Result<Attribution, String> {
        Attribution::try_from(codes.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>())
    }

    /// The example that other implementations of the standard share.
    #[test]
    fn codes_are_encoded_as_others_read_them() {
        let suffix = of(&["baseapp", "morpho"]).expect("two codes").suffix();
        let expected = "626173656170702c6d6f7270686f0e0080218021802180218021802180218021";
        assert_eq!(alloy::hex::encode(suffix), expected);
        assert!(of(&[]).expect("no codes").suffix().is_empty());
    }

    #[test]
    fn what_could_be_read_in_another_way_is_no_code() {
        for code in ["", "a,b", "a b", "é"] {
            assert!(of(&[code]).is_err(), "{code}");
        }
        assert!(of(&["x".repeat(255).as_str()]).is_ok());
        assert!(of(&["x".repeat(256).as_str()]).is_err());
    }
}
