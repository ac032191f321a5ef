//! The same exchange in the most obvious way: one list of orders, sorted when asked; margin recomputed from the textbook;
//! fees and frames summed from scratch. Slow, and too simple to be wrong in the same way as the engine.

#[path = "auction.rs"]
mod auction;
#[path = "plans.rs"]
mod plans;

use std::collections::{BTreeMap, BTreeSet};

use xos_engine::limits::{MATCHES_MAX, ORDERS_MAX, POSITION_MAX, SIZE_MAX, fill_or_kill_matches_max};
use xos_types::*;

const MILLION: i128 = 1_000_000;

#[derive(Clone, Debug)]
pub(crate) struct Naive {
    config: GroupConfig,
    pub(crate) accounts: BTreeMap<AccountId, Account>,
    pub(crate) events: BTreeMap<EventId, (EventConfig, Option<Vec<u64>>)>,
    phases: BTreeMap<EventId, Phase>,
    hours: BTreeMap<EventId, Hours>,
    closed: BTreeSet<EventId>,
    /// Where each market last traded.
    last_trades: BTreeMap<MarketId, u64>,
    venues: BTreeMap<VenueId, VenueConfig>,
    pub(crate) builders: BTreeMap<BuilderId, AccountId>,
    pub(crate) orders: Vec<Resting>,
    queue: BTreeSet<(EventId, AccountId)>,
    arrivals: u64,
    commands: u64,
    pub(crate) switches: BTreeMap<AccountId, u64>,
    pub(crate) waiting: Vec<plans::Waiting>,
    pairs: Vec<plans::Pair>,
    openings: u64,
    open: Open,
    frames: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) owner: Address,
    pub(crate) cash: i128,
    pub(crate) floor: u64,
    referrer: BuilderId,
    used: BTreeSet<u64>,
    pub(crate) positions: BTreeMap<MarketId, i128>,
}

#[derive(Clone, Debug)]
pub(crate) struct Resting {
    pub(crate) signed: Signed<Order>,
    /// Where it rests.
    pub(crate) price: u64,
    pub(crate) remaining: u64,
    /// What the book shows of it, and what of an iceberg at a time.
    pub(crate) shown: u64,
    display: u64,
    /// Its size now, counting what has filled.
    size: u64,
    /// Σ base·rate of the fills that it paid for.
    traded: i128,
    arrival: u64,
}

/// One side of one fill of the open frame.
#[derive(Clone, Debug)]
struct Part {
    signed: Signed<Order>,
    price: u64,
    size: u64,
    fee: i128,
}

#[derive(Clone, Debug, Default)]
struct Open {
    time: u64,
    inbox: Vec<InboxItem>,
    redemptions: Vec<Redemption>,
    parts: Vec<Part>,
    withdrawals: Vec<Signed<Withdraw>>,
}

fn ceil(amount: i128) -> i128 {
    amount.div_euclid(MILLION) + i128::from(amount.rem_euclid(MILLION) != 0)
}

/// What a fee is a rate of.
fn base(terms: &EventConfig, price: u64, size: u64) -> i128 {
    let value = i128::from(price) * i128::from(size) * i128::from(terms.terms.quantum);
    let ticks = i128::from(terms.ticks);
    if terms.terms.curve { value * (ticks - i128::from(price)) / ticks } else { value }
}

impl Account {
    fn new(owner: Address) -> Self {
        let (used, positions) = (BTreeSet::new(), BTreeMap::new());
        Self { owner, cash: 0, floor: 0, referrer: BuilderId(0), used, positions }
    }
}

impl Naive {
    pub(crate) fn new(config: GroupConfig) -> Self {
        Self {
            config,
            accounts: [AccountId::INSURANCE, AccountId::PROTOCOL]
                .map(|account| (account, Account::new(config.governance)))
                .into(),
            events: BTreeMap::new(),
            phases: BTreeMap::new(),
            hours: BTreeMap::new(),
            closed: BTreeSet::new(),
            venues: BTreeMap::new(),
            builders: BTreeMap::new(),
            orders: vec![],
            queue: BTreeSet::new(),
            arrivals: 0,
            commands: 0,
            switches: BTreeMap::new(),
            waiting: vec![],
            pairs: vec![],
            openings: 0,
            last_trades: BTreeMap::new(),
            open: Open::default(),
            frames: 0,
        }
    }

    /// `log_hash` is the engine's before the command; everything else is derived here.
    pub(crate) fn apply(&mut self, command: &Command, log_hash: Hash) -> Vec<Event> {
        let mut out = vec![];
        match command {
            Command::Place { order, instructions } => {
                let Order { account, nonce, .. } = order.message;
                match self.refusal(order, *instructions) {
                    Some(reject) => out.push(Event::Rejected { account, nonce, reject }),
                    None => self.execute(*order, *instructions, &mut out),
                }
            }
            Command::Plan { order, instructions, plan } => self.plan(order, *instructions, *plan, &mut out),
            Command::Replace { nonce: old, order, instructions } => {
                let Order { account, nonce, .. } = order.message;
                let refusal =
                    self.signer(account, order.signer).or_else(|| self.not_resting(account, *old)).or_else(|| {
                        let mut without = self.clone();
                        without.orders.retain(|resting| !is(resting, account, *old));
                        without.refusal(order, *instructions)
                    });
                match refusal {
                    Some(reject) => out.push(Event::Rejected { account, nonce, reject }),
                    None => {
                        self.rename(account, *old, nonce);
                        self.cancel(account, *old, CancelReason::Replaced, &mut out);
                        self.execute(*order, *instructions, &mut out);
                    }
                }
            }
            Command::Amend(signed) => {
                let Amend { account, nonce, size } = signed.message;
                let (current, remaining) = self.lots(account, nonce).unwrap_or((0, 0));
                let refusal =
                    self.signer(account, signed.signer).or_else(|| self.unknown_anywhere(account, nonce)).or_else(
                        || (size.0 >= current).then_some(Reject::NotSmaller { nonce, size, current: Lots(current) }),
                    );
                match refusal {
                    Some(reject) => out.push(Event::Rejected { account, nonce, reject }),
                    None if size.0 + remaining <= current => {
                        self.cancel_anywhere(account, nonce, CancelReason::Requested, &mut out);
                    }
                    None => self.take_off(account, nonce, current - size.0, CancelReason::Requested, &mut out),
                }
            }
            Command::CancelMany(signed) => {
                let CancelMany { account, venue, market, sides, nonce } = signed.message;
                if let Some(reject) = self.signer(account, signed.signer).or_else(|| self.spent(account, nonce)) {
                    out.push(Event::Rejected { account, nonce, reject });
                } else {
                    self.accounts.get_mut(&account).unwrap().used.insert(nonce.0);
                    for nonce in self.nonces_of(account) {
                        let resting = self.orders.iter().find(|resting| is(resting, account, nonce)).unwrap();
                        let order = resting.signed.message;
                        let on_venue = venue.0 == 0 || self.terms(order.market).terms.venue == venue;
                        let on_side = match sides {
                            Sides::Buy => order.side == Side::Buy,
                            Sides::Sell => order.side == Side::Sell,
                            Sides::Both => true,
                        };
                        if on_venue && on_side && (market.0 == 0 || order.market == market) {
                            self.cancel(account, nonce, CancelReason::Requested, &mut out);
                        }
                    }
                    for waiting in self.waiting_of(account) {
                        let order = waiting.signed.message;
                        let on_venue = venue.0 == 0 || self.terms(order.market).terms.venue == venue;
                        let on_side = sides == Sides::Both || (sides == Sides::Buy) == (order.side == Side::Buy);
                        if on_venue && on_side && (market.0 == 0 || order.market == market) {
                            self.cancel_waiting(account, order.nonce, CancelReason::Requested, &mut out);
                        }
                    }
                    self.ended(account, nonce, &mut out);
                }
            }
            Command::CancelAfter(signed) => {
                let CancelAfter { account, time, nonce } = signed.message;
                if let Some(reject) = self.signer(account, signed.signer).or_else(|| self.spent(account, nonce)) {
                    out.push(Event::Rejected { account, nonce, reject });
                } else {
                    self.accounts.get_mut(&account).unwrap().used.insert(nonce.0);
                    self.switches.insert(account, time.0);
                    self.switches.retain(|_, time| *time != 0);
                    out.push(Event::CancelAfterSet { account, time });
                    self.ended(account, nonce, &mut out);
                }
            }
            Command::Cancel(signed) => {
                let Cancel { account, nonce } = signed.message;
                match self.signer(account, signed.signer).or_else(|| self.unknown_anywhere(account, nonce)) {
                    Some(reject) => out.push(Event::Rejected { account, nonce, reject }),
                    None => self.cancel_anywhere(account, nonce, CancelReason::Requested, &mut out),
                }
            }
            Command::CancelAll(signed) => {
                let CancelAll { account, below } = signed.message;
                if let Some(reject) = self.signer(account, signed.signer) {
                    out.push(Event::Rejected { account, nonce: below, reject });
                } else {
                    self.raise_floor(account, below, &mut out);
                }
            }
            Command::Withdraw(signed) => self.withdraw(signed, &mut out),
            Command::Transfer(_) | Command::Liquidate(_) | Command::Convert(_) | Command::Window { .. } => {
                unreachable!("not part of these lives")
            }
            Command::Frame { time, inbox, .. } => self.frame(*time, inbox, log_hash, &mut out),
        }
        self.commands += 1;
        out
    }

    fn raise_floor(&mut self, account: AccountId, below: Nonce, out: &mut Vec<Event>) {
        for nonce in self.nonces_of(account).into_iter().filter(|nonce| *nonce < below) {
            self.cancel(account, nonce, CancelReason::BelowFloor, out);
        }
        for waiting in self.waiting_of(account).into_iter().filter(|waiting| waiting.nonce() < below) {
            self.cancel_waiting(account, waiting.nonce(), CancelReason::BelowFloor, out);
        }
        // What they were to follow never comes.
        let mut never: Vec<_> = self.waiting_of(account).iter().filter_map(|waiting| waiting.after()).collect();
        never.sort();
        for followed in never.into_iter().filter(|followed| *followed < below) {
            self.ended(account, followed, out);
        }
        let state = self.accounts.get_mut(&account).unwrap();
        state.floor = state.floor.max(below.0);
        out.push(Event::FloorRaised { account, floor: Nonce(state.floor) });
    }

    /// What the open frame's fees bring, by account.
    pub(crate) fn accrued(&self) -> BTreeMap<AccountId, Atoms> {
        let mut accrued: BTreeMap<AccountId, Atoms> = BTreeMap::new();
        let mut pay = |account, amount| {
            if amount != 0 {
                accrued.entry(account).or_default().0 += amount;
            }
        };
        let part = |amount: i128, rate: Ppm| amount * i128::from(rate.0) / MILLION;
        for (market, lines) in net(&self.open.parts) {
            let venue = self.venues[&self.terms(market).terms.venue];
            let mut rest = 0;
            for line in lines {
                rest += line.fee.0;
                if let Some(payee) = self.referrer_of(line.order.message.account) {
                    let amount = part(line.fee.0.max(0), venue.referrer_share);
                    pay(payee, amount);
                    rest -= amount;
                }
            }
            let (protocol, insurance) = (part(rest, venue.protocol_share), part(rest, venue.insurance_share));
            pay(AccountId::PROTOCOL, protocol);
            pay(AccountId::INSURANCE, insurance);
            pay(venue.treasury, rest - protocol - insurance);
        }
        accrued
    }

    fn referrer_of(&self, account: AccountId) -> Option<AccountId> {
        self.builders.get(&self.accounts[&account].referrer).copied()
    }

    /// Whether nothing may trade in a market for now.
    fn is_shut(&self, market: MarketId) -> bool {
        let event = market.event();
        self.closed.contains(&event) || matches!(self.phase(event), Phase::Pending | Phase::PostOnly | Phase::Halted)
    }

    fn phase(&self, event: EventId) -> Phase {
        self.phases.get(&event).copied().unwrap_or_default()
    }

    fn position(&self, account: AccountId, market: MarketId) -> i128 {
        self.accounts[&account].positions.get(&market).copied().unwrap_or(0)
    }

    /// Lots of the account's resting orders on one side of a market.
    fn resting(&self, account: AccountId, market: MarketId, side: Side) -> i128 {
        let own = self.orders.iter().filter(|resting| {
            let other = resting.signed.message;
            (other.account, other.market, other.side) == (account, market, side)
        });
        own.map(|resting| i128::from(resting.remaining)).sum()
    }

    /// Lots that orders of that side may close.
    fn closable(&self, account: AccountId, market: MarketId, side: Side) -> i128 {
        let position = self.position(account, market);
        if side == Side::Buy { (-position).max(0) } else { position.max(0) }
    }

    /// What reduce-only leaves of the event's orders.
    fn keep_reducing(&mut self, event: EventId, out: &mut Vec<Event>) {
        for k in 0..self.events[&event].0.outcomes {
            let market = MarketId::new(event, k);
            for side in [Side::Buy, Side::Sell] {
                let mut kept: BTreeMap<AccountId, i128> = BTreeMap::new();
                let mut doomed = vec![];
                for index in self.side(market, side) {
                    let Resting { signed, remaining, .. } = &self.orders[index];
                    let (account, nonce) = (signed.message.account, signed.message.nonce);
                    let so_far = kept.entry(account).or_default();
                    if *so_far + i128::from(*remaining) <= self.closable(account, market, side) {
                        *so_far += i128::from(*remaining);
                    } else {
                        doomed.push((account, nonce));
                    }
                }
                for (account, nonce) in doomed {
                    self.cancel(account, nonce, CancelReason::OnlyReducing, out);
                }
            }
        }
    }

    // ------------------------------------------------------------------ numbers

    fn terms(&self, market: MarketId) -> &EventConfig {
        &self.events[&market.event()].0
    }

    /// The least that positions in an event pay.
    pub(crate) fn worst_payoff(&self, account: AccountId, event: EventId) -> i128 {
        let config = &self.events[&event].0;
        let held = |k| self.accounts[&account].positions.get(&MarketId::new(event, k)).copied().unwrap_or(0);
        (0..config.outcomes).map(|k| held(k) * config.payout_per_lot()).min().unwrap()
    }

    /// The least that positions and any subset of these orders are worth.
    fn worst(&self, account: AccountId, event: EventId, orders: &[(Order, u64)]) -> i128 {
        let config = &self.events[&event].0;
        let held = |k| self.accounts[&account].positions.get(&MarketId::new(event, k)).copied().unwrap_or(0);
        (0..config.outcomes)
            .map(|winner| {
                let filled: i128 = orders
                    .iter()
                    .map(|(order, lots)| {
                        let payoff = if order.market.outcome() == winner { config.payout_per_lot() } else { 0 };
                        let cost = i128::from(order.price.0) * i128::from(config.terms.quantum);
                        let gain = if order.side == Side::Buy { payoff - cost } else { cost - payoff };
                        (gain * i128::from(*lots)).min(0)
                    })
                    .sum();
                held(winner) * config.payout_per_lot() + filled
            })
            .min()
            .unwrap()
    }

    pub(crate) fn worst_payoffs(&self, account: AccountId) -> i128 {
        self.events.keys().map(|event| self.worst_payoff(account, *event)).sum()
    }

    /// cash + Σ worst − fees still possible, with one more order or without.
    pub(crate) fn available(&self, account: AccountId, extra: Option<(Order, i128)>) -> i128 {
        let own: Vec<_> = self.orders.iter().filter(|resting| resting.signed.message.account == account).collect();
        let fees: i128 = own
            .iter()
            .map(|resting| {
                let terms = self.terms(resting.signed.message.market);
                let due = base(terms, resting.price, resting.remaining) * i128::from(terms.terms.maker_fee.fee().0);
                ceil(resting.traded + due) - ceil(resting.traded)
            })
            .sum();
        let stands = |resting: &&Resting| Order { price: Ticks(resting.price), ..resting.signed.message };
        let mut orders: Vec<_> = own.iter().map(|resting| (stands(resting), resting.remaining)).collect();
        orders.extend(extra.map(|(order, _)| (order, order.size.0)));
        let worst: i128 = self
            .events
            .keys()
            .map(|event| {
                let here: Vec<_> = orders.iter().copied().filter(|(order, _)| order.market.event() == *event).collect();
                self.worst(account, *event, &here)
            })
            .sum();
        self.accounts[&account].cash + worst - fees - extra.map_or(0, |(_, fee)| fee)
    }

    fn short(&self, account: AccountId, required: i128) -> Reject {
        let (cash, worst_payoff) = (self.accounts[&account].cash, self.worst_payoffs(account));
        let available = self.available(account, None);
        Reject::InsufficientFunds {
            cash: Atoms(cash),
            worst_payoff: Atoms(worst_payoff),
            reserved: Atoms(cash + worst_payoff - available),
            available: Atoms(available),
            required: Atoms(required),
        }
    }

    // ------------------------------------------------------------------ checks

    fn signer(&self, account: AccountId, recovered: Address) -> Option<Reject> {
        match self.accounts.get(&account) {
            None => Some(Reject::UnknownAccount { account }),
            Some(state) if state.owner != recovered => {
                Some(Reject::NotAuthorized { account, recovered, expected: state.owner })
            }
            Some(_) => None,
        }
    }

    fn expired(&self, expiry: TimeMs) -> Option<Reject> {
        let time = TimeMs(self.open.time);
        (expiry.0 != 0 && expiry < time).then_some(Reject::Expired { expiry, time })
    }

    pub(crate) fn next_nonce(&self, account: AccountId) -> u64 {
        let state = &self.accounts[&account];
        state.floor.max(state.used.last().map_or(0, |nonce| nonce + 1))
    }

    fn spent(&self, account: AccountId, nonce: Nonce) -> Option<Reject> {
        let state = &self.accounts[&account];
        let spent = nonce.0 < state.floor || state.used.contains(&nonce.0);
        spent.then(|| Reject::NonceSpent { nonce, next: Nonce(self.next_nonce(account)) })
    }

    fn unknown(&self, account: AccountId, nonce: Nonce) -> Option<Reject> {
        let known = self.orders.iter().any(|resting| is(resting, account, nonce));
        (!known).then_some(Reject::UnknownOrder { account, nonce })
    }

    /// The worst price at which the order trades, and where it rests.
    fn limit(&self, order: &Order, instructions: Instructions) -> Ticks {
        let met = self.opposite(order, order.price);
        let slides = order.kind == OrderKind::PostOnly
            && self.phase(order.market.event()) != Phase::Auction
            && instructions.crossing == Crossing::Slide;
        match met.first().map(|index| self.orders[*index].price) {
            Some(best) if slides && order.side == Side::Buy => Ticks(best - 1),
            Some(best) if slides => Ticks(best + 1),
            _ => order.price,
        }
    }

    fn refusal(&self, signed: &Signed<Order>, instructions: Instructions) -> Option<Reject> {
        let spent = |order: &Order| self.spent(order.account, order.nonce);
        self.bad_form(signed, spent).or_else(|| self.bad_now(&signed.message, instructions))
    }

    /// What an order must satisfy even if it only waits.
    fn bad_form(&self, signed: &Signed<Order>, spent: impl Fn(&Order) -> Option<Reject>) -> Option<Reject> {
        let order = &signed.message;
        let Order { account, market, price, size, .. } = *order;
        if let Some(reject) = self.signer(account, signed.signer) {
            return Some(reject);
        }
        let event = market.event();
        let Some((terms, payouts)) = self.events.get(&event).filter(|(terms, _)| market.outcome() < terms.outcomes)
        else {
            return Some(Reject::UnknownMarket { market });
        };
        if payouts.is_some() {
            return Some(Reject::MarketClosed { market, event });
        }
        if self.closed.contains(&event) {
            return Some(Reject::OutsideHours { market });
        }
        let rests = matches!(order.kind, OrderKind::GoodTillCancelled | OrderKind::PostOnly);
        match self.phase(event) {
            Phase::Halted => return Some(Reject::MarketHalted { market, event }),
            Phase::Pending => return Some(Reject::MarketPending { market }),
            Phase::PostOnly if order.kind != OrderKind::PostOnly => return Some(Reject::OnlyPostOnly { market }),
            Phase::Auction if !rests => return Some(Reject::OnlyWaiting { market }),
            _ => {}
        }
        if order.builder != 0 || order.builder_fee.0 != 0 {
            return Some(Reject::UnknownBuilder { builder: BuilderId(order.builder) });
        }
        let highest = Ticks(u64::from(terms.ticks) - 1);
        if price.0 == 0 {
            return Some(Reject::BadPrice { price, highest, nearest: Ticks(1) });
        }
        if price > highest {
            return Some(Reject::BadPrice { price, highest, nearest: highest });
        }
        if size.0 == 0 || size.0 > SIZE_MAX {
            return Some(Reject::BadSize { size, largest: Lots(SIZE_MAX) });
        }
        if let Some(reject) = self.expired(order.expiry).or_else(|| spent(order)) {
            return Some(reject);
        }
        let required = terms.terms.taker_fee.max(terms.terms.maker_fee.fee());
        if order.max_fee < required {
            return Some(Reject::FeeTooLow { max_fee: order.max_fee, required });
        }
        (self.nonces_of(account).len() + self.waiting_of(account).len() >= ORDERS_MAX)
            .then_some(Reject::TooManyOrders { limit: ORDERS_MAX as u64 })
    }

    /// What it must satisfy to go to the book.
    fn bad_now(&self, order: &Order, instructions: Instructions) -> Option<Reject> {
        let Order { account, market, price, size, .. } = *order;
        let event = market.event();
        let terms = self.terms(market);
        let highest = Ticks(u64::from(terms.ticks) - 1);
        let required = terms.terms.taker_fee.max(terms.terms.maker_fee.fee());
        let met = self.opposite(order, price);
        let limit = self.limit(order, instructions);
        if order.kind == OrderKind::PostOnly
            && self.phase(event) != Phase::Auction
            && let Some(best) = met.first()
            && (limit == price || limit.0 == 0 || limit > highest)
        {
            return Some(Reject::WouldTrade { price, best: Ticks(self.orders[*best].price) });
        }
        if order.kind == OrderKind::FillOrKill {
            let closable = self.closable(account, market, order.side);
            if order.reduce_only && closable < i128::from(size.0) {
                let fillable = Lots(closable.try_into().unwrap());
                return Some(Reject::NotFillable { size, fillable });
            }
            let met =
                met.iter().take(fill_or_kill_matches_max(terms.outcomes) as usize).map(|index| &self.orders[*index]);
            // What does not fill for certain: own ones, those that only reduce, those that another's fill may cancel.
            let doubtful = |resting: &&Resting| {
                let maker = &resting.signed.message;
                maker.account == account || maker.reduce_only || self.partner(maker.account, maker.nonce).is_some()
            };
            let goes_on = instructions.self_trade == SelfTrade::CancelMaker;
            let mut certain: Vec<&Resting> = met.take_while(|resting| goes_on || !doubtful(resting)).collect();
            // Nor what comes behind the hidden lots of an iceberg.
            if let Some(hidden) = certain.iter().find(|resting| resting.display > 0).map(|resting| resting.price) {
                let within = |resting: &&Resting| {
                    if order.side == Side::Buy { resting.price <= hidden } else { resting.price >= hidden }
                };
                certain.retain(within);
            }
            let certain = certain.iter().filter(|resting| !doubtful(resting));
            let fillable = certain.fold(0, |lots, resting| if lots < size.0 { lots + resting.shown } else { lots });
            if fillable < size.0 {
                return Some(Reject::NotFillable { size, fillable: Lots(fillable) });
            }
        }
        let sign = if order.side == Side::Buy { 1 } else { -1 };
        let position = self.position(account, market);
        let resting = self.resting(account, market, order.side);
        if self.phase(event) == Phase::ReduceOnly {
            let left = (self.closable(account, market, order.side) - resting).max(0);
            if i128::from(size.0) > left {
                let (position, reducible) = (Position(position.try_into().unwrap()), Lots(left.try_into().unwrap()));
                return Some(Reject::OnlyReducing { market, position, reducible, why: Restriction::Phase });
            }
        } else if order.reduce_only && self.closable(account, market, order.side) == 0 {
            let position = Position(position.try_into().unwrap());
            return Some(Reject::OnlyReducing { market, position, reducible: Lots(0), why: Restriction::Order });
        }
        if sign * position + resting + i128::from(size.0) > i128::from(POSITION_MAX) {
            return Some(Reject::PositionLimit { market, limit: Lots(POSITION_MAX) });
        }
        let fee = ceil(base(terms, limit.0, size.0) * i128::from(required.0));
        let after = self.available(account, Some((Order { price: limit, ..*order }, fee)));
        (after < 0).then(|| self.short(account, self.available(account, None) - after))
    }

    // ------------------------------------------------------------------ orders

    fn nonces_of(&self, account: AccountId) -> Vec<Nonce> {
        let own = self.orders.iter().filter(|resting| resting.signed.message.account == account);
        let mut nonces: Vec<_> = own.map(|resting| resting.signed.message.nonce).collect();
        nonces.sort();
        nonces
    }

    /// Orders of one side of a market, best first.
    pub(crate) fn side(&self, market: MarketId, side: Side) -> Vec<usize> {
        let mut found: Vec<usize> = (0..self.orders.len())
            .filter(|index| {
                let order = self.orders[*index].signed.message;
                (order.market, order.side) == (market, side)
            })
            .collect();
        found.sort_by_key(|index| {
            let price = i128::from(self.orders[*index].price);
            (if side == Side::Buy { -price } else { price }, self.orders[*index].arrival)
        });
        found
    }

    /// What an order would meet, in order.
    fn opposite(&self, order: &Order, limit: Ticks) -> Vec<usize> {
        let mut met = self.side(order.market, order.side.opposite());
        met.retain(|index| {
            let price = self.orders[*index].price;
            if order.side == Side::Buy { price <= limit.0 } else { price >= limit.0 }
        });
        met
    }

    fn execute(&mut self, signed: Signed<Order>, instructions: Instructions, out: &mut Vec<Event>) {
        let order = signed.message;
        self.accounts.get_mut(&order.account).unwrap().used.insert(order.nonce.0);
        out.push(Event::Accepted { order });
        let arriving = self.arriving(signed, instructions, order.size.0);
        let left = self.enter(arriving, instructions, out);
        self.settle_down(left, out);
    }

    /// So many lots of an order, as they come to the book.
    fn arriving(&mut self, signed: Signed<Order>, instructions: Instructions, lots: u64) -> Resting {
        self.arrivals += 1;
        let price = self.limit(&signed.message, instructions).0;
        let (remaining, size, arrival) = (lots, lots, self.arrivals);
        Resting { signed, price, remaining, shown: lots, display: 0, size, traded: 0, arrival }
    }

    /// Trades as far as it goes; what is left, and why it must not rest.
    fn enter(
        &mut self,
        mut taker: Resting,
        instructions: Instructions,
        out: &mut Vec<Event>,
    ) -> (Resting, Option<CancelReason>) {
        let order = taker.signed.message;
        let Order { account, nonce, market, side, .. } = order;
        let price = Ticks(taker.price);
        let waits = self.phase(market.event()) == Phase::Auction;
        let mut stopped = None;
        for _ in 0..MATCHES_MAX {
            let mut met = self.opposite(&order, price);
            if waits {
                met.retain(|index| self.orders[*index].signed.message.account == account);
                met.sort_by_key(|index| self.orders[*index].signed.message.nonce);
            }
            let Some(&index) = met.first() else { break };
            if taker.remaining == 0 || stopped.is_some() {
                break;
            }
            let maker = self.orders[index].signed.message;
            let reason = CancelReason::SelfTrade;
            if maker.account == account {
                let own = self.orders[index].remaining;
                let stops = match instructions.self_trade {
                    SelfTrade::CancelMaker => false,
                    SelfTrade::CancelTaker | SelfTrade::CancelBoth => true,
                    SelfTrade::Decrement => taker.remaining <= own,
                };
                match instructions.self_trade {
                    SelfTrade::CancelTaker => {}
                    SelfTrade::Decrement if taker.remaining < own => self.reduce(index, taker.remaining, reason, out),
                    _ => self.cancel(account, maker.nonce, reason, out),
                }
                if instructions.self_trade == SelfTrade::Decrement && !stops {
                    taker.remaining -= own;
                    taker.size -= own;
                    let (by, remaining) = (Lots(own), Lots(taker.remaining));
                    out.push(Event::Reduced { account, nonce, market, side, price, by, remaining, reason });
                }
                stopped = stops.then_some(reason);
            } else if order.reduce_only && self.closable(account, market, side) == 0 {
                stopped = Some(CancelReason::OnlyReducing);
            } else {
                self.trade(index, &mut taker, out);
            }
        }
        if taker.remaining > 0 && stopped.is_none() {
            let crosses = !waits && !self.opposite(&order, price).is_empty();
            stopped = crosses.then_some(CancelReason::MatchLimit);
        }
        (taker, stopped)
    }

    /// What is left rests, or is cancelled.
    fn settle_down(&mut self, (mut taker, stopped): (Resting, Option<CancelReason>), out: &mut Vec<Event>) {
        let Order { account, nonce, market, side, kind, reduce_only, .. } = taker.signed.message;
        let (price, remaining) = (Ticks(taker.price), Lots(taker.remaining));
        let useless = reduce_only && self.closable(account, market, side) == 0;
        let useless = useless.then_some(CancelReason::OnlyReducing);
        let immediate = (kind == OrderKind::ImmediateOrCancel).then_some(CancelReason::Immediate);
        if taker.remaining == 0 {
            self.ended(account, nonce, out);
        } else if let Some(reason) = stopped.or(useless).or(immediate) {
            out.push(Event::Cancelled { account, nonce, market, side, price, remaining, reason });
            self.ended(account, nonce, out);
        } else {
            taker.shown = if taker.display == 0 { taker.remaining } else { taker.display.min(taker.remaining) };
            self.orders.push(taker);
            out.push(Event::Rested { account, nonce, market, side, price, remaining });
            self.trim(account, market, out);
        }
    }

    fn trade(&mut self, index: usize, taker: &mut Resting, out: &mut Vec<Event>) {
        let (maker, order) = (self.orders[index].signed.message, taker.signed.message);
        let maker = Order { price: Ticks(self.orders[index].price), ..maker };
        let terms = self.terms(maker.market).clone();
        let mut size = self.orders[index].shown.min(taker.remaining);
        for order in [&maker, &order] {
            if order.reduce_only {
                size = size.min(self.closable(order.account, order.market, order.side).try_into().unwrap());
            }
        }
        let value = i128::from(maker.price.0) * i128::from(size) * i128::from(terms.terms.quantum);
        let base = base(&terms, maker.price.0, size);
        let charge = |party: &mut Resting, rate: Ppm| {
            let before = ceil(party.traded);
            party.traded += base * i128::from(rate.0);
            ceil(party.traded) - before
        };
        let taker_fee = charge(taker, terms.terms.taker_fee);
        let share = match self.referrer_of(order.account) {
            Some(_) => self.venues[&terms.terms.venue].referrer_share,
            None => Ppm(0),
        };
        let most = taker_fee - ceil(taker_fee * i128::from(share.0));
        let rebate = (base * i128::from(terms.terms.maker_fee.rebate().0) / MILLION).min(most);
        let maker_fee = charge(&mut self.orders[index], terms.terms.maker_fee.fee()) - rebate;
        let fees = [(&mut self.orders[index], maker_fee), (taker, taker_fee)].map(|(party, fee)| {
            party.remaining -= size;
            party.shown -= size;
            self.open.parts.push(Part { signed: party.signed, price: maker.price.0, size, fee });
            let account = self.accounts.get_mut(&party.signed.message.account).unwrap();
            let sign = if party.signed.message.side == Side::Buy { 1 } else { -1 };
            *account.positions.entry(maker.market).or_default() += sign * i128::from(size);
            account.cash -= sign * value + fee;
            fee
        });
        out.push(Event::Filled(Fill {
            market: maker.market,
            price: maker.price,
            size: Lots(size),
            taker_side: order.side,
            maker: maker.account,
            maker_nonce: maker.nonce,
            maker_fee: Atoms(fees[0]),
            maker_remaining: Lots(self.orders[index].remaining),
            taker: order.account,
            taker_nonce: order.nonce,
            taker_fee: Atoms(fees[1]),
        }));
        self.last_trades.insert(maker.market, maker.price.0);
        let left = self.orders[index].remaining;
        self.orders.retain(|resting| resting.remaining > 0);
        self.refill(&maker, out);
        self.filled(&maker, size, out);
        if left == 0 {
            self.ended(maker.account, maker.nonce, out);
        }
        self.filled(&order, size, out);
    }

    /// If all that is shown of an order has filled, the next part of it is, behind all others.
    fn refill(&mut self, order: &Order, out: &mut Vec<Event>) {
        let Order { account, nonce, market, side, .. } = *order;
        let empty = self.orders.iter_mut().find(|resting| is(resting, account, nonce) && resting.shown == 0);
        if let Some(rest) = empty {
            rest.shown = rest.display.min(rest.remaining);
            self.arrivals += 1;
            rest.arrival = self.arrivals;
            let (price, shown) = (Ticks(rest.price), Lots(rest.shown));
            out.push(Event::Refilled { account, nonce, market, side, price, shown });
        }
    }

    fn cancel(&mut self, account: AccountId, nonce: Nonce, reason: CancelReason, out: &mut Vec<Event>) {
        let index = self.orders.iter().position(|resting| is(resting, account, nonce)).unwrap();
        let resting = self.orders.remove(index);
        let Order { market, side, .. } = resting.signed.message;
        let price = Ticks(resting.price);
        out.push(Event::Cancelled { account, nonce, market, side, price, remaining: Lots(resting.remaining), reason });
        self.ended(account, nonce, out);
    }

    fn reduce(&mut self, index: usize, by: u64, reason: CancelReason, out: &mut Vec<Event>) {
        let resting = &mut self.orders[index];
        resting.remaining -= by;
        resting.size -= by;
        // What nobody sees goes first.
        resting.shown = resting.shown.min(resting.remaining);
        let Order { account, nonce, market, side, .. } = resting.signed.message;
        let (price, by, remaining) = (Ticks(resting.price), Lots(by), Lots(resting.remaining));
        out.push(Event::Reduced { account, nonce, market, side, price, by, remaining, reason });
    }

    // ------------------------------------------------------------------ the rest

    fn withdraw(&mut self, signed: &Signed<Withdraw>, out: &mut Vec<Event>) {
        let Withdraw { account, token, amount, nonce, expiry } = signed.message;
        let refusal = self
            .signer(account, signed.signer)
            .or_else(|| {
                let expected = self.config.token;
                (token != expected).then_some(Reject::UnknownToken { token, expected })
            })
            .or_else(|| (amount == 0).then_some(Reject::ZeroAmount))
            .or_else(|| self.expired(expiry))
            .or_else(|| self.spent(account, nonce))
            .or_else(|| {
                let wanted = i128::try_from(amount).unwrap_or(i128::MAX);
                (wanted > self.available(account, None)).then(|| self.short(account, wanted))
            });
        if let Some(reject) = refusal {
            out.push(Event::Rejected { account, nonce, reject });
            return;
        }
        let amount = i128::try_from(amount).unwrap();
        let state = self.accounts.get_mut(&account).unwrap();
        state.used.insert(nonce.0);
        state.cash -= amount;
        self.open.withdrawals.push(*signed);
        out.push(Event::Withdrawn { account, amount: Atoms(amount), forced: false });
        self.ended(account, nonce, out);
    }

    fn frame(&mut self, time: TimeMs, inbox: &[InboxItem], log_hash: Hash, out: &mut Vec<Event>) {
        let accrued = self.accrued();
        let open = std::mem::take(&mut self.open);
        self.open.time = open.time.max(time.0);
        let holds = (open.inbox.len(), open.redemptions.len(), open.parts.len(), open.withdrawals.len());
        if holds != (0, 0, 0, 0) {
            self.frames += 1;
            out.push(Event::FrameSealed(Box::new(Frame {
                id: self.frames,
                time: TimeMs(open.time),
                sequence: self.commands,
                log_hash,
                inbox: open.inbox,
                redemptions: open.redemptions,
                rescues: Vec::new(),
                markets: net(&open.parts),
                withdrawals: open.withdrawals,
                prices: Vec::new(),
                funding: Vec::new(),
                transfers: Vec::new(),
            })));
            for (account, amount) in accrued {
                self.accounts.get_mut(&account).unwrap().cash += amount.0;
                out.push(Event::FeesPaid { account, amount });
            }
        }

        let mut expired: Vec<_> = self
            .orders
            .iter()
            .map(|resting| {
                (resting.signed.message.expiry, resting.signed.message.account, resting.signed.message.nonce)
            })
            .collect();
        expired.extend(self.waiting.iter().map(|waiting| {
            let Order { expiry, account, nonce, .. } = waiting.signed.message;
            (expiry, account, nonce)
        }));
        expired.retain(|(expiry, ..)| expiry.0 != 0 && expiry.0 < self.open.time);
        expired.sort();
        for (_, account, nonce) in expired {
            self.cancel_anywhere(account, nonce, CancelReason::Expired, out);
        }
        let mut due: Vec<_> = self.switches.iter().map(|(account, time)| (*time, *account)).collect();
        due.retain(|(time, _)| *time <= self.open.time);
        due.sort();
        for (_, account) in due {
            self.switches.remove(&account);
            for nonce in self.nonces_of(account) {
                self.cancel(account, nonce, CancelReason::DeadMan, out);
            }
            for waiting in self.waiting_of(account) {
                self.cancel_waiting(account, waiting.nonce(), CancelReason::DeadMan, out);
            }
        }
        for item in inbox {
            self.consume(item, out);
            self.open.inbox.push(item.clone());
        }
        for (event, hours) in &self.hours {
            let open = hours.contains(TimeMs(self.open.time));
            let turned = if open { self.closed.remove(event) } else { self.closed.insert(*event) };
            if turned {
                out.push(Event::SessionTurned { event: *event, open });
            }
        }
        for item in inbox {
            if let InboxPayload::ForcedWithdrawal { account, amount, .. } = item.payload {
                self.force(account, amount, out);
            }
        }
        // These worlds are too small to reach a frame's budget for redemptions.
        for (event, account) in std::mem::take(&mut self.queue) {
            let (config, payouts) = self.events[&event].clone();
            let positions = &mut self.accounts.get_mut(&account).unwrap().positions;
            let amount: i128 = (0u8..)
                .zip(payouts.unwrap())
                .map(|(k, payout)| {
                    let held = positions.remove(&MarketId::new(event, k)).unwrap_or(0);
                    held * i128::from(payout) * i128::from(config.terms.quantum)
                })
                .sum();
            self.accounts.get_mut(&account).unwrap().cash += amount;
            self.open.redemptions.push(Redemption { account, market: MarketId::new(event, 0) });
            out.push(Event::Redeemed { account, event, amount: Atoms(amount) });
        }
        self.hold_auctions(out);
        self.open_plans(out);
    }

    fn consume(&mut self, item: &InboxItem, out: &mut Vec<Event>) {
        match &item.payload {
            InboxPayload::Deposit { account, owner, amount, .. } => {
                let (account, owner, amount) = (*account, *owner, i128::try_from(*amount).unwrap());
                self.accounts.entry(account).or_insert_with(|| {
                    out.push(Event::AccountOpened { account, owner });
                    Account::new(owner)
                });
                self.accounts.get_mut(&account).unwrap().cash += amount;
                out.push(Event::Deposited { account, amount: Atoms(amount) });
            }
            InboxPayload::EventOpened { event, config } => {
                self.events.insert(*event, (config.clone(), None));
                out.push(Event::EventOpened { event: *event, config: config.clone() });
            }
            InboxPayload::EventResolved { event, payouts } => {
                for k in 0..self.events[event].0.outcomes {
                    for side in [Side::Buy, Side::Sell] {
                        for index in self
                            .side(MarketId::new(*event, k), side)
                            .into_iter()
                            .map(|index| {
                                let order = self.orders[index].signed.message;
                                (order.account, order.nonce)
                            })
                            .collect::<Vec<_>>()
                        {
                            self.cancel(index.0, index.1, CancelReason::EventResolved, out);
                        }
                    }
                }
                let mut here = self.waiting.clone();
                here.retain(|waiting| waiting.market().event() == *event);
                here.sort_by_key(|waiting| (waiting.market(), waiting.arrival));
                for waiting in here {
                    self.cancel_waiting(waiting.account(), waiting.nonce(), CancelReason::EventResolved, out);
                }
                self.events.get_mut(event).unwrap().1 = Some(payouts.clone());
                out.push(Event::EventResolved { event: *event, payouts: payouts.clone() });
                for (account, state) in &self.accounts {
                    if state.positions.iter().any(|(market, lots)| market.event() == *event && *lots != 0) {
                        self.queue.insert((*event, *account));
                    }
                }
            }
            InboxPayload::VenueSet { venue, config } => {
                self.venues.insert(*venue, *config);
                out.push(Event::VenueSet { venue: *venue, config: *config });
            }
            InboxPayload::BuilderSet { builder, account } => {
                self.builders.insert(*builder, *account);
                out.push(Event::BuilderSet { builder: *builder, account: *account });
            }
            InboxPayload::ReferrerSet { account, referrer } => {
                self.accounts.get_mut(account).unwrap().referrer = *referrer;
                out.push(Event::ReferrerSet { account: *account, referrer: *referrer });
            }
            InboxPayload::CancelAll { account, floor } => self.raise_floor(*account, *floor, out),
            InboxPayload::PhaseSet { market, phase } => {
                let (event, phase) = (market.event(), *phase);
                self.phases.insert(event, phase);
                out.push(Event::PhaseSet { event, phase });
                if phase == Phase::ReduceOnly {
                    self.keep_reducing(event, out);
                }
            }
            InboxPayload::HoursSet { market, hours } => {
                self.hours.insert(market.event(), *hours);
                out.push(Event::HoursSet { event: market.event(), hours: *hours });
            }
            InboxPayload::ForcedWithdrawal { .. } => {}
            other => panic!("not part of these lives: {other:?}"),
        }
    }

    fn force(&mut self, account: AccountId, amount: u128, out: &mut Vec<Event>) {
        for nonce in self.nonces_of(account) {
            self.cancel(account, nonce, CancelReason::ForcedWithdrawal, out);
        }
        for waiting in self.waiting_of(account) {
            self.cancel_waiting(account, waiting.nonce(), CancelReason::ForcedWithdrawal, out);
        }
        let spare = (self.accounts[&account].cash + self.worst_payoffs(account)).max(0);
        let paid = i128::try_from(amount).unwrap_or(i128::MAX).min(spare);
        if paid > 0 {
            self.accounts.get_mut(&account).unwrap().cash -= paid;
            out.push(Event::Withdrawn { account, amount: Atoms(paid), forced: true });
        }
    }
}

fn is(resting: &Resting, account: AccountId, nonce: Nonce) -> bool {
    (resting.signed.message.account, resting.signed.message.nonce) == (account, nonce)
}

/// One line for each order, in the order of its first fill, by market. Once a reduce-only order of an account has filled, only
/// the account's last line grows, as the contract judges each line by what stands before it.
fn net(parts: &[Part]) -> Vec<(MarketId, Vec<FillLine>)> {
    let mut markets: BTreeMap<MarketId, Vec<FillLine>> = BTreeMap::new();
    let mut reduced = BTreeSet::new();
    for Part { signed, price, size, fee } in parts {
        let Order { account, market, .. } = signed.message;
        let lines = markets.entry(market).or_default();
        let mut own = lines.iter().rev().filter(|line| line.order.message.account == account);
        let grows = if reduced.contains(&(account, market)) {
            own.next().is_some_and(|last| last.order == *signed)
        } else {
            own.any(|line| line.order == *signed)
        };
        if !grows {
            lines.push(FillLine { order: *signed, filled: Lots(0), notional: 0, fee: Atoms(0) });
        }
        if signed.message.reduce_only {
            reduced.insert((account, market));
        }
        let line = lines.iter_mut().rev().find(|line| line.order == *signed).unwrap();
        line.filled.0 += size;
        line.notional += u128::from(*price) * u128::from(*size);
        line.fee.0 += fee;
    }
    markets.into_iter().collect()
}
