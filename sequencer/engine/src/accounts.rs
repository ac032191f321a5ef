//! All accounts of a group, found by their numbers.
//!
//! ```text
//! number of an account        where it lies
//! n                           numbered[n − 1]
//! 1 | parent | market         isolated[place], the place among those of its parent, by market
//! ```
//!
//! A numbered account costs a bounds check, as it would in a plain list: an isolated account's number is beyond the end of any
//! such list, so that only then anybody asks whether it is one. Nobody is ever removed.
//!
//! An isolated account is opened by a transfer, but its owner may ask things of it through the chain before (`Gateway.sol`); what
//! the contract keeps of that is kept here until then, as its [`Promise`].

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};
use xos_types::{AccountId, BuilderId, MarketId, Nonce};

use crate::account::Account;
use crate::room::{HALF, SIXTEENTH, make_room};

#[derive(Debug, Default)]
pub(crate) struct Accounts {
    /// By number, from 1.
    numbered: Vec<Account>,
    /// In the order in which they were opened, which the contract counts, too.
    isolated: Vec<Account>,
    /// Their numbers.
    ids: Vec<AccountId>,
    /// By number of the parent, from 1, as far as anybody has opened one: its markets, ascending, and where those accounts lie.
    families: Vec<Vec<(MarketId, u32)>>,
    promises: BTreeMap<AccountId, Promise>,
}

/// What was asked of an isolated account that is not there yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Promise {
    /// Every nonce below is spent.
    pub(crate) floor: Nonce,
    /// Who will be paid a share of its fees; 0 for nobody.
    pub(crate) referrer: BuilderId,
}

impl Accounts {
    pub(crate) fn with_room(numbered: usize) -> Self {
        Self { numbered: Vec::with_capacity(numbered), ..Self::default() }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.numbered.len() + self.isolated.len()
    }

    /// How many are isolated.
    pub(crate) fn isolated_len(&self) -> usize {
        self.isolated.len()
    }

    /// The number that the next account that is not isolated gets.
    pub(crate) fn next_number(&self) -> AccountId {
        AccountId(self.numbered.len() as u64 + 1)
    }

    /// Adds an account under a number that is free: the next one, or an isolated account's of a parent that is there.
    pub(crate) fn open(&mut self, id: AccountId, account: Account) {
        if !id.is_isolated() {
            assert_eq!(id, self.next_number(), "the contract numbers accounts from 1 without gaps");
            make_room(&mut self.numbered, SIXTEENTH);
            self.numbered.push(account);
            return;
        }
        let parent = number_index(id.parent());
        assert!(parent < self.numbered.len(), "whoever opens an isolated account has its parent");
        if self.families.len() <= parent {
            self.families.resize_with(parent + 1, Vec::new);
        }
        let (family, market) = (&mut self.families[parent], id.isolated_market());
        let place = u32::try_from(self.isolated.len()).expect("memory ends long before 2^32 accounts");
        let among = family.binary_search_by_key(&market, |(market, _)| *market);
        let among = among.expect_err("an isolated account is opened once");
        make_room(family, HALF);
        family.insert(among, (market, place));
        make_room(&mut self.isolated, SIXTEENTH);
        self.isolated.push(account);
        self.ids.push(id);
    }

    #[inline]
    pub(crate) fn get(&self, id: AccountId) -> Option<&Account> {
        match self.numbered.get(number_index(id)) {
            None => self.place_of(id).map(|place| &self.isolated[place]),
            found => found,
        }
    }

    /// An account that is not isolated.
    #[inline]
    pub(crate) fn numbered_mut(&mut self, id: AccountId) -> Option<&mut Account> {
        self.numbered.get_mut(number_index(id))
    }

    /// The account whose keys and memberships count: an isolated one's are its parent's (`Signers.sol`).
    #[inline]
    pub(crate) fn parent(&self, id: AccountId) -> &Account {
        &self[id.parent()]
    }

    /// An account and its isolated ones, these by market.
    pub(crate) fn family(&self, parent: AccountId) -> impl Iterator<Item = AccountId> + use<> {
        let family = self.families.get(number_index(parent));
        let markets: Vec<MarketId> = family.into_iter().flatten().map(|(market, _)| *market).collect();
        let isolated = markets.into_iter().map(move |market| parent.isolated(market));
        std::iter::once(parent).chain(isolated)
    }

    /// The numbers of all: first those without a gap, then isolated ones as they were opened.
    pub(crate) fn ids(&self) -> impl Iterator<Item = AccountId> {
        (1..=self.numbered.len() as u64).map(AccountId).chain(self.ids.iter().copied())
    }

    /// All, in the order of [`Self::ids`].
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.numbered.iter().chain(&self.isolated)
    }

    /// All with their numbers, in the order of [`Self::ids`].
    pub(crate) fn entries(&self) -> impl Iterator<Item = (AccountId, &Account)> {
        self.ids().zip(self.iter())
    }

    /// What is promised of isolated accounts.
    pub(crate) fn promises(&self) -> &BTreeMap<AccountId, Promise> {
        &self.promises
    }

    pub(crate) fn restore_promises(&mut self, promises: BTreeMap<AccountId, Promise>) {
        self.promises = promises;
    }

    /// What is promised of an isolated account that is not there yet, to be changed.
    pub(crate) fn promise(&mut self, id: AccountId) -> &mut Promise {
        self.promises.entry(id).or_default()
    }

    /// What was promised of an account that is there now.
    pub(crate) fn keep_promise(&mut self, id: AccountId) -> Promise {
        self.promises.remove(&id).unwrap_or_default()
    }

    #[cold]
    fn known_place_of(&self, id: AccountId) -> usize {
        self.place_of(id).expect("an account that exists is found")
    }

    #[cold]
    fn place_of(&self, id: AccountId) -> Option<usize> {
        if !id.is_isolated() {
            return None;
        }
        let family = self.families.get(number_index(id.parent()))?;
        let market = id.isolated_market();
        let among = family.binary_search_by_key(&market, |(market, _)| *market).ok()?;
        Some(family[among].1 as usize)
    }
}

/// Accounts that exist.
impl Index<AccountId> for Accounts {
    type Output = Account;

    #[inline]
    fn index(&self, id: AccountId) -> &Account {
        match self.numbered.get(number_index(id)) {
            Some(account) => account,
            None => &self.isolated[self.known_place_of(id)],
        }
    }
}

impl IndexMut<AccountId> for Accounts {
    #[inline]
    fn index_mut(&mut self, id: AccountId) -> &mut Account {
        let index = number_index(id);
        if index < self.numbered.len() {
            return &mut self.numbered[index];
        }
        let place = self.known_place_of(id);
        &mut self.isolated[place]
    }
}

/// Where the account of that number lies if it has one of its own. Of 0 and of isolated accounts it is beyond any list.
#[inline]
fn number_index(id: AccountId) -> usize {
    usize::try_from(id.0.wrapping_sub(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use xos_types::Address;

    use super::*;

    fn accounts(numbered: u64, isolated: &[AccountId]) -> Accounts {
        let mut accounts = Accounts::default();
        for id in (1..=numbered).map(AccountId).chain(isolated.iter().copied()) {
            accounts.open(id, Account::new(Address::ZERO));
            accounts[id].cash = i128::from(id.0);
        }
        accounts
    }

    #[test]
    fn every_account_is_found_under_its_number_and_no_other() {
        let isolated = [(3, 0x200), (1, 0x100), (3, 0x100), (3, u32::MAX), (2, 0)]
            .map(|(parent, market)| AccountId(parent).isolated(MarketId(market)));
        let accounts = accounts(3, &isolated);
        assert_eq!((accounts.len(), accounts.isolated_len(), accounts.next_number()), (8, 5, AccountId(4)));
        for (id, account) in accounts.entries() {
            assert_eq!(account.cash, i128::from(id.0), "{id}");
            assert_eq!(accounts.get(id).map(|found| found.cash), Some(account.cash), "{id}");
        }
        let ids: Vec<AccountId> = accounts.ids().collect();
        assert_eq!(ids[..3], [1, 2, 3].map(AccountId));
        assert_eq!(ids[3..], isolated, "as they were opened");
        let strangers = [(1, 0x200), (2, 1), (3, 0), (3, 0x101), (4, 0x100), (0, 0)]
            .map(|(parent, market)| AccountId(parent).isolated(MarketId(market)));
        for id in [0, 4, u64::MAX].map(AccountId).into_iter().chain(strangers) {
            assert!(accounts.get(id).is_none(), "{id}");
        }
    }

    #[test]
    fn a_family_is_an_account_and_its_isolated_ones_by_market() {
        let of_two = [0x300, 0x100, 0x200].map(|market| AccountId(2).isolated(MarketId(market)));
        let accounts = accounts(3, &of_two);
        let family: Vec<AccountId> = accounts.family(AccountId(2)).collect();
        assert_eq!(family, [AccountId(2), of_two[1], of_two[2], of_two[0]]);
        assert_eq!(accounts.family(AccountId(1)).collect::<Vec<_>>(), [AccountId(1)]);
        assert_eq!(accounts.family(AccountId(3)).collect::<Vec<_>>(), [AccountId(3)]);
        assert_eq!(accounts.parent(of_two[0]).cash, 2);
        assert_eq!(accounts.parent(AccountId(3)).cash, 3);
    }
}
