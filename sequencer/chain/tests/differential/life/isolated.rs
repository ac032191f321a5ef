//! Accounts for one market alone in a life: how they are opened, funded and emptied, and who trades with them.

use alloy::primitives::Address;
use xos_chain::abi::IGroupViews;
use xos_types::{AccountId, Command, EventId, MarketId, TimeMs, Transfer};

use super::{Life, share};

/// A step that moves money to or from an isolated account.
#[derive(Clone, Copy, Debug)]
pub(crate) enum IsolatedStep {
    /// To the account of `parent` for a market alone, from it or from another one of the owner's.
    Fund { from: u8, parent: u8, market: u8, part: u8 },
    /// Out of one, to its parent or to another one of the owner's.
    Empty { pick: u8, to: u8, part: u8 },
}

impl Life {
    pub(crate) fn isolated_step(&mut self, step: IsolatedStep) {
        match step {
            IsolatedStep::Fund { from, parent, market, part } => {
                let parent = self.pick_account(parent);
                let Some(market) = self.pick_listing(market) else { return };
                let from = if from < 200 { parent } else { self.pick_anyone(from) };
                // Mostly a part, sometimes more than there is.
                self.send(from, parent.isolated(market), part);
            }
            IsolatedStep::Empty { pick, to, part } => {
                let isolated = self.isolated();
                let Some(&from) = isolated.get(usize::from(pick) % isolated.len().max(1)) else { return };
                let to = if to < 200 { from.parent() } else { self.pick_anyone(to) };
                let all = self.engine.account(from).is_some_and(|view| view.available.0 > 0) && part >= 180;
                self.totals.isolated_emptied += u64::from(all);
                self.send(from, to, if all { 128 } else { part });
            }
        }
    }

    fn send(&mut self, account: AccountId, to: AccountId, part: u8) {
        let free = self.engine.account(account).map_or(0, |view| view.available.0);
        let (token, nonce) = (self.evm.token, self.next_nonce(account));
        let amount = share(free.max(1), part);
        let transfer = Transfer { account, gateway: Address::ZERO, to, token, amount, nonce, expiry: TimeMs(0) };
        let key = if part % 16 == 7 { self.agent(part) } else { self.key(self.owner_index(account)) }.clone();
        self.apply(Command::Transfer(key.sign_typed(&self.domain, transfer)));
    }

    /// Isolated accounts that are there.
    pub(super) fn isolated(&self) -> Vec<AccountId> {
        self.engine.account_ids().filter(|id| id.is_isolated()).collect()
    }

    /// A numbered account, an isolated one, or one that nobody has opened.
    pub(super) fn pick_anyone(&self, pick: u8) -> AccountId {
        let isolated = self.isolated();
        match (pick % 4, self.pick_listing(pick / 4)) {
            (3, _) if !isolated.is_empty() => isolated[usize::from(pick / 4) % isolated.len()],
            (2, Some(market)) if pick % 16 == 2 => self.pick_account(pick / 16).isolated(market),
            _ => self.pick_account(pick),
        }
    }

    /// Who trades in a market: where only isolated accounts may, mostly one of them.
    pub(super) fn pick_trader(&self, pick: u8, market: MarketId) -> AccountId {
        let isolated = self.isolated();
        let here: Vec<AccountId> =
            isolated.iter().copied().filter(|id| id.isolated_market().event() == market.event()).collect();
        let only = self.isolated_only.contains(&market.event());
        match pick % 8 {
            0 if !isolated.is_empty() => isolated[usize::from(pick / 8) % isolated.len()],
            1 => self.pick_account(pick / 8),
            2 | 3 if !here.is_empty() => here[usize::from(pick / 8) % here.len()],
            _ if only && !here.is_empty() => here[usize::from(pick / 4) % here.len()],
            _ => self.pick_account(pick),
        }
    }

    /// The first market of a listing that the inbox has named; of an event sometimes the second one.
    fn pick_listing(&self, pick: u8) -> Option<MarketId> {
        let events = self.numbers.iter().map(|number| MarketId::new(EventId(*number), pick >> 7));
        let kinds = self.kinds.markets.iter().map(super::kinds::Market::id);
        // Where they are needed.
        let all: Vec<MarketId> = events.chain(kinds).collect();
        let only: Vec<MarketId> =
            all.iter().copied().filter(|market| self.isolated_only.contains(&market.event())).collect();
        let among = if pick.is_multiple_of(4) || only.is_empty() { all } else { only };
        among.get(usize::from(pick / 4) % among.len().max(1)).copied()
    }

    /// The contract counts isolated accounts in the order in which they were opened.
    pub(super) fn compare_isolated(&mut self, engine: &[AccountId]) {
        let group = self.evm.group;
        let count = self.evm.view(group, &IGroupViews::isolatedCountCall {});
        assert_eq!(count, engine.len() as u64, "isolated accounts");
        for (index, id) in (0..).zip(engine) {
            assert_eq!(self.evm.view(group, &IGroupViews::isolatedCall { index }), id.0, "isolated account {index}");
        }
    }
}
