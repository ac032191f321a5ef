//! Which numbered accounts belong to an owner.
//!
//! Only questions ask that, and every account has an entry. So an entry is half of a word: the last four bytes of the owner's
//! address and the account's number. Whoever asks compares the owners of what is found; accounts of a stranger with the same four
//! bytes cost it a look.

use std::collections::BTreeSet;

use xos_types::{AccountId, Address};

/// See the module's head.
#[derive(Debug, Default)]
pub(crate) struct Owners(BTreeSet<(u32, u32)>);

impl Owners {
    /// Notes an account. One that is isolated is found by its parent.
    pub(crate) fn insert(&mut self, owner: Address, account: AccountId) {
        self.0.extend(entry(owner, account));
    }

    /// Numbered accounts of an owner, ascending, and perhaps some of others.
    pub(crate) fn candidates(&self, owner: Address) -> impl Iterator<Item = AccountId> {
        let tag = tag(owner);
        self.0.range((tag, 0)..=(tag, u32::MAX)).map(|(_, number)| AccountId(u64::from(*number)))
    }
}

/// Those of many accounts at once.
impl FromIterator<(Address, AccountId)> for Owners {
    fn from_iter<I: IntoIterator<Item = (Address, AccountId)>>(accounts: I) -> Self {
        Self(accounts.into_iter().filter_map(|(owner, account)| entry(owner, account)).collect())
    }
}

fn entry(owner: Address, account: AccountId) -> Option<(u32, u32)> {
    let number = || u32::try_from(account.0).expect("memory ends long before 2^32 accounts");
    (!account.is_isolated()).then(|| (tag(owner), number()))
}

fn tag(owner: Address) -> u32 {
    let [.., a, b, c, d] = owner.0.0;
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use xos_types::MarketId;

    use super::*;

    #[test]
    fn accounts_are_found_by_the_end_of_their_owners_address() {
        let (mut owners, stranger) = (Owners::default(), Address::repeat_byte(7));
        let owner = Address::left_padding_from(&[7; 4]);
        for (owner, account) in [(owner, 5), (stranger, 3), (owner, 2), (Address::ZERO, 1)] {
            owners.insert(owner, AccountId(account));
        }
        owners.insert(owner, AccountId(5).isolated(MarketId(0x100)));
        assert!(owners.candidates(owner).eq([2, 3, 5].map(AccountId)), "who asks leaves out the stranger's");
        assert!(owners.candidates(Address::repeat_byte(8)).next().is_none());
    }
}
