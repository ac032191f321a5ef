//! Who holds something at a feed: a bit for every numbered account, and a set of the isolated ones.
//!
//! A group has few feeds and many accounts, most of which hold at several of them. A bit takes less than a place in a list, and
//! those of several feeds together are gone through in the order in which accounts lie in memory.

use std::collections::BTreeSet;

use xos_types::AccountId;

/// See the module's head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holders {
    /// Bit `n % 64` of word `n / 64` is account `n`'s; no word behind the highest holder there ever was.
    numbered: Vec<u64>,
    isolated: BTreeSet<AccountId>,
}

impl Holders {
    pub(crate) fn insert(&mut self, account: AccountId) {
        if account.is_isolated() {
            self.isolated.insert(account);
            return;
        }
        let (word, bit) = place_of(account);
        if self.numbered.len() <= word {
            self.numbered.resize(word + 1, 0);
        }
        self.numbered[word] |= bit;
    }

    pub(crate) fn remove(&mut self, account: AccountId) {
        if account.is_isolated() {
            self.isolated.remove(&account);
            return;
        }
        let (word, bit) = place_of(account);
        self.numbered[word] &= !bit;
    }

    /// Adds whoever is among those.
    pub(crate) fn extend(&mut self, others: &Self) {
        if self.numbered.len() < others.numbered.len() {
            self.numbered.resize(others.numbered.len(), 0);
        }
        for (word, other) in self.numbered.iter_mut().zip(&others.numbered) {
            *word |= other;
        }
        self.isolated.extend(&others.isolated);
    }

    /// Everybody, in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = AccountId> {
        let numbered = (0u64..).zip(&self.numbered).flat_map(|(word, bits)| {
            let rest = |bits: &u64| Some(bits & (bits - 1)).filter(|rest| *rest != 0);
            let bits = std::iter::successors(Some(*bits).filter(|bits| *bits != 0), rest);
            bits.map(move |bits| AccountId(word * 64 + u64::from(bits.trailing_zeros())))
        });
        numbered.chain(self.isolated.iter().copied())
    }
}

fn place_of(account: AccountId) -> (usize, u64) {
    let word = usize::try_from(account.0 / 64).expect("an account that exists has a place");
    (word, 1 << (account.0 % 64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xos_types::MarketId;

    use super::*;

    fn account() -> impl Strategy<Value = AccountId> {
        prop_oneof![
            (1u64..300).prop_map(AccountId),
            (1u64..5, 0x100u32..0x104).prop_map(|(parent, market)| AccountId(parent).isolated(MarketId(market))),
        ]
    }

    proptest! {
        #[test]
        fn they_are_a_set(steps in prop::collection::vec((account(), any::<bool>()), 0..100), others in prop::collection::vec(account(), 0..20)) {
            let (mut holders, mut set) = (Holders::default(), BTreeSet::new());
            for (account, holds) in steps {
                if holds {
                    holders.insert(account);
                    set.insert(account);
                } else if set.remove(&account) {
                    holders.remove(account);
                }
                prop_assert!(holders.iter().eq(set.iter().copied()));
            }
            let mut more = Holders::default();
            others.iter().for_each(|other| more.insert(*other));
            holders.extend(&more);
            set.extend(others);
            prop_assert!(holders.iter().eq(set.into_iter()));
        }
    }
}
