//! DESIGN.md, section 5, word for word.

use xos_engine::{Health, HoldingView};

use super::*;

/// What an account is worth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worth {
    /// Cash and what counts as such.
    pub(crate) usd: i128,
    /// Initial health.
    pub(crate) initial: i128,
}

impl Worth {
    /// What may be withdrawn or put at risk.
    pub(crate) fn available(self) -> i128 {
        self.usd.min(self.initial)
    }
}

impl Naive {
    // ------------------------------------------------------------------ positions alone, as the contract judges them

    /// The least that positions in an event pay.
    pub(super) fn worst_payoff(&self, state: &Account, event: EventId) -> i128 {
        let listing = &self.listings[&event];
        let all = (0..listing.outcomes).map(|k| state.lots(MarketId::new(event, k)) * listing.payout());
        all.min().unwrap()
    }

    /// Events whose outcomes are margined by their payoff.
    fn events(&self) -> impl Iterator<Item = EventId> {
        let all = self.listings.iter().filter(|(_, listing)| listing.kind == MarketKind::Outcome);
        all.map(|(event, _)| *event)
    }

    pub(crate) fn worst_payoffs(&self, account: AccountId) -> i128 {
        self.events().map(|event| self.worst_payoff(&self.accounts[&account], event)).sum()
    }

    /// Perpetuals, with the market of each.
    pub(super) fn perpetuals(&self) -> impl Iterator<Item = (MarketId, &Feed)> {
        self.feeds.values().filter_map(|feed| match feed.kept {
            Kept::Perpetual(market, _) => Some((market, feed)),
            Kept::Asset(_) => None,
        })
    }

    fn assets(&self) -> impl Iterator<Item = (FeedId, &Feed)> {
        self.feeds.iter().filter(|(_, feed)| matches!(feed.kept, Kept::Asset(_))).map(|(id, feed)| (*id, feed))
    }

    /// What funding brings up to now; negative is what it costs.
    pub(super) fn funding(&self, state: &Account, market: MarketId) -> i128 {
        let paid_up_to = state.paid_up_to.get(&market).copied().unwrap_or(0);
        let feed = self.feed(market).unwrap();
        if state.lots(market) == 0 { 0 } else { floor(-state.lots(market) * (feed.funding - paid_up_to), SCALE) }
    }

    /// ```text
    /// usd      = cash + Σ perp size·index + Σ events worst payoff
    /// equity*  = usd + Σ assets weight*·balance·index            (* = initial or maintenance weights)
    /// require* = Σ perps |size|·index·fraction*(|notional|)
    /// ```
    pub(crate) fn health(&self, state: &Account) -> Health {
        let payoffs: i128 = self.events().map(|event| self.worst_payoff(state, event)).sum();
        let held = || self.perpetuals().filter(|(market, _)| state.lots(*market) != 0);
        let worth = held().map(|(market, feed)| feed.value(state.lots(market)) + self.funding(state, market));
        let usd = state.cash + payoffs + worth.sum::<i128>();
        let weighed = |(id, feed): (FeedId, &Feed)| {
            let AssetConfig { initial_weight, maintenance_weight, .. } = *feed.asset();
            let initial = if feed.stale { Ppm(0) } else { initial_weight };
            [initial, maintenance_weight].map(|weight| feed.counted(state.balance(id), weight))
        };
        let weighed: Vec<[i128; 2]> = self.assets().map(weighed).collect();
        let required = |(market, feed): (MarketId, &Feed)| {
            let PerpetualConfig { initial_fractions, maintenance_fractions, .. } = *feed.perpetual();
            [initial_fractions, maintenance_fractions].map(|tiers| feed.requirement(state.lots(market), tiers))
        };
        let required: Vec<[i128; 2]> = held().map(required).collect();
        let sum = |all: &[[i128; 2]], which: usize| all.iter().map(|both| both[which]).sum::<i128>();
        Health {
            usd,
            initial_equity: usd + sum(&weighed, 0),
            maintenance_equity: usd + sum(&weighed, 1),
            initial_requirement: sum(&required, 0),
            maintenance_requirement: sum(&required, 1),
            holdings: held().count() + self.assets().filter(|(id, _)| state.balance(*id) != 0).count(),
            blocked: held().any(|(_, feed)| feed.stale),
        }
    }

    /// What an account holds at an index price, as its owner sees it.
    pub(crate) fn holding(&self, account: AccountId, feed: FeedId) -> Option<HoldingView> {
        let state = &self.accounts[&account];
        let view = HoldingView { feed, amount: 0, entry: Ticks(0), paid_up_to: 0, offered: 0 };
        let view = match self.feeds[&feed].kept {
            Kept::Perpetual(market, _) => HoldingView {
                amount: state.lots(market),
                entry: Ticks(self.entry(account, market).1.try_into().unwrap()),
                paid_up_to: state.paid_up_to.get(&market).copied().unwrap_or(0),
                ..view
            },
            Kept::Asset(_) => {
                let amount = state.balance(feed);
                HoldingView { amount, offered: (amount - self.free_atoms(account, feed)).unsigned_abs(), ..view }
            }
        };
        (view.amount != 0).then_some(view)
    }

    // ------------------------------------------------------------------ every resting order at its worst

    /// The least that positions in an event and any subset of these orders are worth.
    fn worst(&self, state: &Account, event: EventId, orders: &[Order]) -> i128 {
        let listing = &self.listings[&event];
        let if_wins = |winner: u8| {
            let filled = orders.iter().map(|order| {
                let payoff = if order.market.outcome() == winner { listing.payout() } else { 0 };
                let gain = sign(order.side) * (payoff - listing.value(order.price.0, 1));
                (gain * i128::from(order.size.0)).min(0)
            });
            state.lots(MarketId::new(event, winner)) * listing.payout() + filled.sum::<i128>()
        };
        (0..listing.outcomes).map(if_wins).min().unwrap()
    }

    /// A perpetual with each side filled in full: the larger requirement, and what bids above and asks below the index would
    /// lose.
    fn perpetual_at_worst(&self, state: &Account, market: MarketId, feed: &Feed, orders: &[Order]) -> Worth {
        let size = state.lots(market);
        let lots = |side| -> i128 {
            orders.iter().filter(|order| order.side == side).map(|order| i128::from(order.size.0)).sum()
        };
        let (most, least) = (size + lots(Side::Buy), size - lots(Side::Sell));
        let lost = orders.iter().map(|order| {
            let price = self.listing(market).value(order.price.0, 1) * SCALE;
            (sign(order.side) * (price - feed.price)).max(0) * i128::from(order.size.0)
        });
        let usd = floor(size * feed.price - lost.sum::<i128>(), SCALE) + self.funding(state, market);
        let required = [most, least].map(|lots| feed.requirement(lots, feed.perpetual().initial_fractions));
        Worth { usd, initial: usd - required.into_iter().max().unwrap() }
    }

    /// A spot buy its cash, a sell its asset.
    fn asset_at_worst(&self, state: &Account, id: FeedId, feed: &Feed, orders: &[Order]) -> Worth {
        let sells = orders.iter().filter(|order| order.side == Side::Sell).map(|order| self.atoms(order));
        let buys = orders.iter().filter(|order| order.side == Side::Buy);
        let cost: i128 = buys.map(|order| self.listing(order.market).value(order.price.0, order.size.0)).sum();
        let weight = if feed.stale { Ppm(0) } else { feed.asset().initial_weight };
        let counted = feed.counted(state.balance(id) - sells.sum::<i128>(), weight);
        Worth { usd: -cost, initial: counted - cost }
    }

    /// Atoms of its asset that an order of a spot market is of.
    pub(super) fn atoms(&self, order: &Order) -> i128 {
        i128::from(order.size.0) * i128::from(self.feed(order.market).unwrap().asset().lot)
    }

    /// What an account is worth with all its orders at their worst, and with one more that stands and may cost that fee.
    pub(crate) fn at_worst(&self, account: AccountId, extra: Option<(Order, i128)>) -> Worth {
        let state = &self.accounts[&account];
        let own = || self.orders.iter().filter(|resting| resting.signed.message.account == account);
        let mut orders: Vec<Order> = own().map(Resting::standing).collect();
        orders.extend(extra.map(|(order, _)| order));
        let here = |is_here: &dyn Fn(MarketId) -> bool| -> Vec<Order> {
            orders.iter().filter(|order| is_here(order.market)).copied().collect()
        };
        let mut parts = vec![];
        for event in self.events() {
            let payoff = self.worst(state, event, &here(&|market| market.event() == event));
            parts.push(Worth { usd: payoff, initial: payoff });
        }
        for (market, feed) in self.perpetuals() {
            parts.push(self.perpetual_at_worst(state, market, feed, &here(&|of| of == market)));
        }
        for (id, feed) in self.assets() {
            parts.push(self.asset_at_worst(state, id, feed, &here(&|of| self.listing(of).feed == Some(id))));
        }
        let fees = own().map(|resting| {
            let listing = self.listing(resting.signed.message.market);
            let due = listing.base(resting.price, resting.remaining) * i128::from(listing.terms.maker_fee.fee().0);
            let owed = ceil(resting.traded + due, MILLION) - ceil(resting.traded, MILLION);
            owed + self.builder_reserve(&resting.standing())
        });
        let cash = state.cash - fees.sum::<i128>() - extra.map_or(0, |(_, fee)| fee);
        Worth {
            usd: cash + parts.iter().map(|part| part.usd).sum::<i128>(),
            initial: cash + parts.iter().map(|part| part.initial).sum::<i128>(),
        }
    }

    pub(crate) fn available(&self, account: AccountId) -> i128 {
        self.at_worst(account, None).available()
    }

    pub(super) fn short(&self, account: AccountId, required: i128) -> Reject {
        let (cash, worst_payoff) = (self.accounts[&account].cash, self.worst_payoffs(account));
        let available = self.available(account);
        Reject::InsufficientFunds {
            cash: Atoms(cash),
            worst_payoff: Atoms(worst_payoff),
            reserved: Atoms(cash + worst_payoff - available),
            available: Atoms(available),
            required: Atoms(required),
        }
    }
}
