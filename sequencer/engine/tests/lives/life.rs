//! A life: the engine, the oracle, a follower of events and, of outcome markets, a model of the contract go through the same
//! commands, and are compared after each of them.

use std::collections::BTreeMap;

use xos_engine::{Engine, Health};
use xos_types::*;

use super::compare::compare_contract;
use super::contract::Contract;
use super::follower::Follower;
use super::kinds;
use super::naive::{Kept, Naive};
use super::steps::{Choice, Fees, Item, Other, Placing, Planning, Quote, Rescuing, Step};

const TOKEN: Address = Address::repeat_byte(0x70);
pub(crate) const ACCOUNTS: u64 = 6;
pub(crate) const VENUE: VenueId = VenueId(1);
/// Accounts 1 and 2, which exist from the start, are governance's.
const GOVERNANCE: Address = Address::with_last_byte(1);
/// Outcomes of the events that every life begins with.
const OUTCOMES: [u8; 4] = [2, 3, 5, 48];
/// Lives begin in the first minute of it, of which hours then tell.
const THURSDAY: u64 = 1_781_136_000_000;

/// What there is to trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum World {
    Outcomes,
    /// Perpetuals and spot markets too, and more money.
    Kinds,
}

fn owner(account: AccountId) -> Address {
    // Accounts 1 and 2 share an owner, and so do 5 and 6.
    Address::with_last_byte(match account.0 {
        1 | 2 => 1,
        number => u8::try_from(number.min(5)).unwrap(),
    })
}

/// An order that nobody has placed.
fn unlikely_order(account: AccountId) -> Order {
    Order {
        account,
        market: MarketId::new(EventId(1), 0),
        side: Side::Buy,
        kind: OrderKind::GoodTillCancelled,
        reduce_only: true,
        size: Lots(9),
        price: Ticks(9),
        nonce: Nonce(3),
        expiry: TimeMs(0),
        max_fee: Ppm(0),
        builder: 0,
        builder_fee: Ppm(0),
    }
}

fn event_config(outcomes: u8, quantum: u64, Fees { taker, maker, curve }: Fees) -> EventConfig {
    let free = TradingTerms::free(VENUE, quantum);
    EventConfig {
        terms: TradingTerms { taker_fee: Ppm(taker), maker_fee: Rate(maker), curve, ..free },
        outcomes,
        ticks: 20,
        resolver: Address::ZERO,
        title: "who?".into(),
        labels: (0..outcomes).map(|k| k.to_string()).collect(),
    }
}
/// The three that live, and the log.
pub(crate) struct Life {
    pub(crate) world: World,
    pub(crate) engine: Engine,
    pub(crate) naive: Naive,
    /// Of outcome markets; of all kinds the compiled one is asked (`chain/tests/differential`).
    pub(crate) contract: Option<Contract>,
    follower: Follower,
    pub(crate) log: Vec<Command>,
    inbox: u64,
    time: u64,
    /// How often each kind of event, refusal and cancellation has happened.
    pub(crate) seen: BTreeMap<String, u64>,
    /// Commands by what they ask for: how many, and how many were refused.
    pub(crate) tally: BTreeMap<String, (u64, u64)>,
}

pub(crate) fn group() -> GroupConfig {
    GroupConfig {
        chain_id: 1952,
        group: Address::repeat_byte(0x99),
        token: TOKEN,
        governance: GOVERNANCE,
        terms: GroupTerms::usual(Address::ZERO),
    }
}

impl Life {
    pub(crate) fn begin(world: World) -> Self {
        let mut life = Self {
            world,
            engine: Engine::new(group()),
            naive: Naive::new(group()),
            contract: (world == World::Outcomes).then(|| Contract::new(GOVERNANCE)),
            follower: Follower::default(),
            log: vec![],
            inbox: 0,
            time: THURSDAY + 1_000,
            seen: BTreeMap::new(),
            tally: BTreeMap::new(),
        };
        let amount = if world == World::Kinds { 60_000_000 } else { 20_000 };
        let deposits = (1..=ACCOUNTS).map(|account| Item::Deposit { account, amount });
        let venue = Item::Venue { treasury: 3, shares: [200_000, 100_000, 150_000] };
        let fees = [(0, 0, false), (2_500, -2_500, false), (1_234, 999, true), (99_999, 3, false)];
        let events = OUTCOMES
            .into_iter()
            .zip(fees)
            .map(|(outcomes, (taker, maker, curve))| Item::Open { outcomes, fees: Fees { taker, maker, curve } });
        let people = [Item::Register { account: 4 }, Item::Refer { account: 6, builder: 1 }];
        life.frame(0, deposits.chain([venue]).chain(people).chain(events).collect(), vec![]);
        if world == World::Kinds {
            life.open_frame(life.time + 1, kinds::listings(), vec![]);
            let quotes = (1..=4).map(|feed| Quote { feed, moves: 0, ago: 0 });
            let assets = (1..=ACCOUNTS).zip(kinds::ASSETS.into_iter().cycle());
            let deposits = assets.map(|(account, asset)| Item::DepositAsset { account, asset, amount: 300 });
            life.frame(1, deposits.collect(), quotes.collect());
        }
        life
    }

    fn expiry(&self, expires_in: Option<i64>) -> TimeMs {
        TimeMs(expires_in.map_or(0, |delta| self.time.saturating_add_signed(delta)))
    }

    fn nonce(&self, account: AccountId, choice: Choice) -> Nonce {
        let next = if self.naive.accounts.contains_key(&account) { self.naive.next_nonce(account) } else { 0 };
        Nonce(match choice {
            Choice::Next => next,
            Choice::Skip(by) => next.saturating_add(by),
            Choice::Absolute(nonce) => nonce,
        })
    }

    fn sign<T>(&self, message: T, account: AccountId, stranger: bool) -> Signed<T> {
        let signer = if stranger { Address::repeat_byte(0xee) } else { owner(account) };
        // Distinct signatures, so that a line with the wrong order's signature is noticed.
        let mut signature = Signature::default();
        signature.r[..8].copy_from_slice(&(self.log.len() as u64).to_le_bytes());
        Signed { message, signature, signer }
    }

    pub(crate) fn step(&mut self, step: Step) {
        let command = match step {
            Step::Place(placing) => {
                let (order, instructions) = self.order(placing);
                Command::Place { order, instructions }
            }
            Step::Tree { placings, replaces, pick } => {
                let account = placings[0].order.account;
                let (stranger, instructions) = (placings[0].stranger, placings[0].instructions);
                let orders = (0..).zip(placings).map(|(number, mut placing)| {
                    placing.order.account = account;
                    // Those before it may have spent what a fill-or-kill order needs, which the oracle cannot know.
                    if number > 0 && placing.order.kind == OrderKind::FillOrKill {
                        placing.order.kind = OrderKind::ImmediateOrCancel;
                    }
                    let mut order = self.order(placing).0.message;
                    order.nonce.0 = order.nonce.0.saturating_add(number);
                    order
                });
                let Signed { message: orders, signature, signer } =
                    self.sign(orders.collect::<Vec<_>>(), account, stranger);
                let replaces = (0..replaces).map(|number| self.any_order(account, pick.wrapping_add(number)).nonce);
                let replaces = replaces.collect();
                let tree = SignedTree::new(orders, signature, signer).unwrap();
                Command::PlaceTree { tree, replaces, instructions }
            }
            Step::Plan { mut placing, planning } => {
                let Planning { after, cancels, trigger, pace, reduce_only, twin } = planning;
                placing.order.reduce_only |= reduce_only;
                if let Pace::Twap { .. } = pace
                    && placing.order.kind != OrderKind::FillOrKill
                {
                    placing.order.kind = OrderKind::GoodTillCancelled;
                }
                let (mut order, instructions) = self.order(placing);
                let Order { account, nonce, .. } = order.message;
                if let Some(Other::Live(pick)) = cancels
                    && twin
                {
                    let Order { market, side, reduce_only, .. } = self.any_order(account, pick);
                    order.message = Order { market, side, reduce_only, ..order.message };
                }
                let name = |other| match other {
                    Other::Live(pick) => self.any_order(account, pick).nonce,
                    Other::Near(by) => Nonce(nonce.0.saturating_add_signed(by)),
                };
                let plan = Plan { after: after.map(name), trigger, cancels: cancels.map(name), pace };
                Command::Plan { order, instructions, plan }
            }
            Step::Replace { pick, mut placing, in_its_market } => {
                let Order { nonce, market, .. } = self.any_order(placing.order.account, pick);
                if in_its_market {
                    (placing.event, placing.outcome) = (market.event().0, market.outcome());
                }
                let (order, instructions) = self.order(placing);
                Command::Replace { nonce, order, instructions }
            }
            Step::Replan { pick, mut placing, trigger, pace } => {
                // Mostly one that waits; sometimes one that rests, or has ended.
                let waiting = &self.naive.waiting;
                let picked =
                    (pick % 8 != 0 && !waiting.is_empty()).then(|| waiting[pick % waiting.len()].signed.message);
                let old = picked.unwrap_or_else(|| self.any_order(placing.order.account, pick));
                placing.order.account = old.account;
                if pick % 5 != 0 {
                    (placing.event, placing.outcome) = (old.market.event().0, old.market.outcome());
                }
                if pick % 3 != 0 {
                    placing.order.kind = old.kind;
                }
                let (order, instructions) = self.order(placing);
                Command::Replan { nonce: old.nonce, order, instructions, trigger, pace }
            }
            Step::Amend { account, pick, percent, stranger } => {
                let account = AccountId(account);
                let Order { nonce, size, .. } = self.any_order(account, pick);
                let size = Lots(size.0 * percent / 100);
                Command::Amend(self.sign(Amend { account, nonce, size }, account, stranger))
            }
            Step::CancelMany { account, venue, market: (event, outcome), sides, nonce, stranger } => {
                let account = AccountId(account);
                let market = MarketId::new(EventId(event), if event == 0 { 0 } else { outcome });
                let (venue, nonce) = (VenueId(venue), self.nonce(account, nonce));
                Command::CancelMany(self.sign(CancelMany { account, venue, market, sides, nonce }, account, stranger))
            }
            Step::CancelAfter { account, later, nonce, stranger } => {
                let account = AccountId(account);
                let time = TimeMs(if later < 10 { 0 } else { self.time + later - 12 });
                let nonce = self.nonce(account, nonce);
                Command::CancelAfter(self.sign(CancelAfter { account, time, nonce }, account, stranger))
            }
            Step::Cancel { account, pick, stranger } => {
                let account = AccountId(account);
                let nonce = self.any_order(account, pick).nonce;
                Command::Cancel(self.sign(Cancel { account, nonce }, account, stranger))
            }
            Step::CancelAll { account, up, stranger } => {
                let account = AccountId(account);
                let below = Nonce(self.nonce(account, Choice::Next).0.saturating_add_signed(up));
                Command::CancelAll(self.sign(CancelAll { account, below }, account, stranger))
            }
            Step::Withdraw { account, asset, share, nonce, expires_in, oddity } => {
                let account = AccountId(account);
                let amount = self.amount(account, asset, share, oddity);
                let token = if oddity == 3 { Address::ZERO } else { token_of(asset) };
                let (nonce, expiry) = (self.nonce(account, nonce), self.expiry(expires_in));
                let message = Withdraw { account, token, amount, nonce, expiry };
                Command::Withdraw(self.sign(message, account, oddity == 4))
            }
            Step::Transfer { account, to, asset, share, nonce, oddity } => {
                let account = AccountId(account);
                // Mostly to the other account of its owner.
                let sibling =
                    if owner(account) == owner(AccountId(account.0 + 1)) { account.0 + 1 } else { account.0 - 1 };
                let to = AccountId(if oddity % 4 == 0 { to } else { sibling });
                let gateway = if oddity % 16 == 5 { Address::repeat_byte(0x44) } else { Address::ZERO };
                let (nonce, expiry) = (self.nonce(account, nonce), TimeMs(0));
                let amount = self.amount(account, asset, share, oddity);
                let message = Transfer { account, gateway, to, token: token_of(asset), amount, nonce, expiry };
                Command::Transfer(self.sign(message, account, oddity == 7))
            }
            Step::Liquidate(rescuing) => {
                let message = self.liquidation(rescuing);
                Command::Liquidate(self.sign(message, message.keeper, rescuing.oddity == 9))
            }
            Step::Convert(rescuing) => {
                let message = self.conversion(rescuing);
                Command::Convert(self.sign(message, message.keeper, rescuing.oddity == 9))
            }
            Step::Frame { later, items, quotes } => return self.frame(later, items, quotes),
        };
        self.apply(self.at_times_in_session(command));
    }

    /// Every third cancellation comes by a session, of which every ninth has ended.
    fn at_times_in_session(&self, command: Command) -> Command {
        let number = self.log.len();
        if !number.is_multiple_of(3) {
            return command;
        }
        let Some((account, signer)) = command.signer() else { return command };
        let act = match &command {
            Command::Cancel(signed) => Act::Cancel { nonce: signed.message.nonce },
            Command::CancelAll(signed) => Act::CancelAll { below: signed.message.below },
            Command::CancelMany(Signed { message: CancelMany { venue, market, sides, .. }, .. }) => {
                Act::CancelMany { venue: *venue, market: *market, sides: *sides }
            }
            Command::CancelAfter(signed) => Act::CancelAfter { time: signed.message.time },
            _ => return command,
        };
        let expiry = TimeMs(if number.is_multiple_of(27) { self.time - 1 } else { self.time + 60_000 });
        let session = Session { account, scope: Scope::Cancel, expiry, challenge: [7; 32] };
        Command::InSession { login: Signed { signer, ..self.sign(session, account, false) }, act }
    }

    fn order(&self, placing: Placing) -> (Signed<Order>, Instructions) {
        let Placing { mut order, above_index, event, outcome, nonce, expires_in, stranger, instructions } = placing;
        order.market = MarketId::new(EventId(event), outcome);
        if let Some(ticks) = self.index_ticks(order.market) {
            order.price.0 = ticks.saturating_add_signed(above_index).max(1);
        }
        order.nonce = self.nonce(order.account, nonce);
        order.expiry = self.expiry(expires_in);
        (self.sign(order, order.account, stranger), instructions)
    }

    /// One of those who fail, or owe cash, or anybody.
    fn in_need(&self, Rescuing { pick, needy, .. }: Rescuing, is_in_need: impl Fn(&Health) -> bool) -> AccountId {
        let everybody = self.naive.accounts.iter();
        let needs = everybody.filter(|(_, state)| is_in_need(&self.naive.health(state))).map(|(account, _)| *account);
        let needs: Vec<_> = needs.collect();
        if needs.is_empty() || !needy { AccountId(pick as u64 % (ACCOUNTS + 2)) } else { needs[pick % needs.len()] }
    }

    fn liquidation(&self, rescuing: Rescuing) -> Liquidate {
        let Rescuing { keeper, market, permille, oddity, nonce, .. } = rescuing;
        let (keeper, mut market) = (AccountId(keeper), MarketId::new(EventId(market), 0));
        let account = self.in_need(rescuing, |health| health.maintenance() < 0);
        let held = self.naive.accounts.get(&account).map_or(0, |state| state.lots(market));
        if held == 0 && oddity % 4 != 0 {
            market = kinds::perpetual_market(if market == kinds::perpetual_market(1) { 2 } else { 1 });
        }
        let held = self.naive.accounts.get(&account).map_or(0, |state| state.lots(market));
        let size = Lots(u64::try_from(held.abs()).unwrap() * permille / 1_000);
        // A long position is taken at the limit or below.
        let far = if held >= 0 { u128::MAX } else { 0 };
        let limit = if oddity % 16 == 3 { 10_000_000_000_000_000 } else { far };
        let expiry = if oddity % 32 == 7 { TimeMs(self.time + 50) } else { TimeMs(0) };
        Liquidate { keeper, account, market, size, limit, nonce: self.nonce(keeper, nonce), expiry }
    }

    fn conversion(&self, rescuing: Rescuing) -> Convert {
        let Rescuing { keeper, asset, permille, oddity, nonce, .. } = rescuing;
        let (keeper, asset) = (AccountId(keeper), FeedId(asset));
        let account = self.in_need(rescuing, |health| health.usd < 0);
        let held = self.naive.accounts.get(&account).map_or(0, |state| state.balance(asset));
        let amount = held.unsigned_abs() * u128::from(permille) / 1_000;
        let limit = if oddity % 16 == 3 { 500_000_000_000_000 } else { u128::MAX };
        Convert { keeper, account, asset, amount, limit, nonce: self.nonce(keeper, nonce), expiry: TimeMs(0) }
    }

    /// The index price of a market that has one, in its ticks.
    fn index_ticks(&self, market: MarketId) -> Option<u64> {
        let listing = self.naive.listings.get(&market.event()).filter(|_| market.outcome() == 0)?;
        let price = self.naive.feeds[&listing.feed?].price;
        u64::try_from(price / 1_000_000_000 / i128::from(listing.terms.quantum)).ok()
    }

    /// Atoms of a token, about what an account has free or an odd number.
    fn amount(&self, account: AccountId, asset: u8, share: u32, oddity: u8) -> u128 {
        let free = match self.naive.accounts.get(&account) {
            Some(state) if asset != 0 => state.balance(FeedId(asset)),
            Some(_) => self.naive.available(account),
            None => 1_000,
        };
        match oddity {
            0 => u128::MAX,
            1 => 0,
            2 => free.unsigned_abs() + 1,
            _ => free.unsigned_abs() * u128::from(share) / 1_000_000,
        }
    }

    /// One of an account's orders, resting or waiting, or one that it hardly has.
    fn any_order(&self, account: AccountId, pick: usize) -> Order {
        let resting = self.engine.open_orders(account).into_iter().map(|view| view.order);
        let waiting = self.engine.planned_orders(account).into_iter().map(|view| view.order);
        let all: Vec<Order> = resting.chain(waiting).collect();
        if all.is_empty() { unlikely_order(account) } else { all[pick % all.len()] }
    }

    /// Drops what the contract would never queue.
    pub(crate) fn frame(&mut self, later: u64, items: Vec<Item>, quotes: Vec<Quote>) {
        let (mut opened, mut builders) = (self.naive.listings.len(), self.naive.builders.len());
        let quantum = if self.world == World::Kinds { 700_000 } else { 7 };
        let mut resolved = vec![];
        let mut payloads = vec![];
        for item in items {
            match item {
                Item::Deposit { account, amount } => {
                    let account = AccountId(account);
                    payloads.push(InboxPayload::Deposit { account, owner: owner(account), token: TOKEN, amount });
                }
                Item::Open { outcomes, fees } => {
                    opened += 1;
                    let event = EventId(u32::try_from(opened).unwrap());
                    payloads.push(InboxPayload::EventOpened { event, config: event_config(outcomes, quantum, fees) });
                }
                Item::Venue { treasury, shares } => {
                    let [protocol_share, insurance_share, referrer_share] = shares.map(Ppm);
                    let treasury = AccountId(treasury);
                    let config = VenueConfig { treasury, protocol_share, insurance_share, referrer_share };
                    payloads.push(InboxPayload::VenueSet { venue: VENUE, config });
                }
                Item::FeeTiers { tiers } => payloads.push(InboxPayload::FeeTiersSet { venue: VENUE, tiers }),
                Item::Register { account } => {
                    builders += 1;
                    let builder = BuilderId(u32::try_from(builders).unwrap());
                    payloads.push(InboxPayload::BuilderSet { builder, account: AccountId(account) });
                }
                Item::Refer { account, builder } => {
                    let (account, referrer) = (AccountId(account), BuilderId(builder));
                    if usize::try_from(builder).unwrap() <= builders {
                        payloads.push(InboxPayload::ReferrerSet { account, referrer });
                    }
                }
                Item::CancelAll { account, up } => {
                    let account = AccountId(account);
                    let floor = Nonce(self.nonce(account, Choice::Next).0.saturating_add_signed(up));
                    payloads.push(InboxPayload::CancelAll { account, floor });
                }
                Item::Phase { event, phase } => {
                    let event = EventId(event);
                    // What is decided is final.
                    let open = self.naive.listings.get(&event).is_some_and(|listing| listing.payouts.is_none());
                    if open && !resolved.contains(&event) {
                        payloads.push(InboxPayload::PhaseSet { market: MarketId::new(event, 0), phase });
                    }
                }
                Item::Hours { event, hours } => {
                    if self.naive.listings.contains_key(&EventId(event)) {
                        payloads.push(InboxPayload::HoursSet { market: MarketId::new(EventId(event), 0), hours });
                    }
                }
                Item::Resolve { event, weights } => {
                    let event = EventId(event);
                    let Some(listing) = self.naive.listings.get(&event) else { continue };
                    if listing.kind != MarketKind::Outcome || listing.payouts.is_some() || resolved.contains(&event) {
                        continue;
                    }
                    resolved.push(event);
                    let payouts = split(listing.outcomes, listing.ticks, &weights);
                    payloads.push(InboxPayload::EventResolved { event, payouts });
                }
                Item::Force { account, asset, amount } => {
                    let (account, token) = (AccountId(account), token_of(asset));
                    if asset == 0 || self.asset(asset).is_some() {
                        payloads.push(InboxPayload::ForcedWithdrawal { account, token, amount });
                    }
                }
                Item::DepositAsset { account, asset, amount } => {
                    let account = AccountId(account);
                    let token = token_of(asset);
                    payloads.push(InboxPayload::Deposit { account, owner: owner(account), token, amount });
                }
                Item::Weigh { asset, percent } => {
                    let config = kinds::asset_config(asset, percent);
                    payloads.push(InboxPayload::AssetSet { feed: FeedId(asset), config });
                }
                Item::Tighten { perpetual, percent } => {
                    let (market, feed) = (kinds::perpetual_market(perpetual), FeedId(perpetual));
                    // The contract changes nothing of what is delisted.
                    if self.naive.listings[&market.event()].phase != Phase::Delisted {
                        let config = kinds::perpetual_config(perpetual, percent);
                        payloads.push(InboxPayload::PerpetualSet { market, feed, config });
                    }
                }
                Item::Terms { max_holdings, grace } => {
                    payloads.push(InboxPayload::TermsSet(GroupTerms { max_holdings, grace, ..group().terms }));
                }
                Item::ForceClose { account, perpetual } => {
                    let (account, market) = (AccountId(account), kinds::perpetual_market(perpetual));
                    payloads.push(InboxPayload::ForcedClose { account, market });
                }
                Item::ForceLiquidation(rescuing) => {
                    payloads.push(InboxPayload::ForcedLiquidation(self.liquidation(rescuing)));
                }
            }
        }
        // Now and then the clock that feeds the log goes back.
        let time = if later == 11 { self.time - 500 } else { self.time + later };
        let quotes = quotes.into_iter().map(|quote| self.price_update(quote, time)).collect();
        self.open_frame(time, payloads, quotes);
    }

    fn asset(&self, asset: u8) -> Option<FeedId> {
        let feed = self.naive.feeds.get(&FeedId(asset))?;
        matches!(feed.kept, Kept::Asset(_)).then_some(FeedId(asset))
    }

    /// A price that in_its_market where it can be told in a market's ticks; of a feed that there is not, any.
    fn price_update(&self, Quote { feed, moves, ago }: Quote, time: u64) -> PriceUpdate {
        let first = if feed <= 4 { kinds::first_price(feed) * 1_000_000_000 } else { 1 };
        let now = self.naive.feeds.get(&FeedId(feed)).map_or(0, |feed| feed.price);
        let now = if now == 0 { first } else { now };
        let moves = if now > 3 * first {
            -moves.abs()
        } else if now < first / 3 {
            moves.abs()
        } else {
            moves
        };
        let answer = u128::try_from(now * i128::from(1_000 + moves) * 1_000).unwrap();
        PriceUpdate { feed: FeedId(feed), answer, published_at: TimeMs(time.saturating_sub(ago)), proof: vec![] }
    }

    fn open_frame(&mut self, time: u64, payloads: Vec<InboxPayload>, prices: Vec<PriceUpdate>) {
        let inbox = (self.inbox..).zip(payloads).map(|(index, payload)| InboxItem { index, time: TimeMs(0), payload });
        let inbox: Vec<_> = inbox.collect();
        self.inbox += inbox.len() as u64;
        self.time = self.time.max(time);
        self.apply(Command::Frame { time: TimeMs(time), inbox, prices });
        assert_eq!(self.engine.pending_redemptions(), 0, "the oracle knows no budgets, so no life must need one");
    }

    fn apply(&mut self, command: Command) {
        let log_hash = self.engine.log_hash();
        let before = self.naive.clone();
        let foreseen = self.foresee(&command);
        let mut events = vec![];
        let logged = Logged::new(command.clone());
        self.engine.apply(&logged, &mut events);
        let expected = self.naive.apply(&command, log_hash);
        // The first that differs says more than all of them.
        for (event, expected) in events.iter().zip(&expected) {
            assert_eq!(event, expected, "after {command:?}");
        }
        assert_eq!(events, expected, "after {command:?}");
        self.engine.check_invariants();
        self.compare_accounts();
        self.compare_feeds();
        self.compare_tiers();
        assert_eq!(self.engine.accrued_fees(), self.naive.accrued());
        if let Command::Place { order, .. } | Command::Replace { order, .. } = &command {
            self.compare_book(order.message.market);
        }
        if let Command::PlaceTree { tree, .. } = &command {
            tree.orders().iter().for_each(|order| self.compare_book(order.market));
        }
        if let Some(foreseen) = foreseen {
            self.compare_foreseen(&command, foreseen, &events);
        }
        if matches!(command, Command::Frame { .. }) {
            self.compare_liquidations();
        }
        self.follower.follow(&events, &self.engine, &self.naive);
        for event in &events {
            if let (Event::FrameSealed(frame), Some(contract)) = (event, &mut self.contract) {
                contract.settle(frame);
                compare_contract(contract, &before);
            }
            *self.seen.entry(name(event)).or_default() += 1;
            if let Event::Filled(fill) = event
                && self.is_discounted(fill)
            {
                *self.seen.entry("Filled at a discount".into()).or_default() += 1;
            }
        }
        let (tried, refused) = self.tally.entry(self.sort(&command)).or_default();
        *tried += 1;
        *refused += u64::from(matches!(events[..], [Event::Rejected { .. }]));
        self.log.push(command);
        assert_eq!(self.engine.sequence(), self.log.len() as u64);
    }

    /// Whether the taker paid less than the market's rate.
    fn is_discounted(&self, fill: &Fill) -> bool {
        let terms = self.naive.listings[&fill.market.event()].terms;
        terms.taker_fee > Ppm(0) && self.naive.tier(terms.venue, fill.taker) != FeeTier::NONE
    }

    /// What a command asks for, and of what kind of market.
    fn sort(&self, command: &Command) -> String {
        let order = match command {
            Command::Place { order, .. }
            | Command::Replace { order, .. }
            | Command::Plan { order, .. }
            | Command::Replan { order, .. } => order,
            other => return variant(other),
        };
        match self.naive.listings.get(&order.message.market.event()) {
            Some(listing) => format!("{} {:?}", variant(command), listing.kind),
            None => format!("{} nowhere", variant(command)),
        }
    }
}

/// The variant of an event, with the reason of a rejection or cancellation.
fn name(event: &Event) -> String {
    match event {
        Event::Rejected { reject, .. } => format!("Rejected {}", variant(reject)),
        Event::FrameSealed(frame) if !frame.trees.is_empty() => "FrameSealed with trees".into(),
        Event::Filled(fill) if fill.taker_nonce == Nonce::FORCED => "Filled by force".into(),
        Event::RescueRefused { reject, .. } => format!("RescueRefused {}", variant(reject)),
        Event::Cancelled { reason, .. } => format!("Cancelled {reason:?}"),
        Event::Reduced { reason, .. } => format!("Reduced {reason:?}"),
        Event::Withdrawn { forced, .. } => format!("Withdrawn {forced}"),
        other => variant(other),
    }
}

fn variant(of: &impl std::fmt::Debug) -> String {
    format!("{of:?}").split([' ', '(']).next().unwrap().to_owned()
}

/// The token of an asset; 0 is the settlement token.
fn token_of(asset: u8) -> Address {
    if asset == 0 { TOKEN } else { kinds::token(asset) }
}

/// Payouts in these proportions, adding up to certainty; the last outcome takes the remainder.
fn split(outcomes: u8, ticks: u64, weights: &[u8]) -> Vec<u64> {
    let weights = &weights[..usize::from(outcomes)];
    let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let mut payouts: Vec<u64> = weights.iter().map(|weight| u64::from(*weight) * ticks / total.max(1)).collect();
    let rest = ticks - payouts.iter().sum::<u64>();
    *payouts.last_mut().unwrap() += rest;
    payouts
}
