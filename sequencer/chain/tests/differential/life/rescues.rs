//! Accounts that fail in a life: prices that crash, keepers, closes and liquidations by transaction, a fund that is rich or poor,
//! and what the contract must say of all that after each batch.

use std::collections::BTreeMap;

use alloy::primitives::U256;
use xos_chain::abi::{self, IGateway, IGroupViews};
use xos_types::{
    AccountId, Command, Convert, Event, FeedId, Liquidate, Lots, MarketId, Nonce, Order, OrderKind, Ppm, Side, Ticks,
    TimeMs,
};

use super::{EventPlan, FeedPlan, Life, PerpetualPlan, Snapshot, TermsPlan};

/// A step about accounts that fail.
#[derive(Clone, Debug)]
pub(crate) enum RescueStep {
    Liquidate {
        keeper: u8,
        pick: u8,
        size: u8,
        twist: u8,
    },
    Convert {
        keeper: u8,
        pick: u8,
        amount: u8,
        twist: u8,
    },
    ForceClose {
        account: u8,
        market: u8,
    },
    ForceLiquidation {
        keeper: u8,
        pick: u8,
        size: u8,
    },
    /// A deposit into the insurance fund, of so many atoms shifted right.
    Fund {
        amount: u32,
        shift: u8,
    },
    /// Two accounts open opposite positions at index price, of so many parts of what they can carry.
    Deal {
        buyer: u8,
        seller: u8,
        market: u8,
        parts: u8,
    },
    /// A frame in which one price moves, by thousandths of itself; and keepers that see what came of it.
    Crash {
        feed: u8,
        permille: u16,
        ms: u64,
        keepers: Vec<[u8; 4]>,
    },
    /// So many frames, a little apart.
    Wait {
        frames: u8,
        ms: u64,
    },
}

/// What happened to accounts that fail, over lives.
#[derive(Clone, Debug, Default)]
pub(crate) struct RescueTotals {
    counts: BTreeMap<&'static str, u64>,
}

/// What lives of accounts that fail must have seen, and how often at least in 64 of them.
const WANTED: [(&str, u64); 25] = [
    ("flag", 64),
    ("liquidation", 10),
    ("liquidation of a part", 1),
    ("liquidation without penalty", 10),
    ("forced liquidation", 5),
    ("conversion", 10),
    ("refused keeper", 20),
    ("forced close", 20),
    ("forced close in the book", 1),
    ("takeover", 20),
    ("takeover of a healthy account's position", 3),
    ("deleveraging", 20),
    ("deleveraging of several", 3),
    ("keeper by a key", 3),
    ("sweep", 5),
    ("bankruptcy", 5),
    ("bankruptcy that all share", 3),
    ("loss repaid", 3),
    ("claim paid in part", 1),
    ("liquidation of an isolated account", 1),
    ("liquidation by an isolated keeper", 1),
    ("takeover from an isolated account", 1),
    ("deleveraging with an isolated account", 1),
    ("bankruptcy of an isolated account", 1),
    ("forced close of an isolated account's position", 1),
];

impl RescueTotals {
    pub(crate) fn add(&mut self, other: &Self) {
        for (what, count) in &other.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }

    fn count(&mut self, what: &'static str, if_so: bool) {
        *self.counts.entry(what).or_default() += u64::from(if_so);
    }

    /// What was seen too rarely in so many lives.
    pub(crate) fn missing(&self, lives: u32) -> Vec<(&'static str, u64, u64)> {
        let seen = |what| self.counts.get(what).copied().unwrap_or(0);
        let least = |wanted: u64| wanted * u64::from(lives) / 64;
        let counted = WANTED.map(|(what, wanted)| (what, seen(what), least(wanted)));
        counted.into_iter().filter(|(_, seen, least)| seen < least).collect()
    }
}

/// The engine's side of the comparison, at a seal.
pub(crate) struct RescueSnapshot {
    flagged: Vec<(AccountId, u64)>,
    forced: Vec<(AccountId, MarketId, u64, u64)>,
    losses: Vec<(FeedId, u128)>,
    closed: Vec<(AccountId, bool)>,
    bad_debt: i128,
}

impl Life {
    pub(crate) fn rescue_step(&mut self, step: &RescueStep) {
        match *step {
            RescueStep::Crash { feed, permille, ms, ref keepers } => {
                self.kinds.crash(feed, permille);
                self.frame(ms, 255, u64::from(permille));
                for &[keeper, pick, size, twist] in keepers {
                    if twist >= 180 {
                        self.force_liquidation(keeper, pick, size);
                    } else {
                        self.liquidate(keeper, pick, size, twist);
                    }
                }
            }
            RescueStep::Liquidate { keeper, pick, size, twist } => self.liquidate(keeper, pick, size, twist),
            RescueStep::Convert { keeper, pick, amount, twist } => self.convert(keeper, pick, amount, twist),
            RescueStep::ForceClose { account, market } => self.force_close(account, market),
            RescueStep::ForceLiquidation { keeper, pick, size } => self.force_liquidation(keeper, pick, size),
            RescueStep::Fund { amount, shift } => {
                let fund = AccountId::INSURANCE;
                self.deposit(self.owner_index(fund), Some(fund), u128::from(amount >> (shift % 28)) + 1);
            }
            RescueStep::Deal { buyer, seller, market, parts } => self.deal(buyer, seller, market, parts),
            RescueStep::Wait { frames, ms } => {
                for _ in 0..frames {
                    self.frame(ms, 255, 0);
                }
            }
        }
    }

    fn deal(&mut self, buyer: u8, seller: u8, market: u8, parts: u8) {
        let perpetuals = self.kinds.markets.iter().filter(|market| market.is_perpetual() && !market.is_delisted());
        let perpetuals: Vec<_> = perpetuals.cloned().collect();
        if perpetuals.is_empty() {
            return;
        }
        let market = &perpetuals[usize::from(market) % perpetuals.len()];
        let [buyer, seller] = [buyer, seller].map(|pick| self.pick_trader(pick, market.id()));
        if buyer == seller {
            return;
        }
        let Some(view) = self.engine.feeds().find(|view| view.feed == market.feed()) else { return };
        let free = |id| self.engine.account(id).map_or(0, |view| view.available.0.max(0).unsigned_abs());
        // Up to 40 times what the poorer has: often too much, sometimes just enough.
        let most = free(buyer).min(free(seller)) * 40 / (view.price / 1_000_000_000).max(1);
        let lots = u64::try_from(most * u128::from(parts) / 256).unwrap_or(u64::MAX);
        let price = market.tick_at(view.price);
        for (account, side) in [(seller, Side::Sell), (buyer, Side::Buy)] {
            let order = Order {
                account,
                market: market.id(),
                side,
                kind: OrderKind::ImmediateOrCancel,
                reduce_only: false,
                size: Lots(lots),
                price,
                nonce: self.next_nonce(account),
                expiry: TimeMs(0),
                max_fee: Ppm(1_000_000),
                builder: 0,
                builder_fee: Ppm(0),
            };
            let kind = if side == Side::Sell { OrderKind::GoodTillCancelled } else { order.kind };
            let key = self.key(self.owner_index(account)).clone();
            self.apply(Command::place(key.sign_typed(&self.domain, Order { kind, ..order })));
        }
    }

    fn liquidate(&mut self, keeper: u8, pick: u8, size: u8, twist: u8) {
        let keeper = self.pick_keeper(keeper);
        let Some(mut request) = self.request_liquidation(keeper, pick, size) else { return };
        let keeper = request.keeper;
        match twist {
            0..=9 => request.expiry = TimeMs(self.now.0 + u64::from(twist) * 100),
            10..=14 => request.limit = 1_000_000_000_000,
            15..=17 => request.nonce = Nonce(u64::from(twist)),
            18..=20 => request.keeper = request.account,
            _ => {}
        }
        let owner = self.key(self.owner_index(keeper)).clone();
        let by_key = (21..=60).contains(&twist);
        let key = if by_key { self.agent(twist).clone() } else { owner };
        let waiting = self.engine.waiting_keepers();
        self.apply(Command::Liquidate(key.sign_typed(&self.domain, request)));
        self.totals.rescues.count("keeper by a key", by_key && self.engine.waiting_keepers() > waiting);
    }

    /// Mostly who can carry most.
    fn pick_keeper(&self, pick: u8) -> AccountId {
        let richest = self.engine.account_ids().max_by_key(|id| self.engine.account(*id).unwrap().available);
        if pick < 100 { self.pick_anyone(pick) } else { richest.unwrap() }
    }

    /// A liquidation of an account that fails, if one does; else of anybody who holds something.
    fn request_liquidation(&mut self, keeper: AccountId, pick: u8, size: u8) -> Option<Liquidate> {
        let mut held = Vec::new();
        for account in self.engine.account_ids() {
            let fails = self.engine.health(account).unwrap().maintenance() < 0;
            for view in self.engine.holdings(account) {
                let market = self.kinds.markets.iter().find(|market| market.holds(view.feed));
                held.extend(market.map(|market| (fails, account, market.id(), view.amount)));
            }
        }
        let failing: Vec<_> = held.iter().filter(|(fails, ..)| *fails).copied().collect();
        let among = if failing.is_empty() || pick >= 240 { held } else { failing };
        let &(_, account, market, amount) = among.get(usize::from(pick) % among.len().max(1))?;
        let whole = u64::try_from(amount.unsigned_abs()).unwrap();
        let size = if size >= 128 { whole.saturating_add(u64::from(size)) } else { whole * u64::from(size) / 128 };
        let limit = if amount > 0 { u128::MAX } else { 0 };
        // Where only isolated accounts may, mostly the keeper's.
        let only = self.isolated_only.contains(&market.event()) && !pick.is_multiple_of(8);
        let apart = keeper.parent().isolated(market);
        let keeper = if only && self.engine.account(apart).is_some() { apart } else { keeper };
        let nonce = self.next_nonce(keeper);
        Some(Liquidate { keeper, account, market, size: Lots(size), limit, nonce, expiry: TimeMs(0) })
    }

    fn convert(&mut self, keeper: u8, pick: u8, amount: u8, twist: u8) {
        let keeper = self.pick_anyone(keeper);
        let mut held = Vec::new();
        for account in self.engine.account_ids() {
            let owes = self.engine.health(account).unwrap().usd < 0;
            for view in self.engine.holdings(account).into_iter().filter(|view| view.amount > 0) {
                held.push((owes, account, view.feed, view.amount.unsigned_abs()));
            }
        }
        let owing: Vec<_> = held.iter().filter(|(owes, ..)| *owes).copied().collect();
        let among = if owing.is_empty() || pick >= 250 { held } else { owing };
        let Some(&(_, account, asset, balance)) = among.get(usize::from(pick) % among.len().max(1)) else { return };
        let amount = if amount >= 128 { balance } else { balance * u128::from(amount) / 128 };
        let limit = if twist < 10 { 1_000 } else { u128::MAX };
        let expiry = TimeMs(if twist < 20 { self.now.0 + 500 } else { 0 });
        let nonce = self.next_nonce(keeper);
        let request = Convert { keeper, account, asset, amount, limit, nonce, expiry };
        let key = self.key(self.owner_index(keeper)).clone();
        self.apply(Command::Convert(key.sign_typed(&self.domain, request)));
    }

    fn force_close(&mut self, account: u8, market: u8) {
        let perpetuals: Vec<MarketId> =
            self.kinds.markets.iter().filter(|market| market.is_perpetual()).map(super::kinds::Market::id).collect();
        if perpetuals.is_empty() {
            return;
        }
        let is_met = market.is_multiple_of(2);
        let market = perpetuals[usize::from(market / 2) % perpetuals.len()];
        let account = self.pick_anyone(account);
        if is_met {
            self.quote_against(account, market);
        }
        let owner = self.key(self.owner_index(account)).address();
        self.request(owner, &IGateway::requestCloseCall { account: account.0, market: market.0 });
    }

    /// Whoever can carry most would take a part of an account's position, at a twentieth more than it is worth: ticks are coarse, and
    /// the fee counts.
    fn quote_against(&mut self, account: AccountId, market: MarketId) {
        let of = self.kinds.markets.iter().find(|of| of.is(market)).unwrap().clone();
        let held = self.engine.holdings(account).into_iter().find(|view| view.feed == of.feed());
        let Some(held) = held.map(|view| view.amount).filter(|amount| *amount != 0) else { return };
        let Some(index) = self.engine.feeds().find(|view| view.feed == of.feed()).map(|view| view.price) else {
            return;
        };
        let others = self.engine.account_ids().filter(|id| *id != account && *id != AccountId::INSURANCE);
        let Some(maker) = others.max_by_key(|id| self.engine.account(*id).unwrap().available) else { return };
        let most = self.engine.account(maker).unwrap().available.0.max(0).unsigned_abs();
        let lots = (held.unsigned_abs() / 2).min(most * 5 / (index / 1_000_000_000).max(1)).max(1);
        let order = Order {
            account: maker,
            market,
            side: if held > 0 { Side::Buy } else { Side::Sell },
            kind: OrderKind::GoodTillCancelled,
            reduce_only: false,
            size: Lots(u64::try_from(lots).unwrap_or(u64::MAX)),
            price: if held > 0 { Ticks(of.tick_at(index * 21 / 20).0 + 1) } else { of.tick_at(index * 19 / 20) },
            nonce: self.next_nonce(maker),
            expiry: TimeMs(0),
            max_fee: Ppm(1_000_000),
            builder: 0,
            builder_fee: Ppm(0),
        };
        let key = self.key(self.owner_index(maker)).clone();
        self.apply(Command::place(key.sign_typed(&self.domain, order)));
    }

    fn force_liquidation(&mut self, keeper: u8, pick: u8, size: u8) {
        let keeper = self.pick_keeper(keeper);
        let Some(request) = self.request_liquidation(keeper, pick, size) else { return };
        let owner = self.key(self.owner_index(keeper)).address();
        let request = abi::Liquidate {
            keeper: request.keeper.0,
            account: request.account.0,
            market: request.market.0,
            size: request.size.0,
            limit: request.limit,
            nonce: request.nonce.0,
            expiry: request.expiry.0,
        };
        self.request(owner, &IGateway::requestLiquidationCall { request });
    }

    pub(crate) fn note_rescue(&mut self, event: &Event) {
        let held = |account: AccountId, market: MarketId| {
            let feed = self.kinds.markets.iter().find(|of| of.is(market)).unwrap().feed();
            self.engine.holdings(account).into_iter().any(|view| view.feed == feed)
        };
        let mut seen = Vec::new();
        match event {
            Event::Flagged { .. } => seen.push("flag"),
            Event::Liquidated { account, market, charge, forced, keeper, .. } => {
                seen.extend(account.is_isolated().then_some("liquidation of an isolated account"));
                seen.extend(keeper.is_isolated().then_some("liquidation by an isolated keeper"));
                seen.push(if *forced { "forced liquidation" } else { "liquidation" });
                seen.extend(held(*account, *market).then_some("liquidation of a part"));
                seen.extend((charge.0 == 0).then_some("liquidation without penalty"));
            }
            Event::Converted { .. } => seen.push("conversion"),
            Event::RescueRefused { .. } => seen.push("refused keeper"),
            Event::Filled(fill) if fill.taker_nonce == Nonce::FORCED => seen.push("forced close in the book"),
            Event::CloseForced { account, .. } => {
                seen.push("forced close");
                seen.extend(account.is_isolated().then_some("forced close of an isolated account's position"));
            }
            Event::TakenOver { account, .. } => {
                seen.push("takeover");
                seen.extend(account.is_isolated().then_some("takeover from an isolated account"));
                let healthy = self.engine.flagged_at(*account).is_none();
                seen.extend(healthy.then_some("takeover of a healthy account's position"));
            }
            Event::Deleveraged { account, others, .. } => {
                seen.push("deleveraging");
                let isolated = account.is_isolated() || others.iter().any(|other| other.account.is_isolated());
                seen.extend(isolated.then_some("deleveraging with an isolated account"));
                seen.extend((others.len() > 1).then_some("deleveraging of several"));
            }
            Event::Bankrupt { account, debt, paid } => {
                seen.push("bankruptcy");
                seen.extend(account.is_isolated().then_some("bankruptcy of an isolated account"));
                seen.extend((debt != paid).then_some("bankruptcy that all share"));
            }
            Event::Swept { .. } => seen.push("sweep"),
            Event::LossesRepaid { .. } => seen.push("loss repaid"),
            Event::PaidInPart { account, claim, paid } => {
                seen.push("claim paid in part");
                let owner = self.key(self.owner_index(*account)).address();
                let [claim, paid] = [claim, paid].map(|atoms| atoms.0.unsigned_abs());
                let entry = self.leaving.iter_mut().find(|entry| **entry == (owner, claim));
                entry.expect("what is paid in part has left").1 = paid;
            }
            _ => {}
        }
        for what in seen {
            self.totals.rescues.count(what, true);
        }
    }

    pub(crate) fn rescue_snapshot(&self) -> RescueSnapshot {
        let ids: Vec<AccountId> = self.engine.account_ids().collect();
        let perpetuals = || self.kinds.markets.iter().filter(|market| market.is_perpetual());
        let known = || perpetuals().filter(|market| self.engine.open_interest(market.id()).is_some());
        let forced = |id: AccountId| {
            known().map(move |market| {
                let close = self.engine.forced_close(id, market.id());
                let (lots, since) = close.map_or((0, 0), |(lots, since)| (lots.0, since.0));
                (id, market.id(), lots, since)
            })
        };
        RescueSnapshot {
            flagged: ids.iter().map(|id| (*id, self.engine.flagged_at(*id).map_or(0, |time| time.0))).collect(),
            forced: ids.iter().flat_map(|id| forced(*id)).collect(),
            losses: self.engine.feeds().map(|view| (view.feed, view.loss)).collect(),
            closed: ids.iter().map(|id| (*id, self.engine.account(*id).unwrap().floor == Nonce(u64::MAX))).collect(),
            bad_debt: self.engine.bad_debt().0,
        }
    }

    /// The contract remembers what the engine does.
    pub(super) fn compare_rescues(&mut self, engine: &Snapshot) {
        let (group, ours) = (self.evm.group, &engine.rescues);
        for &(id, time) in &ours.flagged {
            assert_eq!(self.evm.view(group, &IGroupViews::flaggedAtCall { id: id.0 }), time, "flag of {id}");
        }
        for &(id, market, lots, since) in &ours.forced {
            let chain = self.evm.view(group, &IGroupViews::forcedCloseCall { id: id.0, market: market.0 });
            assert_eq!((chain.size, chain.since), (lots, since), "forced close of {id} in {market}");
        }
        for &(feed, loss) in &ours.losses {
            let chain = self.evm.view(group, &IGroupViews::feedCall { id: feed.0 });
            assert_eq!(U256::from(chain.loss), U256::from(loss), "loss at feed {feed}");
        }
        for &(id, closed) in &ours.closed {
            let chain = self.evm.view(group, &IGroupViews::accountCall { id: id.0 });
            assert_eq!(chain.nonceFloor == u64::MAX, closed, "whether {id} is closed");
        }
        let pool = self.evm.view(group, &IGroupViews::poolCall {});
        assert_eq!(i128::try_from(pool.badDebt).unwrap(), ours.bad_debt, "losses that all share");
    }
}

impl Life {
    /// A keeper that could just carry all that it asks for, and is an atom short with the part that it would get: lots are so cheap
    /// that rounding counts. What it forces stops no batch.
    pub(crate) fn a_part_may_be_an_atom_dearer_than_the_whole(event: EventPlan, terms: &TermsPlan, feed: FeedPlan) {
        let mut life = Self::begin(&[event]);
        life.list_perpetual(None, terms, &in_cheap_lots(feed));
        life.price(110);
        // 42 lots bought at 11 and worth 10.3 each leave 2 of 32 atoms; 1 % is needed for new risk, half of it to stay.
        let [account, keeper] = [(0, 32), (1, 8)].map(|(owner, amount)| {
            life.deposit(owner, None, amount);
            AccountId(life.accounts.len() as u64)
        });
        life.price(110);
        let market = life.kinds.markets[0].id();
        life.trade(account, AccountId(5), market, 42, 11);
        life.trade(keeper, AccountId(5), market, 5, 11);
        life.price(100);
        let health = |id| life.engine.health(id).unwrap();
        assert_eq!((health(account).maintenance(), health(keeper).initial()), (-1, 3));
        let limit = u128::MAX;
        let request = abi::Liquidate {
            keeper: keeper.0,
            account: account.0,
            market: market.0,
            size: 42,
            limit,
            nonce: 1,
            expiry: 0,
        };
        let owner = life.key(1).address();
        life.request(owner, &IGateway::requestLiquidationCall { request });
        life.price(100);
        life.price(100);
        let refused =
            ["forced liquidation", "refused keeper"].map(|what| life.totals.rescues.counts.get(what).copied());
        assert_eq!(refused, [None, Some(1)]);
        life.everybody_leaves();
    }

    /// The half of a position that an owner forces out meets a bid under the inbox item's authority, and the fund or the opposite
    /// side has the rest with the next batch.
    pub(crate) fn a_forced_close_meets_the_book(event: EventPlan, terms: &TermsPlan, feed: FeedPlan) {
        let mut life = Self::begin(&[event]);
        life.list_perpetual(None, terms, &in_cheap_lots(feed));
        life.price(110);
        life.deposit(0, None, 1_000);
        let account = AccountId(life.accounts.len() as u64);
        life.price(110);
        let market = life.kinds.markets[0].id();
        life.trade(account, AccountId(5), market, 42, 11);
        life.price(110);
        life.quote_against(account, market);
        let owner = life.key(0).address();
        life.request(owner, &IGateway::requestCloseCall { account: account.0, market: market.0 });
        // One frame consumes the request and meets the bid; the next one settles the rest.
        for _ in 0..4 {
            life.price(110);
        }
        assert_eq!(life.totals.rescues.counts.get("forced close in the book"), Some(&1));
        assert_eq!(life.engine.forced_close(account, market), None);
        life.everybody_leaves();
    }

    /// A frame in which the only feed is worth so many dollars.
    fn price(&mut self, dollars: u128) {
        self.kinds.feeds[0].1 = dollars * 1_000_000_000_000_000_000;
        self.kinds.crash(0, 1_000);
        self.frame(1_000, 255, 0);
    }
}

/// A perpetual of which one percent is needed for new risk, at any size.
fn in_cheap_lots(feed: FeedPlan) -> PerpetualPlan {
    PerpetualPlan { initial: [10; 4], maintenance: 20, bounds: [1; 3], funding_cap: 0, loss_cap: 1_000_000_000, feed }
}
