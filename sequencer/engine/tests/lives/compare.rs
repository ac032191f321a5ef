//! What engine and oracle must agree on: accounts, feeds, books, and what the contract has settled.

use xos_engine::BookLevel;
use xos_types::*;

use super::contract::Contract;
use super::life::Life;
use super::naive::{Kept, Naive};

impl Life {
    pub(crate) fn compare_accounts(&self) {
        for (account, state) in &self.naive.accounts {
            let view = self.engine.account(*account).unwrap();
            let available = self.naive.available(*account);
            let health = self.naive.health(state);
            assert_eq!(self.engine.health(*account), Some(health), "health of {account}");
            let worst_payoff = self.naive.worst_payoffs(*account);
            assert_eq!(view.cash.0, state.cash, "cash of {account}");
            assert_eq!(view.worst_payoff.0, worst_payoff, "worst payoff of {account}");
            assert_eq!(view.available.0, available, "available of {account}");
            assert_eq!(view.reserved.0, state.cash + worst_payoff - available, "reserved of {account}");
            let switch = self.naive.switches.get(account).copied().map(TimeMs);
            assert_eq!(self.engine.cancel_after(*account), switch, "dead-man switch of {account}");
            let waiting: Vec<_> = self.naive.waiting_of(*account);
            let waiting = waiting.iter().map(|waiting| (waiting.signed.message, waiting.remaining(), waiting.filled));
            let seen = self.engine.planned_orders(*account);
            let seen = seen.iter().map(|view| (view.order, view.remaining.0, view.filled.0));
            assert!(waiting.eq(seen), "what waits of {account}");
            assert_eq!((view.floor.0, view.next_nonce.0), (state.floor, self.naive.next_nonce(*account)));
            let is_outcome = |market: &MarketId| self.naive.listings[&market.event()].kind == MarketKind::Outcome;
            let positions = state.positions.iter().filter(|(market, lots)| **lots != 0 && is_outcome(market));
            let positions: Vec<_> = positions.collect();
            let seen = self.engine.positions(*account);
            assert_eq!(positions.len(), seen.len());
            for ((market, lots), (seen_market, seen_lots)) in positions.into_iter().zip(seen) {
                assert_eq!((*market, *lots), (seen_market, i128::from(seen_lots.0)));
            }
        }
    }

    pub(crate) fn compare_feeds(&self) {
        let (pool, _) = self.naive.settled_pool(self.naive.frame_fees().1);
        assert_eq!((self.engine.custody(), self.engine.bad_debt()), (Atoms(pool.tokens), Atoms(pool.bad_debt)));
        assert_eq!(self.engine.waiting_keepers(), self.naive.waiting_requests());
        for (view, (id, feed)) in self.engine.feeds().zip(&self.naive.feeds) {
            let seen = (view.price.cast_signed(), view.time.0, view.breached, view.stale, view.funding_index);
            assert_eq!(seen, (feed.price, feed.time, feed.breached, feed.stale, feed.funding), "{id}");
            assert_eq!((view.feed, view.perpetual), (*id, matches!(feed.kept, Kept::Perpetual(..))));
            let balances: i128 = self.naive.accounts.values().map(|state| state.balance(*id)).sum();
            assert_eq!(view.custody.cast_signed(), balances, "custody of {id}");
            if let Kept::Perpetual(market, _) = feed.kept {
                assert_eq!(view.loss.cast_signed(), feed.loss, "what {market} has cost");
                for account in self.naive.accounts.keys() {
                    let forced = self.naive.forced_close(*account, market);
                    let forced = forced.map(|forced| (Lots(forced.lots.try_into().unwrap()), TimeMs(forced.since)));
                    assert_eq!(self.engine.forced_close(*account, market), forced, "forced close of {account}");
                }
                let open = self.engine.open_interest(market).map(|open| i128::from(open.0));
                assert_eq!(open, Some(self.naive.open_interest(market)), "open in {market}");
            }
        }
        for account in self.naive.accounts.keys() {
            let expected: Vec<_> =
                self.naive.feeds.keys().filter_map(|feed| self.naive.holding(*account, *feed)).collect();
            assert_eq!(self.engine.holdings(*account), expected, "what {account} holds");
            assert_eq!(self.engine.flagged_at(*account).map(|time| time.0), self.naive.flags.get(account).copied());
            let state = &self.naive.accounts[account];
            for asset in [FeedId(0)].iter().chain(self.naive.feeds.keys()) {
                let paid_in = state.principal.get(asset).copied().unwrap_or(0);
                assert_eq!(self.engine.principal(*account, *asset).cast_signed(), paid_in, "paid in by {account}");
            }
        }
    }

    pub(crate) fn compare_tiers(&self) {
        for account in self.naive.accounts.keys() {
            let mut seen = self.engine.traded(*account);
            for venue in self.naive.tiers.keys() {
                let FeeTier { taker_share, maker_share, .. } = self.naive.tier(*venue, *account);
                let view = seen.next().unwrap();
                assert_eq!((view.venue, view.volume), (*venue, self.naive.volume(*venue, *account)), "{account}");
                assert_eq!((view.taker_share, view.maker_share), (taker_share, maker_share), "tier of {account}");
            }
            assert_eq!(seen.next(), None);
        }
    }

    pub(crate) fn compare_book(&self, market: MarketId) {
        let Some(book) = self.engine.book(market, usize::MAX) else { return };
        for (side, seen) in [(Side::Buy, book.bids), (Side::Sell, book.asks)] {
            let mut levels: Vec<BookLevel> = vec![];
            for index in self.naive.side(market, side) {
                let resting = &self.naive.orders[index];
                let price = Ticks(resting.price);
                match levels.last_mut().filter(|level| level.price == price) {
                    Some(level) => {
                        level.lots.0 += resting.shown;
                        level.orders += 1;
                    }
                    None => levels.push(BookLevel { price, lots: Lots(resting.shown), orders: 1 }),
                }
            }
            assert_eq!(seen, levels);
        }
    }
}

/// The settled state is the one that the log had when the frame was sealed.
pub(crate) fn compare_contract(contract: &Contract, at_seal: &Naive) {
    let accrued = at_seal.accrued();
    for (account, state) in &at_seal.accounts {
        let fees = accrued.get(account).copied().unwrap_or_default().0;
        let cash = contract.cash.get(account).copied().unwrap_or(0);
        assert_eq!(cash, state.cash + fees, "settled cash of {account}");
        assert_eq!(contract.worst_payoff(*account), at_seal.worst_payoffs(*account), "settled payoff of {account}");
        for (market, lots) in &state.positions {
            let held = contract.positions.get(&(*account, market.event()));
            let held = held.map_or(0, |lots| lots[usize::from(market.outcome())]);
            assert_eq!(i128::from(held), *lots, "settled position of {account} in {market}");
        }
    }
}
